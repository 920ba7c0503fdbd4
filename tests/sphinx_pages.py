"""Pages of the book by themselves, with some of Laghu's extensions."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils


def render(
    folder: Path, text: str, *extensions: str, files: Mapping[str, str] | None = None, **options: Any
) -> tuple[str, str]:
    """A page as HTML, and the warnings of its build; records under `folder / "results"` are no pages.

    Args:
        text: of the page, in MyST.
        files: the texts of further pages and of what else they need, by path.
        options: of Sphinx's configuration, in place of those here.
    """
    for name, content in {**(files or {}), "index.md": text}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    warnings = io.StringIO()
    with patch_docutils(), docutils_namespace():
        Sphinx(
            folder, None, folder / "html", folder / "doctrees", "html", status=None, warning=warnings,
            confoverrides={"extensions": ["myst_parser", *extensions], "html_theme": "basic",
                           "exclude_patterns": ["results"], **options},
        ).build()
    return rendered(folder, "index"), warnings.getvalue()


def rendered(folder: Path, name: str) -> str:
    """HTML of a page that was rendered there."""
    return (folder / "html" / f"{name}.html").read_text(encoding="utf-8")
