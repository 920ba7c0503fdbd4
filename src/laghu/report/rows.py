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
    "one-shot": "One shot",
    "minitron": "Minitron",
    "from-scratch": "From scratch",
    "vocabulary-trimming": "Vocabulary trimmed",
    "two-step": "Two-step distillation",
    "student": "Student of its own",
    "quantization": "Quantised",
    "mixed-precision": "Mixed precision",
}
_VARIANTS = {"magnitude": "by magnitude", "random": "at random", "first-order": "by first-order importance"}
_SCHEMES = {
    "fp32": "ONNX Runtime, fp32", "int8-weights": "8-bit weights", "int4-weights": "4-bit weights",
    "int8-dynamic": "8-bit weights and activations",
}

_QUANTIZED = re.compile(rf"quantization-(?P<scheme>{'|'.join(_SCHEMES)})(?:-of-(?P<of>.+))?")
_NAME = re.compile(
    r"(?P<technique>classical|baseline|continued|pruning|ensemble-distillation|mixed-precision|one-shot|minitron"
    r"|from-scratch|vocabulary-trimming|two-step|student)"
    r"(?:-(?P<variant>magnitude|random|first-order|\d+layers(?:-\d+heads)?|\d+heads|\d+tokens"
    r"|(?<=two-step-)[a-z][a-z0-9]*|(?<=student-)[a-z][a-z0-9]*))?"
    r"(?:-(?P<level>\d+(?:p\d+)?))?(?:-(?P<distillation>joint|after))?(?P<untrained>-untrained)?"
    r"(?:-(?P<precision>fp16|bf16))?"
)


@dataclass(frozen=True)
class Row:
    """A row's name taken apart; `level` is in percent of the FFN neurons removed.

    `variant` is what `RunSpec.run` puts behind the technique, e.g. "magnitude" or "4000tokens"; `of` is the row whose
    model was quantised, if any was.
    """

    technique: str
    variant: str
    level: float
    distillation: str | None
    untrained: bool
    precision: str
    of: "Row | None" = None

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read a name such as `pruning-50-joint` (see `RunSpec.run`).

        Raises:
            LaghuError: not the name of a row.
        """
        if match := _QUANTIZED.fullmatch(name):
            of = cls.parse(match["of"] or "baseline")
            return cls("quantization", match["scheme"], of.level, of.distillation, of.untrained, of.precision, of)
        if not (match := _NAME.fullmatch(name)):
            raise LaghuError(f"{name!r} is not the name of a row; one is pruning-50-joint, without -seed<N>")
        level = float((match["level"] or "0").replace("p", "."))
        return cls(
            match["technique"], match["variant"] or "", level, match["distillation"], bool(match["untrained"]),
            match["precision"] or "fp32",
        )

    @property
    def group(self) -> str:
        """Key into `GROUPS`."""
        return self.distillation if self.technique == "pruning" and self.distillation else self.technique

    @property
    def label(self) -> str:
        """Name for readers, e.g. "Pruning 50 %, distilled jointly"."""
        if self.of:
            scheme, of = _SCHEMES[self.variant], self.of.label
            return scheme if self.of.technique == "baseline" else f"{scheme}, of: {of[0].lower()}{of[1:]}"
        pruned = f"pruning {self.level:g} %" if self.level else None
        distilled = {"joint": "distilled jointly", "after": "distilled after", None: None}[self.distillation]
        precision = None if self.precision == "fp32" else self.precision
        name = None if self.technique == "pruning" else " ".join(filter(None, [GROUPS[self.technique], self._variant]))
        untrained = "not trained after" if self.untrained else None
        text = ", ".join(filter(None, [name, precision if name else None, pruned, distilled, untrained,
                                       None if name else precision]))
        return text[0].upper() + text[1:]

    @property
    def _variant(self) -> str:
        """The variant in words, e.g. "to 4,000 tokens" or "to 2 layers and 1 head"."""
        if self.variant[:1].isdigit():
            counts = [(int(number), unit) for number, unit in re.findall(r"(\d+)(layers|heads|tokens)", self.variant)]
            return "to " + " and ".join(f"{n:,} {unit if n > 1 else unit.removesuffix('s')}" for n, unit in counts)
        return _VARIANTS.get(self.variant, self.variant and f"({self.variant})")

    @property
    def order(self) -> tuple[int, str, float, str, bool, str]:
        """Key to sort rows by."""
        if self.of:
            group, *rest = self.of.order
            scheme = list(_SCHEMES).index(self.variant)
            return list(GROUPS).index(self.group), f"{group:02} {rest}", scheme, "", False, ""
        variant = re.sub(r"\d+", lambda number: number[0].zfill(9), self.variant)
        distillation = self.distillation or ""
        return list(GROUPS).index(self.group), variant, self.level, distillation, self.untrained, self.precision


def row_of(run: str) -> str:
    """`pruning-50-joint-seed1` to `pruning-50-joint`."""
    return re.sub(r"-seed\d+$", "", run)


def in_order(names: list[str]) -> list[str]:
    """Names of rows in the order of every table."""
    return sorted(names, key=lambda name: Row.parse(name).order)
