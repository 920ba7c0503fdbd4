"""A page of the book by itself, with some of Laghu's extensions."""

import io
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils


def render(folder: Path, text: str, *extensions: str) -> tuple[str, str]:
    """The page as HTML, and the warnings of its build; what lies under "results" and "book" is no page."""
    (folder / "index.md").write_text(text, encoding="utf-8")
    warnings = io.StringIO()
    with patch_docutils(), docutils_namespace():
        Sphinx(
            folder, None, folder / "html", folder / "doctrees", "html", status=None, warning=warnings,
            confoverrides={"extensions": ["myst_parser", *extensions], "html_theme": "basic",
                           "exclude_patterns": ["results", "book"]},
        ).build()
    return (folder / "html" / "index.html").read_text(encoding="utf-8"), warnings.getvalue()
