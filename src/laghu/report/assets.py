"""Scripts and style sheets of pages that have something for them to work on, and of no others."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from docutils import nodes
from sphinx.application import Sphinx

Element = TypeVar("Element", bound=nodes.Element)


def load(app: Sphinx, kind: type[Element], files: Callable[[Element], Iterable[str]]) -> None:
    """Have a page load what its elements of a kind need, each file once and in this order; scripts run when it is read.

    Args:
        files: of one element, below the folders of static files; a name ends in ".js" or ".css".
    """

    def add(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
        elements = [] if doctree is None else doctree.findall(kind)
        for file in dict.fromkeys(file for element in elements for file in files(element)):
            if file.endswith(".js"):
                app.add_js_file(file, loading_method="defer")
            else:
                app.add_css_file(file)

    app.connect("html-page-context", add)
