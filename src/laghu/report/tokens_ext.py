"""Token classifiers in the book's pages.

Directive: `token-table` (argument: scores, views, kinds or cost; options `study`, `corpus`, `name`). Role:
{token-mean}`cpu/mahaner-pruning-50#scores.f1.clean.value`, mean ± standard deviation over a row's seeds. What has not
been run yet says so.
"""

import math
import re
from typing import Any, ClassVar, get_args

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

import laghu
from laghu import records
from laghu.errors import LaghuError
from laghu.report import formats, tokens
from laghu.report.sphinx_ext import NOT_RUN, StudyDirective, table_of
from laghu.spec import TokenCorpusName

_LOG = logging.getLogger(__name__)
_CORPORA = get_args(TokenCorpusName)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("token-table", TokenTable)
    app.add_role("token-mean", TokenRole())
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class TokenTable(StudyDirective):
    """One table of a study's token classifiers on one corpus."""

    has_content = False
    option_spec: ClassVar = {
        "study": directives.unchanged_required, "corpus": directives.unchanged_required, "name": directives.unchanged
    }

    def content_of(self, argument: str) -> list[nodes.Node]:
        study, corpus = self.study(), self.options.get("corpus")
        if argument not in tokens.TABLES:
            raise LaghuError(f"no such table; there are {', '.join(tokens.TABLES)}")
        if corpus not in _CORPORA:
            raise LaghuError(f"option :corpus: is {corpus!r}; it must be one of {', '.join(_CORPORA)}")
        if not (listed := tokens.listed(study, corpus)):
            return [_not_run(study, corpus)]
        numbers = tokens.numbers(listed, argument)
        file = self.generated(study, f"tokens-{corpus}-{argument}.csv")
        numbers.set_axis([".".join(column) for column in numbers.columns], axis=1).to_csv(file)
        table = table_of(tokens.rendered(listed, argument))
        table.insert(0, nodes.title("", tokens.caption(listed, argument)))
        self.add_name(table)
        return [table, self.data_link(file)]


class TokenRole(SphinxRole):
    """A number of the records of a row in running text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_reread()
        try:
            pattern = rf"(?P<study>[^/#]+)/(?P<corpus>{'|'.join(_CORPORA)})-(?P<row>[^/#]+)#(?P<field>[^#]+)"
            if not (match := re.fullmatch(pattern, self.text)):
                raise LaghuError(f"{self.text!r} is not of the form cpu/mahaner-pruning-50#scores.f1.clean.value")
            if not (listed := tokens.listed(match["study"], match["corpus"])):
                return [nodes.inline("", NOT_RUN, classes=["laghu-missing"])], []
            return [self.number(listed, match["row"], match["field"])], []
        except LaghuError as error:
            _LOG.warning("%s: %s", self.rawtext, error, location=self.get_location(), type="laghu")
            return [nodes.inline("", self.text, classes=["laghu-missing"])], []

    def number(self, listed: list[records.TokenRecord], row: str, field: str) -> nodes.Node:
        frame = tokens.frame(listed)
        runs = frame[frame["row"] == row]
        if runs.empty:
            raise LaghuError(f"there is no row {row!r}; there are {', '.join(sorted(frame['row'].unique()))}")
        if field not in frame or not pd.api.types.is_numeric_dtype(frame[field]):
            numeric = frame.select_dtypes("number").columns
            raise LaghuError(f"no number {field!r} in these records; there are {', '.join(numeric)}")
        mean, deviation = runs[field].mean(), runs[field].std()
        if math.isnan(mean):
            raise LaghuError(f"{field} has no value here")
        scale = tokens.unit(field, mean)
        seeds = f"{len(runs)} seeds" if len(runs) > 1 else "one seed"
        commits = ", ".join(sorted({formats.short(commit) for commit in runs["commit"]}))
        about = f"{row} on {listed[0].corpus}: {seeds}, commit {commits}"
        text = scale.with_symbol(scale.spread(mean, deviation))
        return nodes.abbreviation("", "", nodes.Text(text), explanation=about, classes=["laghu-number"])


def _not_run(study: str, corpus: str) -> nodes.note:
    text = f"The token classifiers of {study!r} on {corpus} have not been run in this checkout; laghu tokens {study} "
    return nodes.note("", nodes.paragraph("", f"{text}runs them."))
