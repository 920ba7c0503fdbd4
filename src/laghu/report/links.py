"""Nodes that tie a number, a table or a figure to the lines of the page of provenance."""

from collections.abc import Sequence
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.environment import BuildEnvironment

from laghu.report import formats
from laghu.report.sources import Source, told

NOT_RUN = "not run yet"


def number(env: BuildEnvironment, text: str, anchor: str, what: str, sources: Sequence[Source]) -> nodes.abbreviation:
    """A number in running text: it links to the line `anchor` and says, pointed at, what it is and whose."""
    return explained(env, text, anchor, told(what, sources))


def explained(env: BuildEnvironment, text: str, anchor: str, explanation: str) -> nodes.abbreviation:
    """`number` with an explanation of its own."""
    return nodes.abbreviation("", "", reference(env, text, anchor), explanation=explanation, classes=["laghu-number"])


def reference(env: BuildEnvironment, text: str, anchor: str) -> addnodes.pending_xref:
    """A link to an anchor of the book; one that is nowhere is a warning where Sphinx is nitpicky, as for the book."""
    return addnodes.pending_xref(
        "", nodes.inline("", text), refdomain="std", reftype="ref", reftarget=anchor, refexplicit=True, refwarn=False,
        refdoc=env.docname,
    )


def download(env: BuildEnvironment, file: Path, text: str) -> addnodes.download_reference:
    """A link to a file of the checkout, which the book gets a copy of."""
    target = "/" + file.relative_to(env.srcdir).as_posix()
    return addnodes.download_reference("", "", nodes.inline("", text), reftarget=target, refdoc=env.docname)


def data(env: BuildEnvironment, file: Path, anchor: str | None = None) -> nodes.paragraph:
    """What stands under a table or a figure: its numbers to download, and the line of their records, if any."""
    parts: list[nodes.Node] = [download(env, file, "Data (CSV)")]
    if anchor:
        parts += [nodes.Text(" · "), reference(env, "Records", anchor)]
    return nodes.paragraph("", "", *parts, classes=["laghu-data"])


def page(env: BuildEnvironment, text: str, docname: str) -> nodes.Node:
    """A link to a page of the book, or the text alone where the book has no such page."""
    if docname not in env.found_docs:
        return nodes.Text(text)
    return addnodes.pending_xref(
        "", nodes.inline("", text), refdomain="std", reftype="doc", reftarget=f"/{docname}", refexplicit=True,
        refwarn=True, refdoc=env.docname,
    )


def missing(text: str = NOT_RUN) -> nodes.inline:
    """What stands in the place of a number that is not there."""
    return nodes.inline("", text, classes=["laghu-missing"])


def digest(value: str) -> nodes.abbreviation:
    """A digest, short, whole to whoever points at it."""
    return nodes.abbreviation("", "", nodes.literal("", formats.short(value)), explanation=value)
