"""Tallies of tests that count, such as the kill test: numbers in running text, and a table of all of them.

Role: {tally}`kill-test#kills`, a count of `results/robustness/kill-test.json` by its name, those of a group behind a
slash. Directive: `tally` (argument: the file's name without its suffix; content: the caption), all counts of it, and
below them command, machine, day and commit. What was not counted yet says so; a name that is not there is a warning.
"""

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

import laghu
from laghu.errors import LaghuError
from laghu.report import links, tallies
from laghu.report.roles import RecordRole
from laghu.report.sources import Source
from laghu.report.sphinx_ext import StudyDirective
from laghu.report.table_nodes import entry, field_list, table


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_role("tally", TallyRole())
    app.add_directive("tally", TallyTable)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class TallyRole(RecordRole):
    """A count in running text."""

    pattern = r"(?P<file>[\w-]+)#(?P<name>.+)"
    example = "kill-test#kills"

    def number(self, file: str, name: str) -> nodes.Node:
        if (tally := tallies.load(file)) is None:
            return links.missing()
        counts = tallies.flat(tally["counts"])
        if name not in counts:
            raise LaghuError(f"no count {name!r} in {file}; there are {', '.join(counts)}")
        explanation = f"{name}, counted by {tally['command']}"
        return links.explained(self.env, f"{counts[name]:,}", tallies.anchor(file), explanation)


class TallyTable(StudyDirective):
    """All counts of a tally; the content is the caption."""

    option_spec: ClassVar = {"name": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        target = nodes.target("", "", ids=[tallies.anchor(argument)], names=[tallies.anchor(argument)])
        self.state.document.note_explicit_target(target)
        if (tally := tallies.load(argument)) is None:
            return [target, nodes.paragraph("", "", links.missing())]
        lines: list[list[str | nodes.Node]] = []
        # Sums first: those of a kind fill many lines.
        for name, value in sorted(tally["counts"].items(), key=lambda count: isinstance(count[1], dict)):
            lines.append([_sentence(name), "" if isinstance(value, dict) else f"{value:,}"])
            if isinstance(value, dict):
                lines += [[_text(f"\N{EM SPACE}{part}"), f"{count:,}"] for part, count in value.items()]
        made = table([[entry("What"), entry("Count")]], lines)
        if self.content:
            made.insert(0, nodes.title("", "", *self.caption_alone()))
        self.add_name(made)
        return [target, made, field_list(_facts(tally["command"], tallies.source(argument)))]

    def caption_alone(self) -> list[nodes.Node]:
        parsed = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        if len(parsed) != 1 or not isinstance(parsed[0], nodes.paragraph):
            raise LaghuError("its content is the caption, and has to be one paragraph")
        return list(parsed[0].children)


def _facts(command: str, source: Source) -> list[tuple[str, list[nodes.Node]]]:
    minutes = (source.ended - source.begun).total_seconds() / 60
    return [
        ("Counted by", [nodes.literal("", command)]),
        ("Machine", [nodes.Text(source.machine)]),
        ("Took", [nodes.Text(f"{minutes:.0f} minutes, ended on {source.ended:%Y-%m-%d}")]),
        ("Commit", [links.digest(source.commit)]),
    ]


def _text(name: str) -> nodes.inline:
    """A name in which a command stands between backticks."""
    parts = name.split("`")
    return nodes.inline("", "", *(
        nodes.literal("", part) if place % 2 else nodes.Text(part) for place, part in enumerate(parts) if part))


def _sentence(name: str) -> str:
    return name[:1].upper() + name[1:]
