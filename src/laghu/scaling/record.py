"""The record of how long one study took on one machine, with so many workers, and what each of its runs did."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import Field

from laghu import paths
from laghu.records import Part, Stored


class Observed(Part):
    """One run of the study, or `backbone`, as it was seen from outside. Seconds.

    What is neither training, timing nor waiting is start, data, predictions and figures.
    """

    name: str
    seconds: float = Field(description="from the start of its process to the end")
    training: float = Field(description="in steps of a training")
    timing: float = Field(description="being timed, with the machine to itself")
    waiting: float = Field(description="for the timing of another, or for all training steps to end")

    @property
    def free(self) -> float:
        return max(0.0, self.seconds - self.training - self.timing - self.waiting)


class Trial(Part):
    """The whole study from nothing, once."""

    workers: int
    seconds: float
    runs: list[Observed]


class ScalingRecord(Stored):
    """A study's time with one worker and with several, measured a few times each."""

    study: str
    trials: list[Trial]
    hardware: dict[str, Any]
    versions: dict[str, str]
    commit: str
    started: datetime
    finished: datetime

    @property
    def file(self) -> Path:
        return scaling_file()

    def seconds(self) -> Mapping[int, list[float]]:
        """The trials' seconds, by number of workers."""
        found: dict[int, list[float]] = {}
        for trial in sorted(self.trials, key=lambda trial: trial.workers):
            found.setdefault(trial.workers, []).append(trial.seconds)
        return found

    def mean(self, workers: int) -> float:
        return fmean(self.seconds()[workers])


def scaling_file() -> Path:
    """Where the record is kept."""
    return paths.root() / "results" / "scaling.json"
