"""One call of a study and one kill: where it is hit, what is killed, and how what is left comes to its end."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
from checkout import Checkout

from kill.site.hook import Plan
from kill.victims import Victim

EVERYTHING, FIRST = "everything", "the first process alone"
GROUP, KERNEL = "the first process and its group", "a notebook's kernel alone"

_LONGEST = 300.0  # seconds that a call may take that nobody kills
_GRACE = 10.0  # seconds in which a kernel has to notice that its parent is gone
_LOOK = 0.002


@dataclass(frozen=True)
class Blow:
    """How a call is to be killed.

    Attributes:
        way: "by the clock", "before a call" of the system (the process is stopped there) or "moments after" one.
        whom: one of `EVERYTHING`, `FIRST`, `GROUP` and `KERNEL`.
        after: seconds from the start, or from the call.
        plan: which call.
        patience: seconds that processes which were not killed may go on.
    """

    way: str
    whom: str
    after: float
    plan: Plan | None
    patience: float


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    Attributes:
        killed: whether the blow fell before it ended by itself.
        place: what the blow hit, in words.
        left: processes that were not killed and still there when `Blow.patience` was over; ended then.
        status: exit status of the first process where it ended by itself, else None.
    """

    killed: bool
    place: str
    left: int
    status: int | None


def blow(random: Random, cold: bool, seconds: float, counts: dict[tuple[str, str], int], plan: Callable) -> Blow:
    """A blow at random.

    Args:
        seconds: that an undisturbed call takes.
        counts: the most events of each role and name that one of its processes has. Early blows are more frequent, of
            these and by the clock: a call goes on where the one before was killed, and has less to do.
        plan: makes a plan of role, event, number and whether to stop.
    """
    whom = random.choice([EVERYTHING, EVERYTHING, FIRST, KERNEL, *([GROUP] if cold else [])])
    patience = _patience(random, cold, whom)
    way = random.choice(["by the clock", "before a call", "before a call", "moments after"])
    if way == "by the clock":
        return Blow(way, whom, seconds / 3 * random.random() ** (1 if cold else 2), None, patience)
    role, event = random.choice(sorted(counts))
    number = 1 + int(counts[role, event] * random.random() ** 3)
    stops = way == "before a call"
    return Blow(way, whom, 0 if stops else random.uniform(0, 0.02), plan(role, event, number, stops), patience)


def _patience(random: Random, cold: bool, whom: str) -> float:
    """A kernel has to notice that its parent is gone. A study whose kernel was killed goes on with its other runs, and
    Snakemake without `laghu study`; that takes its time, and is waited for now and then.
    """
    if whom == EVERYTHING or (whom == FIRST and not cold):
        return _GRACE
    return _LONGEST if whom == KERNEL and random.random() < 0.2 else random.uniform(0, 2)


def strike(start: Callable[[Checkout, Plan | None, Path], Victim], home: Checkout, how: Blow, log: Path) -> Outcome:
    """Start a call, kill it as told, and wait until none of its processes is left."""
    if how.plan:
        Path(how.plan.channel).write_bytes(b"")
    victim = start(home, how.plan, log)
    place = _until(victim, how)
    if place is None:
        return Outcome(False, "", 0, victim.poll())
    everyone = victim.processes()
    hit = _targets(how.whom, everyone)
    for process in hit:
        _send(process, signal.SIGKILL)
    for process in everyone:
        _send(process, signal.SIGCONT)  # one that was stopped and is not the one to die goes on
    left = _alive_after(victim, everyone, how.patience)
    for process in left:
        _send(process, signal.SIGKILL)
    if _alive_after(victim, left, _GRACE):
        raise TimeoutError("a process can't be killed")
    status = victim.poll()
    return Outcome(True, place, len(left), None if status is None or status < 0 else status)


def _until(victim: Victim, how: Blow) -> str | None:
    """Wait for the moment; what is hit then, or None if the call ended before it."""
    began = time.monotonic()
    while victim.poll() is None:
        if time.monotonic() - began > _LONGEST:
            raise TimeoutError(f"a call takes more than {_LONGEST:.0f} s:\n{victim.log.read_text()[-3000:]}")
        if how.plan is None:
            if time.monotonic() - began >= how.after:
                return "wherever it was"
        elif told := Path(how.plan.channel).read_text(encoding="utf-8"):
            pid, _, event, path = told.splitlines()[0].split("\t")
            if how.plan.stop:
                _until_stopped(int(pid))
            time.sleep(how.after)
            return f"{event.removeprefix('os.')} of {_thing(path)}"
        time.sleep(_LOOK)
    return None


def _until_stopped(pid: int) -> None:
    with suppress(psutil.Error):
        while psutil.Process(pid).status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            time.sleep(_LOOK)


def _thing(path: str) -> str:
    parts = Path(path).parts
    if "trainer" in parts:
        return "a training's checkpoint"
    if parts[0] == "checkpoints":
        return "a stage"
    if parts[0] == "results":
        name = path.removesuffix(".part")
        return "a record" if name.endswith(".json") else "a notebook" if name.endswith(".ipynb") else "a results folder"
    return "a note of Snakemake" if parts[0] in (".snakemake", ".cache") else "another file"


def _targets(whom: str, everyone: list[psutil.Process]) -> list[psutil.Process]:
    first, others = everyone[0], everyone[1:]
    if whom == FIRST:
        return [first]
    if whom == GROUP:
        return [process for process in everyone if _group(process) == first.pid]
    if whom == KERNEL:
        # Kernels lead sessions of their own, as the first process does.
        return [process for process in others if _is_kernel(process)][:1] or everyone
    return everyone


def _is_kernel(process: psutil.Process) -> bool:
    """Whether it is one that has begun: a warm one that waits for its turn has no thread yet."""
    try:
        return os.getsid(process.pid) == process.pid and process.num_threads() > 1
    except (psutil.Error, OSError):
        return False


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.Error):
        process.send_signal(number)


def _alive_after(victim: Victim, processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    deadline = time.monotonic() + patience
    while True:
        victim.poll()  # reaps it
        alive = [process for process in processes if _lives(process)]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
