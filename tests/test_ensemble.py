"""Calibration and the mean of an ensemble, against search by hand and probabilities worked out one by one."""

import numpy as np
import pytest

from laghu import ensemble

rng = np.random.default_rng(0)
LABELS = rng.integers(3, size=400)
SCORES = 2.5 * (np.eye(3)[LABELS] + rng.normal(scale=0.8, size=(400, 3)))


def loss(scores: np.ndarray, temperature: float) -> float:
    """Mean negative logarithm of the label's probability, the softmax written out."""
    powers = np.exp(scores / temperature)
    return float(np.mean([-np.log(row[label] / row.sum()) for row, label in zip(powers, LABELS, strict=True)]))


def test_no_temperature_of_a_fine_grid_fits_better():
    found = ensemble.temperature(SCORES, LABELS)
    assert min(loss(SCORES, t) for t in np.geomspace(0.2, 20, 400)) >= loss(SCORES, found) - 1e-9


@pytest.mark.parametrize("factor", [0.1, 5.0])
def test_scaled_scores_get_a_scaled_temperature_and_the_same_probabilities(factor):
    plain, scaled = ensemble.temperature(SCORES, LABELS), ensemble.temperature(factor * SCORES, LABELS)
    assert scaled == pytest.approx(factor * plain, rel=1e-3)


def test_members_speak_in_calibrated_probabilities_of_equal_weight():
    other = SCORES[:, [0, 2, 1]] + 0.3
    members = {"a": lambda texts: SCORES[: len(texts)], "b": lambda texts: 40 * other[: len(texts)]}
    together = ensemble.fit(members, ["text"] * 400, LABELS)
    a = np.exp(SCORES[:2] / together.temperatures["a"])
    b = np.exp(40 * other[:2] / together.temperatures["b"])
    expected = (a / a.sum(1, keepdims=True) + b / b.sum(1, keepdims=True)) / 2
    np.testing.assert_allclose(np.exp(together.log_probabilities(["x", "y"])), expected, rtol=1e-9)


def test_a_member_that_knows_nothing_is_flattened():
    members = {"good": lambda texts: SCORES, "noise": lambda texts: 50 * rng.normal(size=(400, 3))}
    together = ensemble.fit(members, ["text"] * 400, LABELS)
    assert together.temperatures["noise"] > 50
    right = (together.log_probabilities(["text"] * 400).argmax(-1) == LABELS).mean()
    assert right >= (SCORES.argmax(-1) == LABELS).mean() - 0.02
