"""The book's build without what Sphinx and its extensions do over and over; no page differs for it.

Pages are read by several processes, for which they are dealt out; what many pages need is computed before, once for
all. The list of all pages at the side of every page is made once and not once a page, which takes the square of their
number; a listing that many pages have is coloured once; and pybtex's plugins are found once and not once a citation,
for which it reads every installed package.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from posixpath import dirname, split
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from pybtex import plugin
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.highlighting import PygmentsBridge
from sphinx.util.osutil import relative_uri
from sphinx.util.parallel import make_chunks

import laghu
from laghu import paths
from laghu.errors import LaghuError
from laghu.report import claims_ext, sphinx_ext

# Extensions of Jupyter Book that do not say whether pages may be read side by side. They may: the one changes how LaTeX
# is written, the other numbers sections once all pages are read.
_PARALLEL = {"sphinx_jupyterbook_latex", "sphinx_multitoc_numbering"}
# What sphinxcontrib-bibtex asks for at every citation.
_BACKENDS = ("docutils", "plaintext")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    for name in _BACKENDS:
        plugin.register_plugin("pybtex.backends", name, plugin.find_plugin("pybtex.backends", name), force=True)
    app.parallel = _processes()
    app.connect("config-inited", _declare_parallel)
    app.connect("builder-inited", _share)
    app.connect("env-before-read-docs", _prepare)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


def _processes() -> int:
    """As many as there are processors; one where forking a process that has loaded libraries is not safe.

    It stands against what Sphinx was asked for: Jupyter Book always asks for one, and has no option to ask for more.
    """
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _declare_parallel(app: Sphinx, config: Config) -> None:
    for name in _PARALLEL & set(app.extensions):
        app.extensions[name].parallel_read_safe = True


def _prepare(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    """Before processes part: load what most pages load, and order the pages so that each process gets of each kind."""
    pages[:] = dealt(pages, app.parallel)
    with suppress(LaghuError, OSError):  # the page that shows them says what is wrong
        for study in sorted(paths.studies().glob("*.yaml")):
            sphinx_ext.study(study.stem)
        claims_ext.published()


def dealt(pages: list[str], processes: int) -> list[str]:
    """The pages in an order in which each process first reads its share of the slow ones; Sphinx gives it neighbours.

    The slow ones are the book's own, which by name come before its notebooks.
    """
    together = len(make_chunks(pages, processes)[0]) if pages else 0
    first = pages[:processes * together]
    return [page for process in range(processes) for page in first[process::processes]] + pages[len(first):]


def _share(app: Sphinx) -> None:
    if app.builder.format == "html":
        app.builder.highlighter.highlight_block = Listings(app.builder.highlighter)
        contents = Contents(app.builder._get_local_toctree, app.builder.get_target_uri)
        # Before the theme's own handlers (500), which render templates to see which are empty.
        app.connect("html-page-context", contents.put, priority=400)


class Listings:
    """A highlighter's `highlight_block`, which colours a listing once however many pages have it."""

    def __init__(self, highlighter: PygmentsBridge) -> None:
        self._highlight = highlighter.highlight_block
        self._coloured: dict[tuple[Any, ...], str] = {}

    def __call__(self, source: str, lang: str, *settings: Any, location: Any = None, **options: Any) -> str:
        key = (source, lang, repr(settings), repr(sorted(options.items())))
        if key not in self._coloured:
            self._coloured[key] = self._highlight(source, lang, *settings, location=location, **options)
        return self._coloured[key]


class Contents:
    """The book's table of contents, made once for each folder, then marked for each page.

    Args:
        resolve: gives it as HTML for a page; takes the options of Sphinx's template function `toctree`.
        address: of a page, from the root of the book.
    """

    def __init__(self, resolve: Callable[..., str], address: Callable[[str], str]) -> None:
        self._resolve, self._address = resolve, address
        self._resolved: dict[str, str] = {}
        self._made: dict[tuple[str, str], tuple[BeautifulSoup, dict[str, Tag]]] = {}

    def put(
        self, app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
    ) -> None:
        """Handler of `html-page-context`: what the theme and `book/_templates/sbt-sidebar-nav.html` call."""
        context["toctree"] = partial(self.in_folder, dirname(self._address(page)))
        context["shared_contents"] = lambda generate: partial(self.of, page, generate)

    def in_folder(self, folder: str, **options: Any) -> str:
        """As Sphinx resolves it, with addresses relative to the folder and no current entry."""
        if (key := repr(sorted(options.items()))) not in self._resolved:
            self._resolved[key] = self._resolve("", **options)
        contents = BeautifulSoup(self._resolved[key], "html.parser")
        for link in contents("a", class_="internal"):
            address, _, anchor = link["href"].partition("#")
            link["href"] = relative_uri(folder and f"{folder}/", address) + (anchor and f"#{anchor}")
        return str(contents)

    def of(self, page: str, generate: Callable[..., BeautifulSoup], **options: Any) -> str:
        """As the theme makes it for the page: its own entry and what that lies in are current.

        Args:
            generate: the theme's own function, which takes the options and makes it from what `in_folder` gives.
        """
        folder, name = split(self._address(page))
        if (key := (folder, repr(sorted(options.items())))) not in self._made:
            contents = generate(**options)
            self._made[key] = contents, {link["href"]: link for link in contents("a", class_="internal")}
        contents, links = self._made[key]
        if name not in links:
            return str(contents)
        marked = [links[name], *links[name].find_parents(["ul", "li"])]
        unmarked = [dict(tag.attrs) for tag in marked]
        for tag in marked:
            classes = tag.get("class", [])
            tag["class"] = [*classes, "current", "active"] if tag.name == "li" else ["current", *classes]
        links[name]["href"] = "#"
        written = str(contents)
        for tag, attributes in zip(marked, unmarked, strict=True):
            tag.attrs = attributes
        return written
