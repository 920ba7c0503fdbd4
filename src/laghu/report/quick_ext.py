"""The book's build without what Sphinx and its extensions do over and over; no page differs for it.

The list of all pages at the side of every page is resolved once and not once a page, which takes the square of their
number; and pybtex's plugins are found once and not once a citation, for which it reads every installed package.
"""

import os
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from pybtex import plugin
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.osutil import relative_uri

import laghu

# Extensions of Jupyter Book that do not say whether pages may be read side by side. They may: the one changes how LaTeX
# is written, the other numbers sections once all pages are read.
_PARALLEL = {"sphinx_jupyterbook_latex", "sphinx_multitoc_numbering"}
# What sphinxcontrib-bibtex asks for at every citation.
_BACKENDS = ("docutils", "plaintext")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    for name in _BACKENDS:
        plugin.register_plugin("pybtex.backends", name, plugin.find_plugin("pybtex.backends", name), force=True)
    app.parallel = len(os.sched_getaffinity(0))
    app.connect("config-inited", _declare_parallel)
    app.connect("builder-inited", _share_contents)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


def _declare_parallel(app: Sphinx, config: Config) -> None:
    for name in _PARALLEL & set(app.extensions):
        app.extensions[name].parallel_read_safe = True


def _share_contents(app: Sphinx) -> None:
    if app.builder.format == "html":
        contents = Contents(app.builder._get_local_toctree, app.builder.get_target_uri)
        # Before the theme's own handlers (500), which render templates to see which are empty.
        app.connect("html-page-context", contents.put, priority=400)


class Contents:
    """The book's table of contents, resolved for no page in particular, then read for each.

    Args:
        resolve: gives it as HTML for a page; takes the options of Sphinx's template function `toctree`.
        address: of a page, from the root of the book.
    """

    def __init__(self, resolve: Callable[..., str], address: Callable[[str], str]) -> None:
        self._resolve, self._address = resolve, address
        self._resolved: dict[tuple[tuple[str, Any], ...], BeautifulSoup] = {}

    def put(
        self, app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
    ) -> None:
        """Handler of `html-page-context`: the template function `toctree` of a page."""
        context["toctree"] = partial(self.of, page)

    def of(self, page: str, **options: Any) -> str:
        """As Sphinx resolves it for the page: addresses are relative to it, and its own entry is the current one."""
        contents, here = copy(self._of_no_page(options)), self._address(page)
        for link in contents("a", class_="internal"):
            address, _, anchor = link["href"].partition("#")
            if link["href"] == here:
                link["class"].insert(0, "current")
                for parent in link.find_parents(["ul", "li"]):
                    parent["class"] = [*parent.get("class", []), "current"]
            link["href"] = relative_uri(here, address) + (anchor and f"#{anchor}") or "#"
        return str(contents)

    def _of_no_page(self, options: dict[str, Any]) -> BeautifulSoup:
        key = tuple(sorted(options.items()))
        if key not in self._resolved:
            self._resolved[key] = BeautifulSoup(self._resolve("", **options), "html.parser")
        return self._resolved[key]
