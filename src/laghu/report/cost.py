"""Tables and a figure of what the paper's encoder costs, from cost records (`laghu.cost`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from laghu.errors import LaghuError
from laghu.records import CostRecord
from laghu.report import formats, style
from laghu.report.figures import Drawing
from laghu.report.rows import Row
from laghu.report.style import LOOKS, MUTED

# Fields of the two tables of a combination; see `rendered`.
SPEED = ["parameters", "flops_per_token", "flop_bound", "speed_up.median"]
USE = ["weight_bytes", "peak_memory_bytes", "latency_ms.p50", "latency_ms.p95", "documents_per_second",
       "energy.kwh_per_1000_documents", "energy.co2e_kg_per_1000_documents"]

_HEADINGS = {
    "parameters": "Parameters",
    "flops_per_token": "Encoder work per token",
    "flop_bound": "FLOP bound",
    "speed_up.median": "Speed-up",
    "weight_bytes": "Weights",
    "peak_memory_bytes": "Peak memory",
    "latency_ms.p50": "Time of a batch, median",
    "latency_ms.p95": "Time of a batch, 95th percentile",
    "documents_per_second": "Throughput",
    "energy.kwh_per_1000_documents": "Energy per 1,000 texts",
    "energy.co2e_kg_per_1000_documents": "CO₂e per 1,000 texts",
}
_MEASURED = [*SPEED, *USE, "speed_up.low", "speed_up.high"]
# From small batches to large.
_BATCH_COLORS = ("#56b4e9", "#0072b2", "#332288", "#000000")
_TWINS = "Distilled rows have the shapes of the pruned ones and other random weights: what differs is noise."


def frame(costs: Sequence[CostRecord]) -> pd.DataFrame:
    """One row per cell of the records, with its `precision`; nested names are joined with dots, as in the JSON.

    Raises:
        LaghuError: no records, or records of several machines.
    """
    machine(costs)
    cells = pd.json_normalize([
        {"precision": cost.precision, **cell.model_dump()} for cost in costs for cell in cost.cells
    ])
    # Where nothing was measured, json_normalize has nothing to name a column after.
    return cells.reindex(columns=list(dict.fromkeys([*cells, *_MEASURED])))


def machine(costs: Sequence[CostRecord]) -> str:
    """The machine that the records were measured on, e.g. "AMD EPYC, 1 thread" or a GPU's name.

    Raises:
        LaghuError: no records, or records of several machines: their times do not compare.
    """
    if not costs:
        raise LaghuError("there are 0 cost records; run `laghu cost` first")
    names = sorted({processor(cost.hardware) for cost in costs})
    if len(names) > 1:
        raise LaghuError(f"cost records of {len(names)} machines ({'; '.join(names)}); give those of one")
    return names[0]


def combination(costs: Sequence[CostRecord], precision: str, sequence_length: int, batch_size: int) -> pd.DataFrame:
    """The cells of one precision, sequence length and batch size, by row; as many columns as `frame`.

    Raises:
        LaghuError: it was not measured.
    """
    cells = frame(costs)
    chosen = cells[(cells["precision"] == precision) & (cells["sequence_length"] == sequence_length)
                   & (cells["batch_size"] == batch_size)]
    if chosen.empty:
        raise LaghuError(f"no cost in {precision} at {sequence_length} tokens and batches of {batch_size}; there are "
                         f"{', '.join(cells['precision'].unique())} at {_listed(cells['sequence_length'])} tokens and "
                         f"batches of {_listed(cells['batch_size'])}")
    return chosen.set_index("row")


def rendered(table: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """Chosen fields of a `combination` as text, by row label: `SPEED` or `USE`; the unit is in the heading.

    A speed-up has its quartiles behind it. Fields that no row has are left out, and "–" is a value that one lacks.
    """
    text = pd.DataFrame(index=_labels(table))
    for field in fields:
        if table[field].isna().all():
            continue
        values = pd.to_numeric(table[field])
        scale = formats.unit(field, values.median())
        heading = f"{_HEADINGS[field]} ({scale.symbol})" if scale.symbol else _HEADINGS[field]
        text[heading] = [scale.number(value) for value in values]
        if field == "speed_up.median":
            limits = zip(table["speed_up.low"], table["speed_up.high"], strict=True)
            text[heading] += [_quartiles(scale, low, high) for low, high in limits]
    return text


def speed_caption(costs: Sequence[CostRecord], precision: str, sequence_length: int, batch_size: int) -> str:
    """Caption of `rendered(..., SPEED)`."""
    cost = _of(costs, precision)
    return (
        f"Size, work and speed in {precision}, {sequence_length} tokens, batches of {batch_size}: {_encoder(cost)}, "
        f"{machine(costs)}, {cost.engine}; the same precision and engine for all rows. FLOP bound: the baseline's "
        "encoder work over the row's. Speed-up: baseline's time over the row's, median (quartiles) of "
        f"{cost.settings['repeats']} turns{_retaken(combination(costs, precision, sequence_length, batch_size))}. "
        f"{_TWINS}"
    )


def use_caption(costs: Sequence[CostRecord], precision: str, sequence_length: int, batch_size: int) -> str:
    """Caption of `rendered(..., USE)`: how memory and energy are known."""
    cost, cells = _of(costs, precision), combination(costs, precision, sequence_length, batch_size)
    largest = max(cost.settings["batch_sizes"])
    if cells["energy.kwh_per_1000_documents"].notna().any():
        sources = {part: cells[f"energy.source.{part}"].iloc[0] for part in ("cpu", "gpu", "ram")}
        known = ", ".join(f"{part.upper()} {how}" for part, how in sources.items() if how != "absent")
        energy = f"Energy: {known}, over windows of {cost.settings['energy_window']:g} s or more"
    else:
        energy = f"Energy was only read in batches of {largest}"
    return (
        f"Memory, time and energy in {precision}, {sequence_length} tokens, batches of {batch_size}: {_encoder(cost)}, "
        f"{machine(costs)}, {cost.engine}. {energy}."
    )


def across_precisions(costs: Sequence[CostRecord], sequence_length: int, batch_size: int) -> pd.DataFrame:
    """How many times faster each row is than itself in fp32, by row; one column per other precision.

    This is no effect of pruning. Precisions are measured one after the other and not in turns: these are ratios of
    median times, without quartiles.

    Raises:
        LaghuError: no fp32 record, or a record without that combination.
    """
    usual = combination(costs, "fp32", sequence_length, batch_size)["latency_ms.p50"]
    others = [cost.precision for cost in costs if cost.precision != "fp32"]
    return pd.DataFrame({
        precision: usual / combination(costs, precision, sequence_length, batch_size)["latency_ms.p50"]
        for precision in others
    }, index=usual.index)


def rendered_across_precisions(table: pd.DataFrame) -> pd.DataFrame:
    """`across_precisions` as text, by row label."""
    scale = formats.unit("speed_up.median", 1.0)
    return pd.DataFrame(
        {f"{precision} ({scale.symbol})": [scale.number(value) for value in values]
         for precision, values in table.items()},
        index=_labels(table),
    )


def across_precisions_caption(costs: Sequence[CostRecord], sequence_length: int, batch_size: int) -> str:
    """Caption of `rendered_across_precisions`."""
    return (
        "What precision gives, not pruning: time in fp32 over time in the other precision of the same row, ratio of "
        f"medians of sessions one after the other, {sequence_length} tokens, batches of {batch_size}: "
        f"{_encoder(costs[0])}, {machine(costs)}."
    )


def speed_bound(costs: Sequence[CostRecord]) -> Drawing:
    """Measured speed-up against the FLOP bound, one line of panels per precision and one panel per sequence length."""
    cells = frame(costs)
    lengths, sizes = sorted(cells["sequence_length"].unique()), sorted(cells["batch_size"].unique())
    colors = dict(zip(sizes, _shades(len(sizes)), strict=True))
    figure, panels = style.canvas(
        width=1.2 + 2.5 * len(lengths), height=1.1 + 2.3 * len(costs), nrows=len(costs), ncols=len(lengths),
        sharex=True, sharey=True, squeeze=False,
    )
    for line, cost in zip(panels, costs, strict=True):
        for axes, length in zip(line, lengths, strict=True):
            shown = cells[(cells["precision"] == cost.precision) & (cells["sequence_length"] == length)]
            _panel(axes, shown, colors)
            axes.set_title(f"{cost.precision}, {length} tokens")
        line[0].set_ylabel("Speed-up (×)")
    for axes in panels[-1]:
        axes.set_xlabel("FFN neurons removed (%)")
    figure.legend(handles=_legend(colors), loc="outside lower center", ncols=3, fontsize=9)
    data = cells[["precision", "sequence_length", "batch_size", "row", "pruning_level", "outcome", "flop_bound",
                  "speed_up.median", "speed_up.low", "speed_up.high"]]
    pruned = data[data["pruning_level"] > 0]
    lost = int((pruned["outcome"] != "measured").sum())
    missing = f" {lost} of {len(pruned)} points did not fit in the GPU's memory." if lost else ""
    caption = (
        f"Measured speed-up over the baseline of the same precision, {_encoder(costs[0])}, {machine(costs)}: median "
        "over turns; bars: quartiles. Dotted: FLOP bound, the baseline's encoder work over the row's. Open triangles: "
        f"the distilled rows, of the same shapes.{missing}"
    )
    return Drawing(figure, caption, _alt(pruned), data)


def _panel(axes: Axes, shown: pd.DataFrame, colors: dict[int, str]) -> None:
    bound = shown.groupby("pruning_level")["flop_bound"].first()
    axes.plot(100 * bound.index, bound, color=MUTED, linestyle=":", linewidth=1.6, marker="_", markersize=12)
    step = 4.0
    for place, (size, color) in enumerate(colors.items()):
        for group, fill in (("pruning", color), ("after", "white")):
            cells = shown[(shown["row"].map(_group) == group) & (shown["batch_size"] == size)]
            # Side by side, so that the bars of the batch sizes can be told apart.
            levels = 100 * cells["pruning_level"] + step * (place - (len(colors) - 1) / 2)
            axes.errorbar(
                levels, cells["speed_up.median"],
                yerr=[cells["speed_up.median"] - cells["speed_up.low"],
                      cells["speed_up.high"] - cells["speed_up.median"]],
                color=color, marker=LOOKS[group].marker, markersize=5, markerfacecolor=fill, linestyle="none",
                elinewidth=1,
            )
    axes.set_xticks(100 * bound.index)
    axes.grid(axis="x", visible=False)


def _legend(colors: dict[int, str]) -> list[Line2D]:
    sizes = [Line2D([], [], color=color, marker="s", linestyle="none", label=f"batch of {size}")
             for size, color in colors.items()]
    kinds = [Line2D([], [], color=MUTED, marker=LOOKS[group].marker, markerfacecolor=fill, linestyle="none", label=text)
             for group, fill, text in (("pruning", MUTED, "pruning"), ("after", "white", "distilled after"))]
    return [*sizes, *kinds, Line2D([], [], color=MUTED, linestyle=":", label="FLOP bound")]


def _alt(pruned: pd.DataFrame) -> str:
    ranges = pruned.groupby(["precision", "sequence_length", "pruning_level"], sort=False).agg(
        bound=("flop_bound", "first"), low=("speed_up.median", "min"), high=("speed_up.median", "max")
    )
    return "Speed-up against the share of FFN neurons removed, over batch sizes. " + "; ".join(
        f"{precision}, {length} tokens, {100 * level:g} %: bound {line.bound:.2f}×, " + (
            "out of memory" if pd.isna(line.low) else f"measured {line.low:.2f}× to {line.high:.2f}×")
        for (precision, length, level), line in zip(ranges.index, ranges.itertuples(), strict=True)) + "."


def _shades(count: int) -> list[str]:
    if count > len(_BATCH_COLORS):
        raise LaghuError(f"{count} batch sizes; the figure tells {len(_BATCH_COLORS)} apart")
    return list(_BATCH_COLORS[:count])


def _of(costs: Sequence[CostRecord], precision: str) -> CostRecord:
    for cost in costs:
        if cost.precision == precision:
            return cost
    raise LaghuError(f"no cost record in {precision}; there are {', '.join(cost.precision for cost in costs)}")


def processor(hardware: Mapping[str, Any]) -> str:
    """What of a machine a record's times depend on: its GPU, or the CPU and the threads on it."""
    if gpu := hardware.get("gpu"):
        return gpu
    threads = hardware["threads"]
    return f"{hardware['cpu']}, {threads} thread{'s' if threads > 1 else ''}"


def _encoder(cost: CostRecord) -> str:
    shape = cost.settings["shape"]
    return (f"BERT of {shape['num_hidden_layers']} layers, {shape['hidden_size']} wide, with {shape['vocab_size']:,} "
            "word pieces and random weights")


def _retaken(cells: pd.DataFrame) -> str:
    count = int(cells["retaken"].sum())
    return f" ({count} retaken because another process had the CPU)" if count else ""


def _quartiles(scale: formats.Unit, low: float, high: float) -> str:
    return f" ({scale.number(low)}–{scale.number(high)})" if low < high else ""


def _group(row: str) -> str:
    return Row.parse(row).group


def _labels(table: pd.DataFrame) -> pd.Index:
    return pd.Index([Row.parse(name).label for name in table.index])


def _listed(values: pd.Series) -> str:
    return ", ".join(map(str, sorted(values.unique())))
