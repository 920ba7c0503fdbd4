"""What the cells of executed notebooks put out as HTML, on the pages that MyST-NB makes of them."""

from collections.abc import Callable, Iterator

from docutils import nodes


def rewrite(document: nodes.document, change: Callable[[str], str]) -> None:
    """Put `change` of each output in its place."""
    for raw in list(document.findall(nodes.raw)):
        if raw["format"] == "html" and any("cell_output" in node.get("classes", ()) for node in ancestors(raw)):
            raw.replace_self(nodes.raw("", change(raw.astext()), format="html"))


def ancestors(node: nodes.Node) -> Iterator[nodes.Element]:
    """What a node is in, from the inside out."""
    while (node := node.parent) is not None:
        yield node
