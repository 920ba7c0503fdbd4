"""Oracle: transformers on the same checkpoint, one text at a time."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from headlines import HEADLINES
from random_models import random_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    CanineTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

import laghu
from laghu import cli, deployment, engines
from laghu.deployment import export
from laghu.errors import LaghuError
from laghu.inference import Classifier

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

LABELS = ["Auto", "खेळ", "State", "Tech"]
NAMED = {"num_labels": 4, "id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}}
# Wide enough for weights to outweigh the graph of the file.
WIDE = {"hidden_size": 64, "intermediate_size": 96}
TOO_LONG = "पाऊस " * 100
TEXTS = [*HEADLINES, "", "a", TOO_LONG]
ENGINES = ["onnxruntime", pytest.param("openvino", marks=pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed"))]


def bert():
    """Its layers calmer than random ones, in which small errors would grow."""
    model = random_model(BertConfig, BertForSequenceClassification, seed=4, **NAMED, **WIDE)
    with torch.no_grad():
        for parameter in model.bert.encoder.parameters():
            parameter.mul_(0.3 if parameter.ndim == 2 else 1)
        model.bert.pooler.dense.weight.mul_(0.3)
    return model


def distilbert():
    torch.manual_seed(4)
    return DistilBertForSequenceClassification(DistilBertConfig(
        vocab_size=160, dim=16, n_layers=2, n_heads=4, hidden_dim=12, max_position_embeddings=64,
        initializer_range=0.5, **NAMED,
    )).eval()


MODELS = {"bert": bert, "distilbert": distilbert}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    """Checkpoints, bert and distilbert, and what is made of them: bert-fp32, distilbert-fp32, bert-int8."""
    root = tmp_path_factory.mktemp("deployment")
    for name, make in MODELS.items():
        model = make()
        with torch.no_grad():  # no label is the likeliest of all texts
            model.classifier.bias.sub_(logits(model, tokenizer, TEXTS).mean(dim=0))
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    # BERT's own tokenizers give token types.
    config = json.loads((root / "bert" / "tokenizer_config.json").read_text())
    config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (root / "bert" / "tokenizer_config.json").write_text(json.dumps(config))
    for name in MODELS:
        export(root / name, root / f"{name}-fp32")
    export(root / "bert", root / "bert-int8", "int8", TEXTS)
    return root


@pytest.fixture(scope="module")
def expected(folder):
    """Logits of `TEXTS` by transformers, for each checkpoint."""
    return {name: logits(AutoModelForSequenceClassification.from_pretrained(folder / name).eval(),
                         AutoTokenizer.from_pretrained(folder / name), TEXTS) for name in MODELS}


def logits(model, tokenizer, texts):
    with torch.inference_mode():
        return torch.cat([
            model(**tokenizer(text, truncation=True, max_length=64, return_tensors="pt")).logits for text in texts
        ])


def onnx_model(folder):
    return onnx.load(folder / engines.ONNX)


def copied(checkpoint, tmp_path):
    return Path(shutil.copytree(checkpoint, tmp_path / "changed"))


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# ------------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_of_transformers(folder, expected, name, engine):
    found = Classifier(folder / f"{name}-fp32", engine=engine, threads=1).probabilities(TEXTS)
    np.testing.assert_allclose(found, expected[name].softmax(dim=1), rtol=0, atol=2e-5)
    assert len(set(found.argmax(axis=1))) > 2


@pytest.mark.parametrize("engine", ENGINES)
def test_int8_is_near_fp32(folder, expected, engine):
    found = Classifier(folder / "bert-int8", engine=engine, threads=1).probabilities(TEXTS)
    wanted = expected["bert"].softmax(dim=1).numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0.08)
    assert np.array_equal(found.argmax(axis=1), wanted.argmax(axis=1))


@pytest.mark.parametrize("name", ["bert-fp32", "bert-int8"])
def test_a_text_has_its_probabilities_whatever_else_is_in_the_batch(folder, name):
    classifier = Classifier(folder / name, threads=1)
    alone = np.concatenate([classifier.probabilities([text]) for text in TEXTS])
    np.testing.assert_allclose(classifier.probabilities(TEXTS), alone, rtol=0, atol=2e-6)


def test_logits_may_be_larger_than_any_in_calibration(folder, expected, tmp_path):
    highest = expected["bert"].amax(dim=1)
    usual, beyond = TEXTS[highest.argmin()], TEXTS[highest.argmax()]
    assert highest.max() > highest.min() + 1
    export(folder / "bert", tmp_path / "int8", "int8", [usual])
    run, _ = engines.load("onnxruntime", tmp_path / "int8", threads=1)
    tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
    found = [run([tokenizer(text, truncation=True, max_length=64)["input_ids"]]).max() for text in (usual, beyond)]
    assert found[1] > found[0] + (highest.max() - highest.min()) / 2


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("name", ["bert-fp32", "distilbert-fp32", "bert-int8"])
def test_a_folder_holds_what_a_classifier_reads(folder, name):
    assert set(content(folder / name)) == {"model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json"}
    classifier = Classifier(folder / name)
    assert (classifier.labels, classifier.max_length) == (LABELS, 64)
    assert "token_type_ids" in AutoTokenizer.from_pretrained(folder / "bert").model_input_names
    assert {node.name for node in onnx_model(folder / name).graph.input} == {"input_ids", "attention_mask"}
    onnx.checker.check_model(onnx_model(folder / name))


@pytest.mark.parametrize("name", ["bert-fp32", "distilbert-fp32", "bert-int8"])
def test_nothing_names_a_folder_of_this_machine(folder, name):
    places = [folder, Path(laghu.__file__), Path(sys.prefix)]
    for raw in content(folder / name).values():
        assert not [place for place in places if f"/{place.parts[1]}/".encode() in raw]
        assert b"site-packages" not in raw


def test_all_matrices_are_integers_of_eight_bits(folder):
    """Linear layers signed, with a scale for each output; tables of embeddings unsigned."""
    made = onnx_model(folder / "bert-int8").graph
    stored = {tensor.name: tensor for tensor in made.initializer}
    integers = {node.output[0]: [stored[name] for name in node.input[:2]] for node in made.node
                if node.op_type == "DequantizeLinear" and node.input[0] in stored}
    linear = [integers[node.input[1]] for node in made.node
              if node.op_type in ("MatMul", "Gemm") and node.input[1] in integers]
    assert [weight.data_type for weight, _ in linear] == [onnx.TensorProto.INT8] * (2 * 6 + 2)
    assert sorted(scale.dims[0] for _, scale in linear) == [4] + [64] * 11 + [96] * 2
    tables = [integers[node.input[0]][0] for node in made.node
              if node.op_type == "Gather" and node.input[0] in integers]
    assert [table.data_type for table in tables] == [onnx.TensorProto.UINT8] * 3
    assert not [name for name, tensor in stored.items()
                if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1]


def test_int8_takes_less_than_half_the_bytes(folder):
    sizes = [(folder / name / engines.ONNX).stat().st_size for name in ("bert-int8", "bert-fp32")]
    assert sizes[0] < sizes[1] / 2


def test_the_last_layer_works_for_one_token(folder):
    model = onnx_model(folder / "bert-fp32")
    model.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in model.graph.node
                              if node.op_type == "Gelu")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.full((2, 5), 7)
    _, *ffns = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert [inner.shape for inner in ffns] == [(2, 5, 96), (2, 1, 96)]


def test_calibration_sees_texts_from_the_first_to_the_last(folder, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(deployment, "write_onnx", lambda model, names, file: file.write_bytes(b""))
    monkeypatch.setattr(deployment, "_calibrate", lambda file, rows: seen.append(list(rows)))
    monkeypatch.setattr(deployment, "CALIBRATED_ON", 5)
    texts = ["पाऊस " * words for words in range(1, 12)]
    export(folder / "bert", tmp_path / "made", "int8", texts, max_length=10)
    tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
    assert seen == [[tokenizer(text, truncation=True, max_length=10)["input_ids"] for text in texts[::3]]]
    assert [len(row) for row in seen[0]] == [3, 6, 9, 10]


# ------------------------------------------------------------------------------------------------ in place


@pytest.fixture
def earlier(tmp_path):
    """An export that is there already."""
    made = tmp_path / "made"
    made.mkdir()
    (made / engines.ONNX).write_text("earlier")
    (made / "beside.txt").write_text("earlier")
    return made


def test_an_export_replaces_an_earlier_one(folder, earlier):
    export(folder / "distilbert", earlier)
    assert set(content(earlier)) == set(content(folder / "distilbert-fp32"))
    assert Classifier(earlier).labels == LABELS
    assert [each.name for each in earlier.parent.iterdir()] == ["made"]


@pytest.mark.parametrize("step", ["write_onnx", "_calibrate"])
def test_an_export_that_fails_changes_nothing(folder, earlier, monkeypatch, step):
    def fail(*_):
        raise OSError("disk full")

    before = content(earlier)
    monkeypatch.setattr(deployment, "write_onnx", lambda model, names, file: file.write_bytes(b""))
    monkeypatch.setattr(deployment, step, fail)
    with pytest.raises(OSError, match="disk full"):
        export(folder / "bert", earlier, "int8", TEXTS)
    assert content(earlier) == before
    assert [each.name for each in earlier.parent.iterdir()] == ["made"]


def test_an_export_goes_where_a_link_leads_and_into_an_empty_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(deployment, "write_onnx", lambda model, names, file: file.write_bytes(b""))
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    export(folder / "bert", tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and engines.ONNX in content(tmp_path / "empty")


@pytest.mark.parametrize("file", ["notes.txt", "model.safetensors"])
def test_what_is_no_export_is_not_replaced(folder, earlier, file):
    (earlier / engines.ONNX).rename(earlier / file)
    if file == "model.safetensors":
        (earlier / engines.ONNX).write_text("both")
    before = content(earlier)
    for taken in (earlier, earlier / file):
        with pytest.raises(LaghuError, match="is there already, and no export to replace; name another folder"):
            export(folder / "bert", taken)
    assert content(earlier) == before


# ------------------------------------------------------------------------------------------------ refusals


def refused(match, *given, **options):
    with pytest.raises(LaghuError, match=match) as caught:
        export(*given, **options)
    assert "\n" not in str(caught.value)


def test_no_such_checkpoint(tmp_path):
    refused("nosuch has no config.json; give the folder of a model", tmp_path / "nosuch", tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_a_classifier_of_words(tokenizer, tmp_path):
    random_model(BertConfig, BertForTokenClassification).save_pretrained(tmp_path / "words")
    tokenizer.save_pretrained(tmp_path / "words")
    refused("words is a BertForTokenClassification; give a classifier of whole texts", tmp_path / "words",
            tmp_path / "made")


@pytest.mark.parametrize(("given", "expected"), [
    (("int8",), "int8 is calibrated on texts; give some"),
    (("int4", TEXTS), "precision 'int4' is unknown; choose fp32 or int8"),
    (("int8", TEXTS, 65), "max_length 65 must be from 3 to 64"),
])
def test_values_out_of_bounds(folder, tmp_path, given, expected):
    refused(expected, folder / "bert", tmp_path / "made", *given)


def without_a_weight(checkpoint):
    weights = load_file(checkpoint / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})


def of_another_shape(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"intermediate_size": 100}))


def without_names(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"id2label": None}))


@pytest.mark.parametrize(("damage", "expected"), [
    (without_a_weight, "changed lacks 1 weights of its configuration, such as classifier.weight"),
    (of_another_shape, r"changed lacks 6 weights of its configuration, such as bert.encoder.layer.0.intermediate"),
    (without_names, "id2label must name the labels 0, 1, 2"),
    (lambda checkpoint: (checkpoint / "model.safetensors").write_bytes(b"cut"), "changed holds no classifier"),
    (lambda checkpoint: (checkpoint / "model.safetensors").unlink(), "changed holds no classifier"),
    (lambda checkpoint: (checkpoint / "tokenizer.json").unlink(), "changed has no tokenizer.json; save the model with"),
    (lambda checkpoint: CanineTokenizer().save_pretrained(checkpoint), "changed has no fast tokenizer; save it with"),
])
def test_a_damaged_checkpoint_is_one_clear_error(folder, tmp_path, damage, expected):
    made = copied(folder / "bert", tmp_path)
    damage(made)
    refused(expected, made, tmp_path / "made")
    assert not (tmp_path / "made").exists()


# ------------------------------------------------------------------------------------------------ the command


@pytest.fixture
def command(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["laghu", "export", *map(str, arguments)])
        cli.main()

    return run


def test_export_and_classify(folder, expected, command, tmp_path, capsys):
    texts, made = tmp_path / "texts", tmp_path / "new" / "int8"
    texts.write_bytes("\n\n".join(TEXTS).encode())
    command(folder / "bert", made, "--precision", "int8", "--texts", texts, "--max-length", 30)
    assert capsys.readouterr().out == f"{made}\n"
    given = "".join(f"{text}\n" for text in TEXTS).encode()
    ended = subprocess.run([sys.executable, "-m", "laghu", "classify", made], input=given, capture_output=True,
                           check=True)
    answers = [json.loads(line)["label"] for line in ended.stdout.decode().splitlines()]
    assert answers == [LABELS[label] for label in expected["bert"].argmax(dim=1)]


def test_fp32_is_the_default_and_needs_no_texts(folder, command, tmp_path):
    command(folder / "distilbert", tmp_path / "made")
    assert content(tmp_path / "made") == content(folder / "distilbert-fp32")


@pytest.mark.parametrize(("options", "expected"), [
    ([], "nosuch has no config.json; give the folder of a model"),
    (["--precision", "int8"], "int8 is calibrated on texts; give some"),
    (["--precision", "int8", "--texts", "blank"], "int8 is calibrated on texts; give some"),
    (["--precision", "int8", "--texts", "missing"], "missing can't be read as lines of UTF-8"),
    (["--precision", "int8", "--texts", "latin"], "latin can't be read as lines of UTF-8"),
])
def test_what_can_be_put_right_is_one_line(command, tmp_path, monkeypatch, options, expected):
    monkeypatch.chdir(tmp_path)
    Path("blank").write_text("\n \n")
    Path("latin").write_bytes(b"caf\xe9\n")
    with pytest.raises(SystemExit) as stopped:
        command("nosuch", "made", *options)
    assert stopped.value.code.startswith(f"laghu: {expected}") and "\n" not in stopped.value.code
    assert not Path("made").exists()
