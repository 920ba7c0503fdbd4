"""Rows: a run's name without its seed. What a row is called, how it is drawn and where it stands in a table."""

import re
from dataclasses import dataclass
from typing import Self

from laghu.errors import LaghuError

# Groups of rows that share a colour and a marker, in the order of every table.
GROUPS = {
    "classical": "TF-IDF + linear SVM",
    "baseline": "Baseline",
    "continued": "Trained on",
    "pruning": "Pruning",
    "joint": "Joint distillation",
    "after": "Distillation after",
    "ensemble-distillation": "Ensemble distilled",
    "mixed-precision": "Mixed precision",
}

_NAME = re.compile(
    r"(?P<technique>classical|baseline|continued|pruning|ensemble-distillation|mixed-precision)"
    r"(?:-(?P<level>\d+(?:p\d+)?))?(?:-(?P<distillation>joint|after))?(?:-(?P<precision>fp16|bf16))?"
)


@dataclass(frozen=True)
class Row:
    """A row's name taken apart; `level` is in percent of the FFN neurons removed."""

    technique: str
    level: float
    distillation: str | None
    precision: str

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read a name such as `pruning-50-joint` (see `RunSpec.run`).

        Raises:
            LaghuError: not the name of a row.
        """
        if not (match := _NAME.fullmatch(name)):
            raise LaghuError(f"{name!r} is not the name of a row; one is pruning-50-joint, without -seed<N>")
        level = float((match["level"] or "0").replace("p", "."))
        return cls(match["technique"], level, match["distillation"], match["precision"] or "fp32")

    @property
    def group(self) -> str:
        """Key into `GROUPS`."""
        return self.distillation if self.technique == "pruning" and self.distillation else self.technique

    @property
    def label(self) -> str:
        """Name for readers, e.g. "Pruning 50 %, distilled jointly"."""
        pruned = f"pruning {self.level:g} %" if self.level else None
        distilled = {"joint": "distilled jointly", "after": "distilled after", None: None}[self.distillation]
        precision = None if self.precision == "fp32" else self.precision
        name = None if self.technique == "pruning" else GROUPS[self.technique]
        text = ", ".join(filter(None, [name, precision if name else None, pruned, distilled,
                                       None if name else precision]))
        return text[0].upper() + text[1:]

    @property
    def order(self) -> tuple[int, float, str]:
        """Key to sort rows by."""
        return list(GROUPS).index(self.group), self.level, self.precision


def row_of(run: str) -> str:
    """`pruning-50-joint-seed1` to `pruning-50-joint`."""
    return re.sub(r"-seed\d+$", "", run)


def in_order(names: list[str]) -> list[str]:
    """Names of rows in the order of every table."""
    return sorted(names, key=lambda name: Row.parse(name).order)
