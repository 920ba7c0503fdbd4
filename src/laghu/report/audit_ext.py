"""Numbers of the corpus audit for the pages of the book.

Role: {audit}`headlines.test.rows`, a number of `book/data/mahanews_audit.json` by its dotted name; whole numbers are
counts, fractions are written in percent. Directive: `audit-kinds` (argument: a study; content: the caption), accuracy
of the study's rows on each kind of test headline. What does not exist is a warning, as in `sphinx_ext`.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

import laghu
from laghu import audit, paths
from laghu.errors import LaghuError
from laghu.report import formats, sphinx_ext
from laghu.report.rows import Row, in_order, row_of

_LOG = logging.getLogger(__name__)
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


class AuditRole(SphinxRole):
    """A number in running text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(str(numbers_file()))
        try:
            text = written(number(self.text))
        except LaghuError as error:
            _LOG.warning("%s: %s", self.rawtext, error, location=self.get_location(), type="laghu")
            return [nodes.inline("", self.text, classes=["laghu-missing"])], []
        explanation = f"{self.text} in {numbers_file().name}"
        return [nodes.abbreviation("", text, explanation=explanation, classes=["laghu-number"])], []


class AuditKinds(SphinxDirective):
    """A table of `kinds_table`; the content is its caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        # Records may have changed, of which Sphinx knows nothing.
        self.env.note_reread()
        study = self.arguments[0]
        try:
            if sphinx_ext.study(study).empty:
                return [nodes.note("", nodes.paragraph("", f"The study {study!r} has not been run in this checkout."))]
            table = kinds_table(study)
            rows = {kind: int(mask.sum()) for kind, mask in audit.kinds_of(number("headlines.test.marks")).items()}
        except LaghuError as error:
            _LOG.warning("%s %s: %s", self.name, study, error, location=self.get_location(), type="laghu")
            return []
        heading = ["", *(f"{_KINDS[kind]} ({rows[kind]:,})" for kind in table)]
        lines = [[Row.parse(name).label, *map(written, values)] for name, *values in table.itertuples()]
        content = io.StringIO()
        csv.writer(content, lineterminator="\n").writerows([heading, *lines])
        caption = " ".join(self.content)
        return self.parse_text_to_nodes(
            f"```{{csv-table}} {caption}\n:header-rows: 1\n:stub-columns: 1\n:class: laghu-table\n\n"
            f"{content.getvalue()}```\n"
        )
