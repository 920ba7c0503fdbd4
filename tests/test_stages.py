import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import laghu
from laghu import provenance, stages
from laghu.errors import LaghuError

# Wants one stage; says when its build begins, waits there to be told, and says what it got.
CHILD = """
import sys
from laghu import stages

def build(working):
    print("building", flush=True)
    (working / "part").write_text("from " + sys.argv[1])
    told = sys.stdin.readline().strip()
    (working / "model").mkdir()
    return {"by": sys.argv[1], "told": told}

print("calling", flush=True)
stage = stages.stage("slow", ["errors"], {"x": 1}, build)
print("got", stage.report["by"], stage.report["told"], flush=True)
"""


class Counter:
    """A build that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, working: Path) -> dict:
        self.calls += 1
        (working / "model").mkdir()
        (working / "model" / "config.json").write_text("{}")
        (working / "trainer").mkdir()
        return {"steps": 3, "log": [{"loss": 0.5}], "note": "दुसर्‍या"}


@pytest.fixture
def start(home):
    """Starts a process on the stage of `CHILD`, in the test's own checkout."""
    children = []

    def launch(name: str) -> subprocess.Popen:
        environment = os.environ | {"LAGHU_HOME": str(home), "PYTHONPATH": str(Path(laghu.__file__).parents[1])}
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, name], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            bufsize=0,
        )
        children.append(child)
        return child

    yield launch
    for child in children:
        child.kill()
        child.communicate()


def says(child: subprocess.Popen) -> str:
    return child.stdout.readline().decode().strip()


def test_a_stage_is_built_once_and_then_read(home):
    build = Counter()
    first = stages.stage("teacher", ["training"], {"seed": 0}, build)
    again = stages.stage("teacher", ["training"], {"seed": 0}, build)
    assert build.calls == 1
    assert again == first
    assert first.folder == home / "checkpoints" / f"teacher-{first.key[:16]}"
    assert first.model == first.folder / "model"
    assert first.report == {"steps": 3, "log": [{"loss": 0.5}], "note": "दुसर्‍या"}
    # The trainer's checkpoints were for resuming only.
    assert sorted(path.name for path in first.folder.iterdir()) == ["SHA256SUMS", "model", "report.json"]


def test_a_build_that_fails_leaves_nothing_finished_and_goes_on_in_its_folder(home):
    folders = []

    def build(working: Path) -> dict:
        folders.append(working)
        if not (working / "half").exists():
            (working / "half").write_text("done")
            raise KeyboardInterrupt
        return {"resumed": (working / "half").read_text()}

    with pytest.raises(KeyboardInterrupt):
        stages.stage("teacher", [], {}, build)
    (left,) = (home / "checkpoints").glob("teacher-*[!k]")  # all but the lock
    assert left == folders[0] and left.suffix == ".working"
    finished = stages.stage("teacher", [], {}, build)
    assert folders[1] == folders[0]
    assert finished.report == {"resumed": "done"}
    assert finished.folder.is_dir() and not folders[0].exists()


def test_a_killed_process_leaves_nothing_finished_and_frees_the_stage(home, start):
    killed = start("first")
    assert (says(killed), says(killed)) == ("calling", "building")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [path.suffix for path in (home / "checkpoints").iterdir() if path.is_dir()] == [".working"]
    second = start("second")
    assert (says(second), says(second)) == ("calling", "building")
    second.stdin.write(b"go\n")
    assert says(second) == "got second go"
    (finished,) = [path for path in (home / "checkpoints").iterdir() if path.is_dir()]
    assert (finished / "part").read_text() == "from second"


def test_two_processes_that_want_the_same_stage_build_it_once(home, start):
    children = {"first": start("first"), "second": start("second")}
    assert [says(child) for child in children.values()] == ["calling", "calling"]
    ready, _, _ = select.select([child.stdout for child in children.values()], [], [])
    name = "first" if children["first"].stdout in ready else "second"
    builder = children.pop(name)
    (waiter,) = children.values()
    assert says(builder) == "building"
    (lock,) = (home / "checkpoints").glob("*.lock")
    with lock.open() as handle, pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    builder.stdin.write(b"go\n")
    assert says(builder) == f"got {name} go"
    assert says(waiter) == f"got {name} go"  # without a "building" before it


def test_key_changes_with_name_inputs_code_and_pins_only(home, monkeypatch):
    def key(name="teacher", modules=("training",), inputs=None) -> str:
        return stages.stage(name, list(modules), inputs or {"seed": 0, "rate": 0.1}, lambda working: {}).key

    first = key()
    assert key(inputs={"rate": 0.1, "seed": 0}) == first
    keys = [first, key(name="student"), key(inputs={"seed": 1, "rate": 0.1}), key(modules=["training", "distillation"])]
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "_stripped_module", lambda name: f"another {name}")
        keys.append(key())
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "pins", lambda: {"torch": "1.0.0"})
        keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == first
    assert len([path for path in (home / "checkpoints").iterdir() if path.is_dir()]) == len(keys)


# ------------------------------------------------------------------------------------------------ stages gone bad


class Weights:
    """A build of weights, a tokenizer and a report that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, working: Path) -> dict:
        self.calls += 1
        (working / "model").mkdir(exist_ok=True)
        save_file({"weight": np.arange(4.0)}, working / "model" / "model.safetensors")
        (working / "model" / "tokenizer.json").write_text("{}")
        return {"steps": 3}


def harm(file: Path, how: str) -> None:
    content = file.read_bytes()
    match how:
        case "gone":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "short":
            file.write_bytes(content[: len(content) // 2])
        case "changed":
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 4]))


@pytest.mark.parametrize("how", ["gone", "empty", "short", "changed"])
@pytest.mark.parametrize("name", ["model/model.safetensors", "model/tokenizer.json", "report.json"])
def test_a_stage_that_went_bad_is_made_again_and_said_so_once(home, capfd, name, how):
    build = Weights()
    first = stages.stage("teacher", [], {}, build)
    harm(first.folder / name, how)
    again = stages.stage("teacher", [], {}, build)
    assert build.calls == 2 and again == first
    (line,) = capfd.readouterr().err.splitlines()
    assert f"stage {first.folder.name} is broken and made again: {name}" in line
    assert load_file(again.model / "model.safetensors")["weight"].tolist() == [0, 1, 2, 3]
    assert stages.stage("teacher", [], {}, build) == first and build.calls == 2
    assert capfd.readouterr().err == ""
    assert sorted(path.suffix for path in (home / "checkpoints").iterdir()) == ["", ".lock"]


@pytest.mark.parametrize(
    ("name", "how", "calls"),
    [("model/model.safetensors", "short", 2), ("model/model.safetensors", "empty", 2), ("report.json", "short", 2),
     ("report.json", "gone", 2), ("model/model.safetensors", "changed", 1), ("model/tokenizer.json", "changed", 1)],
)
def test_a_stage_from_before_there_were_digests_is_taken_unless_it_is_torn(home, name, how, calls):
    build = Weights()
    first = stages.stage("teacher", [], {}, build)
    (first.folder / "SHA256SUMS").unlink()
    stages.stage("teacher", [], {}, build)
    assert build.calls == 1
    harm(first.folder / name, how)
    stages.stage("teacher", [], {}, build)
    assert build.calls == calls


def test_a_report_that_is_no_object_is_a_broken_stage(home):
    build = Weights()
    first = stages.stage("teacher", [], {}, build)
    (first.folder / "SHA256SUMS").unlink()
    (first.folder / "report.json").write_text("[]")
    assert stages.stage("teacher", [], {}, build) == first and build.calls == 2


def test_files_that_came_later_do_not_break_a_stage(home):
    build = Weights()
    first = stages.stage("teacher", [], {}, build)
    (first.folder / "model" / "cache-1.arrow").touch()
    stages.stage("teacher", [], {}, build)
    assert build.calls == 1


@pytest.mark.parametrize("killed_in", ["seal", "rmtree", "rename"])
def test_killed_between_its_end_and_its_name_a_stage_is_not_built_again(home, monkeypatch, killed_in):
    """After the digests are there; before, the build is called again and finds its own work."""
    build = Weights()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if killed_in == "rmtree":
            original = shutil.rmtree
            patch.setattr(shutil, "rmtree", lambda path, **how: (
                _interrupt() if path.name == "trainer" else original(path, **how)))
        else:
            patch.setattr(f"laghu.{'seals.seal' if killed_in == 'seal' else 'durable.rename'}", _interrupt)
        stages.stage("teacher", [], {}, build)
    assert [path.suffix for path in (home / "checkpoints").iterdir() if path.is_dir()] == [".working"]
    finished = stages.stage("teacher", [], {}, build)
    assert build.calls == (2 if killed_in == "seal" else 1)
    assert finished.report == {"steps": 3} and (finished.model / "tokenizer.json").is_file()


def _interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def test_killed_while_it_is_thrown_away_a_broken_stage_never_stands_under_its_name(home, monkeypatch):
    build = Weights()
    first = stages.stage("teacher", [], {}, build)
    harm(first.model / "model.safetensors", "short")
    original = shutil.rmtree
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", lambda path, **how: _interrupt() if path.exists() else original(path, **how))
        stages.stage("teacher", [], {}, build)
    assert [path.suffix for path in (home / "checkpoints").iterdir() if path.is_dir()] == [".broken"]
    assert stages.stage("teacher", [], {}, build) == first
    assert [path.suffix for path in (home / "checkpoints").iterdir() if path.is_dir()] == [""]


def test_a_training_does_not_go_on_from_a_checkpoint_that_is_not_whole(home, capfd):
    """Trainer would fail on it, and again at every call; the one before it serves."""

    def build(working: Path) -> dict:
        trainer = working / "trainer"
        if not trainer.exists():
            for step in (2, 4, 6):
                (trainer / f"checkpoint-{step}").mkdir(parents=True)
                save_file({"weight": np.arange(4.0)}, trainer / f"checkpoint-{step}" / "model.safetensors")
                (trainer / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
            (trainer / "checkpoint-4" / "trainer_state.json").write_text('{"global_step": ')
            (trainer / "checkpoint-6" / "trainer_state.json").unlink()
            raise KeyboardInterrupt
        return {"found": [path.name for path in trainer.iterdir()]}

    with pytest.raises(KeyboardInterrupt):
        stages.stage("teacher", [], {}, build)
    assert stages.stage("teacher", [], {}, build).report == {"found": ["checkpoint-2"]}
    said = capfd.readouterr().err
    assert "does not go on from checkpoint-4: trainer_state.json is not JSON" in said
    assert "does not go on from checkpoint-6: it was being written" in said


def test_an_error_of_the_build_itself_stays_what_it_is(home):
    def build(working: Path) -> dict:
        raise ZeroDivisionError("in the mathematics")

    with pytest.raises(ZeroDivisionError):
        stages.stage("teacher", [], {}, build)


def test_a_library_s_error_on_a_full_disk_says_what_to_do(home):
    def build(working: Path) -> dict:
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(LaghuError, match=r"teacher-.* can't be written to .*checkpoints: No space left on dev"):
        stages.stage("teacher", [], {}, build)
