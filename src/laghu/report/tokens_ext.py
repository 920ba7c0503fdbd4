"""Token classifiers in the book's pages.

Directive: `token-table` (argument: scores, views, kinds or cost; options `study`, `corpus`, `name`). Role:
{token-mean}`cpu/mahaner-pruning-50#scores.f1.clean.value`, mean ± standard deviation over a row's seeds. What has not
been run yet says so.
"""

import math
from functools import partial
from typing import Any, ClassVar, get_args

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

import laghu
from laghu import spreadsheets
from laghu.errors import LaghuError
from laghu.report import links, sources, tokens
from laghu.report.roles import RecordRole
from laghu.report.sphinx_ext import StudyDirective
from laghu.report.table_nodes import table_of
from laghu.spec import TokenCorpusName

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
        named = numbers.set_axis([".".join(column) for column in numbers.columns], axis=1)
        file = self.written(study, f"tokens-{corpus}-{argument}.csv", partial(spreadsheets.write, named))
        table = table_of(tokens.as_text(numbers, argument, listed[0].task))
        table.insert(0, nodes.title("", tokens.caption(listed, argument)))
        self.add_name(table)
        return [table, self.data_link(file, sources.study_anchor(study))]


class TokenRole(RecordRole):
    """A number of the records of a row in running text."""

    pattern = rf"(?P<study>[^/#]+)/(?P<corpus>{'|'.join(_CORPORA)})-(?P<row>[^/#]+)#(?P<field>[^#]+)"
    example = "cpu/mahaner-pruning-50#scores.f1.clean.value"

    def number(self, study: str, corpus: str, row: str, field: str) -> nodes.Node:
        if not (listed := tokens.listed(study, corpus)):
            return links.missing()
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
        text = scale.with_symbol(scale.spread(mean, deviation))
        spread = ", mean ± standard deviation" if "±" in text else ""
        own = [sources.of_run(record) for record in listed if record.run in runs.index]
        return links.number(self.env, text, own[0].row_anchor, f"{row} on {corpus}: {seeds}{spread}", own)


def _not_run(study: str, corpus: str) -> nodes.note:
    text = f"The token classifiers of {study!r} on {corpus} have not been run in this checkout; laghu tokens {study} "
    return nodes.note("", nodes.paragraph("", f"{text}runs them."))
