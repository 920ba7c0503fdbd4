"""Oracles: second implementations of the comparison form and the digest, counts printed in the notes of the data, and
the tags of published sentences read one after the other."""

import hashlib
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd
import pytest

from laghu import corpora, evaluation, lexicons, paths, sequence_labels, token_corpora
from laghu.errors import LaghuError

FOLDER = os.environ.get("LAGHU_DATA_DIR")
real_data = pytest.mark.skipif(not FOLDER, reason="LAGHU_DATA_DIR is not set: no labelled words to check against")

SPLITS = ("train", "validation", "test")
FILES = {
    "mahaner": (token_corpora.MAHANER_FILES, token_corpora.iob2(token_corpora.MAHANER_KINDS)),
    "ud-marathi": (token_corpora.UD_FILES, token_corpora.UPOS),
}


def mojibake(text):
    """UTF-8 bytes shown as code page 866."""
    return text.encode().decode("cp866")


def plain(words):
    """Second implementation of the comparison form: one character at a time, by Unicode category."""
    text = "".join(c for c in unicodedata.normalize("NFC", " ".join(words)) if c not in "\u200c\u200d").lower()
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split())


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def conll(sentences):
    return "".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) + "\n" for sentence in sentences)


def sentences_of(split):
    names = split.features["tags"].feature.names
    return [
        list(zip(words, (names[tag] for tag in tags), strict=True))
        for words, tags in zip(split["tokens"], split["tags"], strict=True)
    ]


def spelled_out_sha256(corpus):
    """The digest of a corpus as the documentation words it."""
    total = f"labels {' '.join(corpus.labels)}\n"
    for name, split in corpus.splits.items():
        flags = zip(*(split[flag] for flag in ("duplicate", "in_other_split", "mojibake")), strict=True)
        lines = "".join("".join(f"{flag:d}" for flag in row) + "\n" for row in flags)
        total += f"{name} {sha256(conll(sentences_of(split)))} {sha256(lines)}\n"
    return sha256(total)


def check_shape(corpus):
    assert list(corpus.splits) == list(SPLITS)
    everything = {name: [plain(words) for words in split["tokens"]] for name, split in corpus.splits.items()}
    for name, split in corpus.splits.items():
        assert split.column_names == ["tokens", "tags", "duplicate", "in_other_split", "mojibake"]
        assert split.features["tags"].feature.names == corpus.labels == sorted(corpus.labels)
        assert all(map(len, split["tokens"]))
        assert list(map(len, split["tokens"])) == list(map(len, split["tags"]))
        keys = everything[name]
        elsewhere = {key for other, them in everything.items() if other != name for key in them}
        assert list(split["in_other_split"]) == [key in elsewhere for key in keys]
        assert list(split["duplicate"]) == [key in keys[:row] for row, key in enumerate(keys)]
    assert corpus.licence and corpus.citation
    assert corpus.note.endswith(".") and "\n" not in corpus.note
    assert corpus.sha256 == spelled_out_sha256(corpus)


def message(call, *arguments):
    with pytest.raises(LaghuError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- tags


def test_iob2_tags_of_kinds():
    assert token_corpora.iob2(["b", "a"]) == ["B-a", "B-b", "I-a", "I-b", "O"]


@pytest.mark.parametrize(
    ("tags", "strays"),
    [
        ("O B-NEP I-NEP O", 0),
        ("I-NEP O", 1),
        ("B-NEP I-NEL I-NEL", 1),
        ("B-NEP O I-NEP", 1),
        ("B-NE I-NEP", 1),
        ("I-NEP I-NEL B-NEL I-NEL", 2),
    ],
)
def test_stray_inside(tags, strays):
    assert token_corpora.stray_inside(tags.split()) == strays


# ---------------------------------------------------------------- tables


def table(path, rows):
    pd.DataFrame(rows, columns=["tokens", "tags"]).assign(source="invented").to_parquet(path)
    return path


def test_read_sentences_cleans_and_counts(tmp_path):
    rows = [(["एक", "दोन"], ["A", "B"]), ([], []), ([mojibake("तीन"), "km"], ["B", "A"]), (["चार"], ["A"])]
    frame, counts = token_corpora.read_sentences(table(tmp_path / "rows.parquet", rows), ["A", "B"])
    assert frame.to_dict("list") == {
        "tokens": [["एक", "दोन"], ["तीन", "km"], ["चार"]],
        "tags": [["A", "B"], ["B", "A"], ["A"]],
        "mojibake": [False, True, False],
    }
    assert counts == {"rows_read": 4, "blanks": 1, "mojibake_repaired": 1}


@pytest.mark.parametrize(
    ("tokens", "tags", "said"),
    [
        (["एक", "दोन"], ["A"], "row 2: 2 words and 1 tags; give each word one"),
        (["एक"], ["C"], "row 2: unknown tag 'C'; the tags are A, B"),
        (["एक", " "], ["A", "A"], "row 2: ' ' is not a word"),
        (["एक दोन"], ["A"], "row 2: 'एक दोन' is not a word"),
        (["", "दोन"], ["A", "A"], "row 2: '' is not a word"),
        (["एक", None], ["A", "A"], "row 2: None is not a word"),
        (["एक"], [None], "row 2: unknown tag None"),
        (None, ["A"], "row 2: tokens is None; it must be a list of strings"),
        (["एक"], None, "row 2: tags is None; it must be a list of strings"),
    ],
)
def test_a_row_that_is_no_labelled_sentence_is_named(tmp_path, tokens, tags, said):
    path = table(tmp_path / "rows.parquet", [(["शून्य"], ["A"]), (tokens, tags)])
    assert f"{path}, {said}" in message(token_corpora.read_sentences, path, ["A", "B"])


def test_damaged_tables(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"tokens": ["एक दोन"], "tags": ["A A"]}).to_parquet(path)
    assert "row 1: tokens is 'एक दोन'; it must be a list" in message(token_corpora.read_sentences, path, ["A"])
    pd.DataFrame({"tokens": [["एक"]], "labels": [["A"]]}).to_parquet(path)
    assert "has no column 'tags'; its columns are tokens, labels" in message(token_corpora.read_sentences, path, ["A"])
    table(path, [([], [])])
    assert f"{path} holds no sentence" in message(token_corpora.read_sentences, path, ["A"])
    path.write_bytes(path.read_bytes()[:-20])
    assert f"{path} is not a readable Parquet file" in message(token_corpora.read_sentences, path, ["A"])


# ---------------------------------------------------------------- load, on invented files


@pytest.fixture(params=FILES)
def invented(request, tmp_path, monkeypatch):
    """Name, labels and folder of a corpus whose files are invented."""
    files, labels = FILES[request.param]
    one, two, three = (labels.index(tag) for tag in (("B-NEP", "I-NEL", "O") if "O" in labels else ("ADJ", "X", "NUM")))
    rows = {
        "train": [(["नदी", ",", "वाहते"], [one, three, two]), (["नदी", "वाहते"], [one, two]), ([], [])],
        "validation": [(["वारा"], [two])],
        "test": [(["नदी", "वाहते", "!"], [one, two, three]), ([mojibake("फूल")], [one]), (["झाड", "डोलते"], [one, one])],
    }
    for stem, (split, pairs) in zip(files, rows.items(), strict=True):
        assert stem.endswith(f"_{split}")
        tagged = [(words, [labels[tag] for tag in tags]) for words, tags in pairs]
        table(tmp_path / f"{stem}.parquet", tagged)
        whole = [
            [(word.replace(mojibake("फूल"), "फूल"), tag) for word, tag in zip(*pair, strict=True)]
            for pair in tagged
            if pair[0]
        ]
        monkeypatch.setitem(files, stem, sha256(conll(whole)))
    monkeypatch.setenv("LAGHU_DATA_DIR", str(tmp_path))
    return request.param, labels, tmp_path


def test_splits_flags_and_counts(invented):
    name, labels, _ = invented
    corpus = token_corpora.load(name)
    check_shape(corpus)
    assert corpus.name == name and corpus.labels == list(labels) and not corpus.synthetic
    train, validation, test = corpus.splits.values()
    assert list(train["duplicate"]) == [False, True] and list(train["in_other_split"]) == [True, True]
    assert list(validation["tokens"]) == [["वारा"]]
    assert list(test["tokens"]) == [["नदी", "वाहते", "!"], ["फूल"], ["झाड", "डोलते"]]
    assert list(test["mojibake"]) == [False, True, False]
    assert {view: mask.tolist() for view, mask in evaluation.views(test).items()} == {
        "published": [True, True, True],
        "deduplicated": [True, True, True],
        "clean": [False, False, True],
    }
    counts = list(corpus.cleaning.values())
    assert [c["kept"] for c in counts] == [2, 1, 3] and [c["blanks"] for c in counts] == [1, 0, 0]
    if name == "mahaner":
        assert corpus.task == "ner" and [c["stray_inside"] for c in counts] == [2, 1, 1]
    else:
        assert corpus.task == "pos" and not any("stray_inside" in c for c in counts)


def test_other_rows_missing_files_and_no_folder_are_named(invented, monkeypatch):
    name, labels, folder = invented
    files = FILES[name][0]
    first, _, last = files
    path = folder / f"{last}.parquet"
    frame = pd.read_parquet(path)
    for tokens, tags in ((["झाड", "डोलले"], frame["tags"][2]), (frame["tokens"][2], [labels[0], labels[1]])):
        table(path, [*zip(frame["tokens"][:2], frame["tags"][:2], strict=True), (tokens, tags)])
        said = message(token_corpora.load, name)
        assert str(path) in said and files[last] in said and "fetch it again" in said
    path.unlink()
    (folder / f"{first}.parquet").unlink()
    said = message(token_corpora.load, name)
    assert f"{folder} lacks {first}.parquet, {last}.parquet; put the missing files there." in said
    monkeypatch.delenv("LAGHU_DATA_DIR")
    said = message(token_corpora.load, name)
    assert "LAGHU_DATA_DIR" in said and f"{last}.parquet" in said and "'token-sample'" in said


def test_unknown_name_lists_the_known():
    said = message(token_corpora.load, "mahanews-shc")
    assert "'mahanews-shc'" in said and all(name in said for name in token_corpora.NAMES)
    assert not set(token_corpora.NAMES) & set(corpora.NAMES)


def test_import_loads_no_model_library():
    listing = [sys.executable, "-c", "import sys, laghu.token_corpora; print(*sys.modules)"]
    loaded = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.split()
    assert "laghu.token_corpora" in loaded
    assert not {"torch", "transformers", "sklearn", "scipy", "matplotlib"} & set(loaded)


# ---------------------------------------------------------------- the invented sentences


@pytest.fixture(scope="module")
def sample():
    return token_corpora.load("token-sample")


def test_sample_is_complete_and_says_what_it_is(sample):
    check_shape(sample)
    assert [len(split) for split in sample.splits.values()] == [240, 30, 30]
    assert sample.synthetic and sample.task == "ner" and sample.licence == "CC0-1.0" and sample.cleaning == {}
    assert "Invented" in sample.note and "SYNTHETIC" in token_corpora.__doc__
    assert not any(any(split[flag]) for split in sample.splits.values() for flag in corpora.FLAGS)
    for split in sample.splits.values():
        assert {tag for tags in split["tags"] for tag in tags} == set(range(7))


@pytest.mark.parametrize("hash_seed", ["0", "77"])
def test_sample_is_the_same_in_a_process_with_another_hash_seed(hash_seed):
    code = "from laghu.token_corpora import load; print(load('token-sample').sha256)"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(token_corpora.__file__).parents[1])}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == token_corpora.load("token-sample").sha256


def test_the_seed_changes_the_sentences():
    assert token_corpora.sample_sentences(1) != token_corpora.sample_sentences()


def test_tagged_words_of_the_sample_are_names_and_all_names_are_tagged():
    """A name is one of its kind's, whole but for a postposition, and stands once; between names stands none."""
    names = {kind: set(phrases) for kind, phrases in token_corpora._NAMES.items()}
    for words, tags in token_corpora.sample_sentences():
        assert "{" not in " ".join(words) and token_corpora.stray_inside(tags) == 0
        found = []
        for kind, start, end in sequence_labels.strict_spans(tags):
            text = " ".join(words[start:end])
            found.append(max((name for name in names[kind] if text.startswith(name)), key=len))
            assert " " not in text.removeprefix(found[-1])
        assert len(set(found)) == len(found)
        outside = " ".join(word if tag == "O" else "|" for word, tag in zip(words, tags, strict=True))
        assert not any(name in outside for kind in names for name in names[kind])


def test_surnames_of_the_sample_are_those_invented_for_the_headlines():
    assert {name.split()[-1] for name in token_corpora._NAMES["NEP"]} == set(lexicons.SHARED["surname"])


def test_sample_is_nfc_devanagari():
    for words, _ in token_corpora.sample_sentences():
        text = " ".join(words)
        assert unicodedata.is_normalized("NFC", text) and re.fullmatch(r"[\u0900-\u097f ]+", text), text


def test_words_alone_do_not_give_the_sample_away(sample):
    """The most frequent tag of each training word finds most names, so there is something to learn, but not all."""
    seen = defaultdict(Counter)
    for sentence in sentences_of(sample.splits["train"]):
        for word, tag in sentence:
            seen[word][tag] += 1
    outside = sample.labels.index("O")
    predicted = [
        [sample.labels.index(seen[word].most_common(1)[0][0]) if word in seen else outside for word in words]
        for words in sample.splits["test"]["tokens"]
    ]
    counts = sequence_labels.entity_counts(list(sample.splits["test"]["tags"]), predicted, sample.labels)
    assert 0.5 < sequence_labels.micro_f1(counts.sum(0)) < 0.95


# ---------------------------------------------------------------- the published files


@pytest.fixture(scope="module")
def mahaner():
    return token_corpora.load("mahaner")


@real_data
def test_mahaner_counts_printed_with_the_data(mahaner):
    check_shape(mahaner)
    assert [len(split) for split in mahaner.splits.values()] == [1_200, 299, 1_999]
    assert not any(any(split[flag]) for split in mahaner.splits.values() for flag in corpora.FLAGS)
    assert {tag for tags in mahaner.splits["test"]["tags"] for tag in tags} == set(range(15))


@real_data
def test_mahaner_tags_are_iob2_but_for_the_strays_counted(mahaner):
    """Read one after the other: every I- continues its kind, and no kind begins with I- as IOB1 would have it."""
    for counts, split in zip(mahaner.cleaning.values(), mahaner.splits.values(), strict=True):
        strays, inside, kind = 0, 0, None
        for sentence in sentences_of(split):
            kind = None
            for _, tag in sentence:
                if tag.startswith("I-"):
                    inside += 1
                    strays += tag[2:] != kind
                kind = None if tag == "O" else tag[2:]
        assert counts["stray_inside"] == strays <= 1 < inside
    assert [counts["stray_inside"] for counts in mahaner.cleaning.values()] == [0, 1, 1]


@real_data
def test_ud_counts_printed_with_the_data():
    corpus = token_corpora.load("ud-marathi")
    check_shape(corpus)
    assert [len(split) for split in corpus.splits.values()] == [373, 46, 47]
    assert "47 test sentences" in corpus.note
    assert {tag for split in corpus.splits.values() for tags in split["tags"] for tag in tags} == set(range(16))
    assert sum(corpus.splits["train"]["duplicate"]) == 3
    assert not any(any(corpus.splits["test"][flag]) for flag in corpora.FLAGS)


@real_data
def test_sizes_on_the_page_are_those_of_the_corpora():
    page = (paths.root() / "book" / "data.md").read_text(encoding="utf-8")
    row = r"^\| `([\w-]+)` \| [^|\d]+ \| [^|]+ \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$"
    rows = re.findall(row, page, flags=re.MULTILINE)
    found = {name: [int(size.replace(",", "")) for size in sizes] for name, *sizes in rows}
    assert found == {
        name: [len(split) for split in token_corpora.load(name).splits.values()] for name in token_corpora.NAMES
    }
