"""Attempts to get in: each test tries one, and looks for what it would have left behind. SECURITY.md lists them."""

import ast
import io
import json
import pickle
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from fake_records import fake_record, fake_token_record
from fuzz.targets import _CONFIG, _TOKENIZER, _weights
from papermill.cli import papermill as papermill_command
from pydantic import ValidationError
from safetensors.torch import save_file
from test_spreadsheets import FORMULAS, HARMLESS

from laghu import backbones, cli, corpora, deployment, durable, inference, lines, paths, spreadsheets, terminal
from laghu.benchmark.record import BenchmarkRecord, GpuRecord
from laghu.errors import LaghuError, shown
from laghu.records import CostRecord, PretrainingRecord, RunRecord, TokenRecord
from laghu.shipping.manifest import File, Manifest
from laghu.spec import RunSpec, Study, TokenRun, checked

REPOSITORY = Path(__file__).parents[1]
SOURCES = sorted((REPOSITORY / "src" / "laghu").rglob("*.py"))
STEERING = ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\rb", "\u202eabc", "\x7f", "\u2028", "\x08"]


@pytest.fixture
def marker(tmp_path) -> Path:
    """What an attack that gets through would write."""
    return tmp_path / "attacked"


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A classifier without weights."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    config = {name: value for name, value in _CONFIG.items() if name != "auto_map"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(_TOKENIZER))
    return folder


def refused(call, *arguments) -> str:
    with pytest.raises(LaghuError) as caught:
        call(*arguments)
    assert terminal.plain(str(caught.value)) == str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- code in models


class Touch:
    """Unpickling it writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "training_args.bin"])
@pytest.mark.parametrize("load", [deployment.load, lambda folder: backbones.load_classifier(str(folder), ["a", "b"])],
                         ids=["deployment", "backbones"])
def test_pickled_weights_are_refused_and_never_unpickled(checkpoint, marker, load, name):
    (checkpoint / name).write_bytes(pickle.dumps(Touch(marker)))
    refused(load, checkpoint)
    assert not marker.exists()
    pickle.loads((checkpoint / name).read_bytes())
    assert marker.exists()  # so the attack is one


@pytest.mark.parametrize("kind", ["bert", "unheard-of"])
@pytest.mark.parametrize("load", [deployment.load, lambda folder: backbones.load_classifier(str(folder), ["a", "b"])],
                         ids=["deployment", "backbones"])
def test_code_beside_a_checkpoint_is_not_run(checkpoint, marker, load, kind):
    classes = dict.fromkeys(("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer"), "mine.Mine")
    config = json.loads((checkpoint / "config.json").read_text()) | {"model_type": kind, "auto_map": classes}
    (checkpoint / "config.json").write_text(json.dumps(config))
    (checkpoint / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["mine.Mine", None]}}))
    (checkpoint / "mine.py").write_text(f"open({str(marker)!r}, 'w')\nclass Mine: ...\n")
    refused(load, checkpoint)
    assert not marker.exists()


def test_an_index_names_no_weights_elsewhere(checkpoint, tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    names = {name: _CONFIG[name] for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                                              "intermediate_size", "max_position_embeddings", "id2label", "label2id")}
    model = BertForSequenceClassification(BertConfig(**names))
    weights = {name: each.contiguous() for name, each in model.state_dict().items()}
    save_file(weights, tmp_path / "secret.safetensors", metadata={"format": "pt"})
    index = checkpoint / "model.safetensors.index.json"
    for elsewhere in ("../secret.safetensors", str(tmp_path / "secret.safetensors")):
        index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, elsewhere)}))
        assert "lies elsewhere" in refused(deployment.load, checkpoint)
    shutil.copy(tmp_path / "secret.safetensors", checkpoint / "own.safetensors")
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, "own.safetensors")}))
    assert deployment.load(checkpoint)[0].config.num_labels == 3


# ---------------------------------------------------------------- code in YAML

TAGS = ["!!python/object/apply:os.system ['touch {}']", "!!python/object/new:os.system ['touch {}']",
        "!!python/name:os.system", "!!python/module:os"]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("place", ["{}", "title: {}\nseeds: [0]\ncommon: {{}}\nruns: []\n",
                                   "title: a\nseeds: [0]\nruns: [{{technique: baseline}}]\ncommon:\n  corpus: {}\n"])
def test_a_tag_in_a_study_makes_no_object(home, marker, tag, place):
    (home / "studies" / "mine.yaml").write_text(place.format(tag.format(marker)))
    assert "could not determine a constructor" in refused(Study.load, "mine")
    assert not marker.exists()


@pytest.mark.parametrize("tag", TAGS[:2])
def test_a_tag_in_the_parameters_of_a_notebook_makes_no_object(tmp_path, marker, tag):
    notebook = REPOSITORY / "notebooks" / "baseline.ipynb"
    given = [str(notebook), str(tmp_path / "out.ipynb"), "-y", f"a: {tag.format(marker)}"]
    ended = CliRunner().invoke(papermill_command, given)
    assert "could not determine a constructor" in str(ended.exception)
    assert not marker.exists()


# ---------------------------------------------------------------- bombs


def test_a_few_lines_of_aliases_do_not_fill_the_memory(home):
    """Two to the power of sixty items, if anybody wrote them out."""
    doubled = "\n".join(f"  - &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))
    bomb = f"seeds:\n  - &a0 [x]\n{doubled}\n"
    (home / "studies" / "bomb.yaml").write_text(f"title: a\n{bomb}common: {{}}\nruns: [{{technique: baseline}}]\n")
    assert len(refused(Study.load, "bomb")) < 5000
    (home / "studies" / "bomb.yaml").write_text(f"{bomb}title: *a59\ncommon: {{}}\nruns: *a59\n")
    assert len(refused(Study.load, "bomb")) < 5000


@pytest.mark.parametrize("content", [piece * 10**6 for piece in (b"[", b'{"a":', b"9", b'"', b"\xff")])
def test_deep_and_long_json_is_refused_in_a_line(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    assert len(refused(inference.config_of, tmp_path)) < 1000
    for kind in (RunRecord, TokenRecord, CostRecord, PretrainingRecord, BenchmarkRecord, GpuRecord, Manifest):
        assert len(refused(kind.load, tmp_path / "config.json")) < 1000


def test_a_value_in_a_message_is_short():
    assert shown([1, {"a": "b"}]) == "[1, {'a': 'b'}]"
    for value in (["a" * 10**6] * 10**4, 10**5000, dict.fromkeys(range(10**5)), "\x1b" * 10**5):
        assert len(shown(value)) < 10_000
    assert shown(2**20_000) == "a number of 20,001 bits"


# ---------------------------------------------------------------- names that are paths

PATHS = ["../x", "a/b", "/etc/passwd", "..", ".", "", "a\\b", "a\0", "A", "a b", "a" * 300, "-a", "a\n"]


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_no_name_of_a_study(home, name):
    (home / "x.yaml").write_text("title: a\nseeds: []\ncommon: {}\nruns: []\n")
    refused(Study.load, name)
    refused(checked, RunSpec, {"technique": "baseline", "study": f"{name}/"})


@pytest.mark.parametrize("name", [name for name in PATHS if len(name) < 300])
def test_a_path_is_no_name_in_a_record_or_a_manifest(name):
    records = [fake_record(RunSpec(technique="baseline")), fake_token_record(TokenRun())]
    for record in records:
        for field in ("study", "run"):
            with pytest.raises(ValidationError, match=field):
                type(record).model_validate(record.model_dump() | {field: name})
    for kind in (CostRecord, PretrainingRecord, BenchmarkRecord, GpuRecord, Manifest):
        with pytest.raises(ValidationError, match=r"study\n.*pattern"):
            kind.model_validate({"study": name})
    if name != "a" * 300:
        with pytest.raises(ValidationError, match="pattern"):
            File(name=name, bytes=1, sha256="0")


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_no_corpus(name):
    refused(corpora.load, name)


@pytest.mark.parametrize("variable", ["LAGHU_HOME", "LAGHU_DATA_DIR"])
@pytest.mark.parametrize("value", ["/nowhere/at/all", "a" * 5000, "\x1b[2J"])
def test_a_variable_names_a_folder_that_is_there(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert "is not a folder" in refused({"LAGHU_HOME": paths.root, "LAGHU_DATA_DIR": paths.data_dir}[variable])


# ---------------------------------------------------------------- links


def test_an_export_through_a_link_replaces_nothing_of_others(checkpoint, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(own)
    assert "no export to replace" in refused(deployment.export, checkpoint, tmp_path / "link")
    assert [file.name for file in own.iterdir()] == ["thesis.txt"]


def test_what_a_replaced_folder_links_to_stays(tmp_path):
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    for folder in (own, shipped):
        folder.mkdir()
    (own / "thesis.txt").write_text("years of work")
    (shipped / "link").symlink_to(own)
    with durable.replacing_folder(shipped) as working:
        (working / "new").touch()
    assert [file.name for file in shipped.iterdir()] == ["new"]
    assert (own / "thesis.txt").read_text() == "years of work"


# ---------------------------------------------------------------- terminals


@pytest.mark.parametrize("text", STEERING)
def test_a_label_steers_no_terminal_and_stays_the_same_label(tmp_path, text):
    labels = [f"{text} पाऊस क्\u200dष", "b", "c"]
    config = _CONFIG | {"id2label": dict(enumerate(labels))}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text(json.dumps(_TOKENIZER))
    (tmp_path / "model.onnx").write_bytes(_weights())
    classifier = inference.Classifier(tmp_path, threads=1)
    classifier.labels = [labels[0]] * 3
    written = io.StringIO()
    lines.classify(classifier, io.BytesIO("पाऊस\n".encode()), written, io.StringIO())
    assert text not in written.getvalue() and "पाऊस क्\u200dष" in written.getvalue()
    assert json.loads(written.getvalue())["label"] == labels[0]


def test_a_damaged_model_writes_nothing_among_the_labels(tmp_path, capfd):
    """ONNX Runtime would print what it makes of a name that is no UTF-8."""
    (tmp_path / "config.json").write_text(json.dumps(_CONFIG))
    (tmp_path / "tokenizer.json").write_text(json.dumps(_TOKENIZER))
    (tmp_path / "model.onnx").write_bytes(_weights().replace(b"Gather", b"G\xffther"))
    assert "can't be loaded by onnxruntime" in refused(inference.Classifier, tmp_path)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("text", STEERING)
def test_a_message_and_a_table_steer_no_terminal(monkeypatch, capsys, text):
    monkeypatch.setattr(cli, "_parser", lambda: _Parsed(lambda _: _fail(text)))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == f"laghu: no file {terminal.plain(text)}"
    assert text not in str(ended.value.code)
    assert text not in LaghuError(text)._render_traceback_()[0]

    from laghu.report import tables, tokens

    monkeypatch.setattr(tables, "study", lambda name: pd.DataFrame({"a": [1]}))
    monkeypatch.setattr(tables, "terminal", lambda results: f"| {text} |")
    monkeypatch.setattr(tokens, "terminal", lambda name: [])
    cli.table(_Parsed(None, study="quick"))
    assert text not in capsys.readouterr().out


class _Parsed:
    """A command line."""

    def __init__(self, command, **arguments) -> None:
        self.command = command
        vars(self).update(arguments)

    def parse_known_args(self):
        return self, []


def _fail(text: str) -> None:
    raise LaghuError(f"no file {text}")


def test_what_is_read_of_indic_scripts_is_not_spelt_out():
    text = "महाराष्ट्र क्\u200dष र्\u200cय\tবাংলা\n“…” é 🙂"
    assert terminal.plain(text) == text


# ---------------------------------------------------------------- CSV


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_explorer_makes_cells_inert_as_python_does():
    script = (REPOSITORY / "book" / "_static" / "explorer" / "explorer.js").read_text()
    function = script[script.index("  function inert(") : script.index("  /** The points drawn as CSV")]
    cells = [*FORMULAS, *HARMLESS, -1.5, 2, True, None]
    runner = f"{function}\nconsole.log(JSON.stringify({json.dumps(cells)}.map(inert)))"
    done = subprocess.run(["node", "--eval", runner], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [spreadsheets.inert(cell) for cell in cells]
    assert "String(inert(value)" in script


# ---------------------------------------------------------------- what the sources do not do


def _calls(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {each.arg: ast.unparse(each.value) for each in node.keywords}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_nothing_in_the_sources_runs_what_it_reads(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    imported = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile"}
    for name, given in _calls(tree):
        assert name not in {"eval", "exec", "compile", "__import__", "torch.load", "yaml.load", "yaml.unsafe_load",
                            "yaml.full_load", "os.system", "os.popen", "tempfile.mktemp", "shutil.unpack_archive",
                            "pd.read_pickle", "pickle.load", "pickle.loads"}, name
        assert not name.endswith((".extractall", "archive.extract")), name
        assert given.get("trust_remote_code", "False") == "False", name
        assert given.get("allow_pickle", "False") == "False", name
        assert given.get("shell", "False") == "False", name
        if name == "AutoModelForSequenceClassification.from_pretrained" and file.stem in ("backbones", "deployment"):
            assert given["use_safetensors"] == "True"


def test_only_what_we_packed_ourselves_is_unpacked():
    """The one reader of compressed files takes them from the folder into which it has just been written."""
    assert [file.name for file in SOURCES if "decompress" in file.read_text()] == ["files.py"]
