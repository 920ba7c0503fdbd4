"""What the theme and docutils lack for readers who use a keyboard, a screen reader or a phone.

Most of it is in `book/_static/theme`; `tests/browser/test_accessibility.py` measures what is left.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import laghu


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_css_file("theme/accessibility.css")
    app.add_js_file("theme/scrollable.js", loading_method="defer")
    app.add_node(nodes.citation, override=True, html=(_open_citation, HTML5Translator.depart_citation))
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


def _open_citation(self: HTML5Translator, node: nodes.citation) -> None:
    """An item of the list that docutils opens around citations; its own role for it is none that a list may hold."""
    HTML5Translator.visit_citation(self, node)
    self.body[-1] = self.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')
