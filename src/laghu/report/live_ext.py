"""The shipped model for the book's pages.

Directives: `live-model`, the part of a page in which a reader tries it, and `model-card`, its card. Role:
{shipped}`small#accuracy.clean.value`, a number of a shipped model (`small` or `teacher`), or {shipped}`#max_length`, of
the manifest. Where no model is shipped in this checkout, that is what they say. Script and style load where a
`live-model` stands, and nowhere else.
"""

import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import laghu
from laghu import paths
from laghu.errors import LaghuError
from laghu.report import assets, formats, links, live, sources
from laghu.report.roles import RecordRole
from laghu.shipping import manifest
from laghu.shipping.manifest import Manifest


class LiveModel(nodes.General, nodes.Element):
    """Where the page's script finds its work."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_node(LiveModel, html=(_nothing, _nothing), latex=(_nothing, _nothing))
    app.add_directive("live-model", LiveModelDirective)
    app.add_directive("model-card", ModelCard)
    app.add_role("shipped", ShippedRole())
    assets.load(app, LiveModel, lambda _: ("live/live.js", "live/live.css"))
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class _ShippedDirective(SphinxDirective):
    """Something made from the manifest."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        made = manifest.load()
        if made is None:
            text = "No model is shipped in this checkout. "
            return [nodes.note("", nodes.paragraph(
                "", "", nodes.Text(text), nodes.literal("", "laghu ship STUDY"), nodes.Text(" makes one."),
            ))]
        return self.shown(made)

    def shown(self, made: Manifest) -> list[nodes.Node]:
        raise NotImplementedError


class LiveModelDirective(_ShippedDirective):
    """The model to try."""

    def shown(self, made: Manifest) -> list[nodes.Node]:
        return [LiveModel("", nodes.raw("", live.skeleton(made, paths.shipped().parent), format="html"))]


class ModelCard(_ShippedDirective):
    """The card as it lies beside the model: its sections below the one that the directive stands in."""

    def shown(self, made: Manifest) -> list[nodes.Node]:
        card = (paths.shipped() / manifest.CARD).read_text(encoding="utf-8")
        first, *rest = re.split(r"^## (.+)\n", card, flags=re.MULTILINE)
        sections = [
            nodes.section("", nodes.title("", heading), *self.parsed(text), ids=[nodes.make_id(f"card {heading}")])
            for heading, text in zip(rest[::2], rest[1::2], strict=True)
        ]
        return [*self.parsed(first.partition("\n")[2]), *sections]

    def parsed(self, text: str) -> list[nodes.Node]:
        found = nodes.Element()
        self.state.nested_parse(StringList(text.splitlines(), manifest.CARD), 0, found)
        for wide in found.findall(lambda node: isinstance(node, nodes.table | nodes.literal)):
            wide["classes"].append("laghu-card")
        return found.children


class ShippedRole(RecordRole):
    """A number of the manifest in running text."""

    pattern = r"(?P<model>small|teacher|)#(?P<field>[\w.]+)"
    example = "small#accuracy.clean.value or #max_length"

    def number(self, model: str, field: str) -> nodes.Node:
        made = manifest.load()
        if made is None:
            return links.missing("not shipped yet")
        value: Any = getattr(made, model) if model else made
        for part in field.split("."):
            if not hasattr(value, part):
                raise LaghuError(f"no field {field!r} in the manifest of what is shipped")
            value = getattr(value, part)
        text = live.megabytes(value) if field == "bytes" else formats.show(field, value)
        source = sources.of_shipped(made)
        return links.number(self.env, text, source.anchor, source.name, [source])


def _nothing(translator: nodes.NodeVisitor, node: LiveModel) -> None:
    """Its content stands for itself."""
