import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

import laghu
from laghu import quiet
from laghu.errors import LaghuError

# Takes and leaves locks as told on stdin. The locks do not need transformers, whose import takes seconds.
CHILD = """
import sys, types
transformers = types.ModuleType("transformers")
transformers.TrainerCallback = object
sys.modules["transformers"] = transformers
from contextlib import ExitStack
from laghu import quiet
held = ExitStack()
for line in iter(sys.stdin.readline, ""):
    if line == "leave\\n":
        held.close()
        print("out", flush=True)
    else:
        held.enter_context(getattr(quiet, line.strip())())
        print("in", flush=True)
"""

# Cycles through a lock, its flag up inside, and fails if it meets a flag it must not meet.
CYCLER = """
import mmap, sys, types
transformers = types.ModuleType("transformers")
transformers.TrainerCallback = object
sys.modules["transformers"] = transformers
from laghu import quiet
flags, me = sys.argv[1], int(sys.argv[2])
MEASURER, DONE = 2, 3
with open(flags, "r+b") as file, mmap.mmap(file.fileno(), 4) as up:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(30) if me == MEASURER else iter(lambda: up[DONE], 1):
        with quiet.measuring() if me == MEASURER else quiet.working():
            up[me] = 1
            for _ in range(300):
                assert not (any(up[:MEASURER]) if me == MEASURER else up[MEASURER])
            up[me] = 0
    if me == MEASURER:
        up[DONE] = 1
"""


class Child:
    """A process that holds locks on demand."""

    def __init__(self, program: str, folder: Path, *arguments: str):
        environment = {"PATH": os.defpath, "TMPDIR": str(folder), "PYTHONPATH": str(Path(laghu.__file__).parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], env=environment, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def told(self, *lines: str) -> None:
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    def has_spoken(self, within: float) -> bool:
        return bool(select.select([self.process.stdout], [], [], within)[0])

    def says(self) -> str:
        assert self.has_spoken(within=30), "the process hangs"
        return self.process.stdout.readline().decode().strip()


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts child processes whose locks, like this process's, lie in a folder of the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    children = []

    def _start(program: str = CHILD, *arguments: str) -> Child:
        children.append(Child(program, tmp_path, *arguments))
        return children[-1]

    yield _start
    for child in children:
        child.process.kill()
        child.process.wait()
        child.process.stdin.close()
        child.process.stdout.close()


def taken(folder: Path, name: str, operation: int) -> bool:
    """Whether somebody's lock stands against this one."""
    with (folder / f"laghu-quiet-{os.getuid()}-{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
        except OSError as error:
            assert error.errno == errno.EWOULDBLOCK
            return True
        return False


def wait_until_a_measurer_waits(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while not taken(folder, "turnstile", fcntl.LOCK_EX):
        assert time.monotonic() < deadline, "nobody came to the turnstile"


def test_a_measurer_gets_in_although_workers_keep_coming(start, tmp_path):
    first, second, measurer = start(), start(), start()
    first.told("working")
    second.told("working")
    assert (first.says(), second.says()) == ("in", "in")
    measurer.told("measuring")
    wait_until_a_measurer_waits(tmp_path)
    # The room is never empty unless the turnstile keeps the first worker from coming back.
    first.told("leave", "working")
    assert first.says() == "out"
    second.told("leave", "working")
    assert second.says() == "out"
    assert measurer.says() == "in"
    assert not first.has_spoken(within=0)
    assert not second.has_spoken(within=0)
    measurer.told("leave")
    assert (measurer.says(), first.says(), second.says()) == ("out", "in", "in")


def test_nobody_works_while_one_measures(start, tmp_path):
    flags = tmp_path / "flags"
    flags.write_bytes(bytes(4))
    children = [start(CYCLER, str(flags), str(number)) for number in range(3)]
    assert [child.says() for child in children] == ["ready"] * 3
    for child in children:
        child.told("go")
    assert [child.process.wait(timeout=60) for child in children] == [0, 0, 0]


@pytest.mark.parametrize(("holder", "waiter"), [("measuring", "working"), ("working", "measuring")])
def test_a_killed_holder_frees_the_lock(start, tmp_path, holder, waiter):
    killed, waiting = start(), start()
    killed.told(holder)
    assert killed.says() == "in"
    assert taken(tmp_path, "room", fcntl.LOCK_EX)
    waiting.told(waiter)
    killed.process.send_signal(signal.SIGKILL)
    assert waiting.says() == "in"


def test_a_nested_step_does_not_wait_for_a_measurer_that_waits_for_it(start, tmp_path):
    worker, measurer = start(), start()
    worker.told("working")
    assert worker.says() == "in"
    measurer.told("measuring")
    wait_until_a_measurer_waits(tmp_path)
    worker.told("working", "leave")
    assert (worker.says(), worker.says(), measurer.says()) == ("in", "out", "in")


def test_measuring_within_a_step_is_refused_and_within_measuring_allowed(start, tmp_path):
    with quiet.working(), pytest.raises(LaghuError, match="training step"), quiet.measuring():
        pass
    with quiet.measuring(), quiet.measuring(), quiet.working():
        assert taken(tmp_path, "room", fcntl.LOCK_SH)
    assert not taken(tmp_path, "room", fcntl.LOCK_EX)
    assert not taken(tmp_path, "turnstile", fcntl.LOCK_EX)


class Line(nn.Module):
    """A model that says whether the lock was held during each forward pass."""

    def __init__(self, folder: Path):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.folder = folder
        self.held: list[bool] = []

    def forward(self, x):
        self.held.append(taken(self.folder, "room", fcntl.LOCK_EX))
        if len(self.held) == 5:
            raise MemoryError
        return {"loss": ((self.weight * x - 1) ** 2).mean()}


def test_callback_holds_the_lock_during_steps_only_and_lets_go_after_a_failure(start, tmp_path):
    model, callback = Line(tmp_path), quiet.QuietCallback()
    args = TrainingArguments(
        str(tmp_path), max_steps=3, gradient_accumulation_steps=2, per_device_train_batch_size=1, report_to=[],
        save_strategy="no", use_cpu=True, disable_tqdm=True,
    )
    trainer = Trainer(model, args, train_dataset=[{"x": 1.0}] * 8, callbacks=[callback])
    with pytest.raises(MemoryError):
        trainer.train()
    assert model.held == [True] * 5
    callback.close()
    assert not taken(tmp_path, "room", fcntl.LOCK_EX)
    callback.on_step_begin(args, trainer.state, trainer.control)
    callback.on_step_end(args, trainer.state, trainer.control)
    assert not taken(tmp_path, "room", fcntl.LOCK_EX)


def test_only_the_first_local_process_takes_the_lock(start, tmp_path):
    callback = quiet.QuietCallback()
    callback.on_step_begin(None, SimpleNamespace(is_local_process_zero=False), None)
    assert not taken(tmp_path, "room", fcntl.LOCK_EX)
