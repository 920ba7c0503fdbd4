"""Rows of our own studies against one another: on the same test texts, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from scipy.stats import ttest_1samp

from laghu import records
from laghu.records import RunRecord
from laghu.report import statistics, tables
from laghu.report.claims import arithmetic
from laghu.report.claims.evidence import Evidence
from laghu.report.rows import row_of


@dataclass(frozen=True)
class Gain:
    """Accuracy of one row minus another's on the clean view, a mean over seeds with its 95 % interval; fractions.

    `p_values` are of McNemar's exact test, one for each seed; `tests` is the number that they are corrected for.
    """

    difference: float
    low: float
    high: float
    p_values: tuple[float, ...]
    tests: int

    @property
    def text(self) -> str:
        """In points, e.g. "-1.20 points, 95 % interval -1.90 to -0.40"."""
        return (f"{100 * self.difference:+.2f} points, 95 % interval {100 * self.low:+.2f} to "
                f"{100 * self.high:+.2f}")

    @property
    def kept(self) -> bool:
        """Is non-inferiority shown, within the margin of `statistics`, over several seeds?"""
        return len(self.p_values) >= statistics.FEWEST_SEEDS and self.low > -statistics.MARGIN

    @property
    def sign(self) -> int:
        """1 if it is a gain beyond chance, -1 if it is a loss beyond chance, or else 0.

        Beyond chance is what has an interval over several seeds on one side of 0 and differs at most of these seeds:
        one seed of three is no finding. A seed differs by McNemar's test after Bonferroni's correction over `tests`.
        """
        differing = sum(p * self.tests < statistics.LEVEL for p in self.p_values)
        if len(self.p_values) < statistics.FEWEST_SEEDS or 2 * differing <= len(self.p_values):
            return 0
        return (self.low > 0) - (self.high < 0)


class Ratio(NamedTuple):
    """Geometric mean over seeds, its 95 % interval by Student's t on logarithms, and p of no difference."""

    mean: float
    low: float
    high: float
    p: float

    @property
    def text(self) -> str:
        """E.g. "0.52×, 95 % interval 0.50 to 0.54"."""
        return f"{self.mean:.2f}×, 95 % interval {self.low:.2f} to {self.high:.2f}"


class Loss(NamedTuple):
    """Loss of a score against the baseline's, in percent of it, with the limits of its interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, difference: float, low: float, high: float, base: float) -> Self:
        """Of a difference of fractions; the baseline's score is taken as exact."""
        return cls(-100 * difference / base, -100 * high / base, -100 * low / base)

    @property
    def text(self) -> str:
        """E.g. "3.1 % lower, 95 % interval 2.0 to 4.2"."""
        return f"{self.value:.1f} % lower, 95 % interval {self.low:.1f} to {self.high:.1f}"


@dataclass(frozen=True)
class Runs:
    """Runs of one study, the baseline's among them; `tests` is the number of runs that the whole study has.

    No table of the book tests a run more than once. So a correction for that many is at least as strict as a table's
    own, which is Holm's over its rows, and no claim says more than the tables do.
    """

    study: str
    records: tuple[RunRecord, ...]
    tests: int

    @cached_property
    def evidence(self) -> Evidence:
        """Their numbers, as `tables.study` gives them."""
        return Evidence(self.study, tables.derived(records.frame(self.records)))

    @property
    def name(self) -> str:
        """Study, machine and number of seeds."""
        return self.evidence.name

    @property
    def scale(self) -> str:
        """What differs from any paper: "a BERT of 5.3 M parameters on mahanews-open"."""
        return (f"a BERT of {self.evidence.mean('baseline', 'parameters.total') / 1e6:.1f} M parameters on "
                f"{self.records[0].corpus}")

    def gain(self, row: str, against: str) -> Gain:
        """One row against another, over the seeds of both: the pigeonhole interval of `laghu.report.statistics`."""
        ours, theirs = self._by_seed(row), self._by_seed(against)
        gains = np.array([
            run.correct[run.views["clean"]].astype(np.int8) - theirs[seed].correct[run.views["clean"]]
            for seed, run in ours.items() if seed in theirs
        ])
        low, high = statistics.pigeonhole(gains)
        p_values = (arithmetic.mcnemar_p(int(gain.sum()), int(np.abs(gain).sum())) for gain in gains)
        return Gain(float(gains.mean()), low, high, tuple(p_values), self.tests)

    def loss(self, row: str) -> Loss:
        """Accuracy on the clean view against the baseline's, in percent of it."""
        gain = self.gain(row, "baseline")
        return Loss.of(gain.difference, gain.low, gain.high, self.evidence.mean("baseline", "accuracy.clean.value"))

    def loss_of_f1(self, row: str) -> float:
        """Macro-F1 on the clean view against the baseline's, in percent of it: means over seeds, without an interval.

        A record has predictions and no labels, and F1 can't be drawn anew without these.
        """
        ours, theirs = (self.evidence.mean(name, "macro_f1.clean.value") for name in (row, "baseline"))
        return 100 * (1 - ours / theirs)

    def seeds(self, *rows: str) -> int:
        """How many seeds all these rows have."""
        return len(set.intersection(*(set(self._by_seed(row)) for row in rows)))

    def students(self, row: str) -> int:
        """Of how many two-step distillations the row's seeds are; the settings' own seed tells these apart."""
        return len({record.settings["two_step"]["seed"] for record in self._by_seed(row).values()})

    def ratio(self, row: str, against: str, field: str) -> Ratio:
        """A field of one row over that of another, by seed."""
        logarithms = np.log((self.evidence.by_seed(row, field) / self.evidence.by_seed(against, field)).dropna())
        if len(logarithms) < statistics.FEWEST_SEEDS:
            return Ratio(float(np.exp(logarithms.mean())), 0.0, np.inf, 1.0)
        test = ttest_1samp(logarithms, 0)
        low, high = test.confidence_interval(1 - statistics.LEVEL)
        return Ratio(*(float(np.exp(value)) for value in (logarithms.mean(), low, high)), float(test.pvalue))

    def _by_seed(self, row: str) -> dict[int, RunRecord]:
        return {record.seed: record for record in self.records if row_of(record.run) == row}


def runs(studies: Mapping[str, Sequence[RunRecord]], *rows: str) -> Runs | None:
    """The first study that has runs of all these rows and a baseline, at one seed at least; cut to them."""
    wanted = {*rows, "baseline"}
    for study, loaded in studies.items():
        found = Runs(study, tuple(record for record in loaded if row_of(record.run) in wanted), len(loaded))
        if found.seeds(*wanted):
            return found
    return None


def off_one(ratios: Sequence[Ratio]) -> list[int]:
    """Of each ratio of one claim: 1 if it is above 1 beyond chance, -1 if below, or else 0; Holm's correction."""
    adjusted = statistics.holm([ratio.p for ratio in ratios])
    return [0 if p >= statistics.LEVEL else 1 if ratio.mean > 1 else -1
            for ratio, p in zip(ratios, adjusted, strict=True)]
