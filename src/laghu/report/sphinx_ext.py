"""Numbers, tables and figures of the records for the pages of the book.

Roles: {value}`cpu/pruning-50-seed1#accuracy.clean.value` one run's number, {mean}`cpu/pruning-50#accuracy.clean.value`
mean ± standard deviation over a row's seeds, {count}`cpu/pruning-50` and {count}`cpu` the number of runs.
Directives: `study-table` and `study-figure` (argument: its name; options `study`, `name`, `alt`; content: the caption),
and `against-table` and `ablation-table` (argument: the reference row; options `study`, `name`; content: the caption).
A `study-table` shows the rows of `laghu.report.families.PAPER_1` unless the option `rows` names others; so does an
`against-table`, which needs it. Rows are separated by spaces, and `*` stands for anything. What numbers link to is in
`provenance_ext`.

What does not exist is a warning, which fails the book's build. A study that is defined but has not been run is none:
its numbers read "not run yet", so that the book builds on machines that never run it.
"""

import os
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import laghu
from laghu import paths, spreadsheets
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import against, families, figures, formats, links, sources, style, tables
from laghu.report.roles import RecordRole
from laghu.report.rows import Row, row_of
from laghu.report.statistics import MARGIN
from laghu.report.table_nodes import entry, table, table_of

_LOG = logging.getLogger(__name__)
_CAPTIONS = {
    "summary": "Size, quality, speed and carbon",
    "quality": "Quality on the three views of the test split",
    "speed": "Size and speed",
    "energy": "Time, energy and carbon",
    "significance": "Accuracy on the clean view of the test split, and how sure it is",
    "comparison": "Difference in accuracy to the baseline on the clean view, and what it shows",
    "comparison-views": "Difference in accuracy to the baseline on the three views of the test split",
    "table-one": "Table I of the paper beside the same rows here",
    "quantization": "Quantised models below those that they were made of",
}
_INTERVAL = "Interval: 95 % bootstrap that resamples seeds and test rows (test rows alone where there is one seed)."
_COMPARED = f" Percentage points against the baseline of the same seed on the same test rows. {_INTERVAL}"
_HOLM = ("Holm-adjusted p: McNemar's exact test of each seed, corrected for all rows and seeds of the table, "
         "lowest–highest over seeds. Seeds that differ: adjusted p below 0.05.")
_AGAINST = (f" with the same seed on the same clean test rows, in percentage points. {_INTERVAL} {_HOLM} "
            "Difference shown: “better” or “worse” where the whole interval lies on one side of 0 and a seed differs. "
            "“None” is not equality, and one seed shows nothing.")
# What a reader has to know of a table's columns.
_NOTES = {
    "summary": " Training CO₂e is that of a row's own stages.",
    "speed": " Throughput of the classical row is timed from text to label, that of the encoders from token ids.",
    "energy": " Training time, energy and CO₂e are those of a row's own stages; “with its teacher” adds the CO₂e of "
              "the baseline of the same seed that a row starts from. The pretraining of the backbone is in "
              "neither; a row from scratch counts its own in both.",
    "significance": " Interval: 95 % bootstrap over test rows, mean over seeds of the lower and of the upper limit. "
                    "Difference: percentage points against the baseline of the same seed, over the paired "
                    "differences. McNemar's exact p: two-sided, against the baseline of the same seed, lowest–highest "
                    "over seeds. Agreement: share of clean rows with the label of the teacher, the fp32 baseline of "
                    "the same seed. Pruned rows start from the fine-tuned baseline and were trained longer.",
    "comparison": f"{_COMPARED} {_HOLM} Last column: “shown” where the whole interval lies above "
                  f"−{100 * MARGIN:g} points, “worse by more” "
                  "where it lies below, “open” where neither. A large p shows no equality.",
    "comparison-views": f"{_COMPARED} Repeats of a text count as independent rows, so the interval as published is too "
                        "narrow.",
    "table-one": " Our corpus, encoder and machine are not the paper's. Our accuracy is given on all test rows "
                 "(published view) and on the clean view. Our CO₂e is of training a row's own stages; of the paper's "
                 "it is not clear whether it is of training or of use.",
    "quantization": " Size: the bytes of all weights as they are stored, scales included. Difference: to the row that "
                    f"a model was made of,{_AGAINST} Labels as before: share of the clean rows with the label of the "
                    "row that a model was made of.",
}
# Tables whose cells are means without a deviation.
_MEANS = {"comparison", "comparison-views", "table-one"}
# Tables that choose their rows themselves.
_OWN_ROWS = {"table-one", "quantization"}
# Tables with times or energies in use, which stand in one column whatever the engine.
_TIMED = {"summary", "speed", "energy", "quantization"}
_OPTIONS = {"study": directives.unchanged_required, "name": directives.unchanged}


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    for role in (ValueRole, MeanRole, CountRole):
        app.add_role(role.keyword, role())
    app.add_directive("study-table", StudyTable)
    app.add_directive("study-figure", StudyFigure)
    app.add_directive("against-table", AgainstTable)
    app.add_directive("ablation-table", AblationTable)
    app.setup_extension("laghu.report.provenance_ext")
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


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


@lru_cache(maxsize=16)
def _study(name: str, stamp: tuple[tuple[Path, int], ...]) -> pd.DataFrame:
    return tables.of_records(_listed(name, stamp))


@lru_cache(maxsize=16)
def _listed(name: str, stamp: tuple[tuple[Path, int], ...]) -> list[RunRecord]:
    return tables.listed(name)


# ------------------------------------------------------------------------------------------------ roles


class ValueRole(RecordRole):
    """One run's number."""

    keyword = "value"
    pattern = r"(?P<name>[^/#]+)/(?P<run>[^/#]+)#(?P<field>[^#]+)"
    example = "cpu/pruning-50-seed1#accuracy.clean.value"

    def number(self, name: str, run: str, field: str) -> nodes.Node:
        if (frame := study(name)).empty:
            return links.missing()
        if run not in frame.index:
            raise LaghuError(f"study {name!r} has no run {run!r}")
        value = frame.loc[run, _column(frame, field)]
        text = formats.show(field, value.item() if hasattr(value, "item") else value)
        source = sources.of_run(next(record for record in listed(name) if record.run == run))
        return links.number(self.env, text, source.anchor, run, [source])


class MeanRole(RecordRole):
    """The mean of a row's runs, with its standard deviation."""

    keyword = "mean"
    pattern = r"(?P<name>[^/#]+)/(?P<row>[^/#]+)#(?P<field>[^#]+)"
    example = "cpu/pruning-50#accuracy.clean.value"

    def number(self, name: str, row: str, field: str) -> nodes.Node:
        if (frame := study(name)).empty:
            return links.missing()
        runs = _row(frame, name, row)
        values = pd.to_numeric(runs[_column(frame, field)], errors="coerce")
        text = formats.show_spread(field, values.mean(), values.std())
        seeds = f"{len(runs)} seeds" if len(runs) > 1 else "one seed"
        spread = ", mean ± standard deviation" if "±" in text else ""
        own = [sources.of_run(record) for record in listed(name) if record.run in runs.index]
        return links.number(self.env, text, own[0].row_anchor, f"{row}: {seeds}{spread}", own)


class CountRole(RecordRole):
    """How many runs a study or a row has."""

    keyword = "count"
    pattern = r"(?P<name>[^/#]+)(?:/(?P<row>[^/#]+))?"
    example = "cpu or cpu/pruning-50"

    def number(self, name: str, row: str | None) -> nodes.Node:
        if (frame := study(name)).empty:
            return links.missing()
        runs = _row(frame, name, row) if row else frame
        anchor = f"row-{name}-{row}" if row else sources.study_anchor(name)
        own = [sources.of_run(record) for record in listed(name) if record.run in runs.index]
        what = f"runs of the {'row ' + row if row else 'study ' + name}"
        return links.explained(self.env, str(len(runs)), anchor, f"{what}, {sources.days(own)}")


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
        return links.download(self.env, file, text)

    def data_link(self, file: Path, anchor: str | None = None) -> nodes.paragraph:
        return links.data(self.env, file, anchor)

    def image(self, file: Path, alt: str) -> nodes.image:
        return nodes.image("", uri="/" + file.relative_to(self.env.srcdir).as_posix(), alt=alt)

    def figure(
        self, image: Path, data: Path, alt: str, caption: str | list[nodes.Node], anchor: str | None = None
    ) -> nodes.figure:
        """A figure with its numbers to download and the line of its records."""
        written = [nodes.Text(caption)] if isinstance(caption, str) else caption
        made = nodes.figure(
            "", self.image(image, alt), nodes.caption("", "", *written), nodes.legend("", self.data_link(data, anchor)),
            align="default",
        )
        self.add_name(made)
        return made

    def written(self, study: str, name: str, write: Callable[[Path], Any]) -> Path:
        """A file that the build makes, there as a whole or not at all: another page may have the same figure or table
        and be read at the same time.

        Args:
            write: is given where to.
        """
        return generated(self.env, f"{study}/{name}", write)


def generated(env: BuildEnvironment, name: str, write: Callable[[Path], Any]) -> Path:
    """`StudyDirective.written`, by a path below the folder of such files."""
    file = Path(env.srcdir) / "book" / "_generated" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    own = file.with_name(f"{os.getpid()}-{file.name}")
    write(own)
    return own.replace(file)


class StudyTable(StudyDirective):
    option_spec: ClassVar = _OPTIONS | {"rows": directives.unchanged_required}

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument not in _CAPTIONS:
            raise LaghuError(f"no such table; there are {', '.join(_CAPTIONS)}")
        if argument in _OWN_ROWS and "rows" in self.options:
            raise LaghuError("chooses its rows itself; leave the option :rows: out")
        name = self.study()
        frame = study(name)
        if frame.empty:
            return self.empty(name, _CAPTIONS[argument])
        rows = self.rows(frame)
        numbers, text = _numbers_and_text(argument, name, frame, rows)
        shown, left_out = frame[frame["row"].isin(rows)], families.left_out(frame["row"].nunique() - len(rows))
        if argument in _OWN_ROWS:
            shown, left_out = frame[frame["row"].isin(numbers.index)], ""
        elif "rows" in self.options:
            left_out = ""
        return self.filled(numbers, text, _caption(argument, shown, left_out), shown, argument)

    def rows(self, frame: pd.DataFrame) -> list[str]:
        """Rows that the option `rows` names, or else those of paper 1."""
        rows = frame["row"].unique()
        if "rows" not in self.options:
            return families.of_paper_1(rows)
        return families.chosen(rows, self.options["rows"].split())

    def empty(self, name: str, caption: str) -> list[nodes.Node]:
        """The table of a study that has not been run."""
        return self.numbered(table([[entry("Not run yet")]], [[not_run(name)]]), caption, pd.DataFrame())

    def filled(
        self, numbers: pd.DataFrame, text: pd.DataFrame, caption: str, frame: pd.DataFrame, stem: str
    ) -> list[nodes.Node]:
        """The table with its caption and its numbers to download.

        Args:
            stem: of the file with the numbers; where the option `rows` makes several tables of one kind, the option
                `name` takes its place.
        """
        if "rows" in self.options:
            if not self.options.get("name"):
                raise LaghuError("option :rows: needs :name: beside it, which tells its data from those of other rows")
            stem = nodes.make_id(self.options["name"])
        named = numbers.set_axis([".".join(column) for column in numbers.columns], axis=1)
        file = self.written(self.study(), f"{stem}.csv", partial(spreadsheets.write, named))
        link = self.data_link(file, sources.study_anchor(self.study()))
        return [*self.numbered(table_of(text), caption, frame), link]

    def numbered(self, table: nodes.table, caption: str, frame: pd.DataFrame) -> list[nodes.Node]:
        table.insert(0, nodes.title("", "", *self.caption(caption, frame)))
        self.add_name(table)
        return [table]


class AgainstTable(StudyTable):
    """Rows against a reference row of the same study."""

    def content_of(self, argument: str) -> list[nodes.Node]:
        name = self.study()
        if "rows" not in self.options:
            raise LaghuError("needs the option :rows:, the rows to compare")
        head = f"Difference in accuracy to the row “{Row.parse(argument).label}”"
        frame = study(name)
        if frame.empty:
            return self.empty(name, head)
        numbers = against.table(listed(name), argument, self.rows(frame))
        return self.shown(numbers, against.rendered(numbers), head, frame, f"against-{argument}")

    def shown(
        self, numbers: pd.DataFrame, text: pd.DataFrame, head: str, frame: pd.DataFrame, stem: str
    ) -> list[nodes.Node]:
        frame = frame[frame["row"].isin(numbers.index)]
        invented = " The corpus is invented." if frame["synthetic"].any() else ""
        over = tables.over_seeds(frame, tables.SPREAD)
        caption = f"{head}, {over}. Difference: to the row named,{_AGAINST}{invented}"
        return self.filled(numbers, text, caption, frame, stem)


class AblationTable(AgainstTable):
    """Rows of two-step distillation against one of them, by what differs in their settings."""

    option_spec: ClassVar = _OPTIONS

    def content_of(self, argument: str) -> list[nodes.Node]:
        name = self.study()
        head = f"Two-step distillation with other settings than “{Row.parse(argument).variant}”"
        frame = study(name)
        if frame.empty:
            return self.empty(name, head)
        numbers = against.ablation(listed(name), argument)
        return self.shown(numbers, against.rendered_ablation(numbers), head, frame, f"ablation-{argument}")


class StudyFigure(StudyDirective):
    option_spec: ClassVar = _OPTIONS | {"alt": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument not in figures.FIGURES:
            raise LaghuError(f"no such figure; there are {', '.join(figures.FIGURES)}")
        name = self.study()
        frame = study(name)
        if frame.empty:
            return [self.empty(name, argument.replace("-", " ").capitalize())]
        drawing = figures.FIGURES[argument](frame)
        image = self.written(name, f"{argument}.svg", partial(style.save, drawing.figure))
        data = self.written(name, f"{argument}.csv", partial(spreadsheets.write, drawing.data))
        caption = self.caption(drawing.caption, frame)
        return [self.figure(image, data, self.options.get("alt", drawing.alt), caption, sources.study_anchor(name))]

    def empty(self, name: str, caption: str) -> nodes.figure:
        """The figure of a study that has not been run."""
        note = nodes.note("", nodes.paragraph("", not_run(name)))
        figure = nodes.figure("", note, nodes.caption("", "", *self.caption(caption, pd.DataFrame())), align="default")
        self.add_name(figure)
        return figure


def _numbers_and_text(
    argument: str, study: str, frame: pd.DataFrame, rows: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of that name and rows as numbers, with columns of two levels, and as text."""
    if argument == "table-one":
        numbers = tables.table_one(frame, tables.paper_table())
        return numbers, tables.rendered_table_one(numbers)
    if argument == "quantization":
        numbers = against.quantization(listed(study))
        return numbers, against.rendered_quantization(numbers)
    if argument == "significance":
        numbers = tables.significance(frame).loc[rows]
        return numbers, tables.rendered_significance(numbers)
    family = [record for record in listed(study) if row_of(record.run) in {"baseline", *rows}]
    if argument == "comparison":
        numbers = tables.comparison(family)
        return numbers, tables.rendered_comparison(numbers)
    if argument == "comparison-views":
        numbers = tables.comparison_views(family)
        return numbers, tables.rendered_comparison_views(numbers)
    numbers = tables.summary(frame).loc[rows, tables.SUMMARIES[argument]]
    return numbers, tables.rendered(numbers, tables.SUMMARIES[argument])


def _caption(argument: str, frame: pd.DataFrame, left_out: str) -> str:
    over = tables.over_seeds(frame, "mean" if argument in _MEANS else tables.SPREAD)
    engines = _engines(frame) if argument in _TIMED else ""
    invented = " The corpus is invented." if frame["synthetic"].any() else ""
    return f"{_CAPTIONS[argument]}, {over}.{_NOTES.get(argument, '')}{engines}{left_out}{invented}"


def _engines(frame: pd.DataFrame) -> str:
    """What to say of encoders that were timed by several engines; empty where one timed them all."""
    engines = frame.loc[frame["speed_up.median"].notna(), "timing.engine"].str.partition(",")[0].unique()
    if len(engines) < 2:
        return ""
    return (f" Encoders run in several engines ({'; '.join(sorted(engines))}): a speed-up is against the fp32 baseline "
            "in the row's own engine, and times and energies of two engines differ by more than the technique.")


def not_run(name: str) -> str:
    return f"The study {name!r} has not been run in this checkout; laghu study {name} runs it."
