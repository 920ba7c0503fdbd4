"""The whole benchmark on a tiny study: how long things take is not looked at, what comes out is."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from checkout import REPOSITORY, TINY

from laghu import backbones, cli, corpora, evaluation, experiment, throughput
from laghu.benchmark import gpu_run, models, pruned_shapes, record, regress
from laghu.benchmark.record import BenchmarkRecord
from laghu.errors import LaghuError
from laghu.spec import Study

pytest.importorskip("onnxruntime")

STUDY = {
    "title": "tiny", "seeds": [0], "common": TINY | {"ensemble": {"texts": 40, "epochs": 0.5}},
    "runs": [
        {"technique": "baseline"}, {"technique": "pruning", "pruning_level": 0.5},
        {"technique": "student", "student": {"vocab_size": 700, "hidden_size": 16, "intermediate_size": 32}},
        {"technique": "classical"},
    ],
    "bench": {"path": [{"step": "neurons", "run": "pruning-50"}, {"step": "shape", "run": "student-words"}],
              "turns": 3, "energy_window": 0.01, "growth": [300, 600]},
}
PATH = ["pipeline", "pipeline, batches", "sorted batches", "engine", "first token", "pruning-50", "student-words",
        "int8", "prepared"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A checkout with that study, in which everything is small."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "studies").mkdir()
    (folder / "studies" / "tiny.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("src", "notebooks"):
        (folder / name).symlink_to(REPOSITORY / name)
    small = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "num_hidden_layers": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAGHU_HOME", str(folder))
        patch.setattr(throughput, "SHARE", 0.01)
        patch.setattr(pruned_shapes, "SHAPE", small)
        patch.setattr(backbones, "PAPER_SHAPE", small | {"max_position_embeddings": 64})
        yield folder


@pytest.fixture(scope="module")
def found(home) -> BenchmarkRecord:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["laghu", "bench", "tiny"])
        cli.main()
    return BenchmarkRecord.load(record.file_of("tiny"))


def test_the_path_has_every_step_in_its_order(found):
    assert [each.name for each in found.path] == PATH
    assert found.path[0].ratio == record.Quartiles(median=1, low=1, high=1) and found.path[0].factor is None
    assert all(each.factor and each.energy.kwh > 0 for each in found.path[1:])
    others = {each.name for each in found.contenders} - set(PATH)
    assert others >= {"TF-IDF", "baseline, int8", "pipeline, BERT-base size",
                      "torch dynamic int8", "magnitude-pruned 75 %"}


def test_what_changes_no_weight_changes_no_label(found):
    """Oracle: the teacher in PyTorch, text by text padded to the end."""
    corpus, study = corpora.load("sample"), Study.load("tiny")
    spec, teacher = models.of_run(study, "baseline", 0, corpus)
    test = corpus.splits["test"]
    logits = experiment.predict_logits(spec, test["text"], *experiment.load(teacher, "fp32"))
    right = logits.argmax(-1) == np.array(test["label"])
    wanted = {view: pytest.approx(right[rows].mean()) for view, rows in evaluation.views(test).items()}
    for each in found.path[:5]:
        assert each.accuracy == wanted
    assert found.accuracy_of_seeds["0"]["reference"] == wanted
    in_integers, prepared = found.path[-2:]
    assert found.accuracy_of_seeds["0"]["last"] == in_integers.accuracy == prepared.accuracy


def test_bounds_are_those_of_shapes_and_files(found):
    steps = {each.name: each for each in found.path}
    assert steps["pipeline, batches"].bound <= 1, "padding only adds"
    # of two layers one works for the first token only
    assert 1 < steps["first token"].bound < 2 and steps["pruning-50"].bound > 1
    assert steps["int8"].bound == pytest.approx(steps["student-words"].size_mb / steps["int8"].size_mb)
    assert steps["int8"].bound > 1.5, "a quarter of the weights, and a graph beside them that stays"


def test_streams_and_shapes_are_all_there(found):
    assert {each.documents for each in found.growth} == {300, 600}
    assert [each.pruning_level for each in found.pruned_shapes] == [0.25, 0.5, 0.75]
    assert min(dict(found.tokenising).values()) > 0


def test_the_table_of_all_studies_is_written(found, home):
    with (home / "results" / "benchmarks.csv").open(encoding="utf-8") as handle:
        assert [row["contender"] for row in csv.DictReader(handle)] == [each.name for each in found.contenders]


def test_a_check_compares_with_what_is_published_and_writes_nothing(found, monkeypatch, capsys):
    file = record.file_of("tiny")
    before = file.read_bytes()
    monkeypatch.setattr("sys.argv", ["laghu", "bench", "tiny", "--check"])
    monkeypatch.setattr(regress, "MARGIN", 0.99)
    cli.main()
    assert f"all {len(PATH) - 1} factors" in capsys.readouterr().out
    published = json.loads(before)
    published["contenders"][3]["factor"] = {"median": 1e9, "low": 1e9, "high": 1e9}
    file.write_text(json.dumps(published), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"slower by more than .* engine: .*published 1000000000.00x"):
        cli.main()
    assert json.loads(file.read_text(encoding="utf-8")) == published
    file.write_bytes(before)


def test_steps_on_a_gpu_are_recorded_too(home):
    study = Study.load("tiny")
    made = gpu_run.measure(
        study, "cpu", documents=0, compiler=lambda module: module, tokens=512, lengths=[8, 8], repeats=2,
        shape=backbones.BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2),
    )
    assert next(iter(made.steps)) == "pipeline" and made.steps["pipeline"]["ratio"]["median"] == 1
    assert record.GpuRecord.load(made.save()) == made
    assert "packed" in gpu_run.summary(made)


def test_without_a_gpu_that_is_said(home, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(LaghuError, match="there is no GPU here; without --gpu the benchmark runs on the processor"):
        gpu_run.run(Study.load("tiny"))
