"""Laghu's embedded sample: SYNTHETIC Marathi headlines, so that the quick study needs neither data nor network.

No line of it is taken from a publication. A seeded grammar writes it from the phrases in `laghu.lexicons`, which the
project's authors wrote by hand; people, companies, films and parties are invented. It carries the twelve label names of
L3Cube-MahaNews but uses none of its texts, and ACCURACY ON IT SAYS NOTHING ABOUT MARATHI NEWS: it shows only that the
pipeline runs and learns. Licence: CC0-1.0 (`LICENCE`).

The labels overlap on purpose. Most headlines are clear; some have only a faint topic that two or three labels share;
some carry a stray topic that belongs to a neighbouring label, so no model can be right about all of them.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass

from laghu.lexicons import FAINT_TOPICS, NEIGHBOURS, SHARED, SUBJECTS, Rules

LICENCE = "CC0-1.0"
LABELS: tuple[str, ...] = tuple(sorted(SUBJECTS))
PER_LABEL = 200

# Set so that TF-IDF + a linear SVM is right nearly nine times in ten (tests/test_sample.py holds it to 80-95 %).
FAINT_SHARE = 0.05
STRAY_SHARE = 0.03

# Rank within a label at which each split ends: 80:10:10.
_SPLIT_ENDS = {"train": PER_LABEL * 8 // 10, "validation": PER_LABEL * 9 // 10, "test": PER_LABEL}

_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Headline:
    """One synthetic headline: NFC Devanagari text with single spaces, and one of `LABELS`."""

    text: str
    label: str


def _pick(options: tuple[str, ...], rng: random.Random) -> str:
    # random() alone is promised to give the same numbers in every Python version; choice() and shuffle() are not.
    return options[int(rng.random() * len(options))]


def _expand(phrase: str, rules: Rules, rng: random.Random) -> str:
    """Fill every slot of `phrase`, left to right and recursively."""
    return _SLOT.sub(lambda slot: _expand(_pick(rules[slot[1]], rng), rules, rng), phrase)


def _rules(label: str, rng: random.Random) -> Rules:
    """The rules for one headline of `label`: clear, faint or stray by chance."""
    draw = rng.random()
    if draw < FAINT_SHARE:
        topics = tuple(topic for topic, labels in FAINT_TOPICS.items() if label in labels)
    elif draw < FAINT_SHARE + STRAY_SHARE:
        topics = SUBJECTS[_pick(NEIGHBOURS[label], rng)]["topic"]
    else:
        return SHARED | SUBJECTS[label]
    return SHARED | {"core": ("{common}",), "topic": topics}


def headlines(seed: int = 2409) -> list[Headline]:
    """`PER_LABEL` distinct headlines for each label, shuffled; the same list in every process for the same `seed`."""
    rng = random.Random(seed)
    written: dict[str, Headline] = {}
    for label in LABELS:
        enough = len(written) + PER_LABEL
        while len(written) < enough:
            text = _expand("{headline}", _rules(label, rng), rng)
            written.setdefault(text, Headline(text, label))
    return sorted(written.values(), key=lambda _: rng.random())


def splits(seed: int = 2409) -> dict[str, list[Headline]]:
    """`headlines(seed)` as train, validation and test, 80:10:10 within each label, no text in two of them."""
    parts: dict[str, list[Headline]] = {name: [] for name in _SPLIT_ENDS}
    rank: Counter[str] = Counter()
    for headline in headlines(seed):
        name = next(name for name, end in _SPLIT_ENDS.items() if rank[headline.label] < end)
        parts[name].append(headline)
        rank[headline.label] += 1
    return parts
