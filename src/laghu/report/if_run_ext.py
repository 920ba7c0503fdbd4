"""Parts of a page that depend on whether a study has been run in this checkout.

Directives: `if-run` and `if-not-run` (argument: the study), around what is said in either case.
"""

from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx

import laghu
from laghu.report import sphinx_ext
from laghu.report.sphinx_ext import StudyDirective


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("if-run", IfRun)
    app.add_directive("if-not-run", IfNotRun)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class IfRun(StudyDirective):
    """Its content where there are results of the study."""

    option_spec: ClassVar = {}

    def content_of(self, argument: str) -> list[nodes.Node]:
        return self.parsed() if _results(argument) else []

    def parsed(self) -> list[nodes.Node]:
        found = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, found)
        return found.children


class IfNotRun(IfRun):
    """Its content where there are none."""

    def content_of(self, argument: str) -> list[nodes.Node]:
        return [] if _results(argument) else self.parsed()


def _results(study: str) -> bool:
    return not sphinx_ext.study(study).empty
