"""The page of provenance: the lines that numbers of the book link to, one for each record.

Directives: `run-table` (argument: the study), its runs on texts, and on labelled words if it has both; `record-table`
(argument: words, costs, backbone, benchmark, scaling or shipped, see `laghu.report.sources`; option `study`, all by
default), all records of that kind. A study that has not been run says so.
"""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

import laghu
from laghu import paths
from laghu.errors import LaghuError
from laghu.report import formats, links, sources, tables
from laghu.report.sources import Source
from laghu.report.sphinx_ext import StudyDirective, not_run, study
from laghu.report.table_nodes import entry, field_list, table

# What most runs of a study share; said once above its table where they do.
_SHARED = {"commit": "Commit", "data": "Data", "hardware": "Hardware", "versions": "Versions"}
_DIGESTS = {"commit", "data"}
_TITLES = {"words": "Runs on labelled words", "costs": "Costs at the paper's exact shape", "backbone": "Backbones",
           "benchmark": "Benchmarks", "scaling": "Time of a whole study", "shipped": "Models given away"}
_HEADINGS = ("Record", "Study", "Seed", "Commit", "Machine", "Key", "Recorded (UTC)", "Files")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("run-table", RunTable)
    app.add_directive("record-table", RecordTable)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class _ProvenanceTable(StudyDirective):
    """Lines of records, each with its anchors and files."""

    has_content = False

    def record_cell(self, source: Source, name: str, anchors: list[str]) -> nodes.Node:
        """The record's name, linked to its page if the book has one, with its anchors."""
        page = source.notebook.relative_to(paths.root()).with_suffix("").as_posix()
        cell = links.page(self.env, name, page)
        for anchor in anchors:
            cell = nodes.inline("", "", cell, names=[anchor])
            self.state.document.note_explicit_target(cell)
        return cell

    def files_cell(self, source: Source) -> nodes.Node:
        offered = [self.download(source.file, "record")]
        if source.notebook.is_file():
            offered += [nodes.Text(", "), self.download(source.notebook, "notebook")]
        return nodes.inline("", "", *offered)

    def table_of(self, found: Sequence[Source], title: str) -> nodes.table:
        """A line for each record."""
        lines: list[list[str | nodes.Node]] = []
        rows: set[str] = set()
        for source in found:
            anchors = [source.anchor, *({source.row_anchor} - {source.anchor} - rows)]
            rows.add(source.row_anchor)
            lines.append([
                self.record_cell(source, source.name, anchors), source.study,
                "–" if source.seed is None else str(source.seed), links.digest(source.commit), source.machine or "–",
                links.digest(source.key) if source.key else "–", f"{source.ended:%Y-%m-%d %H:%M}",
                self.files_cell(source),
            ])
        return _titled(title, _HEADINGS, lines)

    def anchored(self, made: list[nodes.Node], anchor: str) -> list[nodes.Node]:
        """The nodes with an anchor for all of them together."""
        block = nodes.container("", *made, names=[anchor])
        self.state.document.note_explicit_target(block)
        return [block]


class RunTable(_ProvenanceTable):
    """Every run of a study on texts, with its record and notebook to download."""

    def content_of(self, argument: str) -> list[nodes.Node]:
        frame = study(argument)
        if frame.empty:
            return [nodes.note("", nodes.paragraph("", not_run(argument)))]
        runs = tables.runs(frame)
        of_run = {source.name: source for source in sources.of(argument, "runs")}
        shared = [field for field in _SHARED if runs[field].nunique() == 1]
        differing = [field for field in _SHARED if field not in shared]
        facts = [(_SHARED[field], [nodes.Text(runs[field].iloc[0])]) for field in shared]
        for field in differing:
            if field not in _DIGESTS:  # too long for a column: a letter stands for each
                runs[field], legend = _lettered(runs[field], _SHARED[field])
                facts += legend
        took = formats.unit("seconds", runs["seconds"].median())
        headings = ["Run", *(_SHARED[field] for field in differing), "Run key", "Started (UTC)",
                    f"Took ({took.symbol})", "Files"]
        first = ~runs["row"].duplicated()
        lines = [
            [
                self.record_cell(
                    of_run[run], run, [of_run[run].anchor, *([of_run[run].row_anchor] if first[run] else [])]),
                *(links.digest(line[field]) if field in _DIGESTS else line[field] for field in differing),
                links.digest(line["run_key"]),
                f"{line['started']:%Y-%m-%d %H:%M}",
                took.number(line["seconds"]),
                self.files_cell(of_run[run]),
            ]
            for run, line in runs.iterrows()
        ]
        made = [*([field_list(facts)] if facts else []), _titled(f"Runs of the study {argument}", headings, lines)]
        if words := sources.of(argument, "words"):
            made.append(self.table_of(words, f"{_TITLES['words']} of the study {argument}"))
        return self.anchored(made, sources.study_anchor(argument))


class RecordTable(_ProvenanceTable):
    """All records of one kind."""

    option_spec: ClassVar = {"study": directives.unchanged_required}

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument not in _TITLES:
            raise LaghuError(f"no such records; there are {', '.join(_TITLES)}")
        found = [source for name in self.studies() for source in sources.of(name, argument)]
        if not found:
            return [nodes.note("", nodes.paragraph("", f"{_TITLES[argument]}: none in this checkout."))]
        if "study" not in self.options:
            return [self.table_of(found, _TITLES[argument])]
        made = self.table_of(found, f"{_TITLES[argument]} of the study {self.options['study']}")
        return self.anchored([made], sources.study_anchor(self.options["study"]))

    def studies(self) -> list[str]:
        if "study" in self.options:
            return [self.options["study"]]
        results = paths.root() / "results"
        run = {folder.name for folder in results.iterdir() if folder.is_dir()} if results.is_dir() else set()
        return sorted(run | {file.stem for file in paths.studies().glob("*.yaml")})


def _titled(title: str, headings: Sequence[str], lines: list[list[str | nodes.Node]]) -> nodes.table:
    """A table of records, the last of whose columns holds files."""
    made = table([[entry(heading) for heading in headings]], lines)
    made.insert(0, nodes.title("", title))
    made["classes"].append("laghu-records")
    return made


def _lettered(values: pd.Series, name: str) -> tuple[pd.Series, list[tuple[str, list[nodes.Node]]]]:
    """A letter in the place of each value, and what the letters stand for, the most frequent first."""
    counts = values.value_counts()
    letters = dict(zip(counts.index, ascii_uppercase, strict=False))
    legend = [(f"{name} {letters[value]}", [nodes.Text(f"{value} ({count} {'run' if count == 1 else 'runs'})")])
              for value, count in counts.items()]
    return values.map(letters), legend
