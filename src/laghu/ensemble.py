"""An ensemble of a classical classifier and encoders: a teacher stronger than each of its members.

Words and characters on the one side and a pretrained encoder on the other err on different texts. Members speak in
probabilities, each brought to its own calibrated confidence first, so that the surest member is not merely the loudest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

# Texts -> scores of shape (texts, labels): logits, or distances from a support vector machine's planes.
Scorer = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Ensemble:
    """Members by name, and the temperature that divides each one's scores."""

    members: dict[str, Scorer]
    temperatures: dict[str, float]

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Logarithm of the mean of the members' probabilities, shape (texts, labels)."""
        each = [
            log_softmax(score(texts) / self.temperatures[name], axis=-1) for name, score in self.members.items()
        ]
        return logsumexp(each, axis=0) - np.log(len(each))


def fit(members: dict[str, Scorer], texts: Sequence[str], labels: Sequence[int]) -> Ensemble:
    """Calibrate each member on texts that it was not trained on."""
    labels = np.asarray(labels)
    return Ensemble(members, {name: temperature(score(texts), labels) for name, score in members.items()})


def temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in 0.01 .. 100 under which the softmax of the scores fits the labels best.

    Source: temperature scaling, Guo et al. 2017, section 4.2.

    Args:
        scores: shape (rows, labels).
        labels: class ids, shape (rows,).
    """

    def negative_log_likelihood(logarithm: float) -> float:
        return -log_softmax(scores / np.exp(logarithm), axis=-1)[np.arange(len(labels)), labels].mean()

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=np.log([0.01, 100]), method="bounded").x))
