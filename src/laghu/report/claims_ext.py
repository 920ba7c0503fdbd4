"""The audit of the papers' claims for the book's pages.

Role: {claim-count}`contradicted`, the number of claims with that verdict; {claim-count}`1/contradicted` of one paper;
{claim-count}`all` and {claim-count}`1/all` of any verdict. Directive: `claims-table` (argument: the paper's number),
its claims with arithmetic, measurement, verdict and reason. What does not exist is a warning, which fails the build.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import laghu
from laghu import paths
from laghu.errors import LaghuError
from laghu.report import links
from laghu.report.claims import audit
from laghu.report.claims.claim import Claim, Verdict
from laghu.report.claims.papers import TITLES
from laghu.report.roles import RecordRole

_LOG = logging.getLogger(__name__)
# The place of the claims on the page of provenance.
ANCHOR = "record-claims"
_HEADINGS = ("Claim", "Arithmetic", "Measured here", "Verdict")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_role("claim-count", ClaimCount())
    app.add_directive("claims-table", ClaimsTable)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


def published() -> tuple[Claim, ...]:
    """`audit.published`, computed once for as long as the files it reads stay as they are."""
    files = [*(paths.root() / "book" / "data").glob("*.csv"),
             *(file for study in audit.STUDIES for file in paths.results(study).rglob("*.json"))]
    return _published(tuple((file, file.stat().st_mtime_ns) for file in sorted(files)))


@lru_cache(maxsize=1)
def _published(stamp: tuple[tuple[Path, int], ...]) -> tuple[Claim, ...]:
    return tuple(audit.published())


def count(text: str, found: Iterable[Claim]) -> int:
    """How many claims a role's text means.

    Raises:
        LaghuError: no such verdict or paper.
    """
    paper, _, verdict = text.rpartition("/")
    known = ["all", *Verdict]
    if verdict not in known or paper not in {"", *map(str, TITLES)}:
        raise LaghuError(f"{text!r} is no count of claims; verdicts are {', '.join(known)}, after a paper's number and "
                         "a slash if only its claims are meant")
    return sum(verdict in {"all", claim.verdict} and paper in {"", str(claim.paper)} for claim in found)


class ClaimCount(RecordRole):
    """A number of claims in running text."""

    pattern = r"(?P<text>.+)"
    example = "1/contradicted"

    def number(self, text: str) -> nodes.Node:
        counted = count(text, published())
        paper, _, verdict = text.rpartition("/")
        what = f"claims, {verdict}" + (f", of {TITLES[int(paper)]}" if paper else "")
        return links.explained(self.env, str(counted), ANCHOR, f"{what}; {audit.file().name}")


class ClaimsTable(SphinxDirective):
    """The claims of one paper, one line each."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        try:
            paper = self.arguments[0]
            if paper not in map(str, TITLES):
                raise LaghuError(f"no paper {paper!r}; there are {', '.join(map(str, TITLES))}")
            found = [claim for claim in published() if claim.paper == int(paper)]
        except LaghuError as error:
            _LOG.warning("claims-table: %s", error, location=self.get_location(), type="laghu")
            return []
        table = _table(f"Claims of {TITLES[int(paper)]}", found)
        self.state.document.note_implicit_target(table)
        return [table, *self.data()]

    def data(self) -> list[nodes.Node]:
        """A link to the file of all claims, if it has been written."""
        if not audit.file().is_file():
            return []
        return [links.data(self.env, audit.file(), ANCHOR)]


def _table(title: str, found: list[Claim]) -> nodes.table:
    body = [nodes.row("", *_cells(claim), classes=["laghu-" + claim.verdict.name.lower().replace("_", "-")])
            for claim in found]
    return nodes.table("", nodes.title("", title), nodes.tgroup(
        "",
        *(nodes.colspec("", colwidth=1) for _ in _HEADINGS),
        nodes.thead("", nodes.row("", *(nodes.entry("", nodes.paragraph("", heading)) for heading in _HEADINGS))),
        nodes.tbody("", *body),
        cols=len(_HEADINGS),
    ), classes=["laghu-claims"])


def _cells(claim: Claim) -> list[nodes.entry]:
    """Claim and place, arithmetic, measurement, verdict and reason."""
    texts = [
        (nodes.Text(_spaced(claim.claim)), claim.where),
        (nodes.Text(_spaced(claim.arithmetic)), ""),
        (nodes.Text(_spaced(claim.measured)), ""),
        (nodes.strong("", str(claim.verdict)), claim.reason),
    ]
    return [
        nodes.entry("", nodes.paragraph("", "", first),
                    *([nodes.paragraph("", _spaced(second), classes=["laghu-data"])] if second else []))
        for first, second in texts
    ]


def _spaced(text: str) -> str:
    """Percent signs on the line of their numbers."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
