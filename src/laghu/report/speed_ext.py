"""A study's benchmark for the book's pages.

Directives: `speed-table` (argument: path, others, growth, shapes, tokenising, seeds or gpu; options `study`, `name`)
and `speed-figure` (argument: waterfall; the same options). Role: {speed}`cpu/int8#ratio.median`, of a contender, or
{speed}`cpu#latency_ms.p50`, of the record. What has not been measured yet says so.
"""

import re
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

import laghu
from laghu.benchmark.record import BenchmarkRecord, GpuRecord, file_of, gpu_file_of
from laghu.errors import LaghuError
from laghu.report import cost, formats, speed, style
from laghu.report.sphinx_ext import NOT_RUN, StudyDirective, table_of

_LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("speed-table", SpeedTable)
    app.add_directive("speed-figure", SpeedFigure)
    app.add_role("speed", SpeedRole())
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class _SpeedDirective(StudyDirective):
    has_content = False
    option_spec: ClassVar = {"study": directives.unchanged_required, "name": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        study = self.study()
        if not file_of(study).is_file():
            text = f"The benchmark of {study!r} has not been run in this checkout; laghu bench {study} runs it."
            return [nodes.note("", nodes.paragraph("", text))]
        return self.made(study, argument, BenchmarkRecord.load(file_of(study)))

    def made(self, study: str, argument: str, record: BenchmarkRecord) -> list[nodes.Node]:
        raise NotImplementedError


class SpeedTable(_SpeedDirective):
    """One table of a benchmark."""

    def content_of(self, argument: str) -> list[nodes.Node]:
        return [self.on_gpu(self.study())] if argument == "gpu" else super().content_of(argument)

    def on_gpu(self, study: str) -> nodes.Node:
        if not gpu_file_of(study).is_file():
            return nodes.note("", nodes.paragraph(
                "", "", nodes.Text(f"No GPU was at hand for {study!r} when this book was built; "),
                nodes.literal("", f"laghu bench {study} --gpu"), nodes.Text(" measures it."),
            ))
        record = GpuRecord.load(gpu_file_of(study))
        return self.titled(speed.on_gpu(record), speed.on_gpu_caption(record))

    def made(self, study: str, argument: str, record: BenchmarkRecord) -> list[nodes.Node]:
        if argument not in speed.TABLES:
            raise LaghuError(f"no speed table {argument!r}; there are {', '.join(speed.TABLES)} and gpu")
        text, caption = speed.TABLES[argument]
        file = self.generated(study, "speed.csv")
        speed.frame(record).to_csv(file, index=False)
        return [self.titled(text(record), caption(record)), self.data_link(file)]

    def titled(self, text: pd.DataFrame, caption: str) -> nodes.table:
        table = table_of(text)
        table.insert(0, nodes.title("", caption))
        self.add_name(table)
        return table


class SpeedFigure(_SpeedDirective):
    """The waterfall."""

    def made(self, study: str, argument: str, record: BenchmarkRecord) -> list[nodes.Node]:
        if argument != "waterfall":
            raise LaghuError(f"no speed figure {argument!r}; there is waterfall")
        drawing = speed.waterfall(record)
        image, data = self.generated(study, "speed-waterfall.svg"), self.generated(study, "speed-waterfall.csv")
        style.save(drawing.figure, image)
        drawing.data.to_csv(data, index=False)
        return [self.figure(image, data, drawing.alt, drawing.caption)]


class SpeedRole(SphinxRole):
    """A number of a benchmark in running text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_reread()
        try:
            if not (match := re.fullmatch(r"([^/#]+)(?:/([^#]+))?#([\w.]+)", self.text)):
                raise LaghuError(f"{self.text!r} is not of the form cpu/int8#ratio.median or cpu#latency_ms.p50")
            if not file_of(match[1]).is_file():
                return [nodes.inline("", NOT_RUN, classes=["laghu-missing"])], []
            return [_number(BenchmarkRecord.load(file_of(match[1])), match[2], match[3])], []
        except LaghuError as error:
            _LOG.warning("%s: %s", self.rawtext, error, location=self.get_location(), type="laghu")
            return [nodes.inline("", self.text, classes=["laghu-missing"])], []


def _number(record: BenchmarkRecord, contender: str | None, field: str) -> nodes.Node:
    value: Any = record.model_dump()
    if contender:
        named = {each["name"]: each for each in value["contenders"]}
        if contender not in named:
            raise LaghuError(f"no contender {contender!r}; there are {', '.join(named)}")
        value = named[contender]
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            raise LaghuError(f"no field {field!r} in the benchmark of {record.study}")
        value = value[part]
    about = (f"benchmark of {record.study}: commit {formats.short(record.commit)}, {cost.processor(record.hardware)}, "
             f"seed {record.seed}")
    return nodes.abbreviation("", "", nodes.Text(shown(field, value)), explanation=about, classes=["laghu-number"])


def shown(field: str, value: float | int | None) -> str:
    """A number of a benchmark as running text has it.

    Raises:
        LaghuError: it has none.
    """
    if not isinstance(value, float | int):
        raise LaghuError(f"{field!r} is no number in this record")
    head = field.partition(".")[0]
    if head in ("ratio", "factor", "bound"):
        return f"{value:,.0f}×" if value >= 20 else f"{value:.2f}×"
    if head == "accuracy":
        return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    if head == "latency_ms":
        return f"{value:.2f}\N{NO-BREAK SPACE}ms"
    if head == "size_mb":
        return f"{value:.1f}\N{NO-BREAK SPACE}MB"
    if head == "tokenising":
        return f"{value:.0f}\N{NO-BREAK SPACE}µs"
    return f"{value:,.0f}"
