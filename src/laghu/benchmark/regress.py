"""Has a step of the path become worth less than it was? `laghu bench STUDY --check`.

A step's factor is a ratio of two ways measured in turns, so that a slower or busier machine leaves it about as it was.
What it is still moved by, on one machine at different times, is the margin.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from laghu import throughput
from laghu.benchmark.record import BenchmarkRecord
from laghu.throughput import Spread

# A factor may lose this share of itself before it counts as lost.
MARGIN = 0.25


def factors(names: Sequence[str], samples: Mapping[str, Sequence[float]]) -> dict[str, Spread]:
    """Of each step but the first, to the one before it."""
    return {name: throughput.ratio(samples[name], samples[before])
            for before, name in pairwise(names)}


def regressed(found: Mapping[str, Spread], published: BenchmarkRecord, margin: float) -> list[str]:
    """What to say of each step whose upper quartile is below the published median by more than the margin.

    A step that is not published, or no longer measured, is none of them.
    """
    before = {each.name: each.factor.median for each in published.path if each.factor}
    return [
        f"{name}: {spread.median:.2f}x ({spread.low:.2f} to {spread.high:.2f}), published {before[name]:.2f}x"
        for name, spread in found.items() if name in before and spread.high < (1 - margin) * before[name]
    ]
