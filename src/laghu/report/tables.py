"""Tables: numbers in, numbers out. Only `rendered` and `terminal` round, and they change nothing else."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pandas as pd

from laghu import paths, records
from laghu.errors import LaghuError
from laghu.records import RunRecord, TokenRecord
from laghu.report import formats, statistics
from laghu.report.rows import Row, in_order, row_of
from laghu.spec import RunSpec, Study, TokenRun

Record = TypeVar("Record", RunRecord, TokenRecord)

# Columns of a summary, and what each is called.
HEADINGS = {
    "parameters.total": "Parameters",
    "reduction": "Removed",
    "weight_bytes": "Size of the weights",
    "size": "Size over the baseline's in fp32",
    "accuracy.published.value": "Accuracy, published",
    "accuracy.deduplicated.value": "Accuracy, deduplicated",
    "accuracy.clean.value": "Accuracy, clean",
    "macro_f1.clean.value": "Macro-F1, clean",
    "difference": "Difference to the baseline",
    "agreement": "Agreement with the teacher",
    "flops_per_token": "Encoder work per token",
    "flop_bound": "FLOP bound",
    "speed_up.median": "Speed-up",
    "latency_ms.p50": "Latency, one text",
    "documents_per_second": "Throughput",
    "train_seconds": "Training time",
    "energy_kwh": "Training energy",
    "co2e_kg": "Training CO₂e",
    "co2e_kg_with_teacher": "Training CO₂e with its teacher",
    "inference_energy.kwh_per_1000_documents": "Energy per 1,000 texts",
    "inference_energy.co2e_kg_per_1000_documents": "CO₂e per 1,000 texts",
}
# What figures need beside them.
_INTERVALS = ["accuracy.clean.low", "accuracy.clean.high", "speed_up.low", "speed_up.high"]

SUMMARIES = {
    "summary": ["parameters.total", "accuracy.clean.value", "macro_f1.clean.value", "speed_up.median", "flop_bound",
                "co2e_kg"],
    "quality": ["accuracy.published.value", "accuracy.deduplicated.value", "accuracy.clean.value",
                "macro_f1.clean.value", "agreement"],
    "speed": ["reduction", "flops_per_token", "flop_bound", "speed_up.median", "latency_ms.p50",
              "documents_per_second"],
    "energy": ["train_seconds", "energy_kwh", "co2e_kg", "co2e_kg_with_teacher",
               "inference_energy.kwh_per_1000_documents", "inference_energy.co2e_kg_per_1000_documents"],
}
# What a cell of `rendered` holds.
SPREAD = "mean ± standard deviation"
# Throughput is left out: it is the speed-up again, and the classical row's is timed differently.
_TERMINAL = ["parameters.total", "accuracy.clean.value", "speed_up.median", "flop_bound", "co2e_kg"]
# What `significance` says of each field over the seeds of a row.
_SIGNIFICANCE = {
    "accuracy.clean.value": ["mean", "std"],
    "accuracy.clean.low": ["mean"],
    "accuracy.clean.high": ["mean"],
    "difference": ["mean", "std"],
    "mcnemar.p_value": ["min", "max"],
    "agreement": ["mean", "std"],
}
# Fields whose units the quantities of Table I take.
_FIELDS = {"Parameters": "parameters.total", "Removed": "reduction", "Speed-up": "speed_up.median",
           "Accuracy": "accuracy.clean.value", "CO₂e": "co2e_kg"}
# What is known only in part of a training that was interrupted, and so is not shown.
_TRAINING_COST = ["train_seconds", "energy_kwh", "co2e_kg"]
# The views of the test split as a reader calls them.
_VIEWS = {"published": "As published", "deduplicated": "First occurrences", "clean": "Clean"}
# What two runs have to share before a time of one may stand against a time of the other.
MACHINE = ["hardware.cpu", "hardware.gpu", "hardware.threads"]


def listed(name: str) -> list[RunRecord]:
    """Records of the runs that the study's file lists, by run name; without a file all there are."""
    return _on_the_list(name, records.load_study(name), lambda study: study.runs)


def listed_tokens(name: str) -> list[TokenRecord]:
    """Records of the runs on labelled words that the study's file lists, by run name; without a file all there are."""
    return _on_the_list(name, records.load_tokens(name), lambda study: study.tokens)


def _on_the_list(
    name: str, loaded: list[Record], of: Callable[[Study], Iterable[RunSpec | TokenRun]]
) -> list[Record]:
    if not (paths.studies() / f"{name}.yaml").is_file():
        return loaded
    runs = {spec.run for spec in of(Study.load(name))}
    return [record for record in loaded if record.run in runs]


def study(name: str) -> pd.DataFrame:
    """`derived` frame of the `listed` records of a study, one row per run; empty if it has none."""
    return of_records(listed(name))


def of_records(loaded: list[RunRecord]) -> pd.DataFrame:
    """`study` of records that are loaded already."""
    return derived(records.frame(loaded)) if loaded else pd.DataFrame()


def derived(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame of `records.frame` by run, with six more columns.

    `row` is the run's name without its seed; `reduction` the fraction of the parameters that went, against the
    baseline of the same seed; `flop_bound` the baseline's FLOPs over the run's: what speed-up it could have at most if
    time went to the encoder's matrix products alone. The bound holds at equal precision, so it is only given for fp32
    in PyTorch. `size` is the bytes of the weights over the baseline's. `difference` is the accuracy on the clean view
    minus that of the baseline of the same seed, as a fraction.
    `co2e_kg_with_teacher` adds to the run's own training that of the baseline which it prunes, trims, quantises,
    distils into or trains on, or that is in the ensemble which teaches it; other runs start from no baseline and keep
    their own. Of a run whose training was interrupted, the cost of training is known only in part and left empty.

    None of these is a ratio of times: `speed_up` was measured in one process. But latency, throughput and energy of
    rows stand in one column, where a reader divides them. So an encoder and the baseline of its seed have to come from
    one machine. The classical row is timed by another engine and divides with none.

    Raises:
        LaghuError: no records, or an encoder and the baseline of its seed were measured on different machines.
    """
    if frame.empty:
        raise LaghuError("there are 0 records; run the study first")
    frame = frame.assign(row=frame["run"].map(row_of)).set_index("run", drop=False)
    if "resumed" in frame:
        frame[_TRAINING_COST] = frame[_TRAINING_COST].where(~frame["resumed"].astype(bool))
    for field in {*HEADINGS, *_INTERVALS, *_SIGNIFICANCE} & set(frame):
        frame[field] = pd.to_numeric(frame[field])
    baseline = frame[frame["row"] == "baseline"].set_index("seed")
    _refuse_mixed_machines(frame, baseline)
    parameters, flops, accuracy, co2e_kg, weight_bytes = (
        frame["seed"].map(baseline[field])
        for field in ("parameters.total", "flops_per_token", "accuracy.clean.value", "co2e_kg", "weight_bytes")
    )
    bounded = (frame["precision"] == "fp32") & (frame["technique"] != "quantization")
    starts_from_baseline = (
        frame["row"].map(lambda name: _starts_from_baseline(Row.parse(name))) | frame["taught_by_ensemble"]
    )
    return frame.assign(
        reduction=(1 - frame["parameters.total"] / parameters).where(frame["technique"] != "classical"),
        flop_bound=(flops / frame["flops_per_token"]).where(bounded),
        size=frame["weight_bytes"] / weight_bytes,
        difference=(frame["accuracy.clean.value"] - accuracy).where(frame["row"] != "baseline"),
        co2e_kg_with_teacher=frame["co2e_kg"] + co2e_kg.where(starts_from_baseline, 0.0),
    )


def seeds(frame: pd.DataFrame) -> str:
    """How many seeds a row has, e.g. "3 seeds"; "2 to 3 seeds" where rows differ."""
    counts = frame["run"].map(row_of).value_counts()
    fewest, most = counts.min(), counts.max()
    if most == 1:
        return "one seed"
    return f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"


def over_seeds(frame: pd.DataFrame, statistic: str) -> str:
    """What the cells of a table are, e.g. "mean over 3 seeds"; of one seed they are no statistic."""
    counted = seeds(frame)
    return counted if counted == "one seed" else f"{statistic} over {counted}"


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per row of the study, in the order of every table; columns are (field, "mean" | "std" | "count").

    The standard deviation is the sample's (n - 1) over seeds, nan for a single one.
    """
    frame = derived(frame)
    numbers = frame.reindex(columns=["row", *HEADINGS, *_INTERVALS])
    table = numbers.groupby("row").agg(["mean", "std", "count"])
    return table.loc[in_order(list(table.index))]


def rendered(table: pd.DataFrame, fields: list[str]) -> pd.DataFrame:
    """Chosen fields of a `summary` as text "mean ± standard deviation", by row label; the unit is in the heading."""
    text = pd.DataFrame(index=pd.Index([Row.parse(name).label for name in table.index]))
    for field in fields:
        cells = table[field]
        scale = formats.unit(field, cells["mean"].median()) if cells["mean"].notna().any() else formats.Unit(1, "", 0)
        heading = f"{HEADINGS[field]} ({scale.symbol})" if scale.symbol else HEADINGS[field]
        text[heading] = [scale.spread(m, s) for m, s in zip(cells["mean"], cells["std"], strict=True)]
    return text


def significance(frame: pd.DataFrame) -> pd.DataFrame:
    """How sure the accuracy on the clean view is, by row; columns are (field, "mean" | "std" | "min" | "max").

    The limits of the 95 % interval are the means of the seeds' limits. `difference` is paired by seed. McNemar's p is
    of each seed's own test, so it has a range and no mean.
    """
    table = derived(frame).reindex(columns=["row", *_SIGNIFICANCE]).groupby("row").agg(_SIGNIFICANCE)
    return table.loc[in_order(list(table.index))]


def rendered_significance(table: pd.DataFrame) -> pd.DataFrame:
    """`significance` as text, by row label."""
    text = rendered(table, ["accuracy.clean.value", "difference", "agreement"])
    scale = formats.unit("accuracy.clean.low", 1.0)
    limits = zip(table["accuracy.clean.low", "mean"], table["accuracy.clean.high", "mean"], strict=True)
    ranges = [f"{scale.number(low)}–{scale.number(high)}" for low, high in limits]
    p_values = [range_of_p(low, high) for low, high in table["mcnemar.p_value"].itertuples(index=False)]
    text.insert(1, f"95 % interval ({scale.symbol})", ranges)
    text.insert(3, "McNemar's exact p", p_values)
    return text


def comparison(loaded: list[RunRecord]) -> pd.DataFrame:
    """`statistics.compare` on the clean view; columns are ("clean", its column)."""
    return pd.concat({"clean": statistics.compare(loaded, "clean")}, axis=1)


def rendered_comparison(table: pd.DataFrame) -> pd.DataFrame:
    """`comparison` as text, by row label."""
    lines = table["clean"]
    scale = formats.unit("comparison.difference", 1.0)
    margin = scale.factor * statistics.MARGIN
    return pd.DataFrame({
        f"Difference ({scale.symbol})": lines["difference"].map(scale.number),
        f"95 % interval ({scale.symbol})": intervals(lines, scale),
        "Holm-adjusted p": [range_of_p(line.holm_lowest, line.holm_highest) for line in lines.itertuples()],
        "Seeds that differ": [f"{line.seeds_differ} of {line.seeds}" for line in lines.itertuples()],
        f"Not worse by {margin:g} {scale.symbol}": lines["verdict"].replace("worse", "worse by more"),
    }).rename(index=lambda name: Row.parse(name).label)


def comparison_views(loaded: list[RunRecord]) -> pd.DataFrame:
    """Difference to the baseline of the same seed on every view; columns are (view, "difference" | "low" | "high")."""
    return pd.concat({view: statistics.compare(loaded, view)[["difference", "low", "high"]] for view in _VIEWS}, axis=1)


def rendered_comparison_views(table: pd.DataFrame) -> pd.DataFrame:
    """`comparison_views` as text, by row label; columns are (view, quantity)."""
    scale = formats.unit("comparison.difference", 1.0)
    columns = {}
    for view, name in _VIEWS.items():
        columns[name, f"difference ({scale.symbol})"] = table[view, "difference"].map(scale.number)
        columns[name, f"95 % interval ({scale.symbol})"] = intervals(table[view], scale)
    return pd.DataFrame(columns).rename(index=lambda name: Row.parse(name).label)


def machines(frame: pd.DataFrame) -> str:
    """What the runs were measured on, e.g. "Some CPU, 1 thread"; several with the number of runs on each."""
    counts = pd.Series([_processors(*line) for line in _hardware(frame, *MACHINE)]).value_counts(sort=False)
    if len(counts) == 1:
        return counts.index[0]
    return "; ".join(f"{machine} ({count} {'run' if count == 1 else 'runs'})" for machine, count in counts.items())


def paper_table() -> pd.DataFrame:
    """Table I of the paper as printed, from the book's data."""
    return pd.read_csv(paths.root() / "book" / "data" / "paper1_table1.csv", comment="#")


def table_one(frame: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table I beside the same rows here, all fractions and kilograms; columns are (quantity, whose).

    The paper distils after pruning, by its text, so its distilled rows stand beside `after`. Its accuracies are on all
    test rows (the published view). What it calls speed-up is the printed factor.

    Raises:
        LaghuError: the study has no baseline.
    """
    ours = summary(frame)
    if "baseline" not in ours.index:
        raise LaghuError("Table I compares with a baseline, and this study has none")
    rows = [name for name in ours.index if Row.parse(name).group in {"baseline", "pruning", "joint", "after"}
            and Row.parse(name).precision == "fp32"]
    printed = paper.assign(row=[_row_of_paper(line) for line in paper.itertuples()]).set_index("row").reindex(rows)
    mean = ours.loc[rows].xs("mean", axis=1, level=1)
    return pd.DataFrame({
        ("Parameters", "paper"): printed["params_million"] * 1e6,
        ("Parameters", "here"): mean["parameters.total"],
        ("Removed", "paper"): printed["params_reduction_pct"] / 100,
        ("Removed", "here"): mean["reduction"].where(mean.index != "baseline"),
        ("Speed-up", "paper"): printed["speedup_x"],
        ("Speed-up", "here"): mean["speed_up.median"].where(mean.index != "baseline"),
        ("Speed-up", "FLOP bound"): mean["flop_bound"].where(mean.index != "baseline"),
        ("Accuracy", "paper"): printed["accuracy_pct"] / 100,
        ("Accuracy", "here, published view"): mean["accuracy.published.value"],
        ("Accuracy", "here, clean view"): mean["accuracy.clean.value"],
        ("CO₂e", "paper"): printed["estimated_carbon_kg_co2eq"],
        ("CO₂e", "here, training"): mean["co2e_kg"],
    })


def rendered_table_one(table: pd.DataFrame) -> pd.DataFrame:
    """`table_one` as text, by row label; the paper's numbers with the digits that it prints."""
    text = {}
    for (quantity, whose), values in table.items():
        scale = formats.unit(_FIELDS[quantity], 1.0 if values.isna().all() else values.median())
        written = [f"{value * scale.factor:.4g}" if whose == "paper" and pd.notna(value) else scale.number(value)
                   for value in values]
        text[quantity, f"{whose} ({scale.symbol})"] = written
    return pd.DataFrame(text, index=[Row.parse(name).label for name in table.index])


def runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Provenance of every run, by run: where its numbers come from and what it ran on; digests are whole."""
    frame = derived(frame)
    order = {name: place for place, name in enumerate(in_order(list(frame["row"].unique())))}
    table = pd.DataFrame({
        "row": frame["row"],
        "seed": frame["seed"],
        "commit": frame["commit"],
        "data": frame["data_sha256"],
        "hardware": [f"{_processors(*machine)}, {memory:g} GiB memory"
                     for *machine, memory in _hardware(frame, *MACHINE, "hardware.ram_gib")],
        "versions": _versions(frame),
        "run_key": frame["run_key"],
        "started": frame["started"],
        "seconds": (frame["finished"] - frame["started"]).dt.total_seconds(),
    })
    return table.sort_values(["row", "seed"], key=lambda column: column.map(order) if column.name == "row" else column)


def terminal(frame: pd.DataFrame) -> str:
    """What a study prints when it ends: its summary as plain text, by row name."""
    frame = derived(frame)
    table = summary(frame)
    text = rendered(table, _TERMINAL)
    text.index = table.index.rename(None)
    lines = [text.to_string(), over_seeds(frame, SPREAD)]
    if frame["synthetic"].any():
        lines.append("The corpus is invented: these accuracies say nothing about Marathi news.")
    return "\n".join(lines)


def _starts_from_baseline(row: Row) -> bool:
    if row.of:
        return row.of.technique == "baseline" or _starts_from_baseline(row.of)
    if row.technique == "mixed-precision":  # unpruned, it is fine-tuned in its precision
        return row.level > 0
    return row.technique not in {"classical", "baseline", "from-scratch", "two-step", "student"}


def range_of_p(low: float, high: float) -> str:
    """Lowest and highest p-value, one where they read the same; "–" where there is none."""
    if pd.isna(low):
        return "–"
    ends = [formats.show("mcnemar.p_value", p) for p in (low, high)]
    return "–".join(dict.fromkeys(ends))


def _row_of_paper(line: object) -> str:
    if not line.pruning_pct:
        return "baseline"
    return f"pruning-{line.pruning_pct:g}" + ("-after" if line.distilled == "yes" else "")


def intervals(lines: pd.DataFrame, scale: formats.Unit) -> list[str]:
    """Limits with "to" between them: a dash would pass for a sign."""
    return [f"{scale.number(low)} to {scale.number(high)}" for low, high in zip(lines["low"], lines["high"],
                                                                               strict=True)]


def _hardware(frame: pd.DataFrame, *fields: str) -> list[tuple[Any, ...]]:
    """Those fields of every run, in its order; None where a machine has no such part."""
    values = frame.reindex(columns=list(fields)).astype(object)
    return list(values.where(values.notna(), None).itertuples(index=False, name=None))


def _processors(cpu: str, gpu: str | None, threads: int) -> str:
    return ", ".join(filter(None, [gpu, cpu, f"{threads} thread{'' if threads == 1 else 's'}"]))


def _refuse_mixed_machines(frame: pd.DataFrame, baseline: pd.DataFrame) -> None:
    base = dict(zip(baseline.index, _hardware(baseline, *MACHINE), strict=True))
    for run, row, seed, own in zip(frame["run"], frame["row"], frame["seed"], _hardware(frame, *MACHINE), strict=True):
        if row != "classical" and own != base.get(seed, own):
            raise LaghuError(f"{run} was measured on {_processors(*own)}, its baseline on {_processors(*base[seed])}; "
                             "their times don't compare, so run both on one machine")


def _versions(frame: pd.DataFrame) -> list[str]:
    columns = [name for name in frame if name.startswith("versions.")]
    return [", ".join(f"{name.removeprefix('versions.')} {version}" for name, version in line.items()
                      if isinstance(version, str)) for _, line in frame[columns].iterrows()]
