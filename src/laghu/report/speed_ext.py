"""A study's benchmark for the book's pages.

Directives: `speed-table` (argument: path, others, growth, shapes, tokenising, seeds or gpu; options `study`, `name`)
and `speed-figure` (argument: waterfall; the same options). Role: {speed}`cpu/int8#ratio.median`, of a contender, or
{speed}`cpu#latency_ms.p50`, of the record. What has not been measured yet says so.
"""

from functools import partial
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

import laghu
from laghu import spreadsheets
from laghu.benchmark.record import BenchmarkRecord, GpuRecord, file_of, gpu_file_of
from laghu.errors import LaghuError
from laghu.report import formats, links, sources, speed, style
from laghu.report.roles import RecordRole
from laghu.report.sphinx_ext import StudyDirective
from laghu.report.table_nodes import table_of


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
        return self.on_gpu(self.study()) if argument == "gpu" else super().content_of(argument)

    def on_gpu(self, study: str) -> list[nodes.Node]:
        if not gpu_file_of(study).is_file():
            return [nodes.note("", nodes.paragraph(
                "", "", nodes.Text(f"No GPU was at hand for {study!r} when this book was built; "),
                nodes.literal("", f"laghu bench {study} --gpu"), nodes.Text(" measures it."),
            ))]
        record = GpuRecord.load(gpu_file_of(study))
        table = self.titled(speed.on_gpu(record), speed.on_gpu_caption(record))
        steps = pd.json_normalize([{"step": name, **step} for name, step in record.steps.items()])
        file = self.written(study, "speed-gpu.csv", partial(spreadsheets.write, steps, index=False))
        return [table, self.data_link(file, sources.of_benchmark(record).anchor)]

    def made(self, study: str, argument: str, record: BenchmarkRecord) -> list[nodes.Node]:
        if argument not in speed.TABLES:
            raise LaghuError(f"no speed table {argument!r}; there are {', '.join(speed.TABLES)} and gpu")
        text, caption = speed.TABLES[argument]
        file = self.written(study, "benchmark.csv", partial(spreadsheets.write, speed.frame(record), index=False))
        link = self.data_link(file, sources.of_benchmark(record).anchor)
        return [self.titled(text(record), caption(record)), link]

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
        image = self.written(study, "speed-waterfall.svg", partial(style.save, drawing.figure))
        data = self.written(study, "speed-waterfall.csv", partial(spreadsheets.write, drawing.data, index=False))
        return [self.figure(image, data, drawing.alt, drawing.caption, sources.of_benchmark(record).anchor)]


class SpeedRole(RecordRole):
    """A number of a benchmark in running text."""

    pattern = r"(?P<study>[^/#]+)(?:/(?P<contender>[^#]+))?#(?P<field>[\w.]+)"
    example = "cpu/int8#ratio.median or cpu#latency_ms.p50"

    def number(self, study: str, contender: str | None, field: str) -> nodes.Node:
        if not file_of(study).is_file():
            return links.missing()
        record = BenchmarkRecord.load(file_of(study))
        text = shown(field, _value(record, contender, field))
        source = sources.of_benchmark(record)
        what = f"benchmark of {study}"
        if contender:
            step = next(each for each in record.contenders if each.name == contender)
            what += f", {contender}: {step.engine}, {step.precision}"
            what += f", {_model(study, step.run, record.seed)}" if step.run else ""
        return links.number(self.env, text, source.anchor, what, [source])


def _value(record: BenchmarkRecord, contender: str | None, field: str) -> Any:
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
    return value


def _model(study: str, row: str, seed: int) -> str:
    """The run whose model was timed, with its key where its record is here."""
    run = f"{row}-seed{seed}"
    keys = [formats.short(source.key) for source in sources.of(study, "runs") if source.name == run and source.key]
    return f"model of {run}" + (f" with run key {keys[0]}" if keys else "")


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
