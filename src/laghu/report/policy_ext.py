"""What a page of the book may load and run: a Content-Security-Policy in its head, and nothing that the policy forbids.

Everything comes from the book itself, and no script or style stands in a page: text of a corpus, or what a reader
typed, that would reach a page as markup in spite of all escaping could not run. `_EXCEPTIONS` lists what single pages
need beyond `POLICY`. Settings that libraries want to write into the page as scripts are in files under `book/_static`,
which `book/_templates` and this module load in their place.
"""

import re
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import laghu
from laghu.report import outputs

POLICY = {
    "default-src": ("'none'",),
    "script-src": ("'self'",),
    "style-src": ("'self'",),
    "img-src": ("'self'", "data:"),
    "font-src": ("'self'",),
    "connect-src": ("'self'",),  # the page of search reads the pages it found
    "form-action": ("'self'",),
    "base-uri": ("'none'",),
}
# What a page's scripts cannot do without, by the page's name.
_EXCEPTIONS = {
    "book/live": {"script-src": ("'wasm-unsafe-eval'",)},  # ONNX Runtime compiles WebAssembly; text is still not run
}
# Digests of the style sheets that MathJax 3.2.2 writes into pages with maths: three of its menu, which is off, and its
# own. Those of another version are in the complaints on a browser's console.
_MATHS = {
    "style-src": (
        "'sha256-JLEjeN9e5dGsz5475WyRaoA4eQOdNPxDIeUhclnJDCE='",
        "'sha256-mQyxHEuwZJqpxCw3SLmc4YOySNKXunyu2Oiz1r3/wAE='",
        "'sha256-OCf+kv5Asiwp++8PIevKBYSgnNLNUZvxAp4a7wMLuKA='",
        "'sha256-h5LOiLhk6wiJrGsG5ItM0KimwzWQH/yAcmoJDJL//bY='",
    ),
}
MATHS_SETTINGS = "lib/mathjax/settings.js"
# What pandas writes into its tables.
_STYLES = re.compile(r"<style\b.*?</style>\s*|(?<=[\w\"'])\s+style=(?:\"[^\"]*\"|'[^']*')(?=[^<]*>)", re.DOTALL)
_FIRST, _LATE = 100, 900  # before MathJax; after every extension has added its scripts


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_transform(DropStyles)
    app.add_js_file("theme/buttons.js", loading_method="defer")
    app.connect("html-page-context", _secure, priority=_LATE)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class DropStyles(SphinxTransform):
    """Takes style sheets and style attributes out of notebooks' outputs, which the policy would not apply anyhow."""

    default_priority = 990  # when MyST-NB has made the page

    def apply(self, **kwargs: Any) -> None:
        outputs.rewrite(self.document, without_styles)


def without_styles(html: str) -> str:
    """HTML without `<style>` and `style=`."""
    return _STYLES.sub("", html)


def policy(page: str, maths: bool) -> str:
    """The Content-Security-Policy of a page by its name, "book/index"; `maths` if it holds formulas."""
    beyond = [_EXCEPTIONS.get(page, {}), _MATHS if maths else {}]
    directives = (
        (name, *sources, *(source for more in beyond for source in more.get(name, ())))
        for name, sources in POLICY.items()
    )
    return "; ".join(" ".join(directive) for directive in directives)


def _secure(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put the policy into a page's head, before all that it governs, and leave out scripts that the page can spare."""
    maths = doctree is not None and next(doctree.findall(_is_maths), None) is not None
    meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(page, maths), quote=False)}" />'
    context["metatags"] = f"\n    {meta}{context.get('metatags', '')}"
    if maths:
        app.add_js_file(MATHS_SETTINGS, priority=_FIRST, loading_method="defer")
    context["script_files"] = [
        script for script in context["script_files"]
        # Sphinx gives MathJax to the pages above one with maths too; the theme's line is for a choice of versions.
        if (maths or not str(script.filename).endswith(app.config.mathjax_path))
        and not script.attributes.get("body", "").startswith("DOCUMENTATION_OPTIONS.pagename")
    ]


def _is_maths(node: nodes.Node) -> bool:
    return isinstance(node, (nodes.math, nodes.math_block))
