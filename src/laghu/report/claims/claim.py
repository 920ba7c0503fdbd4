"""A claim of a paper, what speaks for or against it, and the verdict."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What can be said of a claim; the values are what readers see."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    INCONSISTENT = "inconsistent in itself"
    NOT_TESTABLE = "not testable here"


@dataclass(frozen=True)
class Claim:
    """One claim: `where` it stands, what `arithmetic` on printed numbers and what we `measured` say of it, and so."""

    paper: int
    claim: str
    where: str
    arithmetic: str
    measured: str
    verdict: Verdict
    reason: str
