"""The explorer's page: all runs between measures that the reader chooses, and what a model of any shape costs.

Directives: `explorer` (argument: the study that it opens with) and `calculator` (argument: the study whose shapes it
offers; option `start`, the one that it opens with, by the name that the book has for it; option `name`). Both put their
data into the page, in a block that a script reads, and write it to files to download. Without a script the page has
tables. The scripts lie in `book/_static/explorer/` and are loaded on pages that need them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import laghu
from laghu import records, spreadsheets
from laghu.errors import LaghuError
from laghu.report import assets, calculator, explorer, formats
from laghu.report.calculator import Shape
from laghu.report.explorer import Explorer, Point
from laghu.report.sphinx_ext import StudyDirective, listed, not_run, study, table_of

# Measures of the tables that stand where no script runs.
_TABLED = ("clean", "latency", "throughput", "size", "energy", "co2e")
_WITHOUT = (
    "Choosing takes a screen and a script. Here is what there is to choose from: a table for each collection of rows."
)
_FILES = {"pareto": ("common.js", "plot.js", "explorer.js", "explorer.css"),
          "calculator": ("common.js", "calculator.js", "explorer.css")}


class Tool(nodes.General, nodes.Element):
    """The place of a tool; `kind` is a key of `_FILES`, and `content` what its script is given."""


class RunLink(nodes.Inline, nodes.TextElement):
    """A point's name, which becomes a link to what the book has about it, `point`."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    skipped = (_skip, None)
    app.add_node(Tool, html=(_write_tool, None), latex=skipped, text=skipped, man=skipped, texinfo=skipped)
    app.add_node(RunLink)
    app.add_directive("explorer", ExplorerDirective)
    app.add_directive("calculator", CalculatorDirective)
    app.connect("doctree-resolved", _link_runs)
    assets.load(app, Tool, lambda tool: [f"explorer/{name}" for name in _FILES[tool["kind"]]])
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class ExplorerDirective(StudyDirective):
    """All runs: for the script, as tables of means, and as files."""

    has_content = False

    def content_of(self, argument: str) -> list[nodes.Node]:
        found = explorer.collect(study)
        if not found.runs:
            return [nodes.note("", nodes.paragraph("", not_run(argument)))]
        if argument not in {collection.key for collection in found.collections}:
            raise LaghuError(f"there are no runs of {argument!r}; there are some of "
                             f"{', '.join(collection.key for collection in found.collections)}")
        runs, means = (explorer.csv(points, found.collections) for points in (found.runs, found.means))
        files = {
            "All runs (CSV)": self.written("explorer", "runs.csv", partial(spreadsheets.write, runs, index=False)),
            "All means (CSV)": self.written("explorer", "means.csv", partial(spreadsheets.write, means, index=False)),
            "Everything (JSON)": self.written("explorer", "explorer.json", partial(
                Path.write_text, data=found.model_dump_json(indent=1), encoding="utf-8")),
        }
        return [
            Tool(kind="pareto", start=argument, content=found),
            nodes.container("", nodes.paragraph("", _WITHOUT), *_tables(found), classes=["laghu-without-script"]),
            self.downloads(files),
        ]

    def downloads(self, files: Mapping[str, Path]) -> nodes.paragraph:
        links: list[nodes.Node] = []
        for text, file in files.items():
            links += [nodes.Text(" · "), self.download(file, text)]
        return nodes.paragraph("", "", *links[1:], classes=["laghu-data"])


class CalculatorDirective(StudyDirective):
    """A form for a shape, and below it a table of the shapes that the study has."""

    has_content = False
    option_spec: ClassVar = {"start": directives.unchanged_required, "name": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        shapes = calculator.known(listed(argument), records.load_costs(argument))
        if not shapes:
            return [nodes.note("", nodes.paragraph("", not_run(argument)))]
        reference, start = next(iter(shapes)), self.options.get("start", next(iter(shapes)))
        if start not in shapes:
            raise LaghuError(f"no shape {start!r}; there are {', '.join(shapes)}")
        content = {
            "inputs": [asdict(given) for given in calculator.INPUTS], "start": start, "reference": reference,
            "shapes": {name: asdict(shape) for name, shape in shapes.items()},
        }
        table = table_of(_shapes_as_text(shapes, shapes[reference]))
        table.insert(0, nodes.title("", (
            f"The formulas at the shapes of this book, for a text of {shapes[reference].length} tokens. Work: of the "
            f"encoder's matrix products. FLOP bound: the work of the row “{reference}” over the row's.")))
        self.add_name(table)
        return [Tool(kind="calculator", content=content), table]


def _tables(found: Explorer) -> Iterator[nodes.Node]:
    """A table of means for each collection, so that no table mixes texts, and what is to be known of it above it.

    They have no numbers: where a script runs they are hidden, and the numbers of the book's tables would have a gap.
    """
    axes = [(found.axes.index(axis), axis) for axis in found.axes if axis.key in _TABLED]
    for collection in found.collections:
        points = [point for point in found.means if point.collection == collection.key]
        machines = dict.fromkeys(point.machine for point in points)
        timings = list(dict.fromkeys(point.timing for point in points))
        text = pd.DataFrame({
            "Precision": [point.precision for point in points],
            "Seeds": [", ".join(map(str, point.seeds)) for point in points],
            "Timed as": [f"({timings.index(point.timing) + 1})" for point in points],
            **{f"{axis.label.format(measure=collection.measure)} ({axis.symbol})":
               [explorer.shown(axis, point.values[place]) for point in points] for place, axis in axes},
        }, index=[point.label for point in points])
        table = table_of(text)
        for line, point in zip(next(table.findall(nodes.tbody)).children, points, strict=True):
            line[0].children = [nodes.paragraph("", "", RunLink("", point.label, point=point))]
        invented = " The corpus is invented." if collection.synthetic else ""
        numbered = "; ".join(f"({number}) {timing}" for number, timing in enumerate(timings, 1))
        yield nodes.paragraph("", "", nodes.strong("", collection.title), nodes.Text(
            f" ({collection.corpus}), mean over the seeds.{invented} Machine: {'; '.join(machines)}. "
            f"Timed as: {numbered}."))
        yield table


def _shapes_as_text(shapes: dict[str, Shape], reference: Shape) -> pd.DataFrame:
    counted = {name: calculator.numbers(shape, reference) for name, shape in shapes.items()}
    columns = {
        "Embeddings": [f"{each['embeddings']:,}" for each in counted.values()],
        "Encoder": [f"{each['encoder']:,}" for each in counted.values()],
        "All parameters": [f"{each['total']:,}" for each in counted.values()],
        "Work of a text (MFLOP)": [_millions(each["flops_per_text"]) for each in counted.values()],
        **{f"Memory in {precision} (MiB)": [_mebibytes(each[precision]) for each in counted.values()]
           for precision in ("fp32", "int8")},
        "FLOP bound (×)": [f"{each['bound']:.2f}" for each in counted.values()],
    }
    return pd.DataFrame(columns, index=list(counted))


def _millions(value: float) -> str:
    return formats.three_digits(value, 1e-6, "").number(value)


def _mebibytes(value: float) -> str:
    return formats.three_digits(value, 2**-20, "").number(value)


# --------------------------------------------------------------------------------------------- on the page


def _address(app: Sphinx, page: str, point: Point) -> str:
    """Where the book has most about a point, from that page: a page of its own, or its line under provenance."""
    for target in point.pages:
        if target in app.env.found_docs:
            return app.builder.get_relative_uri(page, target)
    labels = app.env.get_domain("std").anonlabels
    for anchor in point.anchors:
        if anchor in labels:
            target, identifier, *_ = labels[anchor]
            return f"{app.builder.get_relative_uri(page, target)}#{identifier}"
    return app.builder.get_relative_uri(page, "book/provenance")


def _link_runs(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """When all pages have been read, so that all targets are known."""
    for link in list(doctree.findall(RunLink)):
        link.replace_self(nodes.reference("", link.astext(), internal=True, refuri=_address(app, page, link["point"])))
    for tool in doctree.findall(Tool):
        if tool["kind"] == "pareto":
            found: Explorer = tool["content"]
            tool["content"] = {
                "start": tool["start"], "data": found.model_dump(mode="json"),
                "links": {point.id: _address(app, page, point) for point in [*found.means, *found.runs]},
            }


def _write_tool(self: HTML5Translator, node: Tool) -> None:
    name = {"pareto": "laghu-explorer", "calculator": "laghu-calculator"}[node["kind"]]
    self.body.append(f'<div class="{name}"></div>\n'
                     f'<script type="application/json">{json_block(node["content"])}</script>\n')
    raise nodes.SkipNode


def json_block(content: Any) -> str:
    """JSON that may stand in a page: nothing in it ends its element or begins another."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _skip(self: Any, node: Tool) -> None:
    raise nodes.SkipNode
