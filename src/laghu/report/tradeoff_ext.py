"""Paper 3's equation for the book's pages: a table that the reader re-ranks, what it says, and a figure.

Directives: `tradeoff-table`, `tradeoff-statements` and `tradeoff-figure`, each with the argument `study` (options
`study` and `control`, the row that is the baseline in the engine shown) or `paper3` (option `family`, as the paper's
tables name it); option `name`. The table stands at equal weights; `book/_static/tradeoff.js` adds what moves them, on
pages with such a table alone. What does not exist is a warning.
"""

import html
from functools import partial
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import laghu
from laghu import spreadsheets
from laghu.errors import LaghuError
from laghu.report import assets, sources, style, tables, tradeoff
from laghu.report.claims.papers import TITLES, Papers
from laghu.report.sphinx_ext import StudyDirective, not_run, study
from laghu.report.table_nodes import table_of
from laghu.report.tradeoff import EQUAL, EXPONENT, Comparison

_OPTIONS = {"study": directives.unchanged_required, "control": directives.unchanged_required,
            "family": directives.unchanged_required, "name": directives.unchanged}
_PAPER = "paper3"
# In the page from the start, so that a screen reader knows the status line before it changes; shown by the script.
_WEIGHTS = """<div class="laghu-weights" role="group" aria-label="Weights: {about}" hidden>
<div><label for="{id}-alpha">α, weight of time</label>
<input type="range" id="{id}-alpha" min="0" max="1" step="0.05" value="{equal}" autocomplete="off">
<output for="{id}-alpha">{equal:.2f}</output></div>
<div><label for="{id}-beta">β, weight of energy</label>
<input type="range" id="{id}-beta" min="0" max="1" step="0.05" value="{equal}" autocomplete="off">
<output for="{id}-beta">{equal:.2f}</output></div>
<p role="status" aria-live="polite"></p>
</div>
"""


class Calculator(nodes.General, nodes.Element):
    """What the script finds: weights and the table that they rank."""


class RankedRow(nodes.row):
    """A line of the table; `ratios` holds p, t and e, and `front` whether it is on the front."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_node(Calculator, html=(_open_calculator, _close_calculator))
    app.add_node(RankedRow, html=(_open_row, HTML5Translator.depart_row))
    app.add_directive("tradeoff-table", TradeoffTable)
    app.add_directive("tradeoff-statements", TradeoffStatements)
    app.add_directive("tradeoff-figure", TradeoffFigure)
    assets.load(app, Calculator, lambda _: ("tradeoff.js", "tradeoff.css"))
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class TradeoffDirective(StudyDirective):
    """Something made from the ratios of one study in one engine, or of one family of models of paper 3."""

    has_content = False
    option_spec: ClassVar = _OPTIONS

    def content_of(self, argument: str) -> list[nodes.Node]:
        match argument:
            case "study":
                name = self.study()
                frame = study(name)
                if frame.empty:
                    return [nodes.note("", nodes.paragraph("", not_run(name)))]
                comparison = tradeoff.of_study(frame, self.options.get("control", "baseline"))
                shown = frame[frame["row"].isin(comparison.labels)]
                engine, over = shown["timing.engine"].iloc[0].partition(",")[0], tables.over_seeds(shown, tables.SPREAD)
                origin = f"study {name} in {engine}, {over}. Machine: {tables.machines(shown)}"
                return self.shown(comparison, name, origin)
            case "paper3":
                if "family" not in self.options:
                    raise LaghuError("needs the option :family:")
                family = self.options["family"]
                comparison = tradeoff.of_paper(Papers.load(), family)
                count = comparison.samples.index.get_level_values("sample").nunique()
                authors = TITLES[3].partition(",")[0]
                origin = f"{family}, as printed by {authors}, {tables.SPREAD} over {count} data sets"
                return self.shown(comparison, _PAPER, origin)
        raise LaghuError("no such ratios; there are study and paper3")

    def shown(self, comparison: Comparison, folder: str, origin: str) -> list[nodes.Node]:
        raise NotImplementedError

    def file_name(self, suffix: str) -> str:
        """Of a generated file, a different one for each family and engine."""
        parts = ("".join(sign for sign in self.options.get(name, "") if sign.isalnum() or sign in "-_")
                 for name in ("family", "control"))
        return "-".join(filter(None, ["tradeoff", *map(str.lower, parts)])) + suffix


class TradeoffTable(TradeoffDirective):
    """The rows by their scores, with sliders for the weights where scripts run."""

    def shown(self, comparison: Comparison, folder: str, origin: str) -> list[nodes.Node]:
        ranked = tradeoff.ranking(comparison.ratios)
        numbers = ranked.join(comparison.deviations.add_suffix(".std")).rename_axis("row")
        file = self.written(folder, self.file_name(".csv"), partial(spreadsheets.write, numbers))
        table = table_of(tradeoff.rendered(comparison))
        body = next(table.findall(nodes.tbody))
        for row, line in zip(list(body), ranked.itertuples(), strict=True):
            chosen = RankedRow("", *row.children, ratios=(line.p, line.t, line.e), front=bool(line.front))
            if line.Index == comparison.baseline:
                chosen["classes"].append("laghu-reference")
            row.replace_self(chosen)
        table.insert(0, nodes.title("", _caption(comparison, origin)))
        self.add_name(table)
        number = self.env.new_serialno("tradeoff")
        weights = _WEIGHTS.format(id=f"tradeoff-{number}", about=html.escape(origin.partition(",")[0]), equal=EQUAL)
        link = self.data_link(file, _records(folder))
        return [Calculator("", nodes.raw("", weights, format="html"), table), link]


class TradeoffStatements(TradeoffDirective):
    """What the equation does with the rows, as a list."""

    def shown(self, comparison: Comparison, folder: str, origin: str) -> list[nodes.Node]:
        said = tradeoff.statements(comparison)
        return [nodes.bullet_list("", *(nodes.list_item("", nodes.paragraph("", text)) for text in said))]


class TradeoffFigure(TradeoffDirective):
    """The rows by cost and errors, with lines of equal scores."""

    def shown(self, comparison: Comparison, folder: str, origin: str) -> list[nodes.Node]:
        drawing = tradeoff.against_front(comparison)
        image = self.written(folder, self.file_name("-front.svg"), partial(style.save, drawing.figure))
        data = self.written(folder, self.file_name("-front.csv"), partial(spreadsheets.write, drawing.data))
        return [self.figure(image, data, drawing.alt, f"{drawing.caption} Rows: {origin}.", _records(folder))]


def _records(folder: str) -> str | None:
    """The anchor of the records that the numbers come from; what is printed in a paper has none."""
    return None if folder == _PAPER else sources.study_anchor(folder)


def _caption(comparison: Comparison, origin: str) -> str:
    ours = ""
    if comparison.error == "errors":
        ours = " Errors stand where the paper has perplexity, which is our extension."
    unscored = ""
    if comparison.unscored:
        unscored = (" Without a score, for want of a time measured in turns with the baseline or of an energy: "
                    f"{'; '.join(comparison.unscored)}.")
    return (
        f"Score of each row, lower is better: the ratio of {comparison.error} to the power {EXPONENT:g}, times α times "
        f"the ratio of times plus β times the ratio of energies, α + β scaled to 1. The baseline scores 1.{ours} At "
        "α = β until the weights are moved. Pareto front: of the mean ratios; “off, before 2” is a row that "
        "another equals in all three and beats in one, and that scores better than 2 rows of the front all the same."
        f"{unscored} Rows: {origin}."
    )


def _open_calculator(self: HTML5Translator, node: Calculator) -> None:
    self.body.append(self.starttag(node, "div", CLASS="laghu-tradeoff", **{"data-exponent": f"{EXPONENT:g}"}))


def _close_calculator(self: HTML5Translator, node: Calculator) -> None:
    self.body.append("</div>\n")


def _open_row(self: HTML5Translator, node: RankedRow) -> None:
    """As Sphinx opens a row, but without its "row-even": the lines change places."""
    ratios = {f"data-{name}": repr(float(ratio)) for name, ratio in zip("pte", node["ratios"], strict=True)}
    self.body.append(self.starttag(node, "tr", "", **ratios, **{"data-front": "yes" if node["front"] else "no"}))
    node.column = 0
