"""Tables: numbers in, numbers out. Only `rendered` and `terminal` round, and they change nothing else."""

import pandas as pd

from laghu import paths, records
from laghu.errors import LaghuError
from laghu.report import formats
from laghu.report.rows import Row, in_order, row_of

# Columns of a summary, and what each is called.
HEADINGS = {
    "parameters.total": "Parameters",
    "reduction": "Removed",
    "accuracy.published.value": "Accuracy, published",
    "accuracy.deduplicated.value": "Accuracy, deduplicated",
    "accuracy.clean.value": "Accuracy, clean",
    "macro_f1.clean.value": "Macro-F1, clean",
    "agreement": "Agreement with the teacher",
    "flops_per_token": "Encoder work per token",
    "flop_bound": "FLOP bound",
    "speed_up.median": "Speed-up",
    "latency_ms.p50": "Latency, one text",
    "documents_per_second": "Throughput",
    "train_seconds": "Training time",
    "energy_kwh": "Training energy",
    "co2e_kg": "Training CO₂e",
    "inference_energy.kwh_per_1000_documents": "Energy per 1,000 texts",
    "inference_energy.co2e_kg_per_1000_documents": "CO₂e per 1,000 texts",
}
# What figures need beside them.
_INTERVALS = ["accuracy.clean.low", "accuracy.clean.high", "speed_up.low", "speed_up.high"]

SUMMARIES = {
    "summary": ["parameters.total", "accuracy.clean.value", "macro_f1.clean.value", "speed_up.median",
                "documents_per_second", "co2e_kg"],
    "quality": ["accuracy.published.value", "accuracy.deduplicated.value", "accuracy.clean.value",
                "macro_f1.clean.value", "agreement"],
    "speed": ["parameters.total", "reduction", "flops_per_token", "flop_bound", "speed_up.median", "latency_ms.p50",
              "documents_per_second"],
    "energy": ["train_seconds", "energy_kwh", "co2e_kg", "inference_energy.kwh_per_1000_documents",
               "inference_energy.co2e_kg_per_1000_documents"],
}
# Fields whose units the quantities of Table I take.
_FIELDS = {"Parameters": "parameters.total", "Removed": "reduction", "Speed-up": "speed_up.median",
           "Accuracy": "accuracy.clean.value", "CO₂e": "co2e_kg"}


def study(name: str) -> pd.DataFrame:
    """`derived` frame of a study's records, one row per run; empty if it has none."""
    loaded = records.load_study(name)
    return derived(records.frame(loaded)) if loaded else pd.DataFrame()


def derived(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame of `records.frame` by run, with three more columns.

    `row` is the run's name without its seed; `reduction` the fraction of the parameters that went, against the
    baseline of the same seed; `flop_bound` the baseline's FLOPs over the run's: what speed-up it could have at most if
    time went to the encoder's matrix products alone. The bound holds at equal precision, so it is only given for fp32.

    Raises:
        LaghuError: no records.
    """
    if frame.empty:
        raise LaghuError("there are 0 records; run the study first")
    frame = frame.assign(row=frame["run"].map(row_of)).set_index("run", drop=False)
    for field in {*HEADINGS, *_INTERVALS} & set(frame):
        frame[field] = pd.to_numeric(frame[field])
    baseline = frame[frame["row"] == "baseline"].set_index("seed")
    parameters, flops = (frame["seed"].map(baseline[field]) for field in ("parameters.total", "flops_per_token"))
    return frame.assign(
        reduction=(1 - frame["parameters.total"] / parameters).where(frame["technique"] != "classical"),
        flop_bound=(flops / frame["flops_per_token"]).where(frame["precision"] == "fp32"),
    )


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
        ("Accuracy", "here, published"): mean["accuracy.published.value"],
        ("Accuracy", "here, clean"): mean["accuracy.clean.value"],
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
    hardware = frame.reindex(columns=["hardware.cpu", "hardware.threads", "hardware.gpu", "hardware.ram_gib"])
    order = {name: place for place, name in enumerate(in_order(list(frame["row"].unique())))}
    table = pd.DataFrame({
        "row": frame["row"],
        "seed": frame["seed"],
        "commit": frame["commit"],
        "data": frame["data_sha256"],
        "hardware": [_machine(*line) for line in hardware.itertuples(index=False)],
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
    text = rendered(table, [field for field in SUMMARIES["summary"] if field != "macro_f1.clean.value"])
    text.index = table.index.rename(None)
    seeds = frame["seed"].nunique()
    lines = [text.to_string(), f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"]
    if frame["synthetic"].any():
        lines.append("The corpus is invented: these accuracies say nothing about Marathi news.")
    return "\n".join(lines)


def _row_of_paper(line: object) -> str:
    if not line.pruning_pct:
        return "baseline"
    return f"pruning-{line.pruning_pct:g}" + ("-after" if line.distilled == "yes" else "")


def _machine(cpu: str, threads: int, gpu: str | None, ram_gib: float) -> str:
    return ", ".join(filter(None, [gpu if isinstance(gpu, str) else None, cpu, f"{threads} threads",
                                   f"{ram_gib:g} GiB memory"]))


def _versions(frame: pd.DataFrame) -> list[str]:
    columns = [name for name in frame if name.startswith("versions.")]
    return [", ".join(f"{name.removeprefix('versions.')} {version}" for name, version in line.items()
                      if isinstance(version, str)) for _, line in frame[columns].iterrows()]
