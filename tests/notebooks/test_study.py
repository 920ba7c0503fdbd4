"""A whole study: it runs, does nothing twice, re-runs what a change touches, and survives SIGKILL."""

import json
import os
import shutil
import signal
import subprocess
import sys

import nbformat
import pytest

BASELINE = {"technique": "baseline"}
PRUNED = {"technique": "pruning", "pruning_level": 0.5}
DISTILLED = {"technique": "pruning_distillation", "pruning_level": 0.5, "distillation": "after"}
# What must not depend on the machine's pace, on the time of day, or on an interruption.
METRICS = ("accuracy", "macro_f1", "predictions", "parameters", "pruning_level", "agreement", "mcnemar", "run_key")


def _metrics(checkout, study: str) -> dict:
    contents = {name: json.loads(content) for name, content in checkout.records(study).items()}
    return {name: {key: content[key] for key in METRICS} for name, content in contents.items()}


def _times(checkout, study: str) -> dict[str, str]:
    return {name: json.loads(content)["finished"] for name, content in checkout.records(study).items()}


@pytest.fixture(scope="module")
def finished(checkout):
    """A study that has run once from nothing."""
    checkout.write_study("tiny", [{"technique": "classical"}, BASELINE, PRUNED, DISTILLED])
    result = checkout.laghu("study", "tiny")
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def test_a_study_leaves_records_and_pages_and_ends_with_the_table(checkout, finished):
    runs = ["baseline-seed0", "classical-seed0", "pruning-50-after-seed0", "pruning-50-seed0"]
    assert sorted(checkout.records("tiny")) == [f"{run}.json" for run in runs]
    for run in runs:
        page = nbformat.read(str(checkout.folder / "results" / "tiny" / f"{run}.ipynb"), as_version=4)
        assert str(checkout.folder) not in json.dumps(page)
    assert page.cells[0].source.startswith("# Pruning 50 %")
    clean = json.loads(checkout.records("tiny")["classical-seed0.json"])["accuracy"]["clean"]["value"]
    assert f"{100 * clean:.1f}" in finished.stdout.split("finished")[-1]
    assert "1/4 done" in finished.stdout or "2/4 done" in finished.stdout


def test_a_second_call_does_nothing(checkout, finished):
    before = _times(checkout, "tiny")
    result = checkout.laghu("study", "tiny")
    assert result.returncode == 0, result.stderr
    assert _times(checkout, "tiny") == before
    assert "started" not in result.stdout


def test_a_change_of_parameters_reruns_what_it_touches(checkout, finished):
    before = _times(checkout, "tiny")
    checkout.write_study("tiny", [{"technique": "classical"}, BASELINE, PRUNED, DISTILLED | {"distilling": {
        "epochs": 0.5, "temperature": 3.0}}])
    assert checkout.laghu("study", "tiny").returncode == 0
    after = _times(checkout, "tiny")
    assert {name for name in after if after[name] != before[name]} == {"pruning-50-after-seed0.json"}


def test_a_lost_page_is_made_again(checkout, finished):
    before = _times(checkout, "tiny")
    (checkout.folder / "results" / "tiny" / "classical-seed0.ipynb").unlink()
    assert checkout.laghu("study", "tiny").returncode == 0
    after = _times(checkout, "tiny")
    assert {name for name in after if after[name] != before[name]} == {"classical-seed0.json"}


def test_a_study_labels_words_too_with_its_own_encoder(checkout):
    """The baseline of the words is trained before what it teaches, and one call more does nothing."""
    short = {"fine_tuning": {"epochs": 0.5, "max_length": 24}, "pruning": {"epochs": 0.5}}
    rows = [{**short, "pruning_level": 0.5, "distillation": "joint"}, short]
    checkout.write_study("words", [BASELINE], tokens=rows)
    result = checkout.laghu("study", "words")
    assert result.returncode == 0, result.stdout + result.stderr
    taught, teacher = "token-sample-pruning-50-joint-seed0", "token-sample-baseline-seed0"
    assert result.stdout.index(f"{teacher}: finished") < result.stdout.index(f"{taught}: started")
    folder = checkout.folder / "results" / "words" / "tokens"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert sorted(before) == sorted(f"{run}{suffix}" for run in (taught, teacher) for suffix in (".json", ".ipynb"))
    assert len(list((checkout.folder / "checkpoints").glob("backbone-????????????????"))) == 1

    again = checkout.laghu("study", "words")
    assert again.returncode == 0 and "started" not in again.stdout
    (folder / f"{teacher}.ipynb").unlink()
    assert checkout.laghu("study", "words").returncode == 0
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {f"{teacher}.json", f"{teacher}.ipynb"}
    assert checkout.laghu("check", "words").returncode == 0


def test_killed_half_way_it_resumes_and_ends_with_the_same_metrics(checkout, finished):
    """The uninterrupted study of another seed is the oracle; its stages are removed before the interrupted one."""
    runs = [BASELINE, PRUNED]
    checkout.write_study("twin", runs, {"pretraining": {"steps": 8, "batch_size": 4, "sequence_length": 32}})
    assert checkout.laghu("study", "twin").returncode == 0
    expected = _metrics(checkout, "twin")
    shutil.rmtree(checkout.folder / "checkpoints")
    shutil.rmtree(checkout.folder / "results" / "twin")

    process = subprocess.Popen(
        [sys.executable, "-m", "laghu", "study", "twin"], cwd=checkout.folder, env=checkout.environment,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )
    for line in process.stdout:
        if "pruning-50-seed0: started" in line:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    half = checkout.records("twin")
    assert set(half) == {"baseline-seed0.json"}

    assert checkout.laghu("study", "twin").returncode == 0
    assert checkout.records("twin")["baseline-seed0.json"] == half["baseline-seed0.json"]
    assert _metrics(checkout, "twin") == expected
