"""Labels of words for models that read subwords, and scores that count words and entities, never subwords.

A word's tag stands on its first subword; the others and the special tokens bear `IGNORED` (Devlin et al. 2019, section
5.3). A word that the model never read, because the sentence was cut or the tokenizer made nothing of it, has no
prediction of its own: it is `UNREAD`, and stays in every score as a mistake, or in an entity as outside.

Entities have two readings, which differ only where tags break IOB2. THE SCORE IS `spans`, that of CoNLL's conlleval and
of seqeval unless told otherwise, so that it compares with the literature; `strict_spans` is to be given beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from laghu.errors import LaghuError
from laghu.records import Estimate

if TYPE_CHECKING:  # counting needs no model library
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # left out of the loss by torch's cross-entropy and so by every token classifier of transformers
UNREAD = -1

Tags = Sequence[Sequence[int]]  # a number for each word of each sentence


# ---------------------------------------------------------------- words and subwords


@dataclass(frozen=True)
class Encoded:
    """Sentences as a model reads them.

    Attributes:
        inputs: what the tokenizer gives (input_ids, attention_mask, ...), a list of numbers per sentence, not padded.
        first: per sentence, the position of each word's first subword in these lists, (words,) int64; `UNREAD` where
            a word has none.
    """

    inputs: dict[str, list[list[int]]]
    first: list[np.ndarray]

    @property
    def unread_words(self) -> int:
        """Words that the model does not see; to be reported beside a score."""
        return sum(int((positions == UNREAD).sum()) for positions in self.first)


def encode(tokenizer: "PreTrainedTokenizerBase", sentences: Sequence[Sequence[str]], max_length: int) -> Encoded:
    """Subwords of sentences that are divided into words, cut to `max_length` tokens, special ones among them.

    Raises:
        LaghuError: no sentences; a slow tokenizer, which does not say what word a subword is of; no room for a word.
    """
    if not len(sentences):
        raise LaghuError("0 sentences to encode; give at least one.")
    if not tokenizer.is_fast:
        raise LaghuError(f"{type(tokenizer).__name__} does not map subwords to words; load the fast tokenizer.")
    if max_length <= (special := tokenizer.num_special_tokens_to_add()):
        raise LaghuError(f"max_length {max_length} leaves no room beside {special} special tokens; give more.")
    encoding = tokenizer(
        [list(words) for words in sentences], is_split_into_words=True, truncation=True, max_length=max_length
    )
    first = [_first_subwords(encoding.word_ids(row), len(words)) for row, words in enumerate(sentences)]
    return Encoded(dict(encoding), first)


def _first_subwords(word_ids: Sequence[int | None], words: int) -> np.ndarray:
    first = np.full(words, UNREAD)
    for position in reversed(range(len(word_ids))):
        if (word := word_ids[position]) is not None:
            first[word] = position
    return first


def subword_labels(encoded: Encoded, tags: Tags) -> list[list[int]]:
    """The `labels` of a token classifier, as long as the lists of `Encoded.inputs`.

    Raises:
        LaghuError: not one tag for each word.
    """
    _check_same_words(encoded.first, tags, "tags")
    labels = []
    for ids, first, word_tags in zip(encoded.inputs["input_ids"], encoded.first, tags, strict=True):
        row = np.full(len(ids), IGNORED)
        row[first[first != UNREAD]] = np.asarray(word_tags, dtype=int)[first != UNREAD]
        labels.append(row.tolist())
    return labels


def word_predictions(encoded: Encoded, predictions: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Predictions of words from those of tokens: that on the first subword, `UNREAD` where there is none.

    Args:
        predictions: per sentence, a class id for each token; padding, if any, stands on the right.

    Returns:
        Per sentence, (words,) int64.

    Raises:
        LaghuError: fewer predictions than tokens.
    """
    tokens = encoded.inputs["input_ids"]
    if len(predictions) != len(tokens):
        raise LaghuError(f"predictions for {len(predictions)} of {len(tokens)} sentences; give them for all.")
    words = []
    for row, (ids, first, given) in enumerate(zip(tokens, encoded.first, predictions, strict=True)):
        if len(given) < len(ids):
            raise LaghuError(f"sentence {row}: {len(given)} predictions for {len(ids)} tokens; give one for each.")
        words.append(np.where(first == UNREAD, UNREAD, np.asarray(given, dtype=int)[first]))
    return words


# ---------------------------------------------------------------- entities


class Span(NamedTuple):
    """An entity: its kind, its first word, and the word after its last."""

    kind: str
    start: int
    end: int


def spans(tags: Sequence[str]) -> list[Span]:
    """Entities of one sentence as conlleval reads IOB2 (Tjong Kim Sang and Buchholz 2000), in their order.

    An I- that continues no entity of its kind begins one.
    """
    found: list[Span] = []
    before = "O"
    for word, tag in enumerate(tags):
        if tag[0] == "I" and tag[2:] == before[2:]:
            found[-1] = found[-1]._replace(end=word + 1)
        elif tag != "O":
            found.append(Span(tag[2:], word, word + 1))
        before = tag
    return found


def strict_spans(tags: Sequence[str]) -> list[Span]:
    """Entities of one sentence that begin with B-, as IOB2 demands, in their order.

    An I- that continues no entity of its kind is outside, as is all that continues it.
    """
    legal = ["O"]
    for tag in tags:
        legal.append("O" if tag[0] == "I" and tag[2:] != legal[-1][2:] else tag)
    return spans(legal[1:])


def entity_kinds(labels: Sequence[str]) -> list[str]:
    """The kinds of entities in IOB2 labels, alphabetical.

    Raises:
        LaghuError: a label is none of O, B-kind and I-kind.
    """
    for label in labels:
        if label != "O" and (label[:2] not in ("B-", "I-") or len(label) < 3):
            raise LaghuError(f"label {label!r} is not IOB2; it must be O, or B- or I- with a kind of entity.")
    return sorted({label[2:] for label in labels if label != "O"})


# ---------------------------------------------------------------- counts
#
# Counts are (sentences, kinds, 3) int64: of each kind of entity, or each tag, how many are right, true and predicted.
# Every score below is a function of their sum over sentences, so that sentences can be drawn again without being read
# again.


def entity_counts(
    truth: Tags, predicted: Tags, labels: Sequence[str], read: Callable[[Sequence[str]], list[Span]] = spans
) -> np.ndarray:
    """Counts of entities, (sentences, kinds, 3), kinds as of `entity_kinds`; right is: same kind and same words.

    Args:
        truth, predicted: per sentence, label ids of its words; `UNREAD` predictions are outside.
        labels: all IOB2 labels in the order of their ids.
        read: `spans` or `strict_spans`, for truth and prediction alike.

    Raises:
        LaghuError: no sentences; not as many predictions as words; an id that no label has; labels not in IOB2.
    """
    row_of = {kind: row for row, kind in enumerate(entity_kinds(labels))}
    _check_ids(truth, predicted, len(labels))
    names = {**dict(enumerate(labels)), UNREAD: "O"}
    counts = np.zeros((len(truth), len(row_of), 3), dtype=np.int64)
    for sentence, pair in zip(counts, zip(truth, predicted, strict=True), strict=True):
        true, found = (set(read([names[int(tag)] for tag in tags])) for tags in pair)
        for column, entities in enumerate((true & found, true, found)):
            for entity in entities:
                sentence[row_of[entity.kind], column] += 1
    return counts


def word_counts(truth: Tags, predicted: Tags, num_labels: int) -> np.ndarray:
    """Counts of words by tag, (sentences, num_labels, 3); an `UNREAD` word is true, and neither right nor predicted.

    Raises:
        LaghuError: no sentences; not as many predictions as words; an id outside 0 .. num_labels - 1.
    """
    _check_ids(truth, predicted, num_labels)
    counts = np.empty((len(truth), num_labels, 3), dtype=np.int64)
    for sentence, true, found in zip(counts, truth, predicted, strict=True):
        true, found = np.asarray(true, dtype=int), np.asarray(found, dtype=int)
        for column, tags in enumerate((true[true == found], true, found[found != UNREAD])):
            sentence[:, column] = np.bincount(tags, minlength=num_labels)
    return counts


def _check_ids(truth: Tags, predicted: Tags, num_labels: int) -> None:
    if not len(truth):
        raise LaghuError("0 sentences to score; give at least one.")
    _check_same_words(truth, predicted, "predictions")
    for name, sentences, lowest in (("tag", truth, 0), ("prediction", predicted, UNREAD)):
        for row, tags in enumerate(sentences):
            if odd := [int(tag) for tag in tags if not lowest <= tag < num_labels]:
                raise LaghuError(f"sentence {row}: {name} {odd[0]} is not one of 0 .. {num_labels - 1}.")


def _check_same_words(sentences: Sequence[Sequence], given: Tags, name: str) -> None:
    if len(sentences) != len(given):
        raise LaghuError(f"{name} for {len(given)} of {len(sentences)} sentences; give them for all.")
    for row, (words, tags) in enumerate(zip(sentences, given, strict=True)):
        if len(words) != len(tags):
            raise LaghuError(f"sentence {row}: {len(tags)} {name} for {len(words)} words; give one for each.")


# ---------------------------------------------------------------- scores, (..., kinds, 3) to (...)


def precision(counts: np.ndarray) -> np.ndarray:
    """Right of all predicted, micro-averaged over kinds; 0 where nothing is predicted."""
    return _share(counts[..., 0].sum(-1), counts[..., 2].sum(-1))


def recall(counts: np.ndarray) -> np.ndarray:
    """Right of all true, micro-averaged over kinds; 0 where nothing is true."""
    return _share(counts[..., 0].sum(-1), counts[..., 1].sum(-1))


def micro_f1(counts: np.ndarray) -> np.ndarray:
    """F1 of all kinds together, 2 right / (true + predicted); 0 where nothing is either."""
    right, true, predicted = np.moveaxis(counts.sum(-2), -1, 0)
    return _share(2 * right, true + predicted)


def f1_by_kind(counts: np.ndarray) -> np.ndarray:
    """F1 of each kind, (..., kinds, 3) to (..., kinds); 0 where nothing of it is true or predicted."""
    right, true, predicted = np.moveaxis(counts, -1, 0)
    return _share(2 * right, true + predicted)


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Unweighted mean of `f1_by_kind` over the kinds that are true somewhere, as in `laghu.evaluation`."""
    present = counts[..., 1] > 0
    return _share((f1_by_kind(counts) * present).sum(-1), present.sum(-1))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


Score = Callable[[np.ndarray], np.ndarray]

ENTITY_SCORES: dict[str, Score] = {"f1": micro_f1, "precision": precision, "recall": recall}
# Each word has one tag, so that right of true is right of all words.
WORD_SCORES: dict[str, Score] = {"accuracy": recall, "macro_f1": macro_f1}


def evaluate(
    counts: np.ndarray, scores: Mapping[str, Score], views: Mapping[str, np.ndarray], resamples: int, seed: int
) -> dict[str, dict[str, Estimate]]:
    """Scores with 95 % percentile intervals over resampled sentences (Efron and Tibshirani 1993, section 13.3).

    Sentences are drawn and not words: the words of one sentence, and so the mistakes in it, are not independent.

    Args:
        counts: of `entity_counts` or `word_counts`, (sentences, kinds, 3).
        scores: `ENTITY_SCORES` or `WORD_SCORES`.
        views: name to a boolean mask over the sentences (`laghu.evaluation.views`).

    Returns:
        `{score: {view: Estimate}}`, fractions; all scores of a view are of the same resamples.

    Raises:
        LaghuError: a mask that is not boolean, not as long as `counts`, or selects nothing.
    """
    estimates: dict[str, dict[str, Estimate]] = {name: {} for name in scores}
    for view, mask in views.items():
        if np.asarray(mask).dtype != bool or np.shape(mask) != counts.shape[:1] or not np.any(mask):
            raise LaghuError(f"view {view!r} must be a boolean mask of {len(counts)} sentences that selects some.")
        seen = counts[mask]
        drawn = _resampled(seen, resamples, seed)
        for name, score in scores.items():
            low, high = np.quantile(score(drawn), [0.025, 0.975])
            estimates[name][view] = Estimate(value=float(score(seen.sum(0))), low=float(low), high=float(high))
    return estimates


def _resampled(counts: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums of as many sentences as there are, drawn with replacement, (resamples, kinds, 3)."""
    sentences = len(counts)
    times = np.random.default_rng(seed).multinomial(sentences, np.full(sentences, 1 / sentences), size=resamples)
    return (times @ counts.reshape(sentences, -1)).reshape(resamples, *counts.shape[1:])
