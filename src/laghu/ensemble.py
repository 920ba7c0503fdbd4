"""An ensemble of a classical classifier and encoders: a teacher stronger than each of its members.

Words and characters on the one side and a pretrained encoder on the other err on different texts. Members are joined as
a product of experts (Hinton 2002): the softmax of a weighted sum of their scores. A single weight is the inverse of a
temperature (Guo et al. 2017, section 4.2); fitted together, a member that adds nothing gets next to none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

# Texts -> scores of shape (texts, labels): logits, or distances from a support vector machine's planes.
Scorer = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Ensemble:
    """Members by name, and the weight that multiplies each one's scores."""

    members: dict[str, Scorer]
    weights: dict[str, float]

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Logarithms of the ensemble's probabilities, shape (texts, labels)."""
        return log_softmax(sum(self.weights[name] * score(texts) for name, score in self.members.items()), axis=-1)


def fit(members: dict[str, Scorer], texts: Sequence[str], labels: Sequence[int]) -> Ensemble:
    """Weigh the members by their scores on texts that they were not trained on."""
    scores = np.stack([score(texts) for score in members.values()])
    return Ensemble(members, dict(zip(members, weights(scores, np.asarray(labels)).tolist(), strict=True)))


def weights(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights of at least 0 under which the softmax of the weighted sum fits the labels best, shape (members,).

    The mean negative log-likelihood is convex in them, so there is one best fit.

    Args:
        scores: shape (members, rows, labels).
        labels: class ids, shape (rows,).
    """
    rows = np.arange(len(labels))
    of_label = scores[:, rows, labels]

    def loss(weight: np.ndarray) -> tuple[float, np.ndarray]:
        together = np.tensordot(weight, scores, axes=1)
        expected = np.einsum("rl,mrl->mr", softmax(together, axis=-1), scores)
        return -log_softmax(together, axis=-1)[rows, labels].mean(), (expected - of_label).mean(axis=1)

    # A first guess of the right size, whatever unit a member's scores have.
    start = 1 / np.maximum(scores.std(axis=(1, 2)), 1e-12) / len(scores)
    return minimize(loss, start, jac=True, bounds=[(0, None)] * len(scores), method="L-BFGS-B").x
