"""Gives readers their inputs, and counts what comes out of them that is not a `LaghuError`.

A target's inputs are numbered, and an input follows from seed, target and number. They are read in a process of their
own: where a reader brings that down or doesn't come back, its input is known by its number, and the next process goes
on behind it.
"""

import json
import multiprocessing
import os
import signal
import struct
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from fuzz.targets import TARGETS

from laghu.errors import LaghuError

FOUND = Path(__file__).with_name("found")
# A reader that takes longer for a few kilobytes hangs.
SECONDS = 30
_MOST_KEPT = 5
# A server that has loaded what the targets need, and runs nothing, is copied for each of them.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["fuzz.targets"])


@dataclass
class Tally:
    """What became of a target's inputs: how many were read, and what came out that should not, by its description."""

    target: str
    inputs: int = 0
    foreign: Counter = field(default_factory=Counter)
    seconds: float = 0.0


def content(target: str, seed: int, number: int) -> bytes:
    """An input."""
    return TARGETS[target].produce(Random(f"{seed}/{target}/{number}"))


def foreign(target: str, given: bytes) -> str | None:
    """What a reader throws that is not our own error, if it does: the type of it, and where."""
    try:
        TARGETS[target].read(given)
    except LaghuError:
        return None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return _described(error)
    return None


def _described(error: BaseException) -> str:
    """Type of an error and the last line of ours that it went through: alike where the mistake is."""
    place, trace = "", error.__traceback__
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        if "laghu" in file.parts:
            place = f" at {file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"


def run(target: str, inputs: int, seed: int) -> Tally:
    """Read so many inputs; those that should not pass are kept in `FOUND`, the first of each kind."""
    tally, start = Tally(target), time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        report, place = Path(scratch) / "report", Path(scratch) / "place"
        while tally.inputs < inputs:
            place.write_bytes(struct.pack("q", tally.inputs))
            process = _PROCESSES.Process(target=_read, args=(target, tally.inputs, inputs, seed, report, place))
            process.start()
            process.join()
            tally.inputs = struct.unpack("q", place.read_bytes())[0]
            if process.exitcode:
                _count(tally, f"ended by {_ending(process.exitcode)}", seed, tally.inputs)
                tally.inputs += 1
            for line in report.read_text().splitlines() if report.exists() else ():
                _count(tally, *json.loads(line)[:1], seed, json.loads(line)[1])
            report.unlink(missing_ok=True)
    tally.seconds = time.perf_counter() - start
    return tally


def _read(target: str, first: int, end: int, seed: int, report: Path, place: Path) -> None:
    """In a process of its own: the inputs from `first` to `end`, the one at hand always noted in `place`."""
    handle = os.open(place, os.O_WRONLY)
    tempfile.tempdir = str(report.parent)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # libraries complain there of every other input
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in range(first, end):
        os.pwrite(handle, struct.pack("q", number), 0)
        given = content(target, seed, number)
        signal.alarm(SECONDS)
        found = foreign(target, given)
        signal.alarm(0)
        if found:
            with report.open("a") as lines:
                lines.write(json.dumps([found, number]) + "\n")
    os.pwrite(handle, struct.pack("q", end), 0)


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _count(tally: Tally, what: str, seed: int, number: int) -> None:
    tally.foreign[what] += 1
    if tally.foreign[what] > _MOST_KEPT:
        return
    given = content(tally.target, seed, number)
    folder = FOUND / tally.target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sha256(given).hexdigest()[:16]).write_bytes(given)
