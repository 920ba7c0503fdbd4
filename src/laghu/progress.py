"""Progress of a training, for whoever watches: the notebook it runs in, and the terminal that runs the notebook.

The two are different processes: the terminal names a file in `LAGHU_PROGRESS` and reads the line that is kept there.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

_SECONDS_BETWEEN_LINES = 1.0
_listeners: list[Callable[[str], None]] = []


@contextmanager
def told(listener: Callable[[str], None]) -> Iterator[None]:
    """Trainings in this process tell `listener` their line instead of showing it below a cell; a terminal that watches
    still has it."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class ProgressCallback(TrainerCallback):
    """Keeps one line up to date: epoch, step, loss and the time left at the pace so far."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._loss = ""
        self._first_step = 0
        self._started = self._written = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
        logs: dict[str, float] | None = None, **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            self._loss = f", loss {float(logs['loss']):.3f}"

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        now = time.monotonic()
        if now - self._written < _SECONDS_BETWEEN_LINES and state.global_step < state.max_steps:
            return
        self._written = now
        pace = (now - self._started) / max(1, state.global_step - self._first_step)
        left = round(pace * (state.max_steps - state.global_step))
        self._show(
            f"epoch {state.epoch or 0:.1f} of {state.num_train_epochs:g}, "
            f"step {state.global_step:,} of {state.max_steps:,}{self._loss}, {left // 60}:{left % 60:02d} left"
        )

    def _show(self, line: str) -> None:
        if file := os.environ.get("LAGHU_PROGRESS"):
            Path(file).write_text(line, encoding="utf-8")
        for listener in _listeners:
            listener(line)
        if _listeners or get_ipython() is None:
            return
        content = {"text/plain": line}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
