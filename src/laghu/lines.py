"""Lines of text in, lines of JSON out: a classifier in a pipe."""

import time
import warnings
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from laghu.inference import Classifier
from laghu.terminal import json_string, plain

_SECONDS_BETWEEN_NOTES = 1.0


def classify(classifier: Classifier, source: BinaryIO, target: TextIO, notes: TextIO) -> None:
    """Write `{"label": ..., "probability": ...}` for every line, in their order, while they come.

    A line ends at a line feed and nowhere else, so that as many lines come out as go in, blank ones among them. Bytes
    that are no UTF-8 are read as U+FFFD.

    Args:
        notes: where warnings go, and progress if it is a terminal.
    """
    texts = _Texts(source)
    names = {label: json_string(label) for label in classifier.labels}
    progress = _Progress(notes)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        for label, probability in classifier.stream(texts):
            target.write(f'{{"label": {names[label]}, "probability": {probability:.4f}}}\n')
            progress.step()
    progress.end()
    if texts.damaged:
        notes.write(f"laghu: {texts.damaged:,} lines are not UTF-8; what can't be read in them was replaced\n")
    for warning in raised:
        notes.write(f"laghu: {plain(str(warning.message))}\n")


class _Texts:
    """Decoded lines, and how many of them were `damaged`."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.damaged = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._source:
            line = line.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError:
                self.damaged += 1
                yield line.decode("utf-8", errors="replace")


class _Progress:
    """One line in a terminal that counts; nothing elsewhere."""

    def __init__(self, notes: TextIO) -> None:
        self._notes = notes if notes.isatty() else None
        self._count, self._started, self._written = 0, time.monotonic(), 0.0

    def step(self) -> None:
        self._count += 1
        if self._notes and self._count % 256 == 0 and time.monotonic() - self._written > _SECONDS_BETWEEN_NOTES:
            self._written = time.monotonic()
            pace = self._count / (self._written - self._started)
            self._notes.write(f"\r{self._count:,} texts, {pace:,.0f} a second")
            self._notes.flush()

    def end(self) -> None:
        if self._notes and self._written:
            self._notes.write("\n")
