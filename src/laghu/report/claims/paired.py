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

    `p_values` are of McNemar's exact test, one for each seed.
    """

    difference: float
    low: float
    high: float
    p_values: tuple[float, ...]

    @property
    def text(self) -> str:
        """In points, e.g. "-1.20 points, 95 % interval -1.90 to -0.40"."""
        return (f"{100 * self.difference:+.2f} points, 95 % interval {100 * self.low:+.2f} to "
                f"{100 * self.high:+.2f}")

    @property
    def kept(self) -> bool:
        """Is non-inferiority shown, within the margin of `statistics`, over several seeds?"""
        return len(self.p_values) >= statistics.FEWEST_SEEDS and self.low > -statistics.MARGIN


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
    """Runs of one study, the baseline's among them."""

    study: str
    records: tuple[RunRecord, ...]

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
        return Gain(float(gains.mean()), low, high, tuple(p_values))

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
        found = Runs(study, tuple(record for record in loaded if row_of(record.run) in wanted))
        if found.seeds(*wanted):
            return found
    return None


def beyond_chance(gains: Sequence[Gain]) -> list[int]:
    """Of each gain of one claim: 1 if it is one beyond chance, -1 if it is a loss beyond chance, or else 0.

    Beyond chance is what has an interval over several seeds on one side of 0, and on one seed at least a p of McNemar's
    test below the level after Holm's correction over all seeds of all gains of the claim.
    """
    adjusted = iter(statistics.holm([p for gain in gains for p in gain.p_values]))
    signs = []
    for gain in gains:
        differs = min([next(adjusted) for _ in gain.p_values]) < statistics.LEVEL
        aside = (gain.low > 0) - (gain.high < 0)
        signs.append(aside if differs and len(gain.p_values) >= statistics.FEWEST_SEEDS else 0)
    return signs


def off_one(ratios: Sequence[Ratio]) -> list[int]:
    """Of each ratio of one claim: 1 if it is above 1 beyond chance, -1 if below, or else 0; Holm's correction."""
    adjusted = statistics.holm([ratio.p for ratio in ratios])
    return [0 if p >= statistics.LEVEL else 1 if ratio.mean > 1 else -1
            for ratio, p in zip(ratios, adjusted, strict=True)]


def within(loss: Loss, f1: float, low: float, high: float) -> bool | None:
    """Is a loss within a range? None if its interval doesn't tell, or macro-F1 says otherwise."""
    if low <= loss.low and loss.high <= high and low <= f1 <= high:
        return True
    if (loss.high < low and f1 < low) or (loss.low > high and f1 > high):
        return False
    return None
