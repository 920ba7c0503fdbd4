"""The directive `citation`: how to cite the book and what it builds on, from CITATION.cff."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import laghu
from laghu.errors import LaghuError
from laghu.report import citation

_LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("citation", Citation)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class Citation(SphinxDirective):
    """The file's message, then an entry for the book and one for each work that it refers to."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(citation.file()))
        try:
            book = citation.load()
            entries = [citation.bibtex(work) for work in (book, *book.get("references", []))]
        except LaghuError as error:
            _LOG.warning("citation: %s", error, location=self.get_location(), type="laghu")
            return []
        return [nodes.literal_block(entry, entry, language="bibtex") for entry in entries]
