"""Figures of a study: drawn from the frame of its records, with caption, alt text and the numbers drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from laghu.errors import LaghuError
from laghu.report import families, formats, style
from laghu.report.rows import GROUPS, Row, in_order, row_of
from laghu.report.statistics import pareto
from laghu.report.style import LOOKS, MUTED
from laghu.report.tables import MACHINE, derived, paper_table, seeds, summary

ACCURACY = "accuracy.clean.value"
_PRUNED = ("pruning", "joint", "after")
# Of what a paper prints: near black, which no technique but the baseline has.
_PAPER = "#333333"
_VIEWS = {"published": "as published", "deduplicated": "first occurrences", "clean": "clean"}
# What rows have to share to stand on one front; precision may differ, and is named.
_CONDITIONS = [*MACHINE, "timing.engine", "timing.sequence_length", "timing.throughput_batch_size",
               "timing.fp32_products"]

# What the first figure of the book shows: a line of rows each, what is written at which of them, and where: points
# to the right and up, and the alignment that goes with it.
_ANSWER = (
    ("Baseline", ("baseline",), "baseline", (0, -24, "center")),
    ("Pruning 25, 50, 75 %", ("pruning-25", "pruning-50", "pruning-75"), "pruning-75", (34, -14, "left")),
    ("A better teacher", ("ensemble-distillation", "ensemble-distillation-75"), "ensemble-distillation",
     (-6, 24, "left")),
    ("Smaller in every direction", ("two-step-moderate", "two-step-maximum"), "two-step-moderate", (0, 24, "center")),
    ("... better taught", ("two-step-maximum", "two-step-taught"), "two-step-taught", (9, -10, "left")),
    ("Student made for speed", ("student-deep", "student-shallow", "student-words"), "student-words",
     (-8, 12, "right")),
)

_NO_GUIDES = pd.Series(dtype=float)


@dataclass(frozen=True)
class Drawing:
    """A figure and what goes with it in a book. `data` holds the numbers drawn, in the units of the record."""

    figure: Figure
    caption: str
    alt: str
    data: pd.DataFrame


def accuracy_speed(frame: pd.DataFrame) -> Drawing:
    """Accuracy against measured speed-up, with the FLOP bound of each pruning level."""
    bounds = _bounds(frame)
    written = ", ".join(f"{bound:.2f}× at {level:g} %" for level, bound in bounds.items())
    return _trade_off(
        frame, "speed_up.median", "Accuracy and speed", "Speed-up over the fp32 baseline (×)",
        "speed-up over the fp32 baseline", guides=bounds,
        note=f"Dotted: FLOP bound of pruning in fp32, of the encoder's matrix products alone ({written})"
             f"{_above_bound(frame)}.{_other_precision(frame)}",
    )


def accuracy_parameters(frame: pd.DataFrame) -> Drawing:
    """Accuracy against the number of parameters."""
    return _trade_off(frame, "parameters.total", "Accuracy and size", "Parameters ({})", "the number of parameters")


def accuracy_training_carbon(frame: pd.DataFrame) -> Drawing:
    """Accuracy against the CO2e of training. Levels of a technique cost much the same, so they are not joined."""
    return _trade_off(
        frame, "co2e_kg", "Accuracy and the carbon of training", "CO₂e of training ({})", "the CO₂e of training",
        linewidth=0, note="Counted are a row's own stages; the teacher that they start from is the baseline.",
    )


def accuracy_inference_carbon(frame: pd.DataFrame) -> Drawing:
    """Accuracy against the CO2e of classifying 1,000 texts."""
    field = "inference_energy.co2e_kg_per_1000_documents"
    return _trade_off(frame, field, "Accuracy and the carbon of use", "CO₂e per 1,000 texts ({})",
                      "the CO₂e of classifying 1,000 texts")


def pareto_latency(frame: pd.DataFrame) -> Drawing:
    """Accuracy against the time for one text, and the rows that no other beats in both."""
    return _timed_front(frame, "latency_ms.p50", "Accuracy and time", "Time for one text ({})", "the time for one text")


def pareto_energy(frame: pd.DataFrame) -> Drawing:
    """Accuracy against the energy of classifying 1,000 texts, and the rows that no other beats in both."""
    estimated = "energy_source.cpu" in frame and (frame["energy_source.cpu"] == "estimated").any()
    return _timed_front(
        frame, "inference_energy.kwh_per_1000_documents", "Accuracy and energy", "Energy per 1,000 texts ({})",
        "the energy of classifying 1,000 texts",
        note=" The processor's part is estimated from time, not read from a counter." if estimated else "",
    )


def size(frame: pd.DataFrame) -> Drawing:
    """Accuracy against the bytes of the weights, for every row that has both: the map of all techniques.

    Raises:
        LaghuError: no row has the bytes of its weights.
    """
    frame = derived(frame)
    sized = set(frame["row"]) - set(frame.loc[frame["weight_bytes"].isna(), "row"])
    if not sized:
        raise LaghuError("no row has weight_bytes in all its runs; a map by size needs one")
    return _front(frame, in_order(list(sized)), "weight_bytes", "Accuracy and size of every technique",
                  "Size of the weights ({})", "the size of the weights on a logarithmic scale", scale_of_x="log")


def accuracy_views(frame: pd.DataFrame) -> Drawing:
    """Accuracy of paper 1's rows on the three views of the test split."""
    frame, table, left_out = _of_paper_1(frame)
    figure, axes = style.canvas(width=6, height=0.8 + 0.33 * len(table))
    fills = {"published": "white", "deduplicated": "#c9c9c9", "clean": None}
    for place, name in enumerate(table.index):
        look = LOOKS[Row.parse(name).group]
        means = [100 * table.loc[name, (f"accuracy.{view}.value", "mean")] for view in _VIEWS]
        axes.plot(means, [place] * len(means), color=look.color, linewidth=1, alpha=0.4, zorder=1)
        for (view, fill), mean in zip(fills.items(), means, strict=True):
            single = 100 * frame.loc[frame["row"] == name, f"accuracy.{view}.value"]
            axes.scatter(single, [place + 0.24] * len(single), s=7, color=look.color, alpha=0.5, linewidth=0)
            axes.scatter(mean, place, s=46, marker="o", facecolor=fill or look.color, edgecolor=look.color,
                         linewidth=1.4, zorder=2)
    for view, fill in fills.items():
        axes.scatter([], [], s=46, facecolor=fill or MUTED, edgecolor=MUTED, linewidth=1.4, label=_VIEWS[view])
    axes.set(xlabel="Accuracy (%)", title="Accuracy by view")
    axes.set_yticks(range(len(table)), [Row.parse(name).label for name in table.index])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    rows = {view: f"{frame[f'rows.{view}'].iloc[0]:,}" for view in _VIEWS}
    caption = (f"Accuracy on all {rows['published']} test rows as published, on the {rows['deduplicated']} first "
               f"occurrences among them, and on the {rows['clean']} clean ones. Large points: mean over "
               f"{seeds(frame)}; small points: single seeds.{left_out}{_invented(frame)}")
    alt = "Dot plot of accuracy, one line per row, as published, deduplicated and clean. " + "; ".join(
        f"{Row.parse(name).label} " + ", ".join(
            f"{100 * table.loc[name, (f'accuracy.{view}.value', 'mean')]:.1f}" for view in _VIEWS) + " %"
        for name in table.index) + "."
    data = table[[f"accuracy.{view}.value" for view in _VIEWS]]
    return Drawing(figure, caption, alt, _flat(data))


def speed_bound(frame: pd.DataFrame) -> Drawing:
    """Measured speed-up against the FLOP bound at each pruning level, and what the paper prints."""
    table, bounds = summary(frame), _bounds(frame)
    fp32 = {group: [name for name in table.index if Row.parse(name).group == group
                    and Row.parse(name).precision == "fp32"] for group in _PRUNED}
    figure, axes = style.canvas()
    axes.plot([0, *bounds.index], [1, *bounds], color=MUTED, linestyle=":", linewidth=1.6, marker="_", markersize=14)
    labels = [(bounds.index[-1], bounds.iloc[-1], "FLOP bound", MUTED)]
    obstacles = _along([0, *bounds.index], [1, *bounds])
    for shift, (group, names) in zip((-2.4, 0, 2.4), fp32.items(), strict=True):
        if not names:
            continue
        levels = [Row.parse(name).level + shift for name in names]
        median, low, high = (table.loc[names, (f"speed_up.{part}", "mean")] for part in ("median", "low", "high"))
        axes.errorbar(levels, median, yerr=[median - low, high - median], color=LOOKS[group].color,
                      marker=LOOKS[group].marker, markersize=7, linestyle="none", elinewidth=1.2)
        labels.append((levels[-1], median.iloc[-1], GROUPS[group], LOOKS[group].color))
        obstacles += zip(levels, median, strict=True)
    printed = paper_table().dropna(subset=["speedup_x"])
    for distilled, fill, text in (("no", "none", "paper, pruning"), ("yes", _PAPER, "paper, with distillation")):
        lines = printed[printed["distilled"] == distilled]
        axes.scatter(lines["pruning_pct"], lines["speedup_x"], marker="v", s=52, facecolor=fill, edgecolor=_PAPER,
                     linewidth=1.3, zorder=3)
        labels.append((lines["pruning_pct"].iloc[0], lines["speedup_x"].iloc[0], text, _PAPER))
        obstacles += zip(lines["pruning_pct"], lines["speedup_x"], strict=True)
    axes.set(xlabel="FFN neurons removed (%)", ylabel="Speed-up over the baseline (×)", xlim=(-6, 106),
             title="Speed-up, measured and possible", xticks=[0, *bounds.index])
    axes.grid(axis="x", visible=False)
    style.label_points(axes, [item[:2] for item in labels], [item[2] for item in labels], [item[3] for item in labels],
                       obstacles)
    above = sum(line.speedup_x > bounds.get(line.pruning_pct, float("inf")) for line in printed.itertuples())
    shown = frame[frame["run"].map(row_of).isin({name for names in fp32.values() for name in names})]
    caption = (
        f"Measured speed-up of the pruned models in fp32 (median over turns, mean over {seeds(shown)}; bars: "
        "quartiles) and the FLOP bound, the baseline's matrix products over the pruned model's. Triangles that point "
        f"down: the factors that the paper prints for its own encoder, {above} of {len(printed)} "
        "above the bound of this one."
    )
    alt = "Speed-up against the share of FFN neurons removed. " + "; ".join(
        f"{level:g} %: bound {bound:.2f}×, " + ", ".join(
            f"{GROUPS[group].lower()} {table.loc[name, ('speed_up.median', 'mean')]:.2f}×"
            for group, names in fp32.items() for name in names if Row.parse(name).level == level)
        for level, bound in bounds.items()) + "; paper: " + ", ".join(
        f"{line.speedup_x:.2f}× at {line.pruning_pct:g} %{' with distillation' if line.distilled == 'yes' else ''}"
        for line in printed.itertuples()) + "."
    data = table[["flop_bound", "speed_up.median", "speed_up.low", "speed_up.high"]]
    return Drawing(figure, caption, alt, _flat(data))


def answer(frame: pd.DataFrame) -> Drawing:
    """What pruning, distillation and a model of its own buy: accuracy against speed-up, far beyond pruning's bound.

    Only rows in fp32 and PyTorch, so that what an engine or a precision gives is in none of the factors.
    """
    table, bounds = summary(frame), _bounds(frame)
    timed = table.index[table["speed_up.median", "mean"].notna()]
    figure, axes = style.canvas(width=6.2, height=4.7)
    axes.set_xscale("log")
    drawn: list[str] = []
    for text, rows, named, (across, up, side) in _ANSWER:
        if not (names := [name for name in rows if name in timed]):
            continue
        drawn += [name for name in names if name not in drawn]
        look = LOOKS[Row.parse(names[-1]).group]
        x, y = table.loc[names, ("speed_up.median", "mean")], 100 * table.loc[names, (ACCURACY, "mean")]
        low, high = (100 * table.loc[names, (f"accuracy.clean.{end}", "mean")] for end in ("low", "high"))
        axes.plot(x, y, color=look.color, linewidth=1.2, alpha=0.55, zorder=1)
        axes.errorbar(x, y, yerr=[y - low, high - y], fmt="none", ecolor=look.color, elinewidth=1.1, alpha=0.5)
        axes.scatter(x, y, s=72 * look.size, marker=look.marker, color=look.color, edgecolor="white", linewidth=0.6,
                     zorder=3)
        at = named if named in names else names[-1]
        axes.annotate(text, (x[at], y[at]), xytext=(across, up), textcoords="offset points", ha=side, va="center",
                      fontsize=9, color=look.color)
    printed = paper_table()["speedup_x"].max()
    axes.set_xlim(0.8, 1.6 * max(table.loc[drawn, ("speed_up.median", "mean")].max(), printed))
    axes.axvline(printed, color=_PAPER, linestyle=":", linewidth=1.3, zorder=0.8)
    axes.annotate(f"{printed:g}×, as printed", (printed, 0.04), xycoords=("data", "axes fraction"), xytext=(6, 0),
                  textcoords="offset points", fontsize=9, color=_PAPER)
    labels: list[tuple[float, float, str, str]] = []
    dashed = _classical_line(axes, printed, table, labels, [])
    for at, level, text, color in labels:
        axes.annotate(text, (at, level), xytext=(8, 10), textcoords="offset points", va="center", fontsize=9,
                      color=color)
    allowed = ""
    if len(bounds):
        axes.axvspan(1, bounds.max(), color=LOOKS["pruning"].color, alpha=0.1, linewidth=0, zorder=0)
        allowed = f" Shaded: what the arithmetic saved by pruning allows, up to {bounds.max():.2f}×."
    axes.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}×", minor_locator=NullLocator())
    axes.set(xlabel="Speed-up over the baseline (logarithmic)", ylabel="Accuracy, clean test rows (%)",
             title="What buys speed, and what buys accuracy")
    axes.margins(y=0.12)
    shown = frame[frame["run"].map(row_of).isin(drawn)]
    caption = (
        "Accuracy on the clean test rows against speed-up over the baseline, in fp32 and one engine, from token ids to "
        f"label; mean over {seeds(shown)}; bars: 95 % bootstrap interval over test rows (mean of the seeds' limits)."
        f"{allowed} Dotted: the factor of {printed:g} that the paper prints at the baseline's accuracy.{dashed}"
        f"{_invented(frame)}"
    )
    alt = "Scatter plot of accuracy on clean test rows against speed-up over the baseline. " + "; ".join(
        f"{Row.parse(name).label}: {100 * table.loc[name, (ACCURACY, 'mean')]:.1f} % at "
        f"{table.loc[name, ('speed_up.median', 'mean')]:.2f}×" for name in drawn) + "."
    data = table.loc[drawn, [ACCURACY, "accuracy.clean.low", "accuracy.clean.high", "speed_up.median"]]
    return Drawing(figure, caption, alt, _flat(data))


# Names by which pages ask for a figure.
FIGURES: dict[str, Callable[[pd.DataFrame], Drawing]] = {
    "answer": answer,
    "accuracy-speed": accuracy_speed,
    "accuracy-parameters": accuracy_parameters,
    "accuracy-training-carbon": accuracy_training_carbon,
    "accuracy-inference-carbon": accuracy_inference_carbon,
    "pareto-latency": pareto_latency,
    "pareto-energy": pareto_energy,
    "size": size,
    "accuracy-views": accuracy_views,
    "speed-bound": speed_bound,
}


def _trade_off(
    frame: pd.DataFrame, field: str, title: str, label: str, against: str, note: str = "",
    guides: pd.Series = _NO_GUIDES, linewidth: float = 1.2,
) -> Drawing:
    """Accuracy on the clean view against one cost; rows of a technique are joined, a smaller marker is a smaller model.

    Shown are the rows of `families.PAPER_1`: lines of many more techniques would hide each other. The classical row is
    a horizontal line: it has no place on most of the costs, and dwarfs the others on some.

    Args:
        label: of the horizontal axis; `{}` stands for the unit.
        guides: vertical lines, by pruning level in percent.
    """
    frame, table, left_out = _of_paper_1(frame)
    drawn = table[table[field, "mean"].notna() & (table.index != "classical")]
    scale = formats.unit(field, drawn[field, "mean"].median())
    x, y = scale.factor * drawn[field, "mean"], 100 * drawn[ACCURACY, "mean"]
    figure, axes = style.canvas()
    labels: list[tuple[float, float, str, str]] = []
    obstacles = list(zip(x, y, strict=True))
    for group in GROUPS:
        names = [name for name in drawn.index if Row.parse(name).group == group]
        if not names:
            continue
        look = LOOKS[group]
        # A technique's line starts where the technique does: at the model that it prunes.
        start = ["baseline"] if group in _PRUNED and "baseline" in drawn.index else []
        axes.plot(x[start + names], y[start + names], color=look.color, linewidth=linewidth, alpha=0.55, zorder=1)
        obstacles += _along(x[start + names], y[start + names])
        for name in names:
            interval = [100 * table.loc[name, (f"accuracy.clean.{end}", "mean")] for end in ("low", "high")]
            axes.vlines(x[name], *interval, color=look.color, linewidth=1, alpha=0.35, zorder=1)
            runs = frame[frame["row"] == name]
            obstacles += zip(scale.factor * runs[field], 100 * runs[ACCURACY], strict=True)
            axes.scatter(scale.factor * runs[field], 100 * runs[ACCURACY], s=8, color=look.color, alpha=0.5,
                         linewidth=0)
            axes.scatter(x[name], y[name], s=look.size * (90 - 0.8 * Row.parse(name).level), color=look.color,
                         marker=look.marker, edgecolor="white", linewidth=0.6, zorder=3)
        labels.append((x[names[-1]], y[names[-1]], GROUPS[group], look.color))
    symbol = "" if scale.symbol == "×" else scale.symbol
    axes.set(xlabel=label.format(symbol), ylabel="Accuracy, clean test rows (%)", title=title)
    for level, place in guides.items():
        axes.axvline(place, color=MUTED, linestyle=":", linewidth=1.2, zorder=0)
        axes.annotate(f"{level:g} %\n{place:.2f}×", (place, 1), xycoords=("data", "axes fraction"), xytext=(3, -1),
                      textcoords="offset points", va="top", color=MUTED, fontsize=8)
    low, high = min([*x, *guides]), max([*x, *guides])
    axes.set_xlim(low - 0.12 * (high - low), high + 0.14 * (high - low))
    dashed = _classical_line(axes, axes.get_xlim()[1], table, labels, obstacles)
    if len(guides):  # room for their labels above all that is drawn
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + 0.12 * (top - bottom))
    style.label_points(axes, [item[:2] for item in labels], [item[2] for item in labels], [item[3] for item in labels],
                       obstacles)
    caption = (
        f"Accuracy on the clean test rows against {against}. Large points: mean over {seeds(frame)}, smaller for "
        f"smaller models; bars: 95 % bootstrap interval over test rows (mean of the seeds' limits); small points: "
        f"single seeds.{dashed}{note and ' ' + note}{left_out}{_invented(frame)}"
    )
    alt = f"Scatter plot of accuracy on clean test rows against {against}. " + "; ".join(
        f"{Row.parse(name).label}: {y[name]:.1f} % at {scale.with_symbol(scale.number(value))}"
        for name, value in drawn[field, "mean"].items()) + "."
    return Drawing(figure, caption, alt, _flat(table[[ACCURACY, "accuracy.clean.low", "accuracy.clean.high", field]]))


def _timed_front(frame: pd.DataFrame, field: str, title: str, label: str, against: str, note: str = "") -> Drawing:
    """The front of rows measured under equal conditions (`_CONDITIONS`): those that most runs share.

    Rows with a run of others are left out and named. So is the classical row, which is timed by another engine.

    Raises:
        LaghuError: no row has this cost in all its runs under the same conditions.
    """
    frame = derived(frame)
    costed = frame[frame[field].notna() & (frame["row"] != "classical")]
    of_runs = costed.reindex(columns=_CONDITIONS).itertuples(index=False, name=None)
    conditions = pd.Series(map(str, of_runs), costed.index, dtype=str)
    unequal = set(costed.loc[~conditions.isin(conditions.mode()[:1]), "row"])
    if not (rows := in_order(list(set(costed["row"]) - unequal))):
        raise LaghuError(f"no row has {field}, measured under the same conditions in all its runs; a front needs one")
    left_out = "; ".join(Row.parse(name).label for name in in_order(list(unequal)))
    return _front(frame, rows, field, title, label, against,
                  note + (f" Left out, measured under other conditions: {left_out}." if left_out else ""))


def _front(
    frame: pd.DataFrame, rows: Sequence[str], field: str, title: str, label: str, against: str, note: str = "",
    scale_of_x: str = "linear",
) -> Drawing:
    """Accuracy on the clean view of the rows against one cost to be kept low, with their Pareto front.

    A marker tells the technique, and a label which row of it is on the front; names of all others would hide what they
    name. The classical row is a horizontal line.

    Args:
        scale_of_x: "linear" or "log".
    """
    frame, table = derived(frame), summary(frame)
    drawn = table.loc[list(rows)]
    scale = formats.unit(field, drawn[field, "mean"].median())
    x, y = scale.factor * drawn[field, "mean"], 100 * drawn[ACCURACY, "mean"]
    across = (scale.factor * drawn[field, "std"]).fillna(0)
    low, high = (100 * drawn[f"accuracy.clean.{end}", "mean"] for end in ("low", "high"))
    best = pd.Series(pareto(x, y), drawn.index)
    figure, axes = style.canvas(width=6.4, height=5.4)
    labels: list[tuple[float, float, str, str]] = []
    obstacles: list[tuple[float, float]] = []
    for name in drawn.index:
        row, look = Row.parse(name), LOOKS[Row.parse(name).group]
        axes.errorbar(x[name], y[name], xerr=across[name] or None, yerr=[[y[name] - low[name]], [high[name] - y[name]]],
                      fmt="none", ecolor=look.color, elinewidth=1.1, alpha=0.75 if best[name] else 0.22, zorder=2)
        axes.scatter(x[name], y[name], s=72 * look.size, marker=look.marker, linewidth=1.2,
                     zorder=4 if best[name] else 3, facecolor=look.color if best[name] else "white",
                     edgecolor=look.color, alpha=1 if best[name] else 0.5)
        if best[name]:
            labels.append((x[name], y[name], _short(row), look.color))
        obstacles += _along((x[name] - across[name], x[name] + across[name]), (y[name], y[name]))
        obstacles += _along((x[name], x[name]), (low[name], high[name]))
    axes.set_xscale(scale_of_x)
    along = axes.xaxis.get_transform()
    low_end, high_end = along.transform([(x - across).min(), (x + across).max()])
    margin = 0.08 * (high_end - low_end or 1)
    axes.set_xlim(*along.inverted().transform([low_end - margin, high_end + margin]))
    if scale_of_x == "log":
        axes.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())
    # What is attainable: from each row of the front to the right, up to the next better one.
    steps = x[best].sort_values()
    corners = [*steps, axes.get_xlim()[1]], [*y[steps.index], y[steps.index].iloc[-1]]
    axes.step(*corners, where="post", color="#333333", linewidth=1.3, zorder=1.5)
    obstacles += _along(np.repeat(corners[0], 2)[1:], np.repeat(corners[1], 2)[:-1])
    for group in dict.fromkeys(Row.parse(name).group for name in drawn.index):
        look = LOOKS[group]
        axes.scatter([], [], s=60 * look.size, marker=look.marker, color=look.color, label=GROUPS[group])
    axes.set(xlabel=label.format(scale.symbol), ylabel="Accuracy, clean test rows (%)", title=title)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    # At the cheap end, where the rows are few.
    dashed = _classical_line(axes, axes.get_xlim()[0], table, labels, obstacles)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.06 * (top - bottom))  # room for a label above the highest line
    style.label_points(axes, [item[:2] for item in labels], [item[2] for item in labels], [item[3] for item in labels],
                       obstacles)
    caption = (
        f"Accuracy on the clean test rows against {against}, {len(drawn)} rows, mean over "
        f"{seeds(frame[frame['row'].isin(drawn.index)])}. Filled and named, on the line: the Pareto front, rows that "
        "no other equals in both and beats in one; hollow: the others, which the data name. Bars: across, standard "
        "deviation over seeds; upright, 95 % bootstrap interval over test rows (mean of the seeds' limits). The front "
        "is one of means: where bars overlap, which row is on it is not sure."
        f"{_precisions(frame[frame['row'].isin(drawn.index)])}{note}{dashed}{_invented(frame)}"
    )
    alt = f"Scatter plot of accuracy on clean test rows against {against}. " + "; ".join(
        f"{Row.parse(name).label}{', on the front' if best[name] else ''}: {y[name]:.1f} % at "
        f"{scale.with_symbol(scale.spread(*drawn.loc[name, [(field, 'mean'), (field, 'std')]]))}"
        for name in drawn.index) + "."
    data = _flat(drawn[[ACCURACY, "accuracy.clean.low", "accuracy.clean.high", field]]).assign(front=best)
    return Drawing(figure, caption, alt, data)


def _of_paper_1(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """`derived` frame and `summary` of the rows of `families.PAPER_1`, and what a caption says of the others."""
    frame, table = derived(frame), summary(frame)
    rows = families.of_paper_1(table.index)
    return frame[frame["row"].isin(rows)], table.loc[rows], families.left_out(len(table) - len(rows))


def _short(row: Row) -> str:
    """What tells a row from others of its marker, e.g. "75 %" or "int4-weights of pruning, 75 %"."""
    if row.of:
        what = dict.fromkeys([GROUPS[row.of.group].lower(), _short(row.of).lower()])
        return row.variant if row.of.technique == "baseline" else f"{row.variant} of {', '.join(what)}"
    precision = None if row.precision == "fp32" else row.precision
    level = f"{row.level:g} %" if row.level else None
    untrained = "untrained" if row.untrained else None
    return ", ".join(filter(None, [row.variant, precision, level, untrained])) or GROUPS[row.group]


def _classical_line(
    axes: Axes, at: float, table: pd.DataFrame, labels: list[tuple[float, float, str, str]],
    obstacles: list[tuple[float, float]],
) -> str:
    """Draw the classical row's accuracy as a line, add its place and, `at` one end, its label; returns the caption."""
    if "classical" not in table.index:
        return ""
    level = 100 * table.loc["classical", (ACCURACY, "mean")]
    axes.axhline(level, color=MUTED, linestyle="--", linewidth=1, zorder=0.9)
    labels.append((at, level, GROUPS["classical"], MUTED))
    obstacles += _along(axes.get_xlim(), (level, level))
    return f" Dashed: {GROUPS['classical']}, {level:.1f} %."


def _precisions(frame: pd.DataFrame) -> str:
    others = sorted(set(frame["precision"]) - {"fp32"})
    return f" Rows marked {' or '.join(others)} are in that precision, all others in fp32." if others else ""


def _along(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Points along a line through the given ones, close enough for a label to see the line."""
    at = np.linspace(0, len(x) - 1, 30 * len(x))
    return list(zip(np.interp(at, range(len(x)), x), np.interp(at, range(len(y)), y), strict=True))


def _bounds(frame: pd.DataFrame) -> pd.Series:
    """FLOP bound of movement pruning by level in percent."""
    bound = summary(frame)["flop_bound", "mean"].dropna()
    bound = bound[[name for name in bound.index if Row.parse(name).group in _PRUNED]]
    levels = pd.Series({name: Row.parse(name).level for name in bound.index}, dtype=float)
    return bound.groupby(levels).first()


def _above_bound(frame: pd.DataFrame) -> str:
    """What to say of pruned runs that were measured above their FLOP bound; a run's spread are its quartiles."""
    frame = derived(frame)
    pruned = frame[frame["row"].map(lambda name: Row.parse(name).group in _PRUNED) & frame["flop_bound"].notna()]
    above = pruned[pruned["speed_up.median"] > pruned["flop_bound"]]
    beyond = int((above["speed_up.low"] > above["flop_bound"]).sum())
    if above.empty:
        return ""
    if not beyond:
        return "; measured values above it are within the spread of the measurement"
    return f"; {beyond} of {len(pruned)} runs have even their lower quartile above it"


def _other_precision(frame: pd.DataFrame) -> str:
    others = sorted(set(frame.loc[frame["technique"] == "mixed_precision", "precision"]))
    if not others:
        return ""
    return f" The {' and '.join(others)} rows differ in precision: their speed-up is not one of pruning."


def _invented(frame: pd.DataFrame) -> str:
    return " The corpus is invented: accuracies say nothing about Marathi news." if frame["synthetic"].any() else ""


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Columns `field.mean`, `field.std`, `field.count` instead of two levels."""
    return table.set_axis([".".join(column) for column in table.columns], axis=1)
