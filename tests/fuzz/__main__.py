"""`make fuzz`: a hundred thousand inputs that nobody meant to write, and a table of what became of them."""

import argparse
import random
import sys
from pathlib import Path

import tallies
from fuzz.runner import Tally, run
from fuzz.targets import TARGETS


def main() -> None:
    arguments = _arguments()
    print(f"seed {arguments.seed}")
    print(_line("target", "inputs", "foreign exceptions", "seconds"), flush=True)
    found = []
    for name, inputs in shares(arguments.inputs, arguments.target or list(TARGETS)).items():
        found.append(run(name, inputs, arguments.seed))
        _show(found[-1])
    total = Tally("total", sum(tally.inputs for tally in found), seconds=sum(tally.seconds for tally in found))
    for tally in found:
        total.foreign.update(tally.foreign)
    if total.foreign:
        print("\nThe first inputs of each kind are in tests/fuzz/found, and are tests from now on:")
        for what, times in total.foreign.most_common():
            print(f"  {times:6}  {what}")
    _show(total)
    if arguments.json:
        command = f"make fuzz INPUTS={arguments.inputs} SEED={arguments.seed}"
        tallies.save(_counts(found, total), command, arguments.seed, total.seconds, Path(arguments.json))
    sys.exit(bool(total.foreign))


def shares(inputs: int, names: list[str]) -> dict[str, int]:
    """How many inputs each target gets: by its weight, and together no fewer than asked for."""
    weights = {name: TARGETS[name].weight for name in names}
    return {name: -(-inputs * weight // sum(weights.values())) for name, weight in weights.items()}


def _counts(found: list[Tally], total: Tally) -> dict[str, int | dict[str, int]]:
    return {
        "inputs": total.inputs,
        "inputs by what was to read them": {tally.target: tally.inputs for tally in found},
        "foreign exceptions": total.foreign.total(),
    }


def _show(tally: Tally) -> None:
    print(_line(tally.target, f"{tally.inputs:,}", f"{tally.foreign.total():,}", f"{tally.seconds:.0f}"), flush=True)


def _line(*cells: str) -> str:
    return "{:<24}{:>10}{:>20}{:>10}".format(*cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="in all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may be given more than once")
    parser.add_argument("--json", help="file that receives the tally")
    return parser.parse_args()


if __name__ == "__main__":
    main()
