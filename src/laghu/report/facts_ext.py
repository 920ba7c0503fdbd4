"""What a page rests on: records, machine, dates and commits, in a few lines below its title.

Directive: `page-facts` (arguments: studies, each with a kind of `laghu.report.sources` behind a slash where it is not
its runs on texts; `audit` for the counts of MahaNews; `tally/` and the name of a tally). Without arguments it says that
nothing was measured.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import laghu
from laghu.report import audit_ext, links, sources, tallies
from laghu.report.sources import Source
from laghu.report.sphinx_ext import StudyDirective
from laghu.report.table_nodes import field_list

AUDIT, TALLY = "audit", "tally/"
PROVENANCE = "book/provenance"
# More commits than these fill lines and tell nobody which record is of which.
_MOST_COMMITS = 3
# How records of a kind are called, with the study's name, and what they are.
_CALLED = {"runs": "study {}", "words": "study {}", "costs": "costs of {}", "backbone": "backbone of {}",
           "benchmark": "benchmark of {}", "scaling": "scaling of {}", "shipped": "model given away from {}"}
_COUNTED = {"runs": ("run", "runs"), "words": ("run on labelled words", "runs on labelled words"),
            "costs": ("record", "records")}


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("page-facts", PageFacts)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class PageFacts(StudyDirective):
    """Records, machine, dates and commits of the records that are named."""

    required_arguments = 0
    optional_arguments = 1
    final_argument_whitespace = True
    has_content = False
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        self.arguments = self.arguments or [""]
        return super().run()

    def content_of(self, argument: str) -> list[nodes.Node]:
        if not argument:
            return [field_list([("Records", [nodes.Text("none; nothing on this page was measured here")])])]
        named, found = [], []
        for item in argument.split():
            if item == AUDIT:
                named.append([links.reference(self.env, "audit of MahaNews", audit_ext.ANCHOR)])
                continue
            if item.startswith(TALLY):
                counted = tallies.source(item.removeprefix(TALLY))
                named.append(_named_tally(self.env, item.removeprefix(TALLY), counted))
                found += [counted] if counted else []
                continue
            study, _, kind = item.partition("/")
            own = sources.of(study, kind or "runs")
            named.append(_named(self.env, study, kind or "runs", own))
            found += own
        commits = [source.commit for source in found] + [str(audit_ext.number("commit"))] * (AUDIT in argument.split())
        facts: list[tuple[str, list[nodes.Node]]] = [("Records", _joined(named))]
        if found:
            facts += [("Machine", [nodes.Text(machines(found))]), ("Measured", [nodes.Text(sources.days(found))])]
        if commits:
            facts.append(("Commits" if len(set(commits)) > 1 else "Commit", commits_of(self.env, commits)))
        return [field_list(facts)]


def machines(found: Sequence[Source]) -> str:
    return "; ".join(dict.fromkeys(filter(None, (source.machine for source in found))))


def commits_of(env: BuildEnvironment, commits: Sequence[str]) -> list[nodes.Node]:
    """The commits, or where they are many how many, with a link to the page that has each beside its record."""
    different = len(set(commits))
    if different <= _MOST_COMMITS or env.docname == PROVENANCE:
        return digests(commits)
    return [links.page(env, f"{different}, each beside its records", PROVENANCE)]


def digests(values: Sequence[str]) -> list[nodes.Node]:
    """Each different digest once."""
    return _joined([[links.digest(value)] for value in dict.fromkeys(values)], ", ")


def _named(env: BuildEnvironment, study: str, kind: str, own: Sequence[Source]) -> list[nodes.Node]:
    """What the page says of one study's records: what they are called, with a link, how many and of which seeds."""
    called = _CALLED[kind].format(study)
    if not own:
        return [nodes.Text(f"{called}, "), links.missing()]
    anchor = sources.study_anchor(study) if kind in ("runs", "words") else own[0].anchor
    said = []
    if kind in _COUNTED:
        said.append(f"{len(own)} {_COUNTED[kind][len(own) > 1]}")
    if seeds := sorted({source.seed for source in own if source.seed is not None}):
        said.append(f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}")
    return [links.reference(env, called, anchor), *([nodes.Text(f" ({', '.join(said)})")] if said else [])]


def _named_tally(env: BuildEnvironment, name: str, counted: Source | None) -> list[nodes.Node]:
    called = f"tally of {name}"
    return [links.reference(env, called, counted.anchor)] if counted else [nodes.Text(f"{called}, "), links.missing()]


def _joined(parts: Sequence[Sequence[nodes.Node]], by: str = "; ") -> list[nodes.Node]:
    return [node for place, part in enumerate(parts) for node in ([nodes.Text(by)] if place else []) + list(part)]
