"""What may be said of a difference: paired comparisons of rows over seeds, test rows and many tests."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report.rows import in_order, row_of

# Largest loss of accuracy, as a fraction, that still passes for none.
MARGIN = 0.005
# Of the tests after correction; the intervals are at 1 - LEVEL.
LEVEL = 0.05
# Seeds below which an interval is over test rows alone, and no verdict on two techniques rests on it.
FEWEST_SEEDS = 2


def compare(
    records: Sequence[RunRecord], view: str, margin: float = MARGIN, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Every row of a study against the baseline of the same seed, on the same test rows of one view.

    A row's difference is the mean over its seeds of its accuracy minus the baseline's. The 95 % interval resamples
    seeds and test rows (see `pigeonhole`); all rows of one number of seeds see the same resamples. McNemar's exact test
    is each seed's own; Holm's correction is over all rows and seeds of the view. Non-inferiority within the margin is
    "shown" if the lower limit, one-sided at 97.5 %, lies above -margin, "worse" if the upper one lies below -margin,
    and otherwise "open" (Piaggio et al. 2012). Runs without a baseline of their seed are left out.

    Args:
        view: "published", "deduplicated" or "clean".
        margin: a fraction above 0.
        seed: of the bootstrap's generator.

    Returns:
        One line per row but the baseline, in the order of every table: `seeds` compared; `difference` with limits
        `low` and `high`, fractions; `p_lowest` and `p_highest` over seeds, `holm_lowest` and `holm_highest` after
        correction; `seeds_differ`, those with a corrected p below 0.05; `verdict`.

    Raises:
        LaghuError: no such view, a margin that is no fraction above 0, runs on different test rows, or nothing to
            compare.
    """
    if not 0 < margin < 1:
        raise LaghuError(f"margin {margin} is not a fraction above 0; half a percentage point is 0.005")
    baselines = {record.seed: record for record in records if row_of(record.run) == "baseline"}
    ordered = sorted(records, key=lambda record: (record.seed, record.run))
    pairs = [(record, baselines[record.seed]) for record in ordered
             if record.seed in baselines and row_of(record.run) != "baseline"]
    if not pairs:
        raise LaghuError("no run has a baseline of its seed beside it; run the baseline of the study first")
    lines = _paired(pairs, _mask(records, view), resamples, seed)
    return lines.assign(verdict=[_verdict(line.low, line.high, margin) for line in lines.itertuples()])


def against(
    records: Sequence[RunRecord], references: Mapping[str, str], view: str, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Rows against reference rows of the same seed, on the same test rows of one view; no row need be the baseline.

    Differences, intervals and p-values are those of `compare`; Holm's correction is over all rows and seeds given.
    A row is "better" or "worse" if its interval lies on one side of 0 and a seed's corrected p is below 0.05, and
    otherwise "none": no difference is shown. One seed says nothing of other seeds: its verdict is "one seed". Runs
    without a run of their reference at their seed are left out.

    Args:
        references: the reference of every row that is compared.
        view: "published", "deduplicated" or "clean".
        seed: of the bootstrap's generator.

    Returns:
        One line per row, in the order of every table, with the columns of `compare`.

    Raises:
        LaghuError: no such view, runs on different test rows, or a row that shares no seed with its reference.
    """
    runs = {(row_of(record.run), record.seed): record for record in records}
    pairs = [(runs[row, of_seed], runs[references[row], of_seed]) for row, of_seed in sorted(runs)
             if row in references and (references[row], of_seed) in runs]
    if missing := sorted(set(references) - {row_of(run.run) for run, _ in pairs}):
        raise LaghuError(f"{missing[0]} has no run at a seed of its reference {references[missing[0]]}; run both")
    lines = _paired(pairs, _mask([record for pair in pairs for record in pair], view), resamples, seed)
    return lines.assign(verdict=[_direction(line) for line in lines.itertuples()])


def pigeonhole(gains: np.ndarray, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Percentile interval, at 95 %, of the mean of a table whose rows and columns are both samples.

    Both are drawn with replacement and independently; a cell counts as often as its row times its column was drawn
    (Owen 2007, the pigeonhole bootstrap). No bootstrap of a crossed table is exact; this one errs towards width in what
    is a cell's own, and towards narrowness in what is a seed's own, whose variance it puts at (S - 1) / S of its
    estimate. A single seed is not resampled, so that the interval is then over test rows alone.

    Args:
        gains: (seeds, rows).
    """
    seeds, rows = gains.shape
    # Two streams, or a table with as many rows as columns would draw both alike.
    of_rows, of_seeds = _drawn(rows, resamples, (seed, 0)), _drawn(seeds, resamples, (seed, 1))
    means = ((of_rows @ gains.T.astype(np.float32)) * of_seeds).sum(axis=1) / gains.size
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values adjusted for their number: a hypothesis is rejected at a level if its adjusted p is at most that.

    Step-down: the k-th smallest of m is multiplied by m - k + 1, and none is smaller than the one before (Holm 1979).
    It keeps the chance of any false rejection below the level, whatever the dependence among the tests.
    """
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(np.minimum(p_values[order] * np.arange(len(p_values), 0, -1), 1))
    return adjusted


def pareto(cost: Sequence[float], accuracy: Sequence[float]) -> np.ndarray:
    """Which points are on the front, (points,) bool: none other is as cheap and as accurate, and better in one."""
    cost, accuracy = np.asarray(cost), np.asarray(accuracy)
    # [i, j]: does j dominate i?
    no_worse = (cost <= cost[:, None]) & (accuracy >= accuracy[:, None])
    better = (cost < cost[:, None]) | (accuracy > accuracy[:, None])
    return ~(no_worse & better).any(axis=1)


def _paired(
    pairs: Sequence[tuple[RunRecord, RunRecord]], mask: np.ndarray, resamples: int, seed: int
) -> pd.DataFrame:
    """Each pair's first record against its second on the masked test rows, by row of the first; without a verdict."""
    # (pairs, rows): 1 where only the run is right, -1 where only the reference is, 0 where they agree
    gains = np.array([run.correct[mask].astype(np.int8) - other.correct[mask] for run, other in pairs])
    p_values = np.array([_mcnemar(gain) for gain in gains])
    adjusted = holm(p_values)
    names = np.array([row_of(run.run) for run, _ in pairs])
    lines = {}
    for name in in_order(sorted(set(names))):
        own = names == name
        low, high = pigeonhole(gains[own], resamples, seed)
        lines[name] = {
            "seeds": own.sum(), "difference": gains[own].mean(), "low": low, "high": high,
            "p_lowest": p_values[own].min(), "p_highest": p_values[own].max(),
            "holm_lowest": adjusted[own].min(), "holm_highest": adjusted[own].max(),
            "seeds_differ": (adjusted[own] < LEVEL).sum(),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("row")


def _mask(records: Sequence[RunRecord], view: str) -> np.ndarray:
    """The view's test rows, (rows,) bool; the same for all records."""
    first = records[0]
    for record in records:
        # Not data_sha256, which also covers the text that an encoder was pretrained on.
        if (record.corpus, record.row_views) != (first.corpus, first.row_views):
            raise LaghuError(f"{record.run} and {first.run} are not on the same test rows; run the study again")
    if view not in first.views:
        raise LaghuError(f"no view {view!r} of the test rows; there are {', '.join(first.views)}")
    return first.views[view]


def _mcnemar(gain: np.ndarray) -> float:
    """p of McNemar's exact test, two-sided; 1 where the two classifiers never differ."""
    only_run, only_other = int((gain > 0).sum()), int((gain < 0).sum())
    return float(binomtest(only_run, only_run + only_other).pvalue) if only_run + only_other else 1.0


@lru_cache(maxsize=4)
def _drawn(size: int, resamples: int, seed: tuple[int, int]) -> np.ndarray:
    """How often each of `size` things is drawn in `size` draws with replacement, (resamples, size) float32."""
    drawn = np.random.default_rng(seed).integers(size, size=(resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size).astype(np.float32)


def _verdict(low: float, high: float, margin: float) -> str:
    if low > -margin:
        return "shown"
    return "worse" if high < -margin else "open"


def _direction(line: tuple) -> str:
    """The verdict of `against` on a line of `_paired`."""
    if line.seeds < FEWEST_SEEDS:
        return "one seed"
    if line.seeds_differ and line.low > 0:
        return "better"
    return "worse" if line.seeds_differ and line.high < 0 else "none"
