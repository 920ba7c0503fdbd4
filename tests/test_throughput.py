"""A clock that goes only when a classifier works: throughputs are then known."""

from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laghu import throughput
from laghu.errors import LaghuError
from laghu.throughput import in_turns, over_turns, ratio, spread

TEXTS = [str(number) for number in range(1000)]


class Clock:
    """Time that ways take; a busy neighbour makes `slow` times as much of it in every third turn."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, list[str]]] = []

    def way(self, name, per_second):
        def classify(texts):
            self.calls.append((name, list(texts)))
            self.now += len(texts) / per_second
            return ["label"] * len(texts)
        return classify


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(throughput, "perf_counter", lambda: made.now)
    return made


def test_throughputs_are_those_of_the_clock(clock):
    ways = {"slow": clock.way("slow", 3), "fast": clock.way("fast", 70_000), "other": clock.way("other", 500)}
    found = in_turns(ways, TEXTS, turns=5)
    assert {name: len(samples) for name, samples in found.items()} == dict.fromkeys(ways, 5)
    for name, wanted in (("slow", 3), ("fast", 70_000), ("other", 500)):
        assert found[name] == pytest.approx([wanted] * 5)
    assert ratio(found["fast"], found["slow"]) == pytest.approx((70_000 / 3,) * 3)


def test_a_turn_gives_everyone_about_as_long_and_another_the_first_place(clock):
    ways = {"slow": clock.way("slow", 3), "fast": clock.way("fast", 70_000), "other": clock.way("other", 500)}
    in_turns(ways, TEXTS, turns=3)
    turns = [(name, sum(len(texts) for _, texts in calls)) for name, calls in groupby(clock.calls, itemgetter(0))][-9:]
    assert [name for name, _ in turns] == ["slow", "fast", "other", "fast", "other", "slow", "other", "slow", "fast"]
    sizes = dict(turns)
    assert sizes["other"] == pytest.approx(500 * throughput.SHARE, rel=0.01)
    assert sizes["fast"] == pytest.approx(70_000 * throughput.SHARE, rel=0.01)
    assert sizes["slow"] in (1, 2)


def test_a_ratio_is_taken_within_turns():
    assert ratio([2, 20, 200], [1, 10, 100]) == (2, 2, 2)
    assert over_turns([5, 1, 2, 4, 3]) == (3, 2, 4)
    with pytest.raises(LaghuError, match="3 turns against 2"):
        ratio([1, 2, 3], [1, 2])


@given(st.lists(st.integers(), min_size=1, max_size=50), st.integers(1, 200))
def test_a_share_is_spread_over_all_texts(texts, count):
    chosen = spread(texts, count)
    assert len(chosen) == count
    if count <= len(texts):
        places = spread(range(len(texts)), count)
        assert chosen == [texts[place] for place in places]
        gaps = {after - before for before, after in zip(places, [*places[1:], len(texts)], strict=True)}
        assert places[0] == 0 and gaps <= {len(texts) // count, -(-len(texts) // count)}
    else:
        assert chosen[:len(texts)] == texts == chosen[-len(texts) - count % len(texts):][:len(texts)]


def test_energy_is_for_a_thousand_documents(clock, monkeypatch):
    class Tracked:
        kwh, source = 0.3, {"cpu": "estimated"}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(throughput, "track", lambda country: Tracked())
    # A share of 250 documents takes half a second: 22 of them until 11 s are over.
    found = throughput.energy("way", clock.way("way", 500), TEXTS, 10.9, "IND")
    assert found == (pytest.approx(0.3 * 1000 / (22 * 250)), {"cpu": "estimated"})


@pytest.mark.parametrize(("ways", "texts", "turns"), [
    ({}, TEXTS, 3), ({"way": list}, [], 3), ({"way": list}, TEXTS, 0),
])
def test_nothing_to_measure(ways, texts, turns):
    with pytest.raises(LaghuError, match="needs each"):
        in_turns(ways, texts, turns)


def test_a_lost_label_is_an_error():
    with pytest.raises(LaghuError, match="broken gave 0 labels for 1 texts"):
        in_turns({"broken": lambda texts: []}, TEXTS, 1)
