"""Measure how long a study takes from nothing, with one worker and with several.

    python -m laghu.scaling.measure [--study quick] [--workers 1 2] [--repeats 3]

Each trial has a checkout of its own in a scratch folder, so that nothing is there already, and the results of this one
stay as they are. Trials with different numbers of workers take turns. It needs Linux, and a machine with nothing else
to do.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from laghu import measurement, paths, provenance
from laghu.errors import LaghuError
from laghu.scaling.record import ScalingRecord, Trial
from laghu.scaling.watch import watching

# What a checkout is to the commands; results, checkpoints and caches are those of the trial.
_SHARED = ("notebooks", "src", "studies", "pyproject.toml", "requirements.lock", "Snakefile")


def measure(study: str, workers: list[int], repeats: int) -> Iterator[ScalingRecord]:
    """Run the study from nothing, `repeats` times with each number of workers; gives what is known after each repeat.

    Raises:
        LaghuError: a trial failed, or this is not Linux.
    """
    if not Path("/proc/locks").is_file():
        raise LaghuError("the measurement reads /proc/locks, which only Linux has")
    started = datetime.now(UTC)
    trials = []
    for repeat in range(repeats):
        for number in workers:
            trials.append(trial(study, number))
            turn = f"{number} workers, {repeat + 1} of {repeats}"
            print(f"[scaling] {study}, {turn}: {trials[-1].seconds:.0f} s", flush=True)
        yield ScalingRecord(
            study=study, trials=trials, hardware=measurement.hardware(), versions=provenance.versions(),
            commit=provenance.commit(), started=started, finished=datetime.now(UTC),
        )


def trial(study: str, workers: int) -> Trial:
    """The study once, from nothing.

    Raises:
        LaghuError: it failed; its last lines are in the message.
    """
    with TemporaryDirectory(prefix="laghu-scaling-") as scratch:
        home, locks = Path(scratch) / "home", Path(scratch) / "tmp"
        home.mkdir()
        locks.mkdir()
        for name in _SHARED:
            (home / name).symlink_to(paths.root() / name)
        # A TMPDIR of its own: the timings of other studies on this machine stop nothing here, and are not seen.
        environment = os.environ | {"LAGHU_HOME": str(home), "TMPDIR": str(locks)}
        command = [sys.executable, "-m", "laghu", "study", study, "--cores", str(workers)]
        began = perf_counter()
        with watching(locks) as watch:
            ended = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
        seconds = perf_counter() - began
        if ended.returncode:
            raise LaghuError("\n".join(["a trial failed:", *(ended.stdout + ended.stderr).splitlines()[-10:]]))
        return Trial(workers=workers, seconds=seconds, runs=watch.runs())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m laghu.scaling.measure", description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="quick")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    try:
        for record in measure(arguments.study, arguments.workers, arguments.repeats):
            print(record.save(), flush=True)
    except LaghuError as error:
        sys.exit(f"laghu: {error}")


if __name__ == "__main__":
    main()
