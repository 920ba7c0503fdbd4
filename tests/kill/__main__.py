"""`make kill-test`: kills tiny studies at random points until the number is reached, then says what came of it."""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import SystemRandom

_FEWEST_COLD = 20


def main() -> int:
    arguments = _parser().parse_args()
    kills, workers = arguments.kills, arguments.workers
    seed = SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    cold = min(kills, max(_FEWEST_COLD, kills // 10)) if arguments.cold is None else arguments.cold
    print(f"kill test: {kills} kills, {cold} of them of `laghu study` itself, seed {seed}, {workers} side by side",
          flush=True)
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    os.environ.pop("LAGHU_DATA_DIR", None)
    import tallies  # imports PyTorch, which reads the number of threads; and before it is forked

    from kill import series, tally

    began = time.monotonic()
    counted = tally.Tally()
    with tempfile.TemporaryDirectory(prefix="laghu-kill-") as scratch:
        # Where there are several, one has all the slow kills and no others.
        alone = [(cold, cold)] if cold and workers > 1 else []
        rest = _shared(kills - cold, workers - 1) if alone else _shared(kills, workers, cold)
        tasks = [(series.Series, Path(scratch) / f"series {number}", seed + number, *share)
                 for number, share in enumerate([*alone, *rest])]
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
            for part in pool.map(_part, tasks):
                counted.add(part)
    seconds = time.monotonic() - began
    print(f"\n{counted.lines()}\n\nseed {seed}, {seconds / 60:.1f} minutes", flush=True)
    for problem in counted.problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    if arguments.json:
        command = f"make kill-test KILLS={kills} SEED={seed} WORKERS={workers}"
        tallies.save(counted.counts(), command, seed, seconds, Path(arguments.json))
    return 0 if counted.passed else 1


def _part(task: tuple):
    """One series, with a folder for temporary files of its own: what victims leave there goes with it."""
    series, scratch, seed, kills, cold = task
    scratch.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    return series(scratch, seed).run(kills, cold)


def _shared(kills: int, series: int, cold: int = 0) -> list[tuple[int, int]]:
    """Kills of each series, as even as can be; the cold ones are the first's."""
    return [(kills // series + (number < kills % series), 0 if number else cold) for number in range(series)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make kill-test", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cold", type=int, help="how many of them of `laghu study` itself; a tenth, and at least 20")
    parser.add_argument("--seed", type=int, help="where a kill falls; at random, and printed, if not given")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="series side by side; one for each core")
    parser.add_argument("--json", help="file that receives the tally")
    return parser


if __name__ == "__main__":
    sys.exit(main())
