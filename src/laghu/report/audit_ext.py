"""Numbers of the corpus audit for the pages of the book.

Role: {audit}`headlines.test.rows`, a number of `book/data/mahanews_audit.json` by its dotted name; whole numbers are
counts, fractions are written in percent. Directive: `audit-kinds` (argument: a study; content: the caption), accuracy
of the study's rows on each kind of test headline. What does not exist is a warning, as in `sphinx_ext`.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

import laghu
from laghu import audit, paths, spreadsheets
from laghu.errors import LaghuError
from laghu.report import formats, links, sources, sphinx_ext
from laghu.report.roles import RecordRole
from laghu.report.rows import Row, in_order, row_of
from laghu.report.sphinx_ext import StudyDirective
from laghu.report.table_nodes import table_of

# The place of the counts on the page of provenance.
ANCHOR = "audit-mahanews"
_KINDS = {
    "clean": "Clean", "in_other_split": "In the other split", "mojibake": "Damaged script",
    "repeat": "Repeats an earlier row",
}  # fmt: skip


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_role("audit", AuditRole())
    app.add_directive("audit-kinds", AuditKinds)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


def numbers_file() -> Path:
    """What `book/data/mahanews_audit.py` writes."""
    return paths.root() / "book" / "data" / "mahanews_audit.json"


def number(name: str) -> int | float | str:
    """One number of the audit by its dotted name.

    Raises:
        LaghuError: there is none of that name, or it is more than one; the message says what is there instead.
    """
    found = json.loads(numbers_file().read_text(encoding="utf-8"))
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            there = f"there are {', '.join(found)}" if isinstance(found, dict) else "it is a number already"
            raise LaghuError(f"no {part!r} for {name!r} in {numbers_file().name}; {there}")
        found = found[part]
    if isinstance(found, dict | list):
        raise LaghuError(f"{name!r} is not a single number; it holds {', '.join(map(str, found))}")
    return found


def written(value: int | float | str) -> str:
    """A count with its thousands apart, a fraction in percent, a text as it is."""
    match value:
        case float():
            return formats.show("accuracy", value)
        case int():
            return f"{value:,}"
    return value


def kinds_table(study: str) -> pd.DataFrame:
    """Mean accuracy over the seeds of each row of a study on each kind of test headline, fractions.

    Raises:
        LaghuError: the study was not tested on the headlines that the audit is of.
    """
    by_run = audit.accuracy_by_kind(sphinx_ext.listed(study), number("headlines.test.marks"))
    by_row = by_run.groupby([row_of(run) for run in by_run.index]).mean()
    return by_row.loc[in_order(list(by_row.index))]


class AuditRole(RecordRole):
    """A number in running text."""

    pattern = r"(?P<name>.+)"
    example = "headlines.test.rows"

    def number(self, name: str) -> nodes.Node:
        commit = formats.short(str(number("commit")))
        explanation = f"{name} in {numbers_file().name}, counted at commit {commit}"
        return links.explained(self.env, written(number(name)), ANCHOR, explanation)


class AuditKinds(StudyDirective):
    """A table of `kinds_table`; the content is its caption."""

    option_spec: ClassVar = {"name": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        if sphinx_ext.study(argument).empty:
            return [nodes.note("", nodes.paragraph("", sphinx_ext.not_run(argument)))]
        numbers = kinds_table(argument)
        rows = {kind: int(mask.sum()) for kind, mask in audit.kinds_of(number("headlines.test.marks")).items()}
        text = numbers.map(written).rename(
            index=lambda name: Row.parse(name).label, columns=lambda kind: f"{_KINDS[kind]} ({rows[kind]:,})")
        file = self.written(argument, "audit-kinds.csv", partial(spreadsheets.write, numbers.rename_axis("row")))
        table = table_of(text)
        table.insert(0, nodes.title("", "", *self.caption("", sphinx_ext.study(argument))))
        self.add_name(table)
        return [table, self.data_link(file, sources.study_anchor(argument))]
