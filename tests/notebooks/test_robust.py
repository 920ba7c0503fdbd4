"""Whole studies that something happens to: two at once, damage, clocks, a run without memory; and the same twice."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from checkout import REPOSITORY, Checkout
from kill import study as tiny

from laghu.records import RunRecord

CLASSICAL, BASELINE = {"technique": "classical"}, {"technique": "baseline"}


@pytest.fixture(scope="module")
def finished(checkout) -> Checkout:
    """A checkout with a study that has run."""
    checkout.write_study(tiny.NAME, tiny.RUNS, tiny.SMALLEST)
    result = checkout.laghu("study", tiny.NAME)
    assert result.returncode == 0, result.stdout + result.stderr
    return checkout


def started(result: subprocess.CompletedProcess) -> list[str]:
    return re.findall(r"(\S+): started", result.stdout)


def test_the_same_study_in_another_folder_gives_the_same_weights_and_metrics(finished, tmp_path_factory):
    """Bit for bit: the same files of weights."""
    other = Checkout(tmp_path_factory.mktemp("other"))
    other.write_study(tiny.NAME, tiny.RUNS, tiny.SMALLEST)
    result = other.laghu("study", tiny.NAME)
    assert result.returncode == 0, result.stdout + result.stderr
    first, second = (
        {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.safetensors")}
        for folder in (finished.folder / "checkpoints", other.folder / "checkpoints")
    )
    assert first == second and len(first) == 3
    found, expected = tiny.look(other.folder), tiny.look(finished.folder)
    assert found.records == expected.records and tiny.is_complete(found)


def test_a_damaged_record_is_made_again_and_nothing_else(finished):
    folder = finished.folder / "results" / tiny.NAME
    before = tiny.look(finished.folder)
    file = folder / "classical-seed0.json"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    for command in ("table", "check"):
        refused = finished.laghu(command, tiny.NAME)
        assert refused.returncode == 1 and refused.stderr.count("\n") == 1
        assert "classical-seed0.json is not a record" in refused.stderr
    result = finished.laghu("study", tiny.NAME)
    assert result.returncode == 0 and started(result) == ["classical-seed0"]
    after = tiny.look(finished.folder)
    assert after.records == before.records and not after.wrong


def test_a_damaged_stage_is_made_again_with_the_run_that_needs_it(finished):
    """The teacher's weights have a changed bit: the run that starts from it finds that, and says so."""
    before = tiny.look(finished.folder)
    (stage,) = (finished.folder / "checkpoints").glob("baseline-????????????????")
    weights = stage / "model" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-7] + bytes([content[-7] ^ 16]) + content[-6:])
    (finished.folder / "results" / tiny.NAME / "pruning-50-joint-seed0.ipynb").unlink()
    result = finished.laghu("study", tiny.NAME)
    assert result.returncode == 0, result.stdout + result.stderr
    said = f"stage {stage.name} is broken and made again: model/model.safetensors is not what was written"
    assert said in result.stdout
    after = tiny.look(finished.folder)
    assert after.stages == before.stages and after.records == before.records


def test_times_of_files_decide_nothing(finished):
    """Some from long ago, some from years to come, as after a clock was set."""
    files = [*(finished.folder / "results").rglob("*"), *(finished.folder / ".cache").rglob("*"),
             *(finished.folder / "checkpoints").rglob("*")]
    for number, file in enumerate(sorted(files)):
        when = 86_400 if number % 2 else 4_102_444_800
        os.utime(file, (when, when))
    result = finished.laghu("study", tiny.NAME)
    assert result.returncode == 0 and not started(result), result.stdout + result.stderr
    assert finished.laghu("check", tiny.NAME).returncode == 0


def test_two_calls_on_a_study_and_a_study_with_the_same_stages_at_once(finished, tmp_path_factory):
    """The second call is refused; what both studies need is trained once, by the one or the other."""
    checkout = Checkout(tmp_path_factory.mktemp("at-once"))
    for name in ("one", "two"):
        checkout.write_study(name, [BASELINE], tiny.SMALLEST)
    command = [sys.executable, "-m", "laghu", "study"]
    calls = [
        subprocess.Popen([*command, name, "--cores", "1"], cwd=checkout.folder, env=checkout.environment, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for name in ("one", "one", "two")
    ]
    said = [call.communicate()[0] for call in calls]
    assert sorted(call.returncode for call in calls[:2]) == [0, 1] and calls[2].returncode == 0, said
    refused = said[0] if calls[0].returncode else said[1]
    assert refused.endswith("laghu: another process is at work on study 'one'; wait for it or stop it\n")
    stages = [path.name.rpartition("-")[0] for path in (checkout.folder / "checkpoints").iterdir() if not path.suffix]
    assert sorted(stages) == ["backbone", "baseline"]
    results = checkout.folder / "results"
    of_one, of_two = (RunRecord.load(results / name / "baseline-seed0.json") for name in ("one", "two"))
    assert of_one.predictions == of_two.predictions and of_one.stages == of_two.stages  # with their times and energies


def test_a_run_that_is_killed_is_named_and_the_others_are_made(tmp_path_factory):
    """Its notebook ends itself as Linux does when memory is short."""
    checkout = Checkout(tmp_path_factory.mktemp("killed"))
    (checkout.folder / "notebooks").unlink()
    shutil.copytree(REPOSITORY / "notebooks", checkout.folder / "notebooks")
    template = checkout.folder / "notebooks" / "classical.ipynb"
    text = template.read_text(encoding="utf-8")
    marker = "spec = RunSpec.from_parameters"
    assert text.count(marker) == 1
    template.write_text(text.replace(marker, "import os; os.kill(os.getpid(), 9); " + marker), encoding="utf-8")
    checkout.write_study("mixed", [CLASSICAL, BASELINE], tiny.SMALLEST)
    result = checkout.laghu("study", "mixed", "--cores", "1")
    assert result.returncode == 1
    assert "laghu: classical-seed0: its process was killed, by lack of memory perhaps" in result.stderr
    assert "study 'mixed' did not finish; the run that failed says why above" in result.stderr
    assert list(checkout.records("mixed")) == ["baseline-seed0.json"]
