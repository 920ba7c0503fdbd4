"""Writes `headlines.csv`: headlines in an invented language that sounds like Swahili, with the defects of real ones.

No word is meant to be of Swahili or any other language; labels are. The same seed gives the same file.
"""

import csv
import random
from pathlib import Path

LABELS = ("afya", "burudani", "michezo", "siasa", "teknolojia", "uchumi")
ROWS = 2000
FILE = Path(__file__).with_name("headlines.csv")
_ONSETS = ("b", "ch", "d", "f", "g", "k", "l", "m", "n", "ng’", "ny", "p", "r", "sh", "t", "w", "z", "mb", "nd")
_OPEN = [f"{onset}{vowel}" for onset in _ONSETS for vowel in "aeiou"]


def words(draw: random.Random, count: int, taken: set[str]) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        word = "".join(draw.choice(_OPEN) for _ in range(draw.choice((2, 2, 3, 3, 4))))
        if word not in taken:
            taken.add(word)
            found.append(word)
    return found


def headlines(seed: int = 7) -> list[tuple[str, str]]:
    draw, taken = random.Random(seed), set()
    common = words(draw, 150, taken)
    of_label = {label: words(draw, 60, taken) for label in LABELS}
    rows = []
    for _ in range(ROWS):
        label = draw.choices(LABELS, weights=(4, 4, 8, 6, 2, 5))[0]
        # A text now and then speaks of another topic as well, as headlines do.
        other = of_label[draw.choice(LABELS)] if draw.random() < 0.3 else common
        text = [draw.choice(draw.choices((of_label[label], common, other), weights=(4, 5, 2))[0])
                for _ in range(draw.randint(4, 10))]
        rows.append((" ".join(text).capitalize(), label))
    return rows


def with_defects(rows: list[tuple[str, str]], seed: int = 8) -> list[tuple[str, str]]:
    """Repeats, contradictions, texts read as Windows-1252, blanks, missing labels, and a label in another case."""
    draw, rows = random.Random(seed), list(rows)
    rows += draw.sample(rows, 60)
    rows += [(text, draw.choice([each for each in LABELS if each != label])) for text, label in draw.sample(rows, 9)]
    for row in draw.sample([row for row, (text, _) in enumerate(rows) if "’" in text], 25):
        rows[row] = (rows[row][0].encode("utf-8").decode("cp1252"), rows[row][1])
    rows += [("", "siasa")] * 4 + [(rows[3][0] + " tena", "")] * 3
    for row in draw.sample([row for row, (_, label) in enumerate(rows) if label == "michezo"], 5):
        rows[row] = (rows[row][0], "Michezo")
    draw.shuffle(rows)
    return rows


if __name__ == "__main__":
    with FILE.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["id", "headline", "topic"])
        writer.writerows((number, *row) for number, row in enumerate(with_defects(headlines()), start=1))
