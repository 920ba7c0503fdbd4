"""Numbers, tables and figures of the records for the pages of the book.

Roles: {value}`cpu/pruning-50-seed1#accuracy.clean.value` one run's number, {mean}`cpu/pruning-50#accuracy.clean.value`
mean ± standard deviation over a row's seeds, {count}`cpu/pruning-50` and {count}`cpu` the number of runs.
Directives: `study-table` and `study-figure` (argument: its name; options `study`, `name`, `alt`; content: the caption),
and `run-table` (argument: the study), whose lines are what numbers link to.

What does not exist is a warning, which fails the book's build. A study that is defined but has not been run is none:
its numbers read "not run yet", so that the book builds on machines that never run it.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

import laghu
from laghu import paths
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import figures, formats, style, tables
from laghu.report.statistics import MARGIN

_LOG = logging.getLogger(__name__)
NOT_RUN = "not run yet"
_CAPTIONS = {
    "summary": "Size, quality, speed and carbon",
    "quality": "Quality on the three views of the test split",
    "speed": "Size and speed",
    "energy": "Time, energy and carbon",
    "significance": "Accuracy on the clean view of the test split, and how sure it is",
    "comparison": "Difference in accuracy to the baseline on the clean view, and what it shows",
    "comparison-views": "Difference in accuracy to the baseline on the three views of the test split",
    "table-one": "Table I of the paper beside the same rows here",
}
_COMPARED = (" Percentage points against the baseline of the same seed on the same test rows. Interval: 95 % bootstrap "
             "that resamples seeds and test rows (test rows alone where there is one seed).")
# What a reader has to know of a table's columns.
_NOTES = {
    "summary": " Training CO₂e is that of a row's own stages.",
    "speed": " Throughput of the classical row is timed from text to label, that of the encoders from token ids.",
    "energy": " Training time, energy and CO₂e are those of a row's own stages; “with its teacher” adds the CO₂e of "
              "the baseline of the same seed that a row starts from. The pretraining of the backbone is in "
              "neither.",
    "significance": " Interval: 95 % bootstrap over test rows, mean over seeds of the lower and of the upper limit. "
                    "Difference: percentage points against the baseline of the same seed, over the paired "
                    "differences. McNemar's exact p: two-sided, against the baseline of the same seed, lowest–highest "
                    "over seeds. Agreement: share of clean rows with the label of the teacher, the fp32 baseline of "
                    "the same seed. Pruned rows start from the fine-tuned baseline and were trained longer.",
    "comparison": f"{_COMPARED} Holm-adjusted p: McNemar's exact test of each seed, corrected for all rows and seeds "
                  "of the table, lowest–highest over seeds. Seeds that differ: adjusted p below 0.05. Last column: "
                  f"“shown” where the whole interval lies above −{100 * MARGIN:g} points, “worse by more” "
                  "where it lies below, “open” where neither. A large p shows no equality.",
    "comparison-views": f"{_COMPARED} Repeats of a text count as independent rows, so the interval as published is too "
                        "narrow.",
    "table-one": " Our corpus, encoder and machine are not the paper's. Our accuracy is given on all test rows "
                 "(published view) and on the clean view. Our CO₂e is of training a row's own stages; of the paper's "
                 "it is not clear whether it is of training or of use.",
}
# Tables whose cells are means without a deviation.
_MEANS = {"comparison", "comparison-views", "table-one"}
_OPTIONS = {"study": directives.unchanged_required, "name": directives.unchanged}
# What most runs of a study share; said once above its table where they do.
_SHARED = {"commit": "Commit", "data": "Data", "hardware": "Hardware", "versions": "Versions"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    for role in (ValueRole, MeanRole, CountRole):
        app.add_role(role.keyword, role())
    app.add_directive("study-table", StudyTable)
    app.add_directive("study-figure", StudyFigure)
    app.add_directive("run-table", RunTable)
    return {"version": laghu.__version__, "parallel_read_safe": False, "parallel_write_safe": True}


def study(name: str) -> pd.DataFrame:
    """`tables.study`, read once for as long as its files stay as they are; empty if it has not been run.

    Raises:
        LaghuError: there is no such study, or one of its records can't be read.
    """
    return _study(name, _stamp(name))


def listed(name: str) -> list[RunRecord]:
    """`tables.listed`, read and refused as `study`."""
    return _listed(name, _stamp(name))


def _stamp(name: str) -> tuple[tuple[Path, int], ...]:
    """The study's records and when each was written."""
    files = sorted(paths.results(name).glob("*.json"))
    if not files and not (paths.studies() / f"{name}.yaml").is_file():
        raise LaghuError(f"no study {name!r}: neither studies/{name}.yaml nor records in results/{name}")
    return tuple((file, file.stat().st_mtime_ns) for file in files)


@lru_cache(maxsize=8)
def _study(name: str, stamp: tuple[tuple[Path, int], ...]) -> pd.DataFrame:
    return tables.study(name)


@lru_cache(maxsize=8)
def _listed(name: str, stamp: tuple[tuple[Path, int], ...]) -> list[RunRecord]:
    return tables.listed(name)


# ------------------------------------------------------------------------------------------------ roles


class NumberRole(SphinxRole):
    """A number in running text, linked to the run that it comes from."""

    keyword: str
    pattern: str
    example: str

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        # Sphinx can't know that a record or this code changed, so pages with numbers are read at every build.
        self.env.note_reread()
        try:
            if not (match := re.fullmatch(self.pattern, self.text)):
                raise LaghuError(f"{self.text!r} is not of the form {self.example}")
            frame = study(match["study"])
            if frame.empty:
                return [nodes.inline("", NOT_RUN, classes=["laghu-missing"])], []
            return [self.number(frame, **match.groupdict())], []
        except LaghuError as error:
            _LOG.warning("%s: %s", self.rawtext, error, location=self.get_location(), type="laghu")
            return [nodes.inline("", self.text, classes=["laghu-missing"])], []

    def number(self, frame: pd.DataFrame, **parts: str) -> nodes.Node:
        raise NotImplementedError

    def linked(self, text: str, target: str, tooltip: str) -> nodes.Node:
        link = addnodes.pending_xref(
            "", nodes.inline("", text), refdomain="std", reftype="ref", reftarget=target, refexplicit=True,
            refwarn=True, refdoc=self.env.docname,
        )
        return nodes.abbreviation("", "", link, explanation=tooltip, classes=["laghu-number"])


class ValueRole(NumberRole):
    keyword = "value"
    pattern = r"(?P<study>[^/#]+)/(?P<run>[^/#]+)#(?P<field>[^#]+)"
    example = "cpu/pruning-50-seed1#accuracy.clean.value"

    def number(self, frame: pd.DataFrame, study: str, run: str, field: str) -> nodes.Node:
        if run not in frame.index:
            raise LaghuError(f"study {study!r} has no run {run!r}")
        line = frame.loc[run]
        value = line[_column(frame, field)]
        text = formats.show(field, value.item() if hasattr(value, "item") else value)
        provenance = tables.runs(frame).loc[run]
        key, commit = (formats.short(provenance[field]) for field in ("run_key", "commit"))
        tooltip = f"{run}, run key {key}, commit {commit}, {provenance['hardware']}, {provenance['started']:%Y-%m-%d}"
        return self.linked(text, f"run-{study}-{run}", tooltip)


class MeanRole(NumberRole):
    keyword = "mean"
    pattern = r"(?P<study>[^/#]+)/(?P<row>[^/#]+)#(?P<field>[^#]+)"
    example = "cpu/pruning-50#accuracy.clean.value"

    def number(self, frame: pd.DataFrame, study: str, row: str, field: str) -> nodes.Node:
        runs = _row(frame, study, row)
        values = pd.to_numeric(runs[_column(frame, field)], errors="coerce")
        text = formats.show_spread(field, values.mean(), values.std())
        seeds = f"{len(runs)} seeds" if len(runs) > 1 else "one seed"
        spread = ", mean ± standard deviation" if "±" in text else ""
        return self.linked(text, f"row-{study}-{row}", f"{row}: {seeds}{spread}")


class CountRole(NumberRole):
    keyword = "count"
    pattern = r"(?P<study>[^/#]+)(?:/(?P<row>[^/#]+))?"
    example = "cpu or cpu/pruning-50"

    def number(self, frame: pd.DataFrame, study: str, row: str | None) -> nodes.Node:
        return nodes.Text(str(len(_row(frame, study, row) if row else frame)))


def _row(frame: pd.DataFrame, study: str, row: str) -> pd.DataFrame:
    runs = frame[frame["row"] == row]
    if runs.empty:
        raise LaghuError(f"study {study!r} has no row {row!r}; it has {', '.join(sorted(frame['row'].unique()))}")
    return runs


def _column(frame: pd.DataFrame, field: str) -> str:
    if field not in frame:
        head = field.split(".")[0]
        near = [name for name in frame if name.split(".")[0] == head] or list(dict.fromkeys(
            name.split(".")[0] for name in frame))
        raise LaghuError(f"no field {field!r} in a record; there are {', '.join(near)}")
    return field


# ------------------------------------------------------------------------------------------------ directives


class StudyDirective(SphinxDirective):
    """Something made from the records of one study; what is wrong with it is a warning at its place."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        try:
            return self.content_of(self.arguments[0])
        except LaghuError as error:
            _LOG.warning("%s %s: %s", self.name, self.arguments[0], error, location=self.get_location(), type="laghu")
            return []

    def content_of(self, argument: str) -> list[nodes.Node]:
        raise NotImplementedError

    def study(self) -> str:
        if "study" not in self.options:
            raise LaghuError("needs the option :study:")
        return self.options["study"]

    def caption(self, generated: str, frame: pd.DataFrame) -> list[nodes.Node]:
        """The directive's content, or else the generated text; behind either, the machine of the runs, if any."""
        text = nodes.paragraph("", generated)
        if self.content:
            parsed = nodes.Element()
            self.state.nested_parse(self.content, self.content_offset, parsed)
            if len(parsed) != 1 or not isinstance(parsed[0], nodes.paragraph):
                raise LaghuError("its content is the caption, and has to be one paragraph")
            text = parsed[0]
        if frame.empty:
            return list(text.children)
        stop = "" if text.astext().rstrip().endswith((".", "!", "?")) else "."
        return [*text.children, nodes.Text(f"{stop} Machine: {tables.machines(frame)}.")]

    def download(self, file: Path, text: str) -> nodes.Node:
        target = "/" + file.relative_to(self.env.srcdir).as_posix()
        return addnodes.download_reference("", "", nodes.inline("", text), reftarget=target, refdoc=self.env.docname)

    def generated(self, study: str, name: str) -> Path:
        file = Path(self.env.srcdir) / "book" / "_generated" / study / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file


class StudyTable(StudyDirective):
    option_spec: ClassVar = _OPTIONS

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument not in _CAPTIONS:
            raise LaghuError(f"no such table; there are {', '.join(_CAPTIONS)}")
        name = self.study()
        frame = study(name)
        if frame.empty:
            return self.numbered(_table([[_entry("Not run yet")]], [[not_run(name)]]), _CAPTIONS[argument], frame)
        numbers, text = _numbers_and_text(argument, name, frame)
        file = self.generated(name, f"{argument}.csv")
        numbers.set_axis([".".join(column) for column in numbers.columns], axis=1).to_csv(file)
        link = nodes.paragraph("", "", self.download(file, "Data (CSV)"), classes=["laghu-data"])
        return [*self.numbered(table_of(text), _caption(argument, frame), frame), link]

    def numbered(self, table: nodes.table, caption: str, frame: pd.DataFrame) -> list[nodes.Node]:
        table.insert(0, nodes.title("", "", *self.caption(caption, frame)))
        self.add_name(table)
        return [table]


class StudyFigure(StudyDirective):
    option_spec: ClassVar = _OPTIONS | {"alt": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument not in figures.FIGURES:
            raise LaghuError(f"no such figure; there are {', '.join(figures.FIGURES)}")
        name = self.study()
        frame = study(name)
        if frame.empty:
            note = nodes.note("", nodes.paragraph("", not_run(name)))
            return self.numbered(note, argument.replace("-", " ").capitalize(), frame)
        drawing = figures.FIGURES[argument](frame)
        image, data = self.generated(name, f"{argument}.svg"), self.generated(name, f"{argument}.csv")
        style.save(drawing.figure, image)
        drawing.data.to_csv(data)
        uri = "/" + image.relative_to(self.env.srcdir).as_posix()
        shown = nodes.image("", uri=uri, alt=self.options.get("alt", drawing.alt))
        legend = nodes.legend("", nodes.paragraph("", "", self.download(data, "Data (CSV)"), classes=["laghu-data"]))
        return self.numbered(shown, drawing.caption, frame, legend)

    def numbered(self, shown: nodes.Node, caption: str, frame: pd.DataFrame, *rest: nodes.Node) -> list[nodes.Node]:
        figure = nodes.figure("", shown, nodes.caption("", "", *self.caption(caption, frame)), *rest, align="default")
        self.add_name(figure)
        return [figure]


class RunTable(StudyDirective):
    """Every run of a study, with its record and notebook to download; numbers in the text link here."""

    has_content = False

    def content_of(self, argument: str) -> list[nodes.Node]:
        frame = study(argument)
        if frame.empty:
            return [nodes.note("", nodes.paragraph("", not_run(argument)))]
        runs = tables.runs(frame)
        shared = [field for field in _SHARED if runs[field].nunique() == 1]
        facts = nodes.field_list("", *(
            nodes.field("", nodes.field_name("", _SHARED[field]), nodes.field_body("", nodes.paragraph("", value)))
            for field in shared for value in [runs[field].iloc[0]]
        ))
        differing = [field for field in _SHARED if field not in shared]
        took = formats.unit("seconds", runs["seconds"].median())
        headings = ["Run", *(_SHARED[field] for field in differing), "Run key", "Started (UTC)",
                    f"Took ({took.symbol})", "Files"]
        lines = [
            [
                self.run_cell(argument, run, line["row"]),
                *(_digest(line[field]) if field in {"commit", "data"} else line[field] for field in differing),
                _digest(line["run_key"]),
                f"{line['started']:%Y-%m-%d %H:%M}",
                took.number(line["seconds"]),
                self.files_cell(argument, run),
            ]
            for run, line in runs.assign(row=runs["row"].where(~runs["row"].duplicated())).iterrows()
        ]
        return [*([facts] if shared else []), _table([[_entry(heading) for heading in headings]], lines)]

    def run_cell(self, study: str, run: str, row: str | float) -> nodes.Node:
        """The run's name, linked to its page if the book has one; anchors of the run and, where given, of its row."""
        page = f"results/{study}/{run}"
        name: nodes.Node = nodes.Text(run)
        if page in self.env.found_docs:
            name = addnodes.pending_xref(
                "", nodes.inline("", run), refdomain="std", reftype="doc", reftarget=f"/{page}", refexplicit=True,
                refwarn=True, refdoc=self.env.docname,
            )
        for anchor in [f"run-{study}-{run}", *([f"row-{study}-{row}"] if isinstance(row, str) else [])]:
            name = nodes.inline("", "", name, names=[anchor])
            self.state.document.note_explicit_target(name)
        return name

    def files_cell(self, study: str, run: str) -> nodes.Node:
        record, notebook = (paths.results(study) / f"{run}{suffix}" for suffix in (".json", ".ipynb"))
        links = [self.download(record, "record")]
        if notebook.is_file():
            links += [nodes.Text(", "), self.download(notebook, "notebook")]
        return nodes.inline("", "", *links)


def _numbers_and_text(argument: str, study: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of that name as numbers, with columns of two levels, and as text."""
    if argument == "table-one":
        numbers = tables.table_one(frame, tables.paper_table())
        return numbers, tables.rendered_table_one(numbers)
    if argument == "significance":
        numbers = tables.significance(frame)
        return numbers, tables.rendered_significance(numbers)
    if argument == "comparison":
        numbers = tables.comparison(listed(study))
        return numbers, tables.rendered_comparison(numbers)
    if argument == "comparison-views":
        numbers = tables.comparison_views(listed(study))
        return numbers, tables.rendered_comparison_views(numbers)
    numbers = tables.summary(frame)[tables.SUMMARIES[argument]]
    return numbers, tables.rendered(numbers, tables.SUMMARIES[argument])


def _caption(argument: str, frame: pd.DataFrame) -> str:
    over = tables.over_seeds(frame, "mean" if argument in _MEANS else tables.SPREAD)
    invented = " The corpus is invented." if frame["synthetic"].any() else ""
    return f"{_CAPTIONS[argument]}, {over}.{_NOTES.get(argument, '')}{invented}"


def not_run(name: str) -> str:
    return f"The study {name!r} has not been run in this checkout; laghu study {name} runs it."


def _digest(value: str) -> nodes.Node:
    return nodes.abbreviation("", "", nodes.literal("", formats.short(value)), explanation=value)


def table_of(text: pd.DataFrame) -> nodes.table:
    """A frame of texts: its index as row headings, columns of two levels as two lines of column headings."""
    bottom = [_entry(name) for name in text.columns.get_level_values(-1)]
    lines = [list(line) for line in text.itertuples(name=None)]
    if text.columns.nlevels == 1:
        return _table([[_entry(""), *bottom]], lines)
    spans = text.columns.get_level_values(0).value_counts(sort=False)
    top = [_entry(name, morecols=width - 1, classes=["laghu-span"]) for name, width in spans.items()]
    return _table([[_entry(""), *top], [_entry(""), *bottom]], lines)


def _table(headings: list[list[nodes.entry]], lines: list[list[str | nodes.Node]]) -> nodes.table:
    """A table whose first column heads its lines."""
    columns = len(lines[0])
    return nodes.table("", nodes.tgroup(
        "",
        *(nodes.colspec("", colwidth=1, **({} if place else {"stub": 1})) for place in range(columns)),
        nodes.thead("", *(nodes.row("", *cells) for cells in headings)),
        nodes.tbody("", *(nodes.row("", *map(_entry, cells)) for cells in lines)),
        cols=columns,
    ), classes=["laghu-table"])


def _entry(content: str | nodes.Node, classes: list[str] | None = None, **attributes: int) -> nodes.entry:
    child = content if isinstance(content, nodes.Node) else nodes.Text(content)
    return nodes.entry("", nodes.paragraph("", "", child), classes=classes or [],
                       **{name: value for name, value in attributes.items() if value})
