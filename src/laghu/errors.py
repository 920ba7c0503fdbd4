"""The one error that a reader of Laghu is meant to see, and how a value stands in its message."""

import reprlib
from typing import Any

from laghu.terminal import plain


class LaghuError(ValueError):
    """Something the caller can put right: the message names the offending value and what would be right.

    A message may quote text of others, so nothing in it steers a terminal.

    In a notebook (and so in papermill's output) it is shown as one line: IPython asks an exception for
    `_render_traceback_` before it formats the traceback itself.
    """

    def __str__(self) -> str:
        return plain(super().__str__())

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class _Short(reprlib.Repr):
    """`repr` of the start of a value: a few lines of YAML can name one that would fill the memory."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 20
        self.maxstring = self.maxother = self.maxlong = 300

    def repr_dict(self, x: dict, level: int) -> str:
        """In its own order: that of `reprlib` is sorted."""
        if level <= 0:
            return "{...}"
        parts = [f"{self.repr1(name, level - 1)}: {self.repr1(x[name], level - 1)}" for name in list(x)[:self.maxdict]]
        return "{" + ", ".join([*parts, *(["..."] if len(x) > self.maxdict else [])]) + "}"

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"a number of {x.bit_length():,} bits"


def shown(value: Any) -> str:
    """`repr` of a value for a message, cut short where it is long or deep."""
    return _SHORT.repr(value)


_SHORT = _Short()
