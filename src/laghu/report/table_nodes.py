"""Tables of texts, and lists of facts, as nodes of a page."""

from collections.abc import Sequence

import pandas as pd
from docutils import nodes


def table_of(text: pd.DataFrame) -> nodes.table:
    """A frame of texts: its index as row headings, columns of two levels as two lines of column headings."""
    bottom = [entry(name) for name in text.columns.get_level_values(-1)]
    lines = [list(line) for line in text.itertuples(name=None)]
    if text.columns.nlevels == 1:
        return table([[entry(""), *bottom]], lines)
    spans = text.columns.get_level_values(0).value_counts(sort=False)
    top = [entry(name, morecols=width - 1, classes=["laghu-span"]) for name, width in spans.items()]
    return table([[entry(""), *top], [entry(""), *bottom]], lines)


def table(headings: list[list[nodes.entry]], lines: list[list[str | nodes.Node]]) -> nodes.table:
    """A table whose first column heads its lines."""
    columns = len(lines[0])
    return nodes.table("", nodes.tgroup(
        "",
        *(nodes.colspec("", colwidth=1, **({} if place else {"stub": 1})) for place in range(columns)),
        nodes.thead("", *(nodes.row("", *cells) for cells in headings)),
        nodes.tbody("", *(nodes.row("", *map(entry, cells)) for cells in lines)),
        cols=columns,
    ), classes=["laghu-table"])


def entry(content: str | nodes.Node, classes: list[str] | None = None, **attributes: int) -> nodes.entry:
    child = content if isinstance(content, nodes.Node) else nodes.Text(content)
    return nodes.entry("", nodes.paragraph("", "", child), classes=classes or [],
                       **{name: value for name, value in attributes.items() if value})


def field_list(facts: Sequence[tuple[str, Sequence[nodes.Node]]]) -> nodes.field_list:
    """Names and what stands behind them."""
    return nodes.field_list("", *(
        nodes.field("", nodes.field_name("", name), nodes.field_body("", nodes.paragraph("", "", *content)))
        for name, content in facts
    ), classes=["laghu-facts"])
