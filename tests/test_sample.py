import hashlib
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from laghu import sample
from laghu.lexicons import FAINT_TOPICS, NEIGHBOURS, SHARED, SUBJECTS

MAHANEWS_LABELS = [
    *("Auto", "Bhakti", "Crime", "Education", "Fashion", "Health"),
    *("International", "Manoranjan", "Politics", "Sports", "Tech", "Travel"),
]
# scikit-learn's default pattern cuts Devanagari words at vowel signs, which Python's \w leaves out.
WORD = r"[^\s,;:?!']+"


@pytest.fixture(scope="module")
def corpus() -> list[sample.Headline]:
    return sample.headlines()


def digest(headlines: list[sample.Headline]) -> str:
    return hashlib.sha256("\n".join(f"{h.label}\t{h.text}" for h in headlines).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_same_list_in_a_process_with_another_hash_seed(corpus, hash_seed):
    code = (
        "import hashlib; from laghu.sample import headlines;"
        r"print(hashlib.sha256('\n'.join(f'{h.label}\t{h.text}' for h in headlines()).encode()).hexdigest())"
    )
    source = str(Path(sample.__file__).parents[1])
    env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": source}
    printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == digest(corpus)


def test_the_seed_changes_the_list(corpus):
    assert digest(sample.headlines(1)) != digest(corpus)


def test_labels_and_counts(corpus):
    assert list(sample.LABELS) == MAHANEWS_LABELS
    assert Counter(h.label for h in corpus) == dict.fromkeys(MAHANEWS_LABELS, 200)


def test_order_is_shuffled(corpus):
    changes = sum(a.label != b.label for a, b in pairwise(corpus))
    # In a uniform order the next of 12 equally frequent labels differs 11 times in 12.
    assert changes / (len(corpus) - 1) == pytest.approx(11 / 12, abs=0.03)


def test_no_duplicates_after_normalisation(corpus):
    assert len({" ".join(unicodedata.normalize("NFC", h.text).split()) for h in corpus}) == len(corpus)


def test_text_is_nfc_and_every_letter_is_devanagari(corpus):
    for text in (h.text for h in corpus):
        assert unicodedata.is_normalized("NFC", text)
        letters = [c for c in text if unicodedata.category(c)[0] in "LM"]
        assert letters and all("\u0900" <= c <= "\u097f" for c in letters), text
        assert not re.search(r"[0-9\u200b-\u200f]", text), text


def test_words_are_well_formed_devanagari(corpus):
    # A sign without its letter, or two vowel signs on one letter, is how a mistyped join of stem and suffix shows.
    bad = re.compile(r"(^|[\s'(])[\u093e-\u094d\u0901-\u0903]|[\u093e-\u094c]{2}|\u094d[\u093e-\u094d]|\u094d(\s|$)")
    assert [h.text for h in corpus if bad.search(h.text)] == []


def test_no_slot_is_left_open_or_empty(corpus):
    left = re.compile(r"[{}|]|\s{2}|^\s|\s$|\s[,?!]|,\s*,|[,:]$|''|:\s*:")
    assert [h.text for h in corpus if left.search(h.text)] == []


def test_length_is_that_of_a_headline(corpus):
    lengths = [len(h.text.split()) for h in corpus]
    assert 8 <= sum(lengths) / len(lengths) <= 13
    assert min(lengths) >= 5 and max(lengths) <= 22


@pytest.mark.parametrize("label", MAHANEWS_LABELS)
def test_grammar_is_closed(label):
    """Every slot has a rule, every rule of the label a slot, no phrase is listed twice (weights apart)."""
    rules = SHARED | SUBJECTS[label]
    used = {slot for phrases in rules.values() for phrase in phrases for slot in re.findall(r"\{(\w+)\}", phrase)}
    assert used <= set(rules)
    assert set(SUBJECTS[label]) <= used
    for slot, phrases in rules.items():
        weighted = {"headline": {"{core}"}, "core": {"{common}"}}.get(slot, set())
        assert {p for p, n in Counter(phrases).items() if n > 1} <= weighted, slot
        assert all(phrases), slot


def test_faint_topics_appear_at_their_rate_and_only_under_their_labels(corpus):
    faint = [(h.label, topic) for h in corpus for topic in FAINT_TOPICS if topic in h.text]
    assert all(label in FAINT_TOPICS[topic] for label, topic in faint)
    assert len(faint) / len(corpus) == pytest.approx(sample.FAINT_SHARE, abs=0.02)  # about four standard errors
    assert {label for label, _ in faint} == set(MAHANEWS_LABELS)


def test_stray_topics_come_from_the_named_neighbours(corpus):
    stray = []
    for headline in corpus:
        body = headline.text.split(" : ")[-1]
        homes = {label for label in SUBJECTS if body.startswith(SUBJECTS[label]["topic"])}
        if homes and headline.label not in homes:
            stray.append((headline.label, homes))
    assert all(homes & set(NEIGHBOURS[label]) for label, homes in stray)
    assert len(stray) / len(corpus) == pytest.approx(sample.STRAY_SHARE, abs=0.015)  # about four standard errors


@pytest.mark.parametrize("seed", [2409, 7])
def test_splits_are_disjoint_and_stratified(seed):
    parts = sample.splits(seed)
    assert list(parts) == ["train", "validation", "test"]
    for name, count in {"train": 160, "validation": 20, "test": 20}.items():
        assert Counter(h.label for h in parts[name]) == dict.fromkeys(MAHANEWS_LABELS, count)
    everything = [h for part in parts.values() for h in part]
    assert sorted(h.text for h in everything) == sorted(h.text for h in sample.headlines(seed))
    assert len({h.text for h in everything}) == len(everything)


def test_every_label_shares_vocabulary_with_the_others(corpus):
    words = {label: set() for label in MAHANEWS_LABELS}
    for headline in corpus:
        words[headline.label].update(re.findall(WORD, headline.text))
    for label, own in words.items():
        others = set().union(*(words[other] for other in words if other != label))
        assert len(own & others) / len(own) >= 0.5, label


@pytest.mark.parametrize("seed", [2409, 1, 2])
def test_a_linear_model_is_good_but_not_perfect(seed):
    parts = sample.splits(seed)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD), LinearSVC())
    model.fit([h.text for h in parts["train"]], [h.label for h in parts["train"]])
    accuracy = model.score([h.text for h in parts["test"]], [h.label for h in parts["test"]])
    assert 0.80 <= accuracy <= 0.95


def test_the_module_says_what_it_is():
    assert sample.LICENCE == "CC0-1.0"
    assert "SYNTHETIC" in sample.__doc__ and "SAYS NOTHING ABOUT MARATHI NEWS" in sample.__doc__
