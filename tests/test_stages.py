import fcntl
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import laghu
from laghu import provenance, stages

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
    assert sorted(path.name for path in first.folder.iterdir()) == ["model", "report.json"]


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
