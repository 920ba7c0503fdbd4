"""The record of a rehearsal on a Slurm of one node: every start of every job, as Slurm's accounting has it."""

from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import Field

from laghu import paths
from laghu.records import Part, Stored

# In the order and under the names of sacct's own table.
FIELDS = ("JobIDRaw", "Comment", "State", "ExitCode", "AllocCPUS", "ReqMem", "Submit", "Start", "End")


class Job(Part):
    """One start of a job; a job that was requeued has several, under one number."""

    number: int
    run: str = Field(description="what it was to make: a run of the study, or backbone")
    state: str = Field(description="sacct's, e.g. COMPLETED, REQUEUED or CANCELLED")
    exit_code: str
    cpus: int
    memory: str
    submitted: datetime
    started: datetime
    ended: datetime

    @classmethod
    def of_sacct(cls, line: str) -> Self:
        """A line of `sacct --parsable2 --format=<FIELDS>`. Who cancelled a job is left out."""
        number, comment, state, exit_code, cpus, memory, submitted, started, ended = line.split("|")
        run = comment.rpartition("wildcards_")[2].removeprefix("rule_")
        return cls(number=number, run=run, state=state.split()[0], exit_code=exit_code, cpus=cpus, memory=memory,
                   submitted=submitted, started=started, ended=ended)


class SlurmRecord(Stored):
    """A study on Slurm with a job requeued and another cancelled, and whether it gave what it gives without."""

    study: str
    node: str
    slurm: str = Field(description="its version")
    versions: dict[str, str] = Field(description="of Snakemake and its executor for Slurm")
    jobs: list[Job]
    records: int = Field(description="records of the study, each compared with the one made without Slurm")
    equal: list[str] = Field(description="fields that are the same in both")
    commit: str
    hardware: dict[str, str | int | float | None]
    recorded: datetime

    @property
    def file(self) -> Path:
        return slurm_file()

    @property
    def started_anew(self) -> list[Job]:
        """The starts that were ended from outside, and made up for by a later one."""
        return [job for job in self.jobs if job.state in ("REQUEUED", "CANCELLED")]


def slurm_file() -> Path:
    """Where the record of the rehearsal is kept."""
    return paths.root() / "results" / "slurm.json"
