"""What our own runs say: the part of a study that bears on a claim."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from laghu.report import tables

NOT_RUN = "not run yet"
NOTHING_TO_MEASURE = "nothing to measure: both sides are printed"
OWN_ROW = "in a row of its own, on our encoder"
NOTHING_PRINTED = "No number of it was seen."
TAKES_RUNS = "It takes runs of our own at several seeds."
ONE_SEED = "Our runs have one seed so far; it takes several."


@dataclass(frozen=True)
class Evidence:
    """Runs of one study, as `tables.study` gives them."""

    study: str
    frame: pd.DataFrame

    def by_seed(self, row: str, field: str) -> pd.Series:
        """A field of one row's runs, by seed."""
        return pd.to_numeric(self.frame[self.frame["row"] == row].set_index("seed")[field])

    def mean(self, row: str, field: str) -> float:
        """Mean over the row's seeds."""
        return float(self.by_seed(row, field).mean())

    @property
    def name(self) -> str:
        """Study, machine and number of seeds."""
        first = self.frame.iloc[0]
        gpu = first.get("hardware.gpu")
        machine = gpu if isinstance(gpu, str) else first["hardware.cpu"]
        return f"study {self.study}, {machine}, {tables.seeds(self.frame)}"


def evidence(studies: Mapping[str, pd.DataFrame], *rows: str) -> Evidence | None:
    """The first study that has runs of all these rows, cut to them and the baseline; None if there is none."""
    for study, frame in studies.items():
        if not frame.empty and set(rows) <= set(frame["row"]):
            return Evidence(study, frame[frame["row"].isin({*rows, "baseline"})])
    return None
