"""The pages that tests open: all but notebooks, and of those, which are many and alike, one of each technique."""

from pathlib import PurePosixPath

import yaml

from laghu import paths
from laghu.report import book
from laghu.report.rows import Row, row_of

_TOC = yaml.safe_load((paths.root() / "_toc.yml").read_text(encoding="utf-8"))
_LISTED = [PurePosixPath(page) for page in book.pages(book.assemble(_TOC)[0])]


def _kind(notebook: PurePosixPath) -> str:
    """What a notebook does: its technique, or that it is on labelled words or on the cost of the paper's shape."""
    folder = notebook.parent.name
    return folder if folder in ("tokens", "cost") else Row.parse(row_of(notebook.stem)).technique


# The first of each kind in the order of the contents.
_NOTEBOOKS = {_kind(page): page for page in reversed(_LISTED) if page.suffix == ".ipynb"}.values()
_PROSE = [PurePosixPath(_TOC["root"]), *(page for page in _LISTED if page.suffix != ".ipynb")]

PAGES = [page.with_suffix(".html").as_posix() for page in (*_PROSE, *_NOTEBOOKS)] + ["search.html"]
