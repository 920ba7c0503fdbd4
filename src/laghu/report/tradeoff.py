"""One measure of error, time and energy: the equation of paper 3, and the Pareto front, which needs no weights.

score = P_c^1.5 (alpha T_c + beta E_c), Wallace et al. 2025 (arXiv 2502.00046). The paper's body was not seen: the form
is a third party's quotation, and reading c as the ratio of the compressed model to its baseline is ours. A baseline
scores alpha + beta, and lower is better. P is perplexity as published. Our extension to classification puts the error
ratio in its place: (1 - accuracy) over (1 - accuracy of the baseline).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from laghu.errors import LaghuError
from laghu.report import formats, style
from laghu.report.claims.papers import Papers
from laghu.report.figures import ACCURACY, Drawing
from laghu.report.rows import Row, in_order
from laghu.report.style import MUTED
from laghu.report.tables import derived

Ratio = TypeVar("Ratio", float, np.ndarray, pd.Series)

EXPONENT = 1.5
# The share of time in the weights where nobody has moved them.
EQUAL = 0.5
_ENERGY = "inference_energy.kwh_per_1000_documents"
# What a text of one run has to share with a text of another before their energies divide.
_WORK = ["timing.sequence_length", "timing.throughput_batch_size"]
# The baseline in each engine that a front is drawn for, and what tells which rows are whose.
CONTROLS = ("baseline", "quantization-fp32")
_SAME_ENGINE = ["seed", "timing.engine"]
_PRINTED = {"p": "perplexity", "t": "runtime_s", "e": "energy_kwh"}
_COLOR = "#0072b2"


# ------------------------------------------------------------------------------------------- the equation


def score(p: Ratio, t: Ratio, e: Ratio, alpha: float, beta: float) -> Ratio:
    """`p^1.5 (alpha t + beta e)`: the equation of paper 3 with every symbol read as a ratio to the baseline.

    It is linear in the weights, so a common factor of both changes no ranking.

    Args:
        p: ratio of perplexities; for a classifier (ours) of errors.
        t: ratio of times for the same work.
        e: ratio of energies for the same work.

    Raises:
        LaghuError: a ratio below 0, as changes in percent are for savings, or weights that weigh nothing.
    """
    if not (alpha >= 0 and beta >= 0 and 0 < alpha + beta < np.inf):
        raise LaghuError(f"alpha={alpha:g}, beta={beta:g} are no weights; give two numbers from 0, one of them above 0")
    for name, value in (("p", p), ("t", t), ("e", e)):
        if not np.all(np.asarray(value) >= 0):
            raise LaghuError(f"{name}={np.min(value):g} is no ratio to a baseline; half of it is 0.5, not -50")
    return p**EXPONENT * (alpha * t + beta * e)


def exchange(cost: float) -> float:
    """The ratio of errors that a ratio of costs pays for: with it, a model scores as its baseline does.

    Half the cost gives 2^(1/1.5) = 1.587 times the errors.
    """
    return cost ** (-1 / EXPONENT)


# ------------------------------------------------------------------------------------------ several rows


class Span(NamedTuple):
    """The shares of time, `alpha / (alpha + beta)`, between which a row comes first."""

    low: float
    high: float
    row: str


def ranking(ratios: pd.DataFrame, share: float = EQUAL) -> pd.DataFrame:
    """The rows in the order of their scores at weights (share, 1 - share), with what the front says of them.

    Args:
        ratios: columns p, t and e, by row.
        share: of time in the weights, 0 to 1.

    Returns:
        The ratios with `score`; `rank` from 1, the same for equal scores; `front`; and `above`, the number of rows of
        the front that score higher than a row which is not on it.
    """
    scores = score(ratios["p"], ratios["t"], ratios["e"], share, 1 - share)
    best = front(ratios)
    above = [0 if best[row] else int((scores[best] > scores[row]).sum()) for row in ratios.index]
    table = ratios.assign(score=scores, rank=scores.rank(method="min").astype(int), front=best, above=above)
    return table.sort_values("score", kind="stable")


def dominates(ratios: pd.DataFrame) -> pd.DataFrame:
    """Whether a row (line) is no worse than another (column) in p, t and e, and better in one; (rows, rows) bool."""
    points = ratios[["p", "t", "e"]].to_numpy()
    better = (points[:, None] <= points).all(axis=-1) & (points[:, None] < points).any(axis=-1)
    return pd.DataFrame(better, ratios.index, ratios.index)


def front(ratios: pd.DataFrame) -> pd.Series:
    """Which rows no other dominates in errors, time and energy; by row.

    `statistics.pareto` is of one cost and the same where time and energy are.
    """
    return ~dominates(ratios).any(axis=0)


def crossing(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The share of time at which two rows score the same; None if one comes before the other at all of them.

    At weights (a, 1 - a) a score is a straight line from `p^1.5 e` at a = 0 to `p^1.5 t` at a = 1. Two such lines meet
    once, or never, or are the same.

    Args:
        one, other: (p, t, e).
    """
    (start, end), (other_start, other_end) = _ends(*one), _ends(*other)
    slopes = (end - start) - (other_end - other_start)
    if slopes == 0:
        return None
    share = (other_start - start) / slopes
    return float(share) if 0 < share < 1 else None


def breakpoints(ratios: pd.DataFrame) -> pd.DataFrame:
    """Where pairs of rows change places: columns `one`, `other` and `share` of time, by rising share."""
    lines = {row: tuple(values) for row, values in ratios[["p", "t", "e"]].iterrows()}
    found = [(one, other, share) for one, other in combinations(lines, 2)
             if (share := crossing(lines[one], lines[other])) is not None]
    return pd.DataFrame(found, columns=["one", "other", "share"]).sort_values("share", ignore_index=True)


def winners(ratios: pd.DataFrame) -> list[Span]:
    """Which row comes first at which share of time, from all energy (0) to all time (1); equal rows in table order."""
    ends = [0.0, *breakpoints(ratios)["share"].unique(), 1.0]
    spans: list[Span] = []
    for low, high in pairwise(ends):
        share = (low + high) / 2
        row = score(ratios["p"], ratios["t"], ratios["e"], share, 1 - share).idxmin()
        if spans and spans[-1].row == row:
            low = spans.pop().low
        spans.append(Span(low, high, row))
    return spans


def _ends(p: float, t: float, e: float) -> tuple[float, float]:
    """The score where energy alone counts, and where time alone does."""
    return score(p, t, e, 0, 1), score(p, t, e, 1, 0)


# ------------------------------------------------------------------------------- where the ratios come from


@dataclass(frozen=True)
class Comparison:
    """Ratios of rows to one baseline, each measured several times.

    `samples`: columns p, t and e, by row and by what was repeated, which `repeated` names; rows in table order.
    `error`: what p is a ratio of. `unscored`: labels of rows for which a ratio is missing. `notes`: what else a reader
    has to know, in sentences.
    """

    samples: pd.DataFrame
    baseline: str
    labels: dict[str, str]
    repeated: str
    error: str
    unscored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ratios(self) -> pd.DataFrame:
        """Means over the samples of each row; columns p, t and e."""
        return self.samples.groupby(level="row", sort=False).mean()

    @property
    def deviations(self) -> pd.DataFrame:
        """Sample standard deviations as `ratios`, nan for a single sample."""
        return self.samples.groupby(level="row", sort=False).std()


def of_study(frame: pd.DataFrame, control: str = "baseline") -> Comparison:
    """Ratios of the rows of one engine to the control of the same engine and seed, from the frame of a study's records.

    P is the ratio of errors on the clean view, our extension. T is 1 over the speed-up, which was timed in turns with
    the control at the study's batch size. E is the ratio of energies per 1,000 texts. Rows of another engine are left
    out, as what was not timed under the same conditions stands on no front beside these.

    Args:
        control: of `CONTROLS`, the baseline as that engine runs it; its ratios are 1.

    Raises:
        LaghuError: no such control; runs of one seed on different machines, or at different lengths or batch sizes; a
            control without errors; or no run with all three ratios.
    """
    if control not in CONTROLS:
        raise LaghuError(f"{control!r} is no control of an engine; there are {', '.join(CONTROLS)}")
    frame = derived(frame)
    timed = frame[frame["speed_up.median"].notna()]
    controls = timed[timed["row"] == control].set_index(_SAME_ENGINE)
    if (1 - controls[ACCURACY] <= 0).any():
        raise LaghuError("a baseline makes no error, so there is no ratio of errors to it")
    encoders = timed[pd.MultiIndex.from_frame(timed[_SAME_ENGINE]).isin(controls.index)]
    # The line of each run's control, by the run's name.
    own = controls.reindex(pd.MultiIndex.from_frame(encoders[_SAME_ENGINE])).set_axis(encoders.index)
    _refuse_other_work(encoders, own)
    ratios = pd.DataFrame({
        "row": encoders["row"], "sample": encoders["seed"], "p": (1 - encoders[ACCURACY]) / (1 - own[ACCURACY]),
        "t": 1 / encoders["speed_up.median"], "e": encoders[_ENERGY] / own[_ENERGY],
    }).dropna()
    if ratios.empty:
        raise LaghuError(f"no run has a time and an energy beside those of {control} in its engine and at its seed; "
                         "a score needs both")
    ratios.loc[ratios["row"] == control, ["p", "t", "e"]] = 1.0  # by definition; timed, it is 1 within the noise
    rows = in_order(list(ratios["row"].unique()))
    unscored = in_order(list(_of_no_other(frame, control) - set(rows)))
    return Comparison(
        ratios.set_index(["row", "sample"]).sort_index().loc[rows], control,
        {row: Row.parse(row).label for row in rows}, "seed", "errors",
        tuple(Row.parse(row).label for row in unscored),
        (_in_accuracy(controls), _resolution(controls), *_same_work(encoders, own, ratios), *_estimated(encoders)),
    )


def _of_no_other(frame: pd.DataFrame, control: str) -> set[str]:
    """The rows of a study but those that stand beside another engine's control."""
    others = frame[frame["row"].isin(set(CONTROLS) - {control})].set_index(_SAME_ENGINE).index
    return set(frame[~pd.MultiIndex.from_frame(frame[_SAME_ENGINE]).isin(others)]["row"])


def of_paper(papers: Papers, family: str) -> Comparison:
    """Ratios of the variants that paper 3's extra tables print for a family of models, to the `Base` of each data set.

    Their mean over data sets is the paper's own average change, plus 1.

    Raises:
        LaghuError: the tables have no such family.
    """
    printed = papers.quantisation[papers.quantisation["model_family"] == family]
    if printed.empty:
        known = ", ".join(papers.quantisation["model_family"].unique())
        raise LaghuError(f"paper 3's tables have no family {family!r}; there are {known}")
    numbers = printed.set_index(["variant", "dataset"])[list(_PRINTED.values())].astype(float)
    ratios = numbers.div(numbers.loc["Base"], level="dataset").set_axis(list(_PRINTED), axis=1)
    variants = list(printed["variant"].unique())
    return Comparison(ratios.rename_axis(["row", "sample"]), "Base", dict(zip(variants, variants, strict=True)),
                      "data set", "perplexity")


def _refuse_other_work(encoders: pd.DataFrame, own: pd.DataFrame) -> None:
    for field in _WORK:
        differing = encoders.index[encoders[field] != own[field]]
        for run in differing:
            raise LaghuError(f"{run} has {field} {encoders[field][run]:g}, its baseline {own[field][run]:g}; their "
                             "energies per text don't compare, so run both with the same settings")


def _in_accuracy(baselines: pd.DataFrame) -> str:
    errors = (1 - baselines[ACCURACY]).mean()
    point = 0.01
    return (
        f"The baseline is wrong on {_percent(errors)} of the clean texts. At half its cost, a model may be wrong on "
        f"{_percent(errors * exchange(0.5))} and scores no worse; one point of accuracy is worth "
        f"{_percent(1 - (1 + point / errors) ** -EXPONENT)} of the cost. Both follow from the exponent and from the "
        "baseline's own errors: the fewer those are, the more a point counts."
    )


def _resolution(baselines: pd.DataFrame) -> str:
    timed = 1 / baselines["speed_up.median"]
    return (f"Timed in turns with itself, the baseline takes {timed.min():.3f} to {timed.max():.3f} of its own time: "
            "what is closer than that is not told apart.")


def _same_work(encoders: pd.DataFrame, own: pd.DataFrame, ratios: pd.DataFrame) -> list[str]:
    """What rows of the baseline's shape and precision are measured at; by their work it would be 1."""
    # Weights as integers are other work, which the precision of the rest does not say.
    alike = pd.Series([row not in CONTROLS and Row.parse(row).of is None for row in encoders["row"]], encoders.index)
    for field in ("parameters.total", "flops_per_token", "precision"):
        alike &= encoders[field] == own[field]
    means = ratios[alike.loc[ratios.index]].groupby("row")[["t", "e"]].mean()
    if means.empty:
        return []
    parts = [f"{Row.parse(row).label}: time {means.loc[row, 't']:.3f}, energy {means.loc[row, 'e']:.3f}"
             for row in in_order(list(means.index))]
    return ["Rows of the baseline's shape and precision do the same work, and their ratios would be 1 if nothing "
            f"disturbed them. Measured: {'; '.join(parts)}. Times are taken in turns; an energy is that of a run's own "
            "window over that of its baseline's, at another moment."]


def _estimated(encoders: pd.DataFrame) -> list[str]:
    parts = [part for part in ("cpu", "gpu", "ram")
             if (encoders.reindex(columns=[f"inference_energy.source.{part}"]) == "estimated").to_numpy().any()]
    if not parts:
        return []
    return [f"The energy of {' and '.join(part.upper() for part in parts)} is estimated from time and not metered: it "
            "can say little that time does not."]


# ------------------------------------------------------------------------------------------- what it says


def statements(comparison: Comparison) -> list[str]:
    """What the equation does with these rows, and where the front says otherwise; sentences of plain text."""
    return [_first(comparison), _weights(comparison), _front(comparison), _dominated(comparison), _decides(comparison),
            _better(comparison), _exchange(comparison), *comparison.notes]


def _first(comparison: Comparison) -> str:
    table = ranking(comparison.ratios)
    first = table.index[0]
    samples = [ranking(ratios.droplevel("sample")).index[0]
               for _, ratios in comparison.samples.groupby(level="sample", sort=False)]
    text = f"First at α = β: {comparison.labels[first]}, score {table['score'].iloc[0]:.3f}"
    if len(samples) == 1:
        return f"{text}, of one {comparison.repeated}."
    return f"{text}. Taken one by one, it is first in {samples.count(first)} of {len(samples)} {comparison.repeated}s."


def _weights(comparison: Comparison) -> str:
    spans = winners(comparison.ratios)
    rows = len(comparison.ratios)
    moved = f"Pairs that change places on the way: {len(breakpoints(comparison.ratios))} of {rows * (rows - 1) // 2}."
    if len(spans) == 1:
        return f"{comparison.labels[spans[0].row]} stays first from all energy to all time. {moved}"
    parts = [f"{comparison.labels[span.row]} up to {span.high:.2f}" for span in spans[:-1]]
    return (f"As the share of time, α / (α + β), goes from 0 to 1, first comes {', then '.join(parts)}, then "
            f"{comparison.labels[spans[-1].row]}. {moved}")


def _front(comparison: Comparison) -> str:
    best = front(comparison.ratios)
    ever = {span.row for span in winners(comparison.ratios)}
    never = [comparison.labels[row] for row in best.index[best] if row not in ever]
    text = f"On the Pareto front of {comparison.error}, time and energy: {best.sum()} of {len(best)} rows."
    return f"{text} Of these, first at no weights: {'; '.join(never)}." if never else f"{text} Each is first somewhere."


def _dominated(comparison: Comparison) -> str:
    table, beats = ranking(comparison.ratios), dominates(comparison.ratios)
    early, off = table[table["above"] > 0], (~table["front"]).sum()
    if early.empty:
        return "Off the front, but before a row of it at α = β: none."
    row = early.index[0]
    by = comparison.labels[beats.loc[table.index, row].idxmax()]  # the best-placed of those that beat it
    return (f"Off the front, but before a row of it at α = β: {len(early)} of {off} rows. The first of them is "
            f"{comparison.labels[row]}, before {early.loc[row, 'above']} of the front and beaten by {by}.")


def _decides(comparison: Comparison) -> str:
    ratios = comparison.ratios
    cost, quality = EQUAL * ratios["t"] + (1 - EQUAL) * ratios["e"], ratios["p"] ** EXPONENT
    return (f"What decides: {comparison.error} multiply the score by {quality.min():.2f} to {quality.max():.2f}, the "
            f"cost by {cost.min():.2f} to {cost.max():.2f}.")


def _better(comparison: Comparison) -> str:
    table = ranking(comparison.ratios).drop(index=comparison.baseline)
    better = table[table["score"] < 1]
    text = f"Better than the baseline at α = β: {len(better)} of {len(table)} rows"
    worse = f"; with more {comparison.error} than it: {(better['p'] > 1).sum()} of these" if len(better) else ""
    return f"{text}{worse}."


def _exchange(comparison: Comparison) -> str:
    return (f"The exponent {EXPONENT:g} is a rate of exchange: half the time and energy pays for "
            f"{_percent(exchange(0.5) - 1)} more {comparison.error}, a tenth less of both for "
            f"{_percent(exchange(0.9) - 1)} more.")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}\N{NO-BREAK SPACE}%"


# ------------------------------------------------------------------------------------------ table and figure


def rendered(comparison: Comparison) -> pd.DataFrame:
    """The ranking at equal weights as text, by row label; ratios are mean ± standard deviation over the samples."""
    table, deviations = ranking(comparison.ratios), comparison.deviations
    scale = formats.Unit(1, "", 3)
    text = pd.DataFrame(index=pd.Index([comparison.labels[row] for row in table.index]))
    text["Rank"] = table["rank"].map(str).to_numpy()
    text["Score"] = table["score"].map(scale.number).to_numpy()
    for name, heading in (("p", comparison.error.capitalize()), ("t", "Time"), ("e", "Energy")):
        spreads = zip(table[name], deviations.loc[table.index, name], strict=True)
        text[f"{heading}, ratio"] = [scale.spread(*spread) for spread in spreads]
    text["Pareto front"] = [standing(line.front, line.above) for line in table.itertuples()]
    return text


def standing(on_front: bool, above: int) -> str:
    """What the table says of a row and the front."""
    if on_front:
        return "on it"
    return f"off, before {above}" if above else "off"


def against_front(comparison: Comparison) -> Drawing:
    """The rows by cost at equal weights and by errors, with the lines on which all scores are the same.

    On logarithmic axes these are straight, with slope -1/1.5: what the equation calls equal, whatever the front says.

    Raises:
        LaghuError: a row without errors, which has no place on a logarithmic axis.
    """
    table = ranking(comparison.ratios)
    if (table["p"] <= 0).any():
        raise LaghuError(f"{comparison.labels[table['p'].idxmin()]} makes no error, which no logarithmic axis shows")
    cost = EQUAL * table["t"] + (1 - EQUAL) * table["e"]
    figure, axes = style.canvas(width=5.6, height=4.2)
    axes.set(xscale="log", yscale="log", xlabel="Cost, ½ (time + energy), over the baseline's",
             ylabel=f"{comparison.error.capitalize()} over the baseline's", title="One measure and the front")
    _margins(axes, cost, table["p"])
    axes.grid(visible=True, which="major")
    across = np.geomspace(*axes.get_xlim(), 60)
    obstacles = list(zip(cost, table["p"], strict=True))
    labels = [(at, height, str(rank), _COLOR if best else MUTED)
              for at, height, rank, best in zip(cost, table["p"], table["rank"], table["front"], strict=True)]
    for level, text, line in ((1.0, "score 1", "--"), (table["score"].iloc[0], "best score", ":")):
        heights = exchange(across / level)
        shown = (heights > axes.get_ylim()[0]) & (heights < axes.get_ylim()[1])
        axes.plot(across, heights, color=MUTED, linestyle=line, linewidth=1.2, zorder=1)
        obstacles += zip(across[shown], heights[shown], strict=True)
        if shown.any():
            labels.append((across[shown][-1], heights[shown][-1], text, MUTED))
    axes.scatter(cost, table["p"], s=52, linewidth=1.3, zorder=3, edgecolor=_COLOR,
                 facecolor=[_COLOR if best else "white" for best in table["front"]])
    style.label_points(axes, [item[:2] for item in labels], [item[2] for item in labels], [item[3] for item in labels],
                       obstacles)
    caption = (
        f"{comparison.error.capitalize()} against cost, both over the baseline's and on logarithmic scales, means over "
        f"{comparison.repeated}s. Numbers: rank at α = β. Filled: on the Pareto front of {comparison.error}, time and "
        "energy; hollow: rows that another equals in all three and beats in one. Time and energy share an axis here, "
        "so a row of the front may lie behind another. Along a line every score is the same: dashed that of the "
        "baseline, dotted the best."
    )
    alt = f"Scatter plot of {comparison.error} against cost. " + "; ".join(
        f"{line.rank}, {comparison.labels[row]}{', on the front' if line.front else ''}: {comparison.error} "
        f"{line.p:.2f}, cost {at:.2f}" for (row, at), line in zip(cost.items(), table.itertuples(), strict=True)) + "."
    return Drawing(figure, caption, alt, table.assign(cost=cost))


def _margins(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    """Room around the points, in proportion, and plain numbers on the axes."""
    for axis, values, limit in ((axes.xaxis, x, axes.set_xlim), (axes.yaxis, y, axes.set_ylim)):
        room = (values.max() / values.min()) ** 0.1 * 1.02
        limit(values.min() / room, values.max() * room)
        # Not the ticks of decades, which are too few for ratios near 1.
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")
