"""Which rows of a study stand together: in a table, in a figure, in one family of tests.

A study grows by techniques. What it says of the first paper's question is said of the rows that were run for it, and
must not change because another technique was run beside them: Holm's correction, for one, is over all tests made.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from laghu.errors import LaghuError
from laghu.report.rows import in_order

# Of paper 1's question and its controls, as patterns of row names.
PAPER_1 = ("classical", "baseline", "continued", "pruning-*", "ensemble-distillation", "mixed-precision-*")


def of_paper_1(rows: Iterable[str]) -> list[str]:
    """Those of the rows that are in `PAPER_1`, in the order of every table; all where none is."""
    rows = in_order(list(rows))
    return [row for row in rows if any(fnmatchcase(row, pattern) for pattern in PAPER_1)] or rows


def left_out(rows: int) -> str:
    """What a caption says of rows that are not in `PAPER_1`, with a space before it; empty if there are none."""
    return f" Not shown: {rows} {'row' if rows == 1 else 'rows'} of other techniques." if rows else ""


def chosen(rows: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Those of the rows that a pattern names, in the order of every table; `*` stands for anything.

    Raises:
        LaghuError: a pattern names no row.
    """
    rows = list(rows)
    for pattern in patterns:
        if not any(fnmatchcase(row, pattern) for row in rows):
            raise LaghuError(f"{pattern!r} names no row of the study; it has {', '.join(in_order(rows))}")
    return in_order([row for row in rows if any(fnmatchcase(row, pattern) for pattern in patterns)])
