"""`make fuzz`: a hundred thousand inputs that nobody meant to write, and a table of what became of them."""

import argparse
import random
import sys

from fuzz.runner import Tally, run
from fuzz.targets import TARGETS


def main() -> None:
    arguments = _arguments()
    print(f"seed {arguments.seed}")
    print(_line("target", "inputs", "foreign exceptions", "seconds"), flush=True)
    tallies = []
    for name, inputs in shares(arguments.inputs, arguments.target or list(TARGETS)).items():
        tallies.append(run(name, inputs, arguments.seed))
        _show(tallies[-1])
    total = Tally("total", sum(tally.inputs for tally in tallies), seconds=sum(tally.seconds for tally in tallies))
    for tally in tallies:
        total.foreign.update(tally.foreign)
    if total.foreign:
        print("\nThe first inputs of each kind are in tests/fuzz/found, and are tests from now on:")
        for what, times in total.foreign.most_common():
            print(f"  {times:6}  {what}")
    print(_line("total", f"{total.inputs:,}", f"{total.foreign.total():,}", f"{total.seconds:.0f}"))
    sys.exit(bool(total.foreign))


def shares(inputs: int, names: list[str]) -> dict[str, int]:
    """How many inputs each target gets: by its weight, and together no fewer than asked for."""
    weights = {name: TARGETS[name].weight for name in names}
    return {name: -(-inputs * weight // sum(weights.values())) for name, weight in weights.items()}


def _show(tally: Tally) -> None:
    print(_line(tally.target, f"{tally.inputs:,}", f"{tally.foreign.total():,}", f"{tally.seconds:.0f}"), flush=True)


def _line(*cells: str) -> str:
    return "{:<24}{:>10}{:>20}{:>10}".format(*cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="in all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may be given more than once")
    return parser.parse_args()


if __name__ == "__main__":
    main()
