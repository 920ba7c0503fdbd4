"""What the paper's exact shape costs, and how a backbone was pretrained, for the book's pages.

Directives: `cost-table` (argument: speed, use or precisions; options `study`, `name`, `length`, `batch` and, but for
precisions, `precision`) and `cost-figure` (argument: speed-bound; options `study`, `name`). Role:
{pretraining}`gpu#tokens_per_second`, a number of a study's backbone. What has not been measured yet says so.
"""

from functools import partial
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

import laghu
from laghu import records, spreadsheets
from laghu.errors import LaghuError
from laghu.records import PretrainingRecord
from laghu.report import cost, formats, links, sources, style
from laghu.report.roles import RecordRole
from laghu.report.sphinx_ext import StudyDirective
from laghu.report.table_nodes import table_of

_OPTIONS = {"study": directives.unchanged_required, "name": directives.unchanged}


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("cost-table", CostTable)
    app.add_directive("cost-figure", CostFigure)
    app.add_role("pretraining", PretrainingRole())
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class CostTable(StudyDirective):
    """One table of the cost records of a study."""

    has_content = False
    option_spec: ClassVar = _OPTIONS | {
        "precision": directives.unchanged, "length": directives.positive_int, "batch": directives.positive_int
    }

    def content_of(self, argument: str) -> list[nodes.Node]:
        study = self.study()
        costs = records.load_costs(study)
        if not costs:
            return [_not_measured(study)]
        length, batch = self.options["length"], self.options["batch"]
        match argument:
            case "speed" | "use":
                precision = self.options.get("precision", "fp32")
                numbers = cost.combination(costs, precision, length, batch)
                text = cost.rendered(numbers, cost.SPEED if argument == "speed" else cost.USE)
                captions = {"speed": cost.speed_caption, "use": cost.use_caption}
                caption = captions[argument](costs, precision, length, batch)
            case "precisions":
                numbers = cost.across_precisions(costs, length, batch)
                text = cost.rendered_across_precisions(numbers)
                caption = cost.across_precisions_caption(costs, length, batch)
            case _:
                raise LaghuError(f"no cost table {argument!r}; there are speed, use and precisions")
        name = f"cost-{argument}-{length}-{batch}-{self.options.get('precision', 'all')}.csv"
        file = self.written(study, name, partial(spreadsheets.write, numbers))
        table = table_of(text)
        table.insert(0, nodes.title("", caption))
        self.add_name(table)
        return [table, self.data_link(file, sources.of_cost(costs[0]).anchor)]


class CostFigure(StudyDirective):
    """Speed-ups of the paper's exact shape against their bounds."""

    has_content = False
    option_spec: ClassVar = _OPTIONS

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument != "speed-bound":
            raise LaghuError(f"no cost figure {argument!r}; there is speed-bound")
        study = self.study()
        costs = records.load_costs(study)
        if not costs:
            return [_not_measured(study)]
        drawing = cost.speed_bound(costs)
        image = self.written(study, "cost-speed-bound.svg", partial(style.save, drawing.figure))
        data = self.written(study, "cost-speed-bound.csv", partial(spreadsheets.write, drawing.data, index=False))
        return [self.figure(image, data, drawing.alt, drawing.caption, sources.of_cost(costs[0]).anchor)]


class PretrainingRole(RecordRole):
    """A number of the backbone's record in running text."""

    pattern = r"(?P<study>[^/#]+)#(?P<field>\w+)"
    example = "gpu#tokens_per_second"

    def number(self, study: str, field: str) -> nodes.Node:
        file = records.pretraining_file(study)
        if not file.is_file():
            return links.missing()
        record = PretrainingRecord.load(file)
        values = record.model_dump(exclude={"loss"}) | {"final_loss": record.loss[-1].loss if record.loss else None}
        if field not in values:
            raise LaghuError(f"no field {field!r} in the record of a pretraining; there are {', '.join(values)}")
        source = sources.of_backbone(record)
        return links.number(self.env, formats.show(field, values[field]), source.anchor, f"backbone of {study}",
                            [source])


def _not_measured(study: str) -> nodes.note:
    text = f"The cost track of {study!r} has not been measured in this checkout; laghu cost {study} measures it."
    return nodes.note("", nodes.paragraph("", text))
