"""Documents per second from text to label, of several ways to classify, measured in turns.

A turn gives every way its share of texts, one way after the other, so that whatever slows the machine slows all alike.
A ratio is taken turn by turn, and only then its median and quartiles over the turns.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np

from laghu import quiet
from laghu.energy import track
from laghu.errors import LaghuError

# Texts to labels. What it needs is loaded before it is called.
Classify = Callable[[Sequence[str]], Sequence[str]]


# Texts of one way in one turn take about this long, in seconds: long against a timer, short against a machine's moods.
SHARE = 0.5


class Spread(NamedTuple):
    """Over the turns."""

    median: float
    low: float
    high: float


class EnergyOfDocuments(NamedTuple):
    """Kilowatt-hours for 1,000 documents, and how each part of the machine's energy is known."""

    kwh: float
    source: dict[str, str]


def in_turns(ways: Mapping[str, Classify], texts: Sequence[str], turns: int) -> dict[str, list[float]]:
    """Documents per second of each way, one number a turn.

    Each way gets as many texts a turn as it labels in about `SHARE` seconds, spread over all texts, so that all see
    the same lengths; where these are not enough they come again. Training by other Laghu processes on this machine
    pauses meanwhile (`laghu.quiet`).

    Raises:
        LaghuError: no ways, texts or turns, or a way that loses or makes up labels.
    """
    if not ways or not texts or turns < 1:
        raise LaghuError(f"{len(ways)} ways, {len(texts)} texts and {turns} turns; a measurement needs each.")
    names = list(ways)
    samples: dict[str, list[float]] = {name: [] for name in names}
    with quiet.measuring():
        shares = {name: spread(texts, _share(name, ways[name], texts)) for name in names}
        for turn in range(turns):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                samples[name].append(len(shares[name]) / _seconds(name, ways[name], shares[name]))
    return samples


def spread(texts: Sequence[str], count: int) -> list[str]:
    """So many of the texts at even distances; all of them, again and again, where there are too few."""
    passes, rest = divmod(count, len(texts))
    return list(texts) * passes + [texts[place * len(texts) // rest] for place in range(rest)]


def energy(name: str, classify: Classify, texts: Sequence[str], window: float, country: str) -> EnergyOfDocuments:
    """Energy for 1,000 documents, over a share of the texts again and again for at least `window` seconds."""
    documents, some = 0, spread(texts, _share(name, classify, texts))
    with quiet.measuring(), track(country) as tracked:
        began = perf_counter()
        while perf_counter() - began < window:
            documents += len(classify(some))
    return EnergyOfDocuments(1000 * tracked.kwh / documents, tracked.source)


def over_turns(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return Spread(float(median), float(low), float(high))


def ratio(contender: Sequence[float], reference: Sequence[float]) -> Spread:
    """How many times as fast, turn by turn.

    Raises:
        LaghuError: not measured in the same turns, as far as their number tells.
    """
    if len(contender) != len(reference):
        raise LaghuError(f"{len(contender)} turns against {len(reference)}; measure both in one call of in_turns.")
    return over_turns(np.divide(contender, reference))


def _share(name: str, classify: Classify, texts: Sequence[str]) -> int:
    """How many texts take about `SHARE` seconds, found by doubling; it warms up, too."""
    count = 1
    while True:
        seconds = _seconds(name, classify, spread(texts, count))
        if seconds >= SHARE / 2:
            return max(1, round(count * SHARE / seconds))
        count *= 2


def _seconds(name: str, classify: Classify, texts: Sequence[str]) -> float:
    began = perf_counter()
    labels = classify(texts)
    seconds = perf_counter() - began
    if len(labels) != len(texts):
        raise LaghuError(f"{name} gave {len(labels)} labels for {len(texts)} texts.")
    return seconds
