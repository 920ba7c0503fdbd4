"""Quiet hours: training pauses while another Laghu process on this machine is being timed.

Every training step takes a shared lock (`working`), every timing an exclusive one (`measuring`). Two lock files make
the classic scheme in which writers do not starve: whoever wants into the *room* first passes the *turnstile*; a
measuring process keeps the turnstile while it waits for the room to empty, so that no new step can begin.

The locks are flock(2): the kernel releases them when a process dies, however it dies. They belong to one user on one
machine; processes with different `TMPDIR` do not see each other's.
"""

import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter

from transformers import TrainerCallback

from laghu.errors import LaghuError


class _Held(threading.local):
    """What this thread holds, "working" or "measuring": a second flock of its own would wait for the first."""

    what: str | None = None


_held = _Held()


@contextmanager
def _holding(what: str) -> Iterator[None]:
    _held.what = what
    try:
        yield
    finally:
        _held.what = None


@contextmanager
def _flock(name: str, operation: int) -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / f"laghu-quiet-{os.getuid()}-{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        # Said outright, because a worker forked meanwhile shares the descriptor and would keep the lock alive.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


@contextmanager
def working() -> Iterator[None]:
    """Hold the shared lock: any number of processes work together, none while one is measuring.

    Inside another `working` or `measuring` of the same thread it does nothing.
    """
    if _held.what:
        yield
        return
    with ExitStack() as room:
        with _flock("turnstile", fcntl.LOCK_EX):
            room.enter_context(_flock("room", fcntl.LOCK_SH))
        with _holding("working"):
            yield


@contextmanager
def measuring() -> Iterator[None]:
    """Hold the exclusive lock: waits for the steps under way to end and keeps new ones from beginning.

    Inside another `measuring` of the same thread it does nothing.

    Raises:
        LaghuError: inside `working` of the same thread, where it would wait for itself for ever.
    """
    if _held.what == "working":
        raise LaghuError("a timing was asked for in the middle of a training step; measure before or after training.")
    if _held.what == "measuring":
        yield
        return
    with _flock("turnstile", fcntl.LOCK_EX), _flock("room", fcntl.LOCK_EX), _holding("measuring"):
        yield


class QuietCallback(TrainerCallback):
    """Makes every optimiser step of a `Trainer` a `working` block.

    Of several local processes only the first takes the lock, and the others wait for it in their next collective
    operation: if each took one, a measuring process could let one in and keep the other out, for ever.

    Attributes:
        waited: seconds spent waiting for measuring processes so far.
    """

    def __init__(self) -> None:
        self._step = ExitStack()
        self.waited = 0.0

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        if state.is_local_process_zero:
            asked = perf_counter()
            self._step.enter_context(working())
            self.waited += perf_counter() - asked

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the lock, if held: for a training that failed in the middle of a step."""
        self._step.close()
