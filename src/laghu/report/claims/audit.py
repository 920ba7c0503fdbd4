"""The audit: every claim of the three papers beside arithmetic, what was measured here, and a verdict.

`claims` is a function of what it is given, so that another number gives another verdict; `published` gives it what is
in this repository, and `write` keeps the result in results/claims.csv (`python -m laghu.report.claims`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from laghu import paths, records, spreadsheets
from laghu.records import CostRecord, RunRecord, TokenRecord
from laghu.report import cost as costing
from laghu.report import statistics, tables
from laghu.report.claims import paper1, paper2, paper3
from laghu.report.claims.claim import Claim
from laghu.report.claims.evidence import evidence
from laghu.report.claims.papers import Papers

# Whose records claims are held to, the paper's own shape first.
STUDIES = ("gpu", "cpu", "cpu-ablations", "cpu-words", "cpu-sib200", "cpu-mahasent")


def claims(
    papers: Papers,
    studies: Mapping[str, pd.DataFrame],
    comparison: pd.DataFrame | None = None,
    cost: pd.DataFrame | None = None,
    runs: Mapping[str, Sequence[RunRecord]] = MappingProxyType({}),
    labelled_words: Mapping[str, Sequence[TokenRecord]] = MappingProxyType({}),
) -> list[Claim]:
    """All claims, by paper.

    Args:
        studies: frames of `tables.study` by name, the preferred first; a claim is held to the first that has its rows.
        comparison: accuracy against the baseline by row, as `statistics.compare` gives it: `difference`, `low` and
            `high` (fractions), and `verdict` on non-inferiority ("shown", "worse" or "open").
        cost: timings of the paper's exact shape, each against the baseline in the same precision: `row`, `precision`,
            `sequence_length`, `batch_size`, `speed_up`, `low`, `high`, `bound`, `machine`.
        runs, labelled_words: records of runs on texts and on labelled words by study, the preferred first.
    """
    return [*paper1.claims(papers, studies, comparison, cost), *paper2.claims(papers, runs, labelled_words),
            *paper3.claims(papers, studies, runs)]


def published() -> list[Claim]:
    """The claims as this repository's data and published studies have them, accuracies compared on the clean view."""
    runs = {study: tables.listed(study) for study in STUDIES}
    studies = {study: tables.of_records(loaded) for study, loaded in runs.items()}
    labelled_words = {study: tables.listed_tokens(study) for study in STUDIES}
    ours = evidence(studies, "baseline", "pruning-25")
    comparison = statistics.compare(runs[ours.study], "clean") if ours else None
    costs = next(filter(None, map(records.load_costs, STUDIES)), None)
    return claims(Papers.load(), studies, comparison, timings(costs) if costs else None, runs, labelled_words)


def timings(costs: Sequence[CostRecord]) -> pd.DataFrame:
    """What was measured in cost records, with the columns that `claims` takes."""
    columns = {"row": "row", "precision": "precision", "sequence_length": "sequence_length", "batch_size": "batch_size",
               "speed_up.median": "speed_up", "speed_up.low": "low", "speed_up.high": "high", "flop_bound": "bound"}
    cells = costing.frame(costs)[list(columns)].rename(columns=columns)
    return cells.dropna(subset=["speed_up"]).assign(machine=costing.machine(costs))


def frame(found: list[Claim]) -> pd.DataFrame:
    """One line per claim."""
    return pd.DataFrame([asdict(claim) for claim in found], columns=[field.name for field in fields(Claim)])


def file() -> Path:
    """Where the published claims are kept."""
    return paths.root() / "results" / "claims.csv"


def write() -> Path:
    """Write the published claims to their file; returns it."""
    spreadsheets.write(frame(published()), file(), index=False)
    return file()
