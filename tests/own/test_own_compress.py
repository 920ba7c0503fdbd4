"""From a CSV and a checkpoint to folders: every architecture, the whole way."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import shapes
from huggingface_hub import metadata_load
from make_headlines import FILE, headlines, with_defects
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)

from laghu import backbones, evaluation, freshness
from laghu.errors import LaghuError
from laghu.inference import Classifier
from laghu.own import compress, runs
from laghu.own.settings import Settings
from laghu.records import RunRecord

SHAPES = shapes(hidden_size=32, heads=2, neurons=64)
LABELS = ["afya", "burudani", "michezo", "siasa", "teknolojia", "uchumi"]


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A CSV of 300 headlines, with one that markup would run off with."""
    file = tmp_path_factory.mktemp("data") / "habari <b>.csv"
    rows = [*headlines()[:299], ("<script>alert(1)</script> & *habari*", "siasa")]
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerows([("headline", "topic"), *rows])
    return file


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Makes an untrained encoder of an architecture, with a tokenizer of the headlines."""

    def make(architecture: str, kind=AutoModelForMaskedLM, **config) -> Path:
        folder = tmp_path_factory.mktemp(architecture)
        tokenizer = backbones.train_tokenizer([text for text, _ in headlines()], 500, 64)
        if architecture == "distilbert":
            tokenizer.model_input_names = ["input_ids", "attention_mask"]
        torch.manual_seed(0)
        # RoBERTa counts positions from the one after padding.
        model = kind.from_config(AutoConfig.for_model(
            architecture, vocab_size=len(tokenizer), max_position_embeddings=66, pad_token_id=0,
            **SHAPES[architecture], **config,
        ))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


def settings(data: Path, out: Path, **changes) -> Settings:
    return Settings.of({
        "data": str(data), "text": "headline", "label": "topic", "levels": [50], "out": str(out), "epochs": 0.3,
        "pruning_epochs": 0.3, **changes,
    })


@pytest.mark.parametrize("architecture", SHAPES)
def test_each_architecture_the_whole_way(architecture, checkpoint, data, home, tmp_path):
    chosen = settings(data, tmp_path / "out", model=str(checkpoint(architecture)))
    said: list[str] = []
    page = compress.compress(chosen, said.append)
    out = tmp_path / "out"
    assert page == out / "report.html" and {each.name for each in out.iterdir()} == {
        "data", "records", "unpruned", "pruned-50", "report.html"}
    record = RunRecord.load(out / "records" / "pruning-50-joint-seed0.json")
    assert record.pruning_level == 0.5 and record.intermediate_size == 32 and record.surgery_error < 1e-5

    for name, width in (("unpruned", 64), ("pruned-50", 32)):
        model, report = AutoModelForSequenceClassification.from_pretrained(out / name, output_loading_info=True)
        assert not any(report.values())
        field = "hidden_dim" if architecture == "distilbert" else "intermediate_size"
        assert getattr(model.config, field) == width
        assert model.config.id2label == dict(enumerate(LABELS))
    # What the record says is what the folder gives, and its integers say nearly the same.
    test = compress.corpora.load(f"own:{out / 'data'}").splits["test"]
    tokenizer = AutoTokenizer.from_pretrained(out / "pruned-50")
    length = record.settings["fine_tuning"]["max_length"]
    logits = evaluation.logits(model.eval(), tokenizer, test["text"][:], 32, length)
    assert logits.argmax(1).tolist() == record.predictions
    probabilities = Classifier(out / "pruned-50" / "onnx", max_length=length).probabilities(test["text"][:])
    expected = torch.softmax(torch.tensor(logits), 1).numpy()
    assert np.abs(probabilities - expected).max() < 0.1
    # Nothing that is given away names a folder of this machine.
    given = [file for name in ("unpruned", "pruned-50") for file in (out / name).rglob("*") if file.is_file()]
    assert len(given) > 10
    for file in given:
        assert str(tmp_path.parent).encode() not in file.read_bytes(), file


def test_a_second_call_trains_nothing_and_other_levels_take_the_place_of_these(checkpoint, data, home, tmp_path):
    model = str(checkpoint("bert"))
    first = settings(data, tmp_path / "out", model=model)
    compress.compress(first, print)
    before = {file: file.stat().st_mtime_ns for file in (home / "checkpoints").rglob("*.safetensors")}
    compress.compress(settings(data, tmp_path / "out", model=model, levels=[25, 50]), print)
    after = {file: file.stat().st_mtime_ns for file in (home / "checkpoints").rglob("*.safetensors")}
    assert before.items() <= after.items() and len(after) == len(before) + 1
    compress.compress(settings(data, tmp_path / "out", model=model, levels=[25]), print)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "data", "pruned-25", "records", "report.html", "unpruned"]


def test_another_file_for_the_same_folder_is_another_corpus(data, home, tmp_path):
    def sha256(rows: list[tuple[str, str]]) -> str:
        file = tmp_path / "rows.csv"
        with file.open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows([("headline", "topic"), *rows])
        chosen = settings(file, tmp_path / "out")
        prepared = compress.prepare(chosen)
        return freshness.data_sha256(runs.runs(chosen, prepared.labels, prepared.max_length)[0])

    assert sha256(headlines()[:200]) != sha256(headlines()[:201]) and sha256(headlines()[:200]) == sha256(
        headlines()[:200])


def test_a_changed_checkpoint_of_the_same_name_is_not_taken_for_what_it_was(checkpoint, data, home, tmp_path):
    folder = checkpoint("bert")
    chosen = settings(data, tmp_path / "out", model=str(folder))
    prepared = compress.prepare(chosen)
    first = runs.runs(chosen, prepared.labels, prepared.max_length)[0]
    model = AutoModelForMaskedLM.from_pretrained(folder)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[7, 0] += 1
    model.save_pretrained(folder)
    assert runs.runs(chosen, prepared.labels, prepared.max_length)[0].model != first.model
    assert Path(first.model).resolve() == folder.resolve()


def test_a_classifier_that_knows_the_labels_is_taken_as_it_is(checkpoint, data, home, tmp_path):
    folder = checkpoint(
        "bert", AutoModelForSequenceClassification, id2label=dict(enumerate(LABELS)),
        label2id={label: row for row, label in enumerate(LABELS)},
    )
    chosen = settings(data, tmp_path / "out", model=str(folder), epochs=None)
    compress.compress(chosen, print)
    given = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    unpruned = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "unpruned").state_dict()
    assert given.keys() == unpruned.keys() and all(torch.equal(given[name], unpruned[name]) for name in given)
    assert "was taken as it was" in (tmp_path / "out" / "unpruned" / "README.md").read_text(encoding="utf-8")
    assert RunRecord.load(tmp_path / "out" / "records" / "baseline-seed0.json").stages[0].steps == 0


def test_without_a_model_a_small_one_is_pretrained_and_the_card_says_so(data, home, tmp_path):
    out = tmp_path / "out"
    chosen = settings(data, out, pretraining_steps=3, language="sw", licence="cc0-1.0", country="TZA")
    compress.compress(chosen, print)
    card = (out / "pruned-50" / "README.md").read_text(encoding="utf-8")
    metadata = metadata_load(out / "pruned-50" / "README.md")
    assert metadata["language"] == "sw" and metadata["license"] == "cc0-1.0" and "base_model" not in metadata
    assert metadata["pipeline_tag"] == "text-classification" and metadata["library_name"] == "transformers"
    record = RunRecord.load(out / "records" / "pruning-50-joint-seed0.json")
    values = {each["type"]: each["value"] for each in metadata["model-index"][0]["results"][0]["metrics"]}
    assert values == {"accuracy": record.accuracy.clean.value, "f1": record.macro_f1.clean.value}
    assert metadata["co2_eq_emissions"]["geographical_location"] == "TZA"
    assert "3 steps of masked-language modelling" in card and "## Licence" in card and "@software{laghu" in card
    # The tokenizer is of the training texts alone.
    train = compress.corpora.load(f"own:{out / 'data'}").splits["train"]
    known = set("".join(train["text"]))
    vocabulary = json.loads((out / "pruned-50" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    special = set(backbones.SPECIAL_TOKENS)
    assert set("".join(piece.removeprefix("##") for piece in vocabulary if piece not in special)) <= known | {"#"}
    classify = pipeline("text-classification", str(out / "pruned-50"))
    assert classify("habari njema")[0]["label"] in LABELS
    # What comes from data is text in the page, not markup.
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<h1>habari &lt;b&gt;, compressed</h1>" in page and "<script" not in page


def test_the_command_and_the_notebook_do_the_same(data, checkpoint, home, tmp_path):
    model = checkpoint("bert")
    shared = {"data": str(data), "model": str(model), "text": "headline", "label": "topic", "epochs": 0.3,
              "pruning_epochs": 0.3}
    options = [part for name, value in shared.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "laghu", "compress", *options, "--levels", "50", "--out", str(tmp_path / "one")]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == str(tmp_path / "one" / "report.html")
    parameters = json.dumps({**shared, "levels": [50], "out": str(tmp_path / "two")})
    notebook = home / "notebooks" / "compress.ipynb"
    command = [sys.executable, "-m", "papermill", str(notebook), "out.ipynb", "-y", parameters, "--no-progress-bar"]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    records = [RunRecord.load(tmp_path / each / "records" / "pruning-50-joint-seed0.json") for each in ("one", "two")]
    assert records[0].predictions == records[1].predictions
    assert records[0].stages[-1].key == records[1].stages[-1].key


def refusal(**changes) -> str:
    with pytest.raises(LaghuError) as caught:
        compress.prepare(Settings.of(changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_can_not_be_is_refused_before_any_work(data, checkpoint, home, tmp_path):
    base = {"data": str(data), "text": "headline", "label": "topic", "out": str(tmp_path / "out")}
    assert "levels" in refusal(**base, levels=[0]) and "levels" in refusal(**base, levels=[])
    assert "'level'" in refusal(**base, level=[50])
    assert "neither a folder with config.json" in refusal(**base, model="no/such-model")
    (tmp_path / "albert").mkdir()
    AutoConfig.for_model("albert").save_pretrained(tmp_path / "albert")
    assert "model type 'albert' can't be pruned" in refusal(**base, model=str(tmp_path / "albert"))
    bare = checkpoint("bert")
    (bare / "tokenizer.json").unlink()
    (bare / "tokenizer_config.json").unlink()
    assert "has no fast tokenizer with a vocabulary" in refusal(**base, model=str(bare))
    assert "max_length 400 exceeds the 66 positions" in refusal(**base, model=str(checkpoint("bert")), max_length=400)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.docx").write_text("years of work")
    assert "is there already" in refusal(**{**base, "out": str(tmp_path / "taken")})
    assert (tmp_path / "taken" / "thesis.docx").read_text() == "years of work"
    assert not (tmp_path / "out").exists()


def test_learning_rate_follows_from_width_and_epochs_from_labels(checkpoint, data, home, tmp_path):
    wide = AutoConfig.for_model("bert")
    assert runs._learning_rate(wide.hidden_size) == pytest.approx(5e-5)
    assert runs._learning_rate(128) == pytest.approx(3e-4)
    assert runs._learning_rate(8) == 1e-3
    known = AutoConfig.for_model("bert", id2label={0: "b", 1: "a"}, label2id={"b": 0, "a": 1})
    assert not runs.knows(known, ["a", "b"])  # whatever its configuration says, it has no classifier
    known.architectures = ["BertForSequenceClassification"]
    assert runs.knows(known, ["a", "b"]) and not runs.knows(known, ["a", "c"])


def test_the_example_is_what_its_script_writes():
    with FILE.open(encoding="utf-8", newline="") as handle:
        rows = [(row["headline"], row["topic"]) for row in csv.DictReader(handle)]
    assert rows == with_defects(headlines())
