"""When a study's runs would be finished on so many workers: list scheduling of the Snakefile's graph.

A worker takes, whenever it is free, the first run in line whose earlier runs are finished: that of the highest
priority, and the earlier named of two. So no worker rests while there is something to do, which is all that Graham's
bound supposes (`bound`).

    backbone -> baseline of each seed -> everything else of that seed

Pure functions; every duration is in seconds.
"""

import heapq
from bisect import insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    """One run, by what it does with a machine.

    `free` needs nothing but a core; `training` stands still while another process of the machine is being timed;
    `timing` waits until it is the only one (`laghu.quiet`). A `wide` job takes every worker of the machine.
    """

    name: str
    free: float
    training: float = 0.0
    timing: float = 0.0
    after: tuple[str, ...] = ()
    priority: int = 0
    wide: bool = False

    @property
    def seconds(self) -> float:
        """What it takes if nothing else runs."""
        return self.free + self.training + self.timing


def total(jobs: Sequence[Job]) -> float:
    """All of it one after the other: what one worker takes."""
    return sum(job.seconds for job in jobs)


def critical_path(jobs: Sequence[Job]) -> float:
    """The longest chain of jobs that wait for each other: no number of workers takes less."""
    by_name, ends = {job.name: job for job in jobs}, dict[str, float]()

    def end(name: str) -> float:
        if name not in ends:
            job = by_name[name]
            ends[name] = job.seconds + max((end(earlier) for earlier in job.after), default=0.0)
        return ends[name]

    return max(map(end, by_name), default=0.0)


def bound(workers: int) -> float:
    """How many times as long as the best schedule any list scheduling may take at most: Graham's 2 - 1/m.

    While a worker rests, every job of some chain that waits is under way; so at most the longest chain is spent with
    workers at rest, and the schedule takes no more than total/m + (1 - 1/m) * chain.
    """
    return 2 - 1 / workers


def on_own_machines(jobs: Sequence[Job], workers: int) -> float:
    """Seconds until all is finished where each worker has a machine to itself, as on a cluster: no timing waits."""
    line, now = _Line(jobs), 0.0
    running: list[tuple[float, int, str]] = []
    while len(line) or running:
        while len(running) < workers and (job := line.take(workers - len(running), wide=1)):
            heapq.heappush(running, (now + job.seconds, len(line), job.name))
        now, _, name = heapq.heappop(running)
        line.finished(name)
    return now


def on_one_machine(jobs: Sequence[Job], workers: int) -> float:
    """Seconds until all is finished where the workers share a machine: one timing at a time, and no training beside it.

    Every other moment counts in full, whatever else runs: cores are assumed not to slow each other down.
    """
    line, now = _Line(jobs), 0.0
    running: list[_Running] = []
    timing: deque[_Running] = deque()
    while len(line) or running:
        occupied = sum(each.slots for each in running)
        while occupied < workers and (job := line.take(workers - occupied, wide=workers)):
            running.append(_Running(job, slots=workers if job.wide else 1))
            occupied += running[-1].slots
        moving = [each for each in running if each.moves(timing)]
        step = min(each.left for each in moving)
        now += step
        for each in moving:
            each.left -= step
        for each in [each for each in moving if each.left <= 1e-9]:
            if timing and timing[0] is each:
                timing.popleft()
            if each.next_phase():
                if each.phase == "timing":
                    timing.append(each)
            else:
                running.remove(each)
                line.finished(each.job.name)
    return now


@dataclass
class _Running:
    """A job under way: the phase it is in, and what is left of it."""

    job: Job
    slots: int
    phase: str = "free"
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.job.free

    def moves(self, timing: Sequence["_Running"]) -> bool:
        if self.phase == "timing":
            return timing[0] is self
        return self.phase == "free" or not timing

    def next_phase(self) -> bool:
        """Go on to the next phase that takes time, or to `timing`; False if there is none."""
        phases = {"free": "training", "training": "timing"}
        while self.phase in phases:
            self.phase = phases[self.phase]
            self.left = getattr(self.job, self.phase)
            if self.left > 0:
                return True
        return False


class _Line:
    """Jobs that wait: those whose earlier jobs are finished, first by priority and then in the order given."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._waits: Mapping[str, set[str]] = {job.name: set(job.after) for job in jobs}
        self._followers: dict[str, list[str]] = {job.name: [] for job in jobs}
        for job in jobs:
            for earlier in job.after:
                self._followers[earlier].append(job.name)
        self._jobs = {job.name: (place, job) for place, job in enumerate(jobs)}
        self._ready: list[tuple[int, int, str]] = []  # sorted
        self._left = len(jobs)
        for job in jobs:
            if not job.after:
                self._add(job.name)

    def __len__(self) -> int:
        """Jobs that have not been taken."""
        return self._left

    def take(self, free: int, wide: int) -> Job | None:
        """The first job in line that fits on `free` workers, if any; a wide one needs `wide` of them."""
        for place, (_, _, name) in enumerate(self._ready):
            job = self._jobs[name][1]
            if not job.wide or free >= wide:
                del self._ready[place]
                self._left -= 1
                return job
        return None

    def finished(self, name: str) -> None:
        for follower in self._followers[name]:
            self._waits[follower].discard(name)
            if not self._waits[follower]:
                self._add(follower)

    def _add(self, name: str) -> None:
        place, job = self._jobs[name]
        insort(self._ready, (-job.priority, place, name))
