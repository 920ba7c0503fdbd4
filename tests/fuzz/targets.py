"""The readers that are given what nobody meant to write, each with what it is given.

A target makes bytes from a source of randomness and reads bytes; any error of its reader but `LaghuError` is a mistake
of ours. Seeds are valid inputs of the tests and of this repository.
"""

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from fake_benchmark import benchmark
from fake_records import fake_record, fake_token_record
from fuzz.mutations import NUMBERS, TEXTS, as_json, changed, damaged, value
from onnx import TensorProto, helper

from laghu import corpora, deployment, engines, inference, lines, paths, texts, token_corpora
from laghu.benchmark.record import BenchmarkRecord
from laghu.errors import LaghuError
from laghu.own import checks as own_checks
from laghu.own import tables as own_tables
from laghu.own.settings import Settings
from laghu.records import CostRecord, PretrainingRecord, RunRecord, Stored, TokenRecord, frame
from laghu.shipping import manifest
from laghu.spec import CostRun, RunSpec, Study, TokenRun

_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Target:
    """How inputs are made and read, and how large its share of all inputs is: the slower, the smaller."""

    produce: Callable[[Random], bytes]
    read: Callable[[bytes], Any]
    weight: int = 10


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()


def _file(name: str, content: bytes) -> Path:
    """A file of that name for this input; it takes the place of that of the input before."""
    file = Path(_folder().name) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def _either(rng: Random, seeds: list[bytes], values: list[Any] | None = None) -> bytes:
    """One of the seeds damaged as bytes or, if they are JSON, changed as a value, or both."""
    if not values or rng.random() < 0.4:
        return damaged(rng.choice(seeds), rng, tuple(seeds))
    content = as_json(changed(rng.choice(values), rng))
    return damaged(content, rng) if rng.random() < 0.1 else content


def _json_target(read: Callable[[bytes], Any], seeds: Callable[[], list[Any]], weight: int) -> Target:
    loaded = cache(lambda: (seeds(), [as_json(seed) for seed in seeds()]))
    return Target(lambda rng: _either(rng, loaded()[1], loaded()[0]), read, weight)


# ---------------------------------------------------------------------------------------------- records


def _record(kind: type[Stored], content: bytes) -> Stored:
    return kind.load(_file("record.json", content))


def _run_record(content: bytes) -> None:
    record = _record(RunRecord, content)
    frame([record])
    assert len(record.correct) == len(record.right)
    assert all(len(view) == len(record.row_views) for view in record.views.values())


def _run_records() -> list[Any]:
    short = {"predictions": [0, 3, 11], "right": "011", "row_views": "210"}
    rows = ({"technique": "baseline"}, {"technique": "pruning", "pruning_level": 0.5}, {"technique": "classical"})
    return [fake_record(RunSpec(seed=1, **row)).model_dump(mode="json") | short for row in rows]


def _token_records() -> list[Any]:
    record = fake_token_record(TokenRun(seed=1, pruning_level=0.5)).model_dump(mode="json")
    return [record | {"right": [1, 2], "true": [1, 3], "predicted": [2, 2], "sentence_views": "20"}]


def _published(*names: str) -> list[Any]:
    return [_shortened(json.loads((_REPOSITORY / name).read_text(encoding="utf-8"))) for name in names]


def _shortened(content: Any) -> Any:
    """With the first two of every list: what is to be damaged is the form."""
    if isinstance(content, dict):
        return {name: _shortened(part) for name, part in content.items()}
    return [_shortened(part) for part in content[:2]] if isinstance(content, list) else content


# ---------------------------------------------------------------------------------------------- studies and parameters


def _study(content: bytes) -> None:
    file = _file("studies/one.yaml", content)
    with patch.dict(os.environ, LAGHU_HOME=str(file.parents[1])):
        for run in Study.load("one").runs:
            assert "/" not in run.run


_STUDY = {
    "title": "One",
    "seeds": [0, 1],
    "common": {"corpus": "sample", "pruning": {"epochs": 3}, "measuring": {"repeats": 5}},
    "runs": [
        {"technique": "baseline"},
        {"technique": "pruning", "pruning_level": 0.5, "seeds": [1]},
        {"technique": "two_step_distillation", "two_step": {"order": ["width", "depth", "vocabulary"]}},
        {"technique": "quantization", "quantization": {"scheme": "int8-weights", "of": "baseline"}},
        {"technique": "minitron", "minitron": {"num_hidden_layers": 1}},
    ],
    "tokens": [{"corpus": "token-sample"}, {"two_step": {"steps": 10, "name": "tiny"}}],
    "cost": {"precisions": ["fp32"], "levels": [0.5], "shape": {"num_hidden_layers": 2}},
    "bench": {"path": [{"step": "one", "run": "baseline"}]},
    "ships": "baseline-seed0",
}
_STUDY_TEXT = yaml.safe_dump(_STUDY, sort_keys=False).encode()
_FLOW = yaml.safe_dump(_STUDY, default_flow_style=True, width=200).encode()


def _study_text(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return damaged(rng.choice((_STUDY_TEXT, _FLOW)), rng, (_FLOW,))
    content = changed(_STUDY, rng)
    # YAML of Python objects has tags that a safe loader refuses, and those of aliases what it takes.
    with suppress(RecursionError, ValueError, yaml.YAMLError):
        return yaml.safe_dump(content, sort_keys=rng.random() < 0.1).encode("utf-8", "surrogatepass")
    return as_json(content)


_PARAMETERS = [
    {
        "study": "one",
        "pruning_level": 0.5,
        "seed": 1,
        "corpus": "sample",
        "distillation": "joint",
        "precision": "fp32",
        "model": None,
        "pruning": {"epochs": 3},
        "two_step": {"order": ["width", "depth", "vocabulary"], "name": "tiny"},
        "architecture": {"hidden_size": 64, "num_attention_heads": 4},
        "quantization": {"of": "baseline"},
    },
    {
        "study": "one",
        "corpus": "token-sample",
        "seed": 0,
        "two_step": {"steps": 10},
        "measuring": {"sequence_length": 8},
    },
    {"study": "one", "precision": "fp32", "settings": {"levels": [0.5], "shape": {"num_hidden_layers": 1}}},
]


def _parameters(content: bytes) -> None:
    """As a notebook gives them: names to values, the first letter saying to which template."""
    try:
        template, given = json.loads(content)
        namespace = {str(name): each for name, each in given.items()}
    except (ValueError, RecursionError, AttributeError, TypeError):
        return
    match template:
        case "cost":
            CostRun.from_parameters(namespace)
        case "tokens":
            assert "/" not in TokenRun.from_parameters(namespace).run
        case _:
            assert "/" not in RunSpec.from_parameters(namespace, str(template)).run


def _parameter_text(rng: Random) -> bytes:
    template = rng.choice(
        ("baseline", "pruning", "minitron", "two_step_distillation", "quantization", "cost", "tokens")
    )
    return as_json([template, changed(rng.choice(_PARAMETERS), rng)])


def _name(content: bytes) -> None:
    """Names of studies, runs, corpora, texts and engines, and of the folders that the environment names."""
    name = content.decode("utf-8", "surrogateescape")
    home = _file("studies/one.yaml", _STUDY_TEXT).parents[1]
    _file("secret.yaml", _STUDY_TEXT)
    with patch.dict(os.environ, LAGHU_HOME=str(home)):
        study = Study.load("one")
        if name in {
            "one",
            *corpora.NAMES,
            *token_corpora.NAMES,
            *texts.NAMES,
            *engines.ENGINES,
            *(run.run for run in study.runs),
        }:
            return
        for ask in (
            Study.load,
            study.find,
            corpora.load,
            token_corpora.load,
            texts.load,
            partial(engines.load, folder=home, threads=1),
        ):
            with suppress(LaghuError):
                raise AssertionError(f"{name!r} was taken: {ask(name)}")
        if "\0" not in name:
            for variable, ask in (("LAGHU_HOME", paths.root), ("LAGHU_DATA_DIR", paths.data_dir)):
                with patch.dict(os.environ, {variable: name}), suppress(LaghuError):
                    ask()


def _name_text(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return rng.choice(TEXTS).encode("utf-8", "surrogatepass")
    seeds = (b"../secret", b"one", b"mahaner", b"/etc/passwd", b"studies/../one", b"baseline-seed0", b"onnxruntime")
    return damaged(rng.choice(seeds), rng)[:4096]


# ---------------------------------------------------------------------------------------------- corpora

_LABELS = ("State", "India", "Auto")
_CSV = (
    'text,label\nपाऊस आला,State\n"two, with ""quotes""",India\n'.encode(),
    '\ufefflabel,text,row\r\nAuto,गाडी,1\r\ntext,label,2\r\nState," ",3\r\n'.encode(),
    b"text,label,text\na,State,b\n",
    b"text\tlabel\na\tState\n",
    b"",
)


def _table(suffix: str, content: bytes) -> None:
    corpora.read_table(_file(f"table{suffix}", content), _LABELS, others=("row",) if len(content) % 2 else ())


def _csv(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return damaged(rng.choice(_CSV), rng, _CSV)
    columns = [rng.choice(("text", "label", "row", *TEXTS)) for _ in range(rng.randrange(5))]
    cells = (*TEXTS, *_LABELS, "State")
    rows = [
        columns,
        *(
            [rng.choice(cells) for _ in range(max(0, len(columns) + rng.choice((0, 0, 0, 0, 1, -1))))]
            for _ in range(rng.randrange(6))
        ),
    ]
    comma, quote, end = rng.choice(",,,;\t"), rng.choice('""\''), rng.choice(("\n", "\r\n", "\r"))
    text = end.join(comma.join(f"{quote}{cell}{quote}" if rng.random() < 0.6 else cell for cell in row) for row in rows)
    return text.encode("utf-8", "surrogatepass")


_CELLS: tuple[tuple[pa.DataType, tuple[Any, ...]], ...] = (
    (pa.string(), (*TEXTS, *_LABELS, None)),
    (pa.large_string(), (*_LABELS, "पाऊस", None)),
    (pa.binary(), (b"State", b"\xff\xfe", b"\xed\xa0\x80", None)),
    (pa.float64(), (*NUMBERS[8:], None)),
    (pa.int64(), (0, -1, 2**63 - 1, None)),
    (pa.bool_(), (True, None)),
    (pa.null(), (None,)),
    (pa.timestamp("ns"), (0, 2**62, None)),
    (pa.date32(), (0, 10**6, -(10**6), None)),
    (pa.time64("ns"), (1, None)),
    (pa.duration("s"), (1, 2**62, None)),
    (pa.decimal128(9, 2), (None,)),
    (pa.list_(pa.string()), ([], ["a", None], ["पाऊस"], None)),
    (pa.list_(pa.list_(pa.string())), ([["a"], ["b"]], [[]], None)),
    (pa.list_(pa.int64()), ([1, 2], None)),
    (pa.list_(pa.binary()), ([b"a"], [b"\xff"])),
    (pa.map_(pa.string(), pa.string()), ([("a", "b")], None)),
    (pa.struct([("a", pa.string())]), ({"a": "b"}, None)),
    (pa.dictionary(pa.int32(), pa.string()), ("State", "a", None)),
)


_OWN_LINES = (
    b'{"text": "habari", "label": "a"}\n{"text": "njema", "label": "b"}\n',
    '\ufeff{"label": 1, "text": "ng\u00e2\u0080\u0099ombe"}\r\n\r\n{"text": null, "label": [1]}'.encode(),
)
_OWN_ROWS = b"text,label\n" + b"".join(b"neno %d,%s\n" % (row, b"ab"[row % 2 :][:1]) for row in range(60))


def _own_table(content: bytes) -> None:
    """A reader's own file, its first letter saying of which kind: read, split and reported on."""
    kind = {b"c": "csv", b"j": "jsonl"}.get(content[:1], "parquet")
    found, counts = own_tables.read(
        _file(f"own.{kind}", content[1:]), "text", "label", "row" if len(content) % 5 == 0 else None
    )
    assert own_checks.report(found, own_tables.split(found), counts).findings is not None


def _own_text(rng: Random) -> bytes:
    match rng.randrange(4):
        case 0:
            return b"c" + _csv(rng)
        case 1:
            return b"c" + damaged(_OWN_ROWS, rng, (_OWN_ROWS, *_CSV))
        case 2:
            return b"j" + damaged(rng.choice(_OWN_LINES), rng, _OWN_LINES)
    return b"p" + _parquet(_labelled, rng)


def _own_corpus(content: bytes) -> None:
    """The file beside the splits of a reader's own corpus; the splits are sound."""
    folder = _file("own/corpus.json", content).parent
    if not (folder / "test.parquet").is_file():
        _own_frame().to_parquet(folder / "test.parquet")
        for split in ("train", "validation"):
            shutil.copy(folder / "test.parquet", folder / f"{split}.parquet")
    corpora.own(folder)


def _own_frame() -> pd.DataFrame:
    flags = {flag: [False, True] for flag in corpora.FLAGS}
    return pd.DataFrame({"text": ["habari", "njema"], "label": ["a", "b"], **flags})


def _own_corpora() -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        about = {"licence": "cc0-1.0", "citation": "mine", "note": "A note."}
        frames = dict.fromkeys(corpora.SPLITS, _own_frame())
        corpora.write_own(Path(folder), ["a", "b"], frames, {"rows.csv": {"kept": 2}}, **about)
        return [json.loads((Path(folder) / corpora.OWN_FILE).read_text(encoding="utf-8"))]


def _own_settings(content: bytes) -> None:
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(given, dict):
        Settings.of(given)


def _parquet(sound: Callable[[Random], dict[str, list[Any]]], rng: Random) -> bytes:
    """A sound table, most often with columns of other types or names, and one file in three damaged."""
    columns = [(name, pa.array(cells)) for name, cells in sound(rng).items()]
    rows = len(columns[0][1])
    for _ in range(rng.randrange(4)):
        names = [name for name, _ in columns]
        column = (rng.choice((*names, *names, *TEXTS)), _column(rows, rng))
        place = rng.randrange(len(columns) + 1)
        columns[place : place + rng.randrange(2)] = [column]
    table = pa.table([column for _, column in columns], names=[name for name, _ in columns])
    if rng.random() < 0.2:
        noted = {b"pandas": as_json(value(rng)), b"ARROW:schema": rng.choice((b"", b"QQ=="))}
        table = table.replace_schema_metadata(noted)
    buffer = io.BytesIO()
    try:
        pq.write_table(table, buffer, compression=rng.choice(("snappy", "none", "zstd")))
    except (pa.ArrowException, UnicodeError):
        return _parquet(sound, rng)
    content = buffer.getvalue()
    return damaged(content, rng) if rng.random() < 0.35 else content


def _labelled(rng: Random) -> dict[str, list[Any]]:
    rows = rng.randrange(4)
    return {"text": [rng.choice(_LINES[:3]) for _ in range(rows)], "label": [rng.choice(_LABELS) for _ in range(rows)]}


def _tagged(rng: Random) -> dict[str, list[Any]]:
    lengths = [rng.randrange(4) for _ in range(rng.randrange(4))]
    return {
        "tokens": [[rng.choice(("पाऊस", "a", "नीता")) for _ in range(length)] for length in lengths],
        "tags": [[rng.choice(("O", "B-NEP")) for _ in range(length)] for length in lengths],
    }


def _column(rows: int, rng: Random) -> pa.Array:
    kind, cells = rng.choice(_CELLS) if rng.random() < 0.6 else rng.choice((_CELLS[0], _CELLS[12]))
    array = pa.array(
        [rng.choice(cells) for _ in range(rows)], kind.value_type if pa.types.is_dictionary(kind) else kind
    )
    if pa.types.is_dictionary(kind):
        return array.dictionary_encode()
    if pa.types.is_binary(kind) and rng.random() < 0.5:  # a text that isn't one
        return pa.Array.from_buffers(pa.string(), len(array), array.buffers())
    return array


def _sentences(content: bytes) -> None:
    token_corpora.read_sentences(_file("table.parquet", content), ("O", "B-NEP", "I-NEP"))


def _unlabelled(content: bytes) -> None:
    file = _file("data/marathi_text.csv", content)
    with patch.dict(os.environ, LAGHU_DATA_DIR=str(file.parent)):
        texts.load("marathi-licensed")


# ---------------------------------------------------------------------------------------------- models

_CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "id2label": {"0": "State", "1": "India", "2": "Auto"},
    "label2id": {"State": 0, "India": 1, "Auto": 2},
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "vocab_size": 40,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "type_vocab_size": 2,
    "auto_map": {"AutoConfig": "modeling.Mine"},
    "transformers_version": "5.0.0",
    "dtype": "float32",
}
_TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {
            "id": place,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for place, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
    ],
    "normalizer": {
        "type": "Sequence",
        "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\p{Cc}+"}, "content": " "}],
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            token: {"id": token, "ids": [place], "tokens": [token]} for token, place in (("[CLS]", 2), ("[SEP]", 3))
        },
    },
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {
            token: place
            for place, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", "पा", "##ऊस", ".", "घर"))
        },
    },
}
_BPE = _TOKENIZER | {
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": {"a": 4, "b": 5, "ab": 6},
        "merges": [["a", "b"]],
    },
}
_LINES = ("पाऊस आला", "a b. घर", "", "\0", "\ud800", "a" * 200, "[SEP] [CLS]", "e\u0301", "\U0001f642")


def _config(content: bytes) -> None:
    folder = _file("model/config.json", content).parent
    config = inference.config_of(folder)
    assert all(isinstance(label, str) for label in inference.labels_of(folder, config))
    assert isinstance(inference.max_length_of(folder, config, None), int)


def _tokenizer(content: bytes) -> None:
    """As `Classifier` reads it, in a folder whose other files are sound."""
    folder = _folder_of_model(tokenizer=content)
    list(inference.Classifier(folder, threads=1).stream(list(_LINES)))


def _onnx(content: bytes) -> None:
    list(inference.Classifier(_folder_of_model(weights=content), threads=1).stream(_LINES[:2]))


def _folder_of_model(config: bytes | None = None, tokenizer: bytes | None = None, weights: bytes | None = None) -> Path:
    _file("deployed/config.json", config or as_json(_CONFIG))
    _file("deployed/tokenizer.json", tokenizer or as_json(_TOKENIZER))
    return _file("deployed/model.onnx", weights or _weights()).parent


@cache
def _weights() -> bytes:
    """A classifier of three labels: a row of a table for each token, their sum."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [10, 3], np.arange(30, dtype=np.float32) % 7)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [table, axes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _classified(content: bytes) -> None:
    """As many lines come out as go in, all of them JSON, and no control character among them."""
    written = io.StringIO()
    lines.classify(_classifier(), io.BytesIO(content), written, io.StringIO())
    labels = written.getvalue().split("\n")[:-1]
    assert len(labels) == len(content.split(b"\n")) - content.endswith(b"\n") - (not content)
    assert all(json.loads(line)["label"] in _CONFIG["id2label"].values() for line in labels)
    assert all(line.isprintable() for line in labels)


@cache
def _classifier() -> inference.Classifier:
    return inference.Classifier(_folder_of_model(), threads=1)


def _text_lines(rng: Random) -> bytes:
    text = "\n".join(rng.choice((*TEXTS, *_LINES)) for _ in range(rng.randrange(6)))
    return damaged(text.encode("utf-8", "surrogatepass"), rng)


def _checkpoint(content: bytes) -> None:
    """Configuration, index of weights and weights, each with its length before it."""
    parts, rest = [], content
    for _ in range(3):
        size = int.from_bytes(rest[:4], "big")
        parts.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    folder = _file("checkpoint/config.json", parts[0]).parent
    _file("checkpoint/tokenizer.json", as_json(_TOKENIZER))
    for name, part in zip(("model.safetensors.index.json", "model.safetensors"), parts[1:], strict=True):
        if part:
            _file(f"checkpoint/{name}", part)
        else:
            (folder / name).unlink(missing_ok=True)
    deployment.load(folder)


def _checkpoint_text(rng: Random) -> bytes:
    sound = _safetensors()
    parts = [as_json(_CONFIG), b"", sound]
    match rng.randrange(3):
        case 0:
            parts[0] = _either(rng, [parts[0]], [_CONFIG])
        case 1:
            parts[2] = damaged(sound, rng)
        case _:
            index = {
                "metadata": {"total_size": 1},
                "weight_map": {"classifier.bias": rng.choice(("../model.safetensors", "model.safetensors", 1))},
            }
            parts[1:] = [_either(rng, [as_json(index)], [index]), rng.choice((b"", sound))]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@cache
def _safetensors() -> bytes:
    from safetensors.torch import save
    from transformers import BertConfig, BertForSequenceClassification

    names = {
        name: each
        for name, each in _CONFIG.items()
        if name not in ("auto_map", "transformers_version", "dtype", "architectures")
    }
    model = BertForSequenceClassification(BertConfig(**names))
    return save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, metadata={"format": "pt"})


TARGETS: Mapping[str, Target] = {
    "run records": _json_target(_run_record, _run_records, 20),
    "token records": _json_target(partial(_record, TokenRecord), _token_records, 8),
    "cost records": _json_target(partial(_record, CostRecord), lambda: _published("results/cpu/cost/fp32.json"), 5),
    "pretraining records": _json_target(
        partial(_record, PretrainingRecord), lambda: _published("results/cpu/backbone/pretraining.json"), 5
    ),
    "benchmark records": _json_target(
        partial(_record, BenchmarkRecord), lambda: [_shortened(benchmark().model_dump(mode="json"))], 5
    ),
    "manifests": _json_target(
        partial(_record, manifest.Manifest), lambda: _published("book/_static/model/manifest.json"), 5
    ),
    "studies": Target(_study_text, _study, 10),
    "parameters": Target(_parameter_text, _parameters, 20),
    "names": Target(_name_text, _name, 8),
    "CSV tables": Target(_csv, partial(_table, ".csv"), 20),
    "Parquet tables": Target(partial(_parquet, _labelled), partial(_table, ".parquet"), 12),
    "Parquet sentences": Target(partial(_parquet, _tagged), _sentences, 10),
    "unlabelled texts": Target(_csv, _unlabelled, 5),
    "own tables": Target(_own_text, _own_table, 12),
    "own corpora": _json_target(_own_corpus, _own_corpora, 5),
    "own settings": _json_target(
        _own_settings, lambda: [{"data": "my.csv", "model": None, "levels": [25, 50], "seed": 1, "epochs": 0.5}], 5
    ),
    "model configurations": _json_target(_config, lambda: [_CONFIG], 10),
    "tokenizers": _json_target(_tokenizer, lambda: [_TOKENIZER, _BPE], 6),
    "ONNX files": Target(lambda rng: damaged(_weights(), rng), _onnx, 4),
    "texts to classify": Target(_text_lines, _classified, 10),
    "checkpoints": Target(_checkpoint_text, _checkpoint, 1),
}
