"""Quality: predictions of a classifier, accuracy and macro-F1 with intervals, and the test between two classifiers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binomtest
from torch import nn
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from laghu import quiet
from laghu.errors import LaghuError


@dataclass(frozen=True)
class Estimate:
    """A statistic of the test rows with its confidence interval; fractions, not percent."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """Two classifiers on the same rows: on how many only one of them is right, and the two-sided exact p-value."""

    only_a_right: int
    only_b_right: int
    p_value: float


@contextmanager
def inference(*models: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients; afterwards every model is back in the mode it came in."""
    modes = [model.training for model in models]
    for model in models:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for model, mode in zip(models, modes, strict=True):
            model.train(mode)


def logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    batch_size: int,
    max_length: int,
) -> np.ndarray:
    """Scores before the softmax, (len(texts), labels) float32, in the order of `texts`.

    Texts are batched by length, longest first, so that a batch holds next to no padding and a batch too large for the
    memory fails at once. Longer texts are cut to `max_length` tokens.

    Raises:
        LaghuError: no texts.
    """
    if not len(texts):
        raise LaghuError("0 texts to classify; give at least one.")
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length)
    by_length = sorted(range(len(texts)), key=lambda row: len(encoded["input_ids"][row]), reverse=True)
    collate = DataCollatorWithPadding(tokenizer)
    scores = np.empty((len(texts), model.config.num_labels), dtype=np.float32)
    with inference(model):
        for start in range(0, len(texts), batch_size):
            rows = by_length[start : start + batch_size]
            batch = collate([{name: values[row] for name, values in encoded.items()} for row in rows])
            with quiet.working():
                scores[rows] = model(**batch.to(model.device)).logits.float().cpu().numpy()
    return scores


def predict(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    batch_size: int,
    max_length: int,
) -> np.ndarray:
    """Class ids with the highest score, (len(texts),) int64; see `logits`."""
    return logits(model, tokenizer, texts, batch_size, max_length).argmax(axis=1).astype(np.int64)


def confusion(labels: Sequence[int], predictions: Sequence[int], num_labels: int) -> np.ndarray:
    """Counts of rows by label (first axis) and prediction (second axis), (num_labels, num_labels) int64.

    Raises:
        LaghuError: no rows, unequal lengths, or an id outside 0 .. num_labels - 1.
    """
    labels, predictions = _paired(labels, predictions)
    for name, ids in (("label", labels), ("prediction", predictions)):
        outside = np.flatnonzero((ids < 0) | (ids >= num_labels))
        if outside.size:
            raise LaghuError(f"row {outside[0]}: {name} {ids[outside[0]]} is not one of 0 .. {num_labels - 1}.")
    return np.bincount(labels * num_labels + predictions, minlength=num_labels**2).reshape(num_labels, num_labels)


def accuracy_of(confusion: np.ndarray) -> np.ndarray:
    """Accuracy of confusion counts, (..., labels, labels) to (...)."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))


def macro_f1_of(confusion: np.ndarray) -> np.ndarray:
    """Macro-F1 of confusion counts, (..., labels, labels) to (...): the mean over the labels that have rows."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    # F1 = 2 tp / (support + predicted); a label without rows has tp = 0 and is left out of the mean.
    return (2 * right / np.maximum(support + predicted, 1)).sum(axis=-1) / (support > 0).sum(axis=-1)


def accuracy(labels: Sequence[int], predictions: Sequence[int]) -> float:
    """Fraction of rows whose prediction is the label."""
    return float(np.mean(np.equal(*_paired(labels, predictions))))


def macro_f1(labels: Sequence[int], predictions: Sequence[int], num_labels: int) -> float:
    """Unweighted mean of F1 over the labels present in `labels`.

    A label that is predicted but never true has no F1 of its own; its rows count as misses of their true labels. A
    label that is true but never predicted has F1 0.
    """
    return float(macro_f1_of(confusion(labels, predictions, num_labels)))


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    labels: Sequence[int],
    predictions: Sequence[int],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Percentile interval over resampled test rows (Efron and Tibshirani 1993, section 13.3).

    A statistic of confusion counts does not see which rows were drawn, only how many fell into each (label,
    prediction) cell, and drawing n rows with replacement makes those counts multinomial with the observed shares. So
    the counts are drawn directly: the same distribution as drawing rows, without the rows. Rows are taken as
    independent; copies of one text among them make the interval too narrow.

    Args:
        statistic: `accuracy_of` or `macro_f1_of`, or any function of counts, (..., labels, labels) to (...).
        level: share of the resamples inside the interval.
    """
    num_labels = 1 + max(0, *(int(ids.max()) for ids in _paired(labels, predictions)))
    counts = confusion(labels, predictions, num_labels)
    cells = np.flatnonzero(counts)
    rows = counts.sum()
    resampled = np.zeros((resamples, num_labels**2), dtype=np.int64)
    resampled[:, cells] = np.random.default_rng(seed).multinomial(rows, counts.flat[cells] / rows, size=resamples)
    values = statistic(resampled.reshape(resamples, num_labels, num_labels))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(statistic(counts)), float(low), float(high))


def mcnemar(labels: Sequence[int], a: Sequence[int], b: Sequence[int]) -> McNemar:
    """Exact McNemar test: are the rows on which exactly one classifier is right split evenly between the two?

    The p-value is the two-sided binomial one (McNemar 1947, in its exact form); 1.0 where the two never differ.
    """
    a_right = np.equal(*_paired(labels, a))
    b_right = np.equal(*_paired(labels, b))
    only_a, only_b = int(np.sum(a_right & ~b_right)), int(np.sum(b_right & ~a_right))
    p_value = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(only_a, only_b, float(p_value))


def evaluate(
    labels: Sequence[int],
    predictions: Sequence[int],
    views: Mapping[str, np.ndarray],
    num_labels: int,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Estimate]]:
    """Accuracy and macro-F1 with 95 % intervals on several views of the test rows.

    Args:
        views: name to a boolean mask over the rows, such as all of them, or those without leakage.

    Returns:
        `{"accuracy": {view: Estimate}, "macro_f1": {view: Estimate}}`; see `rows` for the size of each view.

    Raises:
        LaghuError: a mask that is not boolean, not as long as `labels`, or selects nothing; see also `confusion`.
    """
    labels, predictions = _paired(labels, predictions)
    confusion(labels, predictions, num_labels)
    for view, mask in views.items():
        if np.asarray(mask).dtype != bool or np.shape(mask) != labels.shape or not np.any(mask):
            raise LaghuError(f"view {view!r} must be a boolean mask over the {len(labels)} rows that selects some.")
    return {
        name: {
            view: bootstrap(statistic, labels[mask], predictions[mask], resamples=resamples, seed=seed)
            for view, mask in views.items()
        }
        for name, statistic in (("accuracy", accuracy_of), ("macro_f1", macro_f1_of))
    }


def views(test: Mapping[str, Sequence[bool]]) -> dict[str, np.ndarray]:
    """Three readings of a test split (see `laghu.corpora.Corpus`), each a boolean array of shape (rows,).

    `published` is what the papers report on, `deduplicated` counts every text once, and `clean` also leaves out what
    can be answered from having seen another split or from the damaged script alone. Each holds the next.
    """
    repeated, elsewhere, damaged = (
        np.asarray(test[flag], dtype=bool) for flag in ("duplicate", "in_other_split", "mojibake")
    )
    return {
        "published": np.ones(len(repeated), dtype=bool),
        "deduplicated": ~repeated,
        "clean": ~repeated & ~elsewhere & ~damaged,
    }


def rows(views: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Test rows in each view of `evaluate`."""
    return {view: int(np.sum(mask)) for view, mask in views.items()}


def _paired(labels: Sequence[int], predictions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or not labels.size:
        raise LaghuError(f"{predictions.size} predictions for {labels.size} labels; give one for each of at least one.")
    return labels, predictions
