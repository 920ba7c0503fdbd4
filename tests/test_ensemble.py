"""The weights of an ensemble, against a grid search, and its probabilities, worked out one by one."""

import numpy as np
import pytest

from laghu import ensemble

rng = np.random.default_rng(0)
LABELS = rng.integers(3, size=400)
GOOD = 2.5 * (np.eye(3)[LABELS] + rng.normal(scale=0.8, size=(400, 3)))
FAIR = 10 * (np.eye(3)[LABELS] + rng.normal(scale=1.2, size=(400, 3)))
NOISE = 50 * rng.normal(size=(400, 3))


def loss(*weighted: np.ndarray) -> float:
    """Mean negative logarithm of the label's probability, the softmax written out."""
    powers = np.exp(sum(weighted))
    return float(np.mean([-np.log(row[label] / row.sum()) for row, label in zip(powers, LABELS, strict=True)]))


def test_no_weights_of_a_fine_grid_fit_better():
    a, b = ensemble.weights(np.stack([GOOD, FAIR]), LABELS)
    assert a > 0 and b > 0
    around = [(a * x, b * y) for x in np.linspace(0.5, 1.5, 21) for y in np.linspace(0.5, 1.5, 21)]
    best = loss(a * GOOD, b * FAIR)
    assert min(loss(x * GOOD, y * FAIR) for x, y in around) >= best - 1e-7
    for step in (1e-3, -1e-3):  # flat in both directions
        assert loss((a + step) * GOOD, b * FAIR) - best < 1e-5
        assert loss(a * GOOD, (b + step) * FAIR) - best < 1e-4


@pytest.mark.parametrize("factor", [0.01, 30.0])
def test_scaled_scores_get_scaled_weights(factor):
    plain = ensemble.weights(np.stack([GOOD, FAIR]), LABELS)
    scaled = ensemble.weights(np.stack([factor * GOOD, FAIR]), LABELS)
    assert scaled == pytest.approx([plain[0] / factor, plain[1]], rel=1e-2)


def test_a_single_weight_is_an_inverse_temperature():
    (weight,) = ensemble.weights(GOOD[None], LABELS)
    grid = np.geomspace(0.05, 20, 2000)
    assert weight == pytest.approx(1 / grid[np.argmin([loss(GOOD / t) for t in grid])], rel=5e-3)


def test_a_member_that_knows_nothing_gets_next_to_no_weight():
    together = ensemble.fit({"good": lambda texts: GOOD, "noise": lambda texts: NOISE}, ["text"] * 400, LABELS)
    assert together.weights["noise"] * NOISE.std() < 0.1 * together.weights["good"] * GOOD.std()


def test_a_member_that_is_always_wrong_gets_none():
    wrong = {"good": lambda texts: GOOD, "wrong": lambda texts: -FAIR}
    assert ensemble.fit(wrong, ["text"] * 400, LABELS).weights["wrong"] == 0


def test_probabilities_are_those_of_the_weighted_sum():
    members = {"a": lambda texts: GOOD[: len(texts)], "b": lambda texts: FAIR[: len(texts)]}
    together = ensemble.fit(members, ["text"] * 400, LABELS)
    powers = np.exp(together.weights["a"] * GOOD[:2] + together.weights["b"] * FAIR[:2])
    np.testing.assert_allclose(
        np.exp(together.log_probabilities(["x", "y"])), powers / powers.sum(1, keepdims=True), rtol=1e-9
    )
    right = (together.log_probabilities(["text"] * 400).argmax(-1) == LABELS).mean()
    assert right > max((member.argmax(-1) == LABELS).mean() for member in (GOOD, FAIR))
