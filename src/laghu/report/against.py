"""Tables of rows beside a reference that is not the baseline: another technique, other settings, or before integers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from laghu import records
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import formats, statistics, tables
from laghu.report.rows import Row, in_order, row_of
from laghu.spec import TwoStep

_EQUAL_SIZE = ["parameters.total", "accuracy.clean.value"]
_ABLATION = ["parameters.total", "reduction", "accuracy.clean.value"]
_QUANTIZATION = ["weight_bytes", "size", "accuracy.clean.value", "speed_up.median",
                 "inference_energy.kwh_per_1000_documents"]
# Share of the clean rows with the label of the model that was quantised.
SAME = ("agreement", "source")
# Columns of two levels that are no numbers.
DIFFERS, ENGINE = ("settings", "differs"), ("timing", "engine")


def table(loaded: Sequence[RunRecord], reference: str, rows: Sequence[str]) -> pd.DataFrame:
    """The reference, then the rows against it, on the clean view.

    Columns are (field, "mean" | "std" | "count") for size and accuracy, and ("comparison", a column of
    `statistics.against`), empty for the reference.

    Raises:
        LaghuError: the study has no such reference, there are no rows but it, or as `statistics.against`.
    """
    names = {row_of(record.run) for record in loaded}
    if reference not in names:
        raise LaghuError(f"the study has no row {reference!r}; it has {', '.join(in_order(list(names)))}")
    compared = [row for row in rows if row != reference]
    if not compared:
        raise LaghuError(f"there is no row to compare with {reference}; name one")
    return _beside(loaded, [reference, *compared], dict.fromkeys(compared, reference), _EQUAL_SIZE)


def rendered(numbers: pd.DataFrame) -> pd.DataFrame:
    """`table` as text, by row label; sizes stay in the numbers."""
    return _text(numbers, ["accuracy.clean.value"])


def ablation(loaded: Sequence[RunRecord], reference: str) -> pd.DataFrame:
    """Rows of two-step distillation against one of them, and what differs in their settings.

    Columns are those of `table`, the share of the baseline's parameters that went, and `DIFFERS`.

    Raises:
        LaghuError: as `table`.
    """
    settings = {row_of(record.run): _two_step(record) for record in loaded
                if Row.parse(row_of(record.run)).technique == "two-step"}
    if reference not in settings:
        raise LaghuError(f"{reference!r} is no row of two-step distillation; "
                         f"there are {', '.join(in_order(list(settings))) or 'none'}")
    rows = [row for row in in_order(list(settings)) if row != reference]
    if not rows:
        raise LaghuError(f"there is no other row of two-step distillation than {reference}; an ablation needs one")
    numbers = _beside(loaded, [reference, *rows], dict.fromkeys(rows, reference), _ABLATION)
    numbers[DIFFERS] = [difference(settings[row], settings[reference]) for row in numbers.index]
    return numbers


def rendered_ablation(numbers: pd.DataFrame) -> pd.DataFrame:
    """`ablation` as text, by what differs."""
    text = _text(numbers, _ABLATION)
    names = [Row.parse(row).variant for row in numbers.index]
    text.index = pd.Index([f"{name}: {differs or 'the reference'}"
                           for name, differs in zip(names, numbers[DIFFERS], strict=True)])
    return text


def difference(own: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """Which settings are not the reference's, e.g. "alpha 0 instead of 0.5"; empty where all are equal."""
    return "; ".join(
        f"{name.replace('_', ' ')} {_setting(value)} instead of {_setting(reference[name])}"
        for name, value in own.items() if value != reference[name]
    )


def quantization(loaded: Sequence[RunRecord]) -> pd.DataFrame:
    """Every quantised row below the row that it was made of, and compared with it.

    Columns are those of `table` with size in bytes, speed-up and energy, `SAME`, a mean over seeds, and `ENGINE`.

    Raises:
        LaghuError: the study has no quantised row, or one without the row that it was made of.
    """
    parsed = {name: Row.parse(name) for name in in_order(list({row_of(record.run) for record in loaded}))}
    references = {}
    for name, row in parsed.items():
        if row.of:
            references[name] = next((other for other in parsed if parsed[other] == row.of), None)
            if references[name] is None:
                raise LaghuError(f"{name} was made of a row that the study does not have: {row.of.label}; run it too")
    if not references:
        raise LaghuError("the study has no quantised row; one is quantization-int8-weights")
    shown = [row for source in dict.fromkeys(references.values())
             for row in [source, *(name for name, of in references.items() if of == source)]]
    numbers = _beside(loaded, shown, references, _QUANTIZATION)
    numbers[SAME] = [_agreement(loaded, name, references[name]) if name in references else None for name in shown]
    engines = {name: set() for name in shown}
    for record in loaded:
        if row_of(record.run) in engines and record.timing:
            engines[row_of(record.run)].add(record.timing.engine.partition(",")[0])
    numbers[ENGINE] = [", ".join(sorted(engines[name])) for name in shown]
    return numbers


def rendered_quantization(numbers: pd.DataFrame) -> pd.DataFrame:
    """`quantization` as text, by row label."""
    text = _text(numbers, _QUANTIZATION)
    scale = formats.unit("agreement", 1.0)
    text[f"Labels as before ({scale.symbol})"] = [scale.number(share) for share in numbers[SAME]]
    text["Engine"] = numbers[ENGINE].to_numpy()
    return text


def _agreement(loaded: Sequence[RunRecord], row: str, source: str) -> float:
    """Share of the clean rows to which two rows give the same label, a mean over the seeds that both have."""
    ours, theirs = ({record.seed: record for record in loaded if row_of(record.run) == name} for name in (row, source))
    shares = [
        np.equal(record.predictions, theirs[seed].predictions)[record.views["clean"]].mean()
        for seed, record in ours.items() if seed in theirs
    ]
    return float(np.mean(shares))


def _beside(
    loaded: Sequence[RunRecord], shown: Sequence[str], references: Mapping[str, str], fields: Sequence[str]
) -> pd.DataFrame:
    """Fields of the shown rows over their seeds, and the comparison of those that have a reference."""
    means = tables.summary(records.frame(loaded)).loc[list(shown), list(fields)]
    compared = statistics.against(loaded, references, "clean")
    return means.join(pd.concat({"comparison": compared}, axis=1))


def _text(numbers: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """The fields and the comparison as text, by row label."""
    lines = numbers["comparison"]
    scale = formats.unit("comparison.difference", 1.0)
    empty = lines["difference"].isna()
    text = pd.DataFrame({
        f"Difference ({scale.symbol})": lines["difference"].map(scale.number),
        f"95 % interval ({scale.symbol})": tables.intervals(lines, scale),
        "Holm-adjusted p": [tables.range_of_p(line.holm_lowest, line.holm_highest) for line in lines.itertuples()],
        "Seeds that differ": [f"{line.seeds_differ:.0f} of {line.seeds:.0f}" for line in lines.itertuples()],
        "Difference shown": lines["verdict"],
    }).mask(empty, "–")
    return pd.concat([tables.rendered(numbers, list(fields)), text.rename(index=lambda name: Row.parse(name).label)],
                     axis=1)


def _two_step(record: RunRecord) -> dict[str, Any]:
    """The recorded settings without the name; one that came later had its default."""
    return TwoStep.model_validate(record.settings["two_step"]).model_dump(mode="json", exclude={"name"})


def _setting(value: Any) -> str:
    match value:
        case list():
            return ", ".join(value)
        case float():
            return f"{value:g}"
        case int():
            return f"{value:,}"
    return value.replace("_", " ")
