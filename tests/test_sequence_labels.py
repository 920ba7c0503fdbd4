"""Oracles: seqeval where it is installed, definitions searched word by word, scikit-learn, torch's own loss, and closed
forms of the binomial distribution."""

import itertools
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import accuracy_score, f1_score
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from laghu import backbones, evaluation, token_corpora
from laghu import sequence_labels as labelling
from laghu.errors import LaghuError

FOLDER = os.environ.get("LAGHU_DATA_DIR")
real_data = pytest.mark.skipif(not FOLDER, reason="LAGHU_DATA_DIR is not set: no MahaNER files to check against")

LABELS = ["B-PER", "I-LOC", "O", "I-PER", "B-LOC"]  # in no order on purpose
SENTENCES = [tokens for tokens, _ in token_corpora.sample_sentences()[:60]]


def message(call, *arguments, **keywords):
    with pytest.raises(LaghuError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def ids(tags, labels=LABELS):
    return [[labels.index(tag) for tag in sentence.split()] for sentence in tags]


def random_tags(rng, sentences, labels=LABELS, longest=7):
    """Every label as likely as O, so that most sentences break IOB2."""
    return [rng.choices(range(len(labels)), k=rng.randint(1, longest)) for _ in range(sentences)]


def named(tags, labels=LABELS):
    return [[labels[tag] for tag in sentence] for sentence in tags]


# ---------------------------------------------------------------- words and subwords


def wordpiece():
    return backbones.train_tokenizer([" ".join(words) for words in SENTENCES], 200, 64)


def unigram():
    """As XLM-RoBERTa's: a word's first subword bears the space before it."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(words) for words in SENTENCES], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module", params=[wordpiece, unigram])
def tokenizer(request):
    return request.param()


@pytest.mark.parametrize("max_length", [3, 4, 9, 200])
def test_first_subwords_against_the_words_tokenized_one_by_one(tokenizer, max_length):
    encoded = labelling.encode(tokenizer, SENTENCES, max_length)
    unread = 0
    for row, words in enumerate(SENTENCES):
        alone = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
        starts = [1 + start for start in itertools.accumulate([len(subwords) for subwords in alone], initial=0)]
        expected = [start if start < max_length - 1 else labelling.UNREAD for start in starts[:-1]]
        assert encoded.first[row].tolist() == expected
        body = [subword for subwords in alone for subword in subwords][: max_length - 2]
        assert encoded.inputs["input_ids"][row][1:-1] == body
        assert encoded.inputs["attention_mask"][row] == [1] * (len(body) + 2)
        unread += expected.count(labelling.UNREAD)
    assert encoded.unread_words == unread
    assert (unread == 0) == (max_length == 200)


@pytest.mark.parametrize("max_length", [5, 12, 200])
def test_labels_stand_on_first_subwords_and_come_back(tokenizer, max_length):
    rng = random.Random(max_length)
    tags = [[rng.randrange(5) for _ in words] for words in SENTENCES]
    encoded = labelling.encode(tokenizer, SENTENCES, max_length)
    labels = labelling.subword_labels(encoded, tags)
    for row, first in enumerate(encoded.first):
        assert len(labels[row]) == len(encoded.inputs["input_ids"][row]) <= max_length
        bearing = [position for position, label in enumerate(labels[row]) if label != labelling.IGNORED]
        assert bearing == sorted(first[first >= 0].tolist())
        # Anything may be predicted where no label stands, and behind the sentence, where a batch is padded.
        guessed = [label if label != labelling.IGNORED else rng.randrange(5) for label in labels[row]]
        labels[row] = np.array([*guessed, *[7] * (max_length - len(guessed))])
    words = labelling.word_predictions(encoded, labels)
    for back, first, given in zip(words, encoded.first, tags, strict=True):
        expected = [tag if position >= 0 else labelling.UNREAD for tag, position in zip(given, first, strict=True)]
        assert back.tolist() == expected


def test_a_word_without_subwords_is_unread_and_shifts_no_other():
    tokenizer = wordpiece()
    words = ["\x00", "चोरी", "", "झाली", "\u2028"]
    encoded = labelling.encode(tokenizer, [words], 64)
    alone = len(tokenizer("चोरी", add_special_tokens=False)["input_ids"])
    assert encoded.first[0].tolist() == [-1, 1, -1, 1 + alone, -1]
    labels = labelling.subword_labels(encoded, [[0, 1, 2, 3, 4]])
    assert [label for label in labels[0] if label != labelling.IGNORED] == [1, 3]
    assert labelling.word_predictions(encoded, labels)[0].tolist() == [-1, 1, -1, 3, -1]


def test_loss_of_a_token_classifier_is_over_first_subwords_alone():
    tokenizer = wordpiece()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        num_labels=5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForTokenClassification(config).eval()
    nn.init.normal_(model.classifier.bias)
    encoded = labelling.encode(tokenizer, SENTENCES[:1], 64)
    tags = [[position % 5 for position in range(len(SENTENCES[0]))]]
    inputs = {name: torch.tensor(rows) for name, rows in encoded.inputs.items()}
    with torch.inference_mode():
        output = model(**inputs, labels=torch.tensor(labelling.subword_labels(encoded, tags)))
    logits = output.logits[0].double().numpy()[encoded.first[0]]
    terms = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(tags[0])), tags[0]]
    assert float(output.loss) == pytest.approx(terms.mean(), rel=1e-5)


def test_what_cannot_be_aligned_is_refused():
    tokenizer = wordpiece()
    assert "0 sentences" in message(labelling.encode, tokenizer, [], 8)
    assert "max_length 2 leaves no room beside 2" in message(labelling.encode, tokenizer, SENTENCES, 2)
    encoded = labelling.encode(tokenizer, [["चोरी", "झाली"], ["लोक"]], 16)
    assert "sentence 1: 2 tags for 1 words" in message(labelling.subword_labels, encoded, [[0, 1], [0, 1]])
    assert "tags for 1 of 2 sentences" in message(labelling.subword_labels, encoded, [[0, 1]])
    tokens = [len(row) for row in encoded.inputs["input_ids"]]
    assert "predictions for 1 of 2" in message(labelling.word_predictions, encoded, [[0] * tokens[0]])
    said = message(labelling.word_predictions, encoded, [[0] * tokens[0], [0] * (tokens[1] - 1)])
    assert f"sentence 1: {tokens[1] - 1} predictions for {tokens[1]} tokens" in said

    class Slow:
        is_fast = False

    assert "Slow does not map subwords to words" in message(labelling.encode, Slow(), SENTENCES, 8)


# ---------------------------------------------------------------- entities


def searched(tags, strict):
    """Every entity, found by trying all stretches of words against the definition."""
    tags = [*tags, "O"]
    found = []
    for start, end in itertools.combinations(range(len(tags)), 2):
        kind, before = tags[start][2:], tags[start - 1][2:] if start else ""
        whole = kind and all(tag == f"I-{kind}" for tag in tags[start + 1 : end]) and tags[end] != f"I-{kind}"
        begins = tags[start].startswith("B-") or (not strict and before != kind)
        if whole and begins:
            found.append((kind, start, end))
    return found


@pytest.mark.parametrize(
    ("tags", "lenient", "strict"),
    [
        ("O O", [], []),
        ("B-PER I-PER O B-LOC", [("PER", 0, 2), ("LOC", 3, 4)], [("PER", 0, 2), ("LOC", 3, 4)]),
        ("B-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)], [("PER", 0, 1), ("PER", 1, 3)]),
        ("I-PER I-PER O", [("PER", 0, 2)], []),
        ("B-PER I-LOC I-LOC", [("PER", 0, 1), ("LOC", 1, 3)], [("PER", 0, 1)]),
        ("I-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)], [("PER", 1, 3)]),
        ("B-LOC O I-LOC", [("LOC", 0, 1), ("LOC", 2, 3)], [("LOC", 0, 1)]),
        # Kinds of which one begins with the other, and one with a hyphen.
        ("B-NE I-NEP B-a-b I-a-b I-a", [("NE", 0, 1), ("NEP", 1, 2), ("a-b", 2, 4), ("a", 4, 5)],
         [("NE", 0, 1), ("a-b", 2, 4)]),
    ],
)  # fmt: skip
def test_spans_case_by_case(tags, lenient, strict):
    assert labelling.spans(tags.split()) == lenient == searched(tags.split(), strict=False)
    assert labelling.strict_spans(tags.split()) == strict == searched(tags.split(), strict=True)


def test_spans_of_every_sequence_of_five_tags():
    for tags in itertools.product(LABELS, repeat=5):
        assert labelling.spans(tags) == searched(tags, strict=False)
        assert labelling.strict_spans(tags) == searched(tags, strict=True)


def test_entity_kinds():
    assert labelling.entity_kinds(LABELS) == ["LOC", "PER"]
    assert labelling.entity_kinds(token_corpora.iob2(["b", "a"])) == ["a", "b"]
    for label in ("NOUN", "B-", "BNEP", "S-PER", ""):
        assert f"label {label!r} is not IOB2" in message(labelling.entity_kinds, ["O", label])


# ---------------------------------------------------------------- counts and scores


def all_scores(truth, predicted, read=labelling.spans):
    counts = labelling.entity_counts(truth, predicted, LABELS, read).sum(0)
    return {name: float(score(counts)) for name, score in labelling.ENTITY_SCORES.items()}


def test_a_sentence_scored_by_hand():
    truth = ids(["B-PER I-PER O B-LOC O", "B-LOC O"])
    predicted = ids(["B-PER O O B-LOC B-LOC", "B-PER O"])  # right: one place of three true and four predicted
    counts = labelling.entity_counts(truth, predicted, LABELS)
    assert counts.tolist() == [[[1, 1, 2], [0, 1, 1]], [[0, 1, 0], [0, 0, 1]]]
    assert all_scores(truth, predicted) == {"f1": 2 / 7, "precision": 1 / 4, "recall": 1 / 3}
    assert labelling.f1_by_kind(counts.sum(0)).tolist() == [0.5, 0.0]
    assert labelling.macro_f1(counts.sum(0)) == 0.25


def test_unread_words_are_missed_entities_and_wrong_words():
    truth = ids(["O B-PER I-PER O", "B-LOC O"])
    cut = [[2, 0, -1, -1], [-1, -1]]
    # The person is cut in half and so another entity; the place is missed.
    assert labelling.entity_counts(truth, cut, LABELS).sum(0).tolist() == [[0, 1, 0], [0, 1, 1]]
    counts = labelling.word_counts(truth, cut, 5).sum(0)
    assert labelling.WORD_SCORES["accuracy"](counts) == 2 / 6
    assert counts[:, 1].sum() == 6 and counts[:, 2].sum() == 2


def test_nothing_to_find_and_nothing_found():
    nothing, place = ids(["O O"]), ids(["B-LOC O"])
    assert set(all_scores(nothing, nothing).values()) == {0.0}
    assert set(all_scores(place, nothing).values()) == set(all_scores(nothing, place).values()) == {0.0}
    assert set(all_scores(place, place).values()) == {1.0}


@pytest.mark.parametrize("read", [labelling.spans, labelling.strict_spans])
def test_entity_scores_against_sets_of_searched_entities(read):
    rng = random.Random(1)
    truth = random_tags(rng, 80)
    predicted = [[tag if rng.random() < 0.7 else rng.randrange(5) for tag in tags] for tags in truth]
    strict = read is labelling.strict_spans
    true, found = (
        {(row, *entity) for row, tags in enumerate(named(side)) for entity in searched(tags, strict)}
        for side in (truth, predicted)
    )
    right = len(true & found)
    precision, recall = right / len(found), right / len(true)
    expected = {"f1": 2 * precision * recall / (precision + recall), "precision": precision, "recall": recall}
    assert all_scores(truth, predicted, read) == pytest.approx(expected)
    assert 0 < right < len(true)


def test_word_scores_against_scikit_learn():
    rng = random.Random(2)
    truth = [[tag for tag in tags if tag != 3] or [0] for tags in random_tags(rng, 50)]  # one label is never true
    predicted = [[rng.choice([tag, tag, rng.randrange(-1, 5)]) for tag in tags] for tags in truth]
    counts = labelling.word_counts(truth, predicted, 5)
    assert counts.shape == (50, 5, 3)
    flat = [np.concatenate(side) for side in (truth, predicted)]
    assert labelling.WORD_SCORES["accuracy"](counts.sum(0)) == pytest.approx(accuracy_score(*flat))
    expected = f1_score(*flat, labels=sorted(set(flat[0])), average="macro")
    assert labelling.WORD_SCORES["macro_f1"](counts.sum(0)) == pytest.approx(expected)
    assert {-1, 3} <= set(flat[1]) and 3 not in flat[0]
    read = flat[1] >= 0
    assert evaluation.macro_f1(flat[0][read], flat[1][read], 5) == pytest.approx(
        labelling.macro_f1(labelling.word_counts([flat[0][read]], [flat[1][read]], 5).sum(0))
    )


def test_counting_needs_no_model_library():
    listing = [sys.executable, "-c", "import sys, laghu.sequence_labels; print(*sys.modules)"]
    loaded = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.split()
    assert "laghu.sequence_labels" in loaded
    assert not {"torch", "transformers", "seqeval"} & set(loaded)


@pytest.mark.parametrize("count", [lambda *sides: labelling.entity_counts(*sides, LABELS),
                                   lambda *sides: labelling.word_counts(*sides, 5)])  # fmt: skip
def test_what_cannot_be_counted_is_refused(count):
    assert "0 sentences" in message(count, [], [])
    assert "predictions for 1 of 2 sentences" in message(count, [[0], [1]], [[0]])
    assert "sentence 1: 2 predictions for 1 words" in message(count, [[0], [1]], [[0], [1, 1]])
    assert "sentence 0: tag -1 is not one of 0 .. 4" in message(count, [[-1]], [[0]])
    assert "sentence 0: tag -100 is not" in message(count, [[-100]], [[0]])
    assert "sentence 1: prediction 5 is not one of 0 .. 4" in message(count, [[0], [0]], [[0], [5]])


# ---------------------------------------------------------------- seqeval


def seqeval_scores(truth, predicted, strict):
    metrics = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme")
    how = {"mode": "strict", "scheme": scheme.IOB2} if strict else {}
    functions = {"f1": metrics.f1_score, "precision": metrics.precision_score, "recall": metrics.recall_score}
    return {name: float(function(truth, predicted, zero_division=0, **how)) for name, function in functions.items()}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_scores_are_those_of_seqeval(seed, strict):
    rng = random.Random(seed)
    truth = random_tags(rng, rng.choice([1, 3, 40]))
    share = rng.choice([0.0, 0.5, 0.9, 1.0])
    predicted = [[tag if rng.random() < share else rng.randrange(5) for tag in tags] for tags in truth]
    read = labelling.strict_spans if strict else labelling.spans
    expected = seqeval_scores(named(truth), named(predicted), strict)
    assert all_scores(truth, predicted, read) == pytest.approx(expected)


@real_data
@pytest.mark.parametrize("strict", [False, True])
def test_scores_on_mahaner_are_those_of_seqeval(strict):
    corpus = token_corpora.load("mahaner")
    truth = list(corpus.splits["test"]["tags"])
    rng = random.Random(3)
    outside = corpus.labels.index("O")
    predicted = [
        [rng.randrange(len(corpus.labels)) if rng.random() < 0.1 else tag for tag in tags] for tags in truth
    ]
    cut = [[*tags[:8], *[labelling.UNREAD] * len(tags[8:])] for tags in predicted]
    read = labelling.strict_spans if strict else labelling.spans
    counts = labelling.entity_counts(truth, cut, corpus.labels, read).sum(0)
    filled = [[outside if tag == labelling.UNREAD else tag for tag in tags] for tags in cut]
    expected = seqeval_scores(named(truth, corpus.labels), named(filled, corpus.labels), strict)
    found = {name: float(score(counts)) for name, score in labelling.ENTITY_SCORES.items()}
    assert found == pytest.approx(expected) and 0.3 < found["f1"] < 0.9


# ---------------------------------------------------------------- intervals

EVERYTHING = {"published": np.ones(400, dtype=bool)}


def interval(counts, score="accuracy", views=EVERYTHING, resamples=4000):
    return labelling.evaluate(counts, labelling.WORD_SCORES, views, resamples, seed=0)[score]["published"]


@pytest.mark.parametrize("words", [1, 6])
def test_interval_is_that_of_sentences_however_many_words_they_have(words):
    """Sentences all right or all wrong: the number of right ones among those drawn is binomial; words add nothing."""
    right = np.arange(400) < 100
    counts = labelling.word_counts([[0] * words] * 400, [[int(not r)] * words for r in right], 2)
    estimate = interval(counts)
    assert estimate.value == 0.25
    low, high = binom.ppf([0.025, 0.975], 400, 0.25) / 400
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.005)


def test_interval_against_sentences_drawn_one_by_one():
    rng = np.random.default_rng(5)
    truth = [rng.integers(0, 3, rng.integers(1, 9)) for _ in range(400)]
    predicted = [np.where(rng.random(len(tags)) < 0.7, tags, rng.integers(0, 3, len(tags))) for tags in truth]
    estimate = interval(labelling.word_counts(truth, predicted, 3), "macro_f1")
    values = []
    for _ in range(600):
        rows = rng.integers(0, 400, 400)
        flat = [np.concatenate([side[row] for row in rows]) for side in (truth, predicted)]
        values.append(evaluation.macro_f1(*flat, num_labels=3))
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.006)
    assert estimate.low < estimate.value < estimate.high


def test_views_select_sentences_and_the_seed_decides():
    rng = random.Random(4)
    truth = random_tags(rng, 40)
    predicted = [[rng.choice([tag, rng.randrange(5)]) for tag in tags] for tags in truth]
    counts = labelling.entity_counts(truth, predicted, LABELS)
    clean = np.arange(40) % 2 == 0
    views = {"published": np.ones(40, dtype=bool), "clean": clean}
    found = labelling.evaluate(counts, labelling.ENTITY_SCORES, views, 200, seed=1)
    assert list(found) == ["f1", "precision", "recall"] and list(found["f1"]) == ["published", "clean"]
    alone = labelling.entity_counts(truth[::2], predicted[::2], LABELS)
    again, other = (
        labelling.evaluate(alone, labelling.ENTITY_SCORES, {"clean": np.ones(20, dtype=bool)}, 200, seed)
        for seed in (1, 2)
    )
    assert all(again[score]["clean"] == found[score]["clean"] for score in found)
    assert other["f1"]["clean"].value == again["f1"]["clean"].value
    assert other["f1"]["clean"] != again["f1"]["clean"]


@pytest.mark.parametrize("mask", [np.ones(3, dtype=bool), np.zeros(2, dtype=bool), np.ones(2)])
def test_a_view_that_is_no_mask_is_refused(mask):
    counts = labelling.word_counts([[0], [1]], [[0], [1]], 2)
    assert "'odd' must be a boolean mask of 2" in message(
        labelling.evaluate, counts, labelling.WORD_SCORES, {"odd": mask}, 10, 0
    )
