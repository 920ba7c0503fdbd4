"""The page on a reader's data and models: one file that needs no other, in the book's style."""

import base64
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from laghu.own import rows
from laghu.own.checks import Report
from laghu.own.settings import Settings
from laghu.report import figures, style, tables
from laghu.report.figures import Drawing

if TYPE_CHECKING:
    from laghu.own.delivery import Delivered


def html(settings: Settings, report: Report, models: Sequence["Delivered"]) -> str:
    """The page as HTML; what comes from data is escaped."""
    environment = Environment(
        loader=PackageLoader("laghu.own", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    first = models[0].record
    splits = list(next(iter(report.labels.values())))
    return environment.get_template("page.html").render(
        name=Path(settings.data).stem, settings=settings, report=report, splits=splits, models=models,
        answer=answer(models), scores=rows.scores(models), costs=rows.costs(models), conditions=rows.conditions(first),
        figure=_embedded(figures.accuracy_speed(tables.of_records([model.record for model in models]))), first=first,
    )


def answer(models: Sequence["Delivered"]) -> str:
    """One sentence: how far pruning goes before the clean test rows tell it from the unpruned model.

    They tell it where the exact paired test of one run (McNemar) has p below 0.05; that it doesn't is no proof of
    equality.
    """
    unpruned, *pruned = (model.record for model in models)
    alike = [record for record in pruned if record.mcnemar and (
        record.mcnemar.p_value >= 0.05 or record.accuracy.clean.value >= unpruned.accuracy.clean.value)]
    right, tested = unpruned.accuracy.clean.value, unpruned.rows.clean
    baseline = f"The unpruned model is right on {_percent(right)} of {tested:,} clean test texts"
    if not alike:
        return f"{baseline}; each pruned one is measurably worse."
    most = max(alike, key=lambda record: record.pruning_level)
    return (
        f"{baseline}. With {100 * most.pruning_level:.0f}\N{NO-BREAK SPACE}% of its neurons removed, "
        f"{most.speed_up.median:.2f} times as fast, it is right on {_percent(most.accuracy.clean.value)}: not "
        f"measurably worse (one run, p = {most.mcnemar.p_value:.2g})."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _embedded(drawing: Drawing) -> dict[str, str]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "figure.svg"
        style.save(drawing.figure, file)
        image = base64.b64encode(file.read_bytes()).decode()
    return {"source": f"data:image/svg+xml;base64,{image}", "alt": drawing.alt, "caption": drawing.caption}
