"""Words in Devanagari and in Bengali script bear their language, `lang="mr"`: in prose, captions, tables and outputs.

A reader's software then speaks and hyphenates them right, and the page draws them with the shipped fonts. Code stays as
it is. Stored outputs of notebooks say `lang="mr"` of every text of a corpus, whatever its language: that is put right.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import laghu
from laghu.report import languages, outputs

# In these, text is code, or nothing that is read.
_OTHER = (nodes.literal, nodes.math, nodes.raw, nodes.FixedTextElement, nodes.Invisible)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_transform(MarkLanguages)
    app.add_css_file("theme/languages.css")
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class MarkLanguages(SphinxTransform):
    """Wraps words of another script in an element with their language."""

    default_priority = 990  # when directives and other transforms have written their text, before titles are collected

    def apply(self, **kwargs: Any) -> None:
        for text in list(self.document.findall(nodes.Text)):
            at = next(at for at, child in enumerate(text.parent) if child is text)
            if languages.language(text) and _is_read(text, text.parent[at - 1] if at else None):
                text.parent[at:at + 1] = [_piece(*run) for run in languages.runs(text)]
        outputs.rewrite(self.document, languages.marked)


def _is_read(text: nodes.Text, before: nodes.Node | None) -> bool:
    return not (
        (isinstance(before, nodes.raw) and ' lang="' in before.astext())  # marked by its author, in HTML
        or any(isinstance(node, _OTHER) for node in outputs.ancestors(text))
    )


def _piece(text: str, language: str | None) -> nodes.Node:
    # Docutils writes this class as the attribute `lang`.
    return nodes.inline("", text, classes=[f"language-{language}"]) if language else nodes.Text(text)
