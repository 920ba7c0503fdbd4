"""Oracles: git itself, brute-force searches, counts printed in the notes of the data, and the official files' bytes."""

import csv
import hashlib
import io
import itertools
import os
import random
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest

from laghu import corpora, evaluation, paths, sample
from laghu.errors import LaghuError

FOLDER = os.environ.get("LAGHU_DATA_DIR")
real_data = pytest.mark.skipif(not FOLDER, reason="LAGHU_DATA_DIR is not set: no MahaNews files to check against")
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def mojibake(text):
    """UTF-8 bytes shown as code page 866."""
    return text.encode().decode("cp866")


def plain(text):
    """Second implementation of the comparison form: one character at a time, by Unicode category."""
    text = "".join(c for c in unicodedata.normalize("NFC", text) if c not in "\u200c\u200d").lower()
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split())


def share_words(left, right, length=5):
    """Whether two texts share `length` words in a row, position by position."""
    a, b = plain(left).split(), plain(right).split()
    return any(
        a[i : i + length] == b[j : j + length] for i in range(len(a) - length + 1) for j in range(len(b) - length + 1)
    )


def sha256(lines):
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def spelled_out_sha256(splits):
    """The digest of a corpus as its documentation words it."""
    names = splits["train"].features["label"].names
    total = [f"labels {' '.join(names)}"]
    for split, rows in splits.items():
        text, label, *flags = (rows[column] for column in ("text", "label", "duplicate", "in_other_split", "mojibake"))
        texts = sha256(f"{names[number]}\t{words}" for words, number in zip(text, label, strict=True))
        marks = sha256("".join(f"{flag:d}" for flag in row) for row in zip(*flags, strict=True))
        total.append(f"{split} {texts} {marks}")
    return sha256(total)


def check_shape(corpus):
    assert list(corpus.splits) == ["train", "validation", "test"]
    for split in corpus.splits.values():
        assert split.column_names == ["text", "label", "duplicate", "in_other_split", "mojibake"]
        assert split.features["label"].names == corpus.labels == sorted(corpus.labels)
    assert corpus.licence and corpus.citation
    assert corpus.note.endswith(".") and "\n" not in corpus.note
    assert corpus.sha256 == spelled_out_sha256(corpus.splits)


# ---------------------------------------------------------------- invented folders

WORDS = ["ढग", "नदी", "फूल", "पाऊस", "डोंगर", "वारा", "समुद्र", "आकाश", "माती", "झाड", "पक्षी", "रस्ता"]
SAME = "आज, मोठा पाऊस झाला!"


def headlines(words, count):
    """Distinct two-word texts of distinct words: too short to share a run of five."""
    return [f"{words} {n}" for n in range(count)]


@pytest.fixture
def open_folder(tmp_path, monkeypatch):
    """The three files of mahanews-open with every defect in a known place, and their digests put in the module."""
    labels = list(sample.LABELS)
    shc = [(text, label) for label, word in zip(labels, WORDS, strict=True) for text in headlines(word, 20)]
    lpc = [(f"{text} परिच्छेद", label) for text, label in shc]
    shc += [
        (SAME, "Crime"),  # the text of a test row, spelled otherwise
        ("कालच्या बातमीत एक दोन तीन चार पाच शब्द होते", "Tech"),  # shares exactly five words with a test row
        ("पुन्हा एक दोन तीन चार आणि पाच", "Tech"),  # shares only four in a row: stays
        (mojibake("दोनदा आलेली बातमी"), "Travel"),
        ("दोनदा आलेली   बातमी", "Travel"),  # the same once the other is repaired
        ("   ", "Auto"),
        ("text", "label"),
    ]
    lpc += [("परिच्छेदात एक, दोन, तीन, चार, पाच असे आकडे", "Sports")]
    test = [(f"{text} चाचणी", label) for text, label in shc[:240:10]]
    test += [("आज मोठा पाऊस झाला", "Crime"), ("मोजा एक दोन तीन चार पाच", "Tech")]
    test += [(mojibake("चाचणीतील बिघडलेली बातमी"), "Fashion"), ("मोजा - एक दोन तीन चार पाच", "Tech")]
    folder = tmp_path / "data"
    folder.mkdir()
    for stem, rows in {
        "mahanews_shc_validation": shc,
        "mahanews_lpc_validation": lpc,
        "mahanews_shc_test": test,
    }.items():
        numbers = range(2, 2 * len(rows) + 2, 2)  # every second record of an official file
        pd.DataFrame(rows, columns=["text", "label"]).assign(row=numbers).to_parquet(folder / f"{stem}.parquet")
        lines = ""
        for text, label in rows:
            if text.strip() and label != "label":
                broken = set(text) & set(map(chr, range(0x400, 0x460)))
                lines += f"{label}\t{text.encode('cp866').decode() if broken else text}\n"
        monkeypatch.setitem(corpora.OPEN_FILES, stem, hashlib.sha256(lines.encode()).hexdigest())
    monkeypatch.setenv("LAGHU_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(url, **_):
        raise URLError("Name or service not known")

    monkeypatch.setattr(corpora, "urlopen", refuse)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A checkout of its own, so that the cache starts empty."""
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    monkeypatch.delenv("LAGHU_DATA_DIR", raising=False)
    return tmp_path


OFFICIAL = {
    "SHC_Train.csv": "Text,Label\r\nपहिली बातमी आहे,Auto\r\nText,Label\r\nदुसरी बातमी आहे,Crime\r\n  ,Crime\r\n",
    "SHC_Valid.csv": f'Text,Label\r\n"तिसरी, बातमी आहे",Auto\r\n{mojibake("चौथी बातमी")},Fashion\r\n',
    "SHC_Test.csv": "Text,Label\r\nतिसरी बातमी आहे!,Auto\r\nपहिली बातमी आहे,Auto\r\nपाचवी,Tech\r\nपाचवी.,Tech\r\n",
}


@pytest.fixture
def official(monkeypatch):
    """Invented official files: their blob ids in the module, and an opener that serves them and notes the addresses."""
    asked = []

    def serve(url, **_):
        asked.append(url)
        return io.BytesIO(OFFICIAL[url.rsplit("/", 1)[1]].encode())

    for split, (file, _) in corpora.SHC_FILES.items():
        content = OFFICIAL[file].encode()
        blob_id = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        monkeypatch.setitem(corpora.SHC_FILES, split, (file, blob_id))
    monkeypatch.setattr(corpora, "urlopen", serve)
    return asked


# ---------------------------------------------------------------- text and identity


@needs_git
@pytest.mark.parametrize("content", [b"", b"abc\n", "मराठी\r\n".encode(), bytes(range(256)) * 40])
def test_blob_id_is_that_of_git(content):
    told = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True).stdout
    assert corpora.git_blob_id(content) == told.decode().strip()


def test_mojibake_round_trip_and_everything_else_untouched():
    text = "मराठी बातम्या: १२३ km/h ‘अवतरण’ नवी"
    assert mojibake(text) != text
    assert corpora.repair(mojibake(text)) == text
    for untouched in (text, "", "plain ASCII", "Жизнь и судьба", "Жизнь मराठी", "café"):
        assert corpora.repair(untouched) == untouched


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Tata  Motors!", "tata motors"),
        ("ऩवी", "ऩवी"),  # precomposed or with nukta
        ("क्\u200dष", "क्ष"),
        ("‘या’ कार...", "या कार"),
        ("CAFE\u0301 5", "café 5"),
    ],
)
def test_same_text(left, right):
    assert corpora.normalise(left) == corpora.normalise(right) == plain(left)


@pytest.mark.parametrize(("left", "right"), [("की", "कि"), ("कर", "करा"), ("५ गाड्या", "6 गाड्या"), ("ab", "a b")])
def test_different_text(left, right):
    assert corpora.normalise(left) != corpora.normalise(right)


def test_word_runs_against_positions():
    rng = random.Random(0)
    texts = [" ".join(rng.choices("abc", k=rng.randrange(9))) for _ in range(60)]
    for left, right in itertools.combinations(texts, 2):
        found = not corpora.word_runs(left).isdisjoint(corpora.word_runs(right))
        assert found == share_words(left, right)


# ---------------------------------------------------------------- read_table


def table(path, rows, columns=("text", "label")):
    frame = pd.DataFrame(rows, columns=list(columns))
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_read_table_cleans_and_counts(tmp_path, suffix):
    rows = [("एक, दोन", "Auto"), ("text", "label"), (" ", "Tech"), (None, "Tech"), (mojibake("तीन"), "Fashion")]
    frame, counts = corpora.read_table(table(tmp_path / f"rows{suffix}", rows), sample.LABELS)
    assert frame.to_dict("list") == {
        "text": ["एक, दोन", "तीन"],
        "label": ["Auto", "Fashion"],
        "mojibake": [False, True],
    }
    assert counts == {"rows_read": 5, "stray_headers": 1, "blanks": 2, "mojibake_repaired": 1}


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "text,label\nएक,Auto\n".encode())
    assert corpora.read_table(path, sample.LABELS)[0]["text"].tolist() == ["एक"]


def message(call, *arguments, **keywords):
    with pytest.raises(LaghuError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_read_table_takes_other_labels_and_keeps_other_columns(tmp_path):
    path = table(tmp_path / "rows.parquet", [("এক", "state", 7), ("দুই", "kolkata", 9)], ["text", "label", "row"])
    frame, _ = corpora.read_table(path, ["kolkata", "state"], others=["row"])
    assert frame["row"].tolist() == ["7", "9"] and frame["label"].tolist() == ["state", "kolkata"]
    assert "row 2: unknown label 'kolkata'; the labels are state." in message(corpora.read_table, path, ["state"])


def test_missing_file_and_unknown_kind(tmp_path):
    assert "nowhere.parquet does not exist" in message(corpora.read_table, tmp_path / "nowhere.parquet", sample.LABELS)
    (tmp_path / "rows.xlsx").write_bytes(b"")
    assert "neither a .csv nor a .parquet" in message(corpora.read_table, tmp_path / "rows.xlsx", sample.LABELS)


def test_damaged_parquet(tmp_path):
    path = table(tmp_path / "rows.parquet", [("एक", "Auto")] * 500)
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-1], b"text,label\n"):
        path.write_bytes(damaged)
        said = message(corpora.read_table, path, sample.LABELS)
        assert said == f"{path} is not a readable Parquet file; fetch it again."


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_missing_column_names_those_found(tmp_path, suffix):
    path = table(tmp_path / f"rows{suffix}", [("एक", "Auto", 1)], ["text", "category", "row"])
    said = message(corpora.read_table, path, sample.LABELS)
    assert str(path) in said and "'label'" in said and "text, category, row" in said


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_unknown_label_names_file_row_label_and_the_allowed(tmp_path, suffix):
    path = table(tmp_path / f"rows{suffix}", [("एक", "Auto"), ("दोन", "Autos"), ("तीन", "Weather")])
    said = message(corpora.read_table, path, sample.LABELS)
    assert f"{path}, row 2: unknown label 'Autos'" in said
    assert all(label in said for label in sample.LABELS)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("rows", [[], [("  ", "Auto"), ("text", "label")]])
def test_no_row_left(tmp_path, suffix, rows):
    path = table(tmp_path / f"rows{suffix}", rows)
    assert f"{path} holds no row with text" in message(corpora.read_table, path, sample.LABELS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text,label\nabc,Auto\nab\xff,Auto\n", "is not UTF-8: byte 0xff in line 3"),
        ("text,label\nमराठी,Auto\n".encode("utf-16"), "is not UTF-8: byte 0xff in line 1"),
        (b"", "is not a readable CSV file"),
        (b'text,label\n"never closed,Auto\n', "is not a readable CSV file"),
        (b"text,label\na,b,Auto\n", "is not a readable CSV file"),
        (b"text,label\nonly one field\n", "row 1: unknown label ''"),
    ],
)
def test_damaged_csv(tmp_path, content, said):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    found = message(corpora.read_table, path, sample.LABELS)
    assert str(path) in found and said in found


# ---------------------------------------------------------------- load and views


def test_unknown_name_lists_the_known():
    said = message(corpora.load, "mahanews")
    assert "'mahanews'" in said and all(name in said for name in corpora.NAMES)


def test_import_loads_no_model_library():
    listing = [sys.executable, "-c", "import sys, laghu.corpora; print(*sys.modules)"]
    loaded = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.split()
    assert "laghu.corpora" in loaded
    assert not {"torch", "transformers", "sklearn", "scipy", "matplotlib"} & set(loaded)


def test_sample_is_complete_and_says_what_it_is():
    corpus = corpora.load("sample")
    check_shape(corpus)
    assert corpus.synthetic and corpus.licence == sample.LICENCE and corpus.cleaning == {}
    for split, rows in sample.splits().items():
        got = corpus.splits[split]
        assert list(got["text"]) == [headline.text for headline in rows]
        assert got.features["label"].int2str(list(got["label"])) == [headline.label for headline in rows]
        elsewhere = {plain(h.text) for other, them in sample.splits().items() if other != split for h in them}
        assert list(got["in_other_split"]) == [plain(headline.text) in elsewhere for headline in rows]


def test_views_of_a_split_with_every_combination_of_flags():
    flags = list(itertools.product([False, True], repeat=3))
    test = corpora.Dataset.from_dict(
        {name: [row[i] for row in flags] for i, name in enumerate(("duplicate", "in_other_split", "mojibake"))}
    )
    views = evaluation.views(test)
    assert list(views) == ["published", "deduplicated", "clean"]
    assert all(view.dtype == bool and view.shape == (8,) for view in views.values())
    assert views["published"].all()
    assert views["deduplicated"].tolist() == [not row[0] for row in flags]
    assert views["clean"].tolist() == [row == (False, False, False) for row in flags]


# ---------------------------------------------------------------- mahanews-open on invented files


def test_open_drops_exactly_the_leaking_rows(open_folder):
    corpus = corpora.load("mahanews-open")
    check_shape(corpus)
    train, validation, test = corpus.splits.values()
    seen = [*train["text"], *validation["text"]]
    for text, other in itertools.product(seen, test["text"]):
        assert plain(text) != plain(other) and not share_words(text, other)
    assert "पुन्हा एक दोन तीन चार आणि पाच" in seen
    assert corpus.cleaning == {
        "mahanews_shc_validation.parquet": {
            "rows_read": 247,
            "stray_headers": 1,
            "blanks": 1,
            "mojibake_repaired": 1,
            "same_text_as_test": 1,
            "shared_run_with_test": 1,
            "kept": 243,
        },
        "mahanews_lpc_validation.parquet": {
            "rows_read": 241,
            "stray_headers": 0,
            "blanks": 0,
            "mojibake_repaired": 0,
            "same_text_as_test": 0,
            "shared_run_with_test": 1,
            "kept": 240,
        },
        "mahanews_shc_test.parquet": {
            "rows_read": 28,
            "stray_headers": 0,
            "blanks": 0,
            "mojibake_repaired": 1,
            "kept": 28,
        },
    }
    assert len(train) + len(validation) == 483


def test_open_test_split_keeps_every_row_in_order_and_flags_it(open_folder):
    test = corpora.load("mahanews-open").splits["test"]
    published = pd.read_parquet(open_folder / "mahanews_shc_test.parquet")
    texts = published["text"].tolist()
    texts[26] = "चाचणीतील बिघडलेली बातमी"
    assert list(test["text"]) == texts
    assert test.features["label"].int2str(list(test["label"])) == published["label"].tolist()
    flagged = {flag: np.flatnonzero(test[flag]).tolist() for flag in ("duplicate", "in_other_split", "mojibake")}
    assert flagged == {"duplicate": [27], "in_other_split": [24], "mojibake": [26]}


def test_open_development_split_is_stratified_and_keeps_equal_texts_together(open_folder):
    corpus = corpora.load("mahanews-open")
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    assert not set(map(plain, train["text"])) & set(map(plain, validation["text"]))
    assert not any(train["in_other_split"]) and not any(validation["in_other_split"])
    total, held = Counter(train["label"]) + Counter(validation["label"]), Counter(validation["label"])
    for label, rows in total.items():
        assert round(rows / 10) - 1 <= held[label] <= round(rows / 10)
    twice = [split for split in (train, validation) for text in split["text"] if plain(text) == "दोनदा आलेली बातमी"]
    assert len(twice) == 2 and twice[0] is twice[1]
    assert sum(train["duplicate"]) + sum(validation["duplicate"]) == 1


def test_held_out_depends_on_the_seed_alone():
    rows = [(f"k{n}", label) for label in sample.LABELS[:3] for n in range(40)]
    frame = pd.DataFrame(rows, columns=["key", "label"])
    frame["key"] += frame["label"]
    first = corpora.held_out(frame)
    assert first.sum() == 12 and first.equals(corpora.held_out(frame))
    assert not first.equals(corpora.held_out(frame, seed=1))
    assert frame["label"][first].value_counts().tolist() == [4, 4, 4]
    renamed = frame["label"].replace(dict(zip(sample.LABELS[:3], ("kolkata", "sports", "state"), strict=True)))
    assert corpora.held_out(frame.assign(label=renamed)).equals(first)


def test_open_is_the_same_from_csv(open_folder):
    before = corpora.load("mahanews-open")
    for path in open_folder.glob("*.parquet"):
        pd.read_parquet(path).to_csv(path.with_suffix(".csv"), index=False)
        path.unlink()
    after = corpora.load("mahanews-open")
    assert after.sha256 == before.sha256
    assert list(after.cleaning) == [name.replace(".parquet", ".csv") for name in before.cleaning]


def test_open_refuses_a_changed_row_and_a_changed_label(open_folder):
    path = open_folder / "mahanews_lpc_validation.parquet"
    expected = corpora.OPEN_FILES["mahanews_lpc_validation"]
    for column, value in {"text": "बदललेला मजकूर", "label": "Tech"}.items():
        frame = pd.read_parquet(path)
        frame.loc[0, column] = value
        frame.to_csv(path.with_suffix(".csv"), index=False)
        path.rename(path.with_suffix(".kept"))
        said = message(corpora.load, "mahanews-open")
        assert "mahanews_lpc_validation.csv" in said and expected in said and "fetch it again" in said
        path.with_suffix(".kept").rename(path)


def test_open_names_the_folder_and_all_missing_files(open_folder):
    (open_folder / "mahanews_shc_test.parquet").unlink()
    (open_folder / "mahanews_lpc_validation.parquet").unlink()
    said = message(corpora.load, "mahanews-open")
    assert str(open_folder) in said
    assert "mahanews_shc_test.parquet" in said and "mahanews_lpc_validation.parquet" in said
    assert "mahanews_shc_validation" not in said


def test_open_without_a_folder_says_what_to_set(home):
    said = message(corpora.load, "mahanews-open")
    assert "LAGHU_DATA_DIR" in said and "mahanews_shc_test.parquet" in said and "'sample'" in said


# ---------------------------------------------------------------- mahanews-clean on invented tables


def invented(stem, rows):
    """A table as `clean_split` takes it, of (row, text, label) or (row, text, label, mojibake)."""
    frame = pd.DataFrame([(*row, False)[:4] for row in rows], columns=["row", "text", "label", "mojibake"])
    return {stem: frame.assign(key=frame["text"].map(plain))}


def chosen(split, *parts):
    return {(row.file, row.row) for row in split.itertuples() if row.split in parts}


def test_clean_split_rule_by_rule():
    shc, lpc, test = "mahanews_shc_validation", "mahanews_lpc_validation", "mahanews_shc_test"
    tables = (
        invented(shc, [
            (1, "नदी", "Auto"),
            (3, "NDTV, नदी", "Auto"),
            (4, "ndtv नदी!", "Auto"),  # repeats row 3
            (5, "फूल", "Crime"),  # another label in the paragraphs
            (6, "ढग", "Tech", True),  # mojibake
            (8, "आज पाऊस", "Auto"),  # a test row
            (9, "झाड आणि एक दोन तीन चार पाच", "Tech"),  # five words of a damaged test row
            (10, "एक दोन तीन चार आणि पाच", "Tech"),  # four in a row only
            (11, "वारा", "Auto"),  # another label in the test split
        ])
        | invented(lpc, [(2, "फूल", "Sports"), (3, "नदी.", "Auto"), (4, "समुद्र", "Sports"), (7, "ढग", "Tech")])
        | invented(test, [
            (1, "आज, पाऊस", "Auto"),  # in the validation file
            (2, "डोंगर", "Travel"),
            (3, "डोंगर!", "Travel"),  # repeats row 2
            (4, "वारा", "Crime"),
            (5, "माती", "Tech"),  # two labels within the test split
            (6, "माती", "Auto"),
            (7, "पक्षी एक दोन तीन चार पाच", "Tech", True),
            (9, "पक्षी एक दोन तीन चार", "Tech"),
        ])
    )  # fmt: skip
    split = corpora.clean_split(tables)
    assert split.columns.tolist() == ["file", "row", "split"]
    assert chosen(split, "test") == {(test, 2), (test, 9)}
    assert chosen(split, "train", "validation") == {(shc, 1), (shc, 3), (shc, 10), (lpc, 4), (lpc, 7)}
    assert len(split) == 7


@pytest.mark.parametrize("seed", range(4))
def test_clean_split_of_random_tables_against_every_pair_of_rows(seed):
    rng = random.Random(seed)

    def rows(count):
        for number in range(count):
            text = " ".join(rng.choices("कखगघ", k=rng.choice([2, 3, 4, 6, 8])))
            # The last word decides the label, mostly, so that few of the many equal texts bear two.
            label = "कखगघ".index(text[-1]) if rng.random() < 0.95 else 5
            yield number, text + rng.choice(["", "!"]), sample.LABELS[label], rng.random() < 0.1

    tables = {}
    for stem, count in zip(corpora.OPEN_FILES, (50, 50, 20), strict=True):
        tables |= invented(stem, rows(count))
    everything = [(stem, *row) for stem, table in tables.items() for row in table.itertuples(index=False)]
    tests = [row for row in everything if row[0] == "mahanews_shc_test"]

    expected = {"test": set(), "seen": set()}
    for place, (stem, number, text, label, damaged, _) in enumerate(everything):
        same = [(i, row) for i, row in enumerate(everything) if plain(row[2]) == plain(text)]
        if damaged or {row[3] for _, row in same} != {label}:
            continue
        if stem == "mahanews_shc_test":
            earlier = [row for i, row in same if row[0] == "mahanews_shc_validation" or (row[0] == stem and i < place)]
            if not earlier:
                expected["test"].add((stem, number))
        else:
            earlier = [row for i, row in same if i < place and not row[4]]
            if not earlier and not any(plain(text) == plain(row[2]) or share_words(text, row[2]) for row in tests):
                expected["seen"].add((stem, number))
    split = corpora.clean_split(tables)
    assert chosen(split, "test") == expected["test"]
    assert chosen(split, "train", "validation") == expected["seen"]
    assert 0 < len(expected["test"]) < 20 and 0 < len(expected["seen"]) < 100


def test_clean_split_holds_out_a_tenth_of_each_label():
    rows = [(n, f"{label} {n}", label) for n, label in enumerate(np.repeat(sample.LABELS[:2], (40, 20)))]
    split = corpora.clean_split(
        invented("mahanews_shc_validation", rows[::2])
        | invented("mahanews_lpc_validation", rows[1::2])
        | invented("mahanews_shc_test", [(1, "डोंगर", "Travel")])
    )
    assert Counter(rows[number][2] for _, number in chosen(split, "validation")) == {"Auto": 4, "Bhakti": 2}
    assert len(split) == 61 and split["split"].iloc[-1] == "test"


@pytest.fixture
def clean_folder(open_folder, tmp_path, monkeypatch):
    """The files of mahanews-open with a split of six rows of theirs."""
    index = tmp_path / "clean.csv"
    index.write_text(
        "file,row,split\n"
        "mahanews_shc_validation,2,train\nmahanews_shc_validation,42,train\nmahanews_shc_validation,4,validation\n"
        "mahanews_lpc_validation,2,train\nmahanews_shc_test,4,test\nmahanews_shc_test,2,test\n"
    )
    rows = {
        "train": [("ढग 0", "Auto"), ("नदी 0", "Bhakti"), ("ढग 0 परिच्छेद", "Auto")],
        "validation": [("ढग 1", "Auto")],
        "test": [("ढग 10 चाचणी", "Auto"), ("ढग 0 चाचणी", "Auto")],
    }
    total = [f"labels {' '.join(sample.LABELS)}"]
    for split, pairs in rows.items():
        texts = sha256(f"{label}\t{text}" for text, label in pairs)
        total.append(f"{split} {texts} {sha256(['000'] * len(pairs))}")
    monkeypatch.setattr(corpora, "CLEAN_FILE", index)
    monkeypatch.setattr(corpora, "CLEAN_SHA256", sha256(total))
    return open_folder


def test_clean_is_the_listed_rows(clean_folder):
    corpus = corpora.load("mahanews-clean")
    check_shape(corpus)
    assert corpus.sha256 == corpora.CLEAN_SHA256 and corpus.labels == list(sample.LABELS)
    assert list(corpus.splits["train"]["text"]) == ["ढग 0", "नदी 0", "ढग 0 परिच्छेद"]
    assert list(corpus.splits["test"]["text"]) == ["ढग 10 चाचणी", "ढग 0 चाचणी"]
    assert corpus.cleaning["mahanews_shc_validation.parquet"] == {
        "rows_read": 247,
        "stray_headers": 1,
        "blanks": 1,
        "mojibake_repaired": 1,
        "kept": 3,
        "left_out": 242,
    }


def test_clean_refuses_other_row_numbers(clean_folder):
    path = clean_folder / "mahanews_shc_validation.parquet"
    frame = pd.read_parquet(path)
    for numbers in (frame["row"] + 2, frame["row"] * 0 + 2, frame["row"] + 10_000):
        frame.assign(row=numbers).to_parquet(path)
        said = message(corpora.load, "mahanews-clean")
        assert path.name in said and "'row'" in said and corpora.CLEAN_SHA256 in said
    frame.drop(columns="row").to_parquet(path)
    assert "no column 'row'" in message(corpora.load, "mahanews-clean")
    assert len(corpora.load("mahanews-open").splits["test"]) == 28


def test_published_split_lists_each_row_once():
    index = pd.read_csv(corpora.CLEAN_FILE)
    assert index.columns.tolist() == ["file", "row", "split"]
    assert not index.duplicated(["file", "row"]).any() and index["row"].min() >= 1
    assert set(index["file"]) == set(corpora.OPEN_FILES)
    assert set(index["split"][index["file"] == "mahanews_shc_test"]) == {"test"}
    assert set(index["split"][index["file"] != "mahanews_shc_test"]) == {"train", "validation"}


# ---------------------------------------------------------------- indicnews-bengali on invented files


@pytest.fixture
def bengali_folder(tmp_path, monkeypatch):
    files = {
        "train": [("রাজ্যের খবর", "state"), ("খেলার খবর", "sports"), ("রাজ্যের খবর!", "state"), (" ", "state")],
        "validation": [("কলকাতা", "kolkata"), ("text", "label")],
        "test": [("খেলার, খবর", "sports"), ("প্রযুক্তি", "technology")],
    }
    for split, rows in files.items():
        pd.DataFrame(rows, columns=["text", "label"]).to_parquet(tmp_path / f"indicnews_bengali_shc_{split}.parquet")
        lines = [f"{label}\t{text}" for text, label in rows if text.strip() and label != "label"]
        monkeypatch.setitem(corpora.BENGALI_FILES, f"indicnews_bengali_shc_{split}", sha256(lines))
    monkeypatch.setenv("LAGHU_DATA_DIR", str(tmp_path))
    return tmp_path


def test_bengali_keeps_the_official_splits_and_has_labels_of_its_own(bengali_folder):
    corpus = corpora.load("indicnews-bengali")
    check_shape(corpus)
    assert corpus.labels == list(corpora.BENGALI_LABELS) and "Auto" not in corpus.labels
    train, validation, test = corpus.splits.values()
    assert train.features["label"].int2str(list(train["label"])) == ["state", "sports", "state"]
    assert list(train["duplicate"]) == [False, False, True]
    assert list(train["in_other_split"]) == [False, True, False]
    assert list(validation["text"]) == ["কলকাতা"]
    assert list(test["in_other_split"]) == [True, False]
    assert [counts["kept"] for counts in corpus.cleaning.values()] == [3, 1, 2]


def test_bengali_refuses_a_label_of_another_corpus(bengali_folder):
    path = bengali_folder / "indicnews_bengali_shc_test.parquet"
    pd.DataFrame([("প্রযুক্তি", "Tech")], columns=["text", "label"]).to_parquet(path)
    said = message(corpora.load, "indicnews-bengali")
    assert "unknown label 'Tech'" in said and "kolkata" in said and "Manoranjan" not in said


def test_bengali_refuses_changed_rows_and_names_missing_files(bengali_folder):
    path = bengali_folder / "indicnews_bengali_shc_validation.parquet"
    pd.DataFrame([("ঢাকা", "kolkata")], columns=["text", "label"]).to_parquet(path)
    assert "fetch it again" in message(corpora.load, "indicnews-bengali")
    path.unlink()
    assert path.name in message(corpora.load, "indicnews-bengali")


# ---------------------------------------------------------------- the other official splits on invented files

OFFICIAL_SPLITS = {
    "indicnews-english": (corpora.ENGLISH_FILES, corpora.ENGLISH_LABELS),
    "sib200-marathi": (corpora.SIB200_FILES, corpora.SIB200_LABELS),
    "mahasent": (corpora.MAHASENT_FILES, corpora.MAHASENT_LABELS),
}


@pytest.fixture(params=OFFICIAL_SPLITS)
def official_splits(request, tmp_path, monkeypatch):
    """Name, labels and folder of a corpus whose splits are invented, one text bearing two labels among them."""
    files, labels = OFFICIAL_SPLITS[request.param]
    rows = {
        "train": [("Rain: again", labels[0]), ("rain again!", labels[1]), ("नदी", labels[2]), (" ", labels[0])],
        "validation": [("text", "label"), ("डोंगर", labels[-1])],
        "test": [("Rain again", labels[2]), ("वारा", labels[1]), ("वारा.", labels[0]), ("झाड", labels[-1])],
    }
    for stem, (split, pairs) in zip(files, rows.items(), strict=True):
        assert stem.endswith(f"_{split}")
        frame = pd.DataFrame(pairs, columns=["text", "label"]).assign(domain="tweets", source="invented")
        frame.to_parquet(tmp_path / f"{stem}.parquet")
        lines = [f"{label}\t{text}" for text, label in pairs if text.strip() and label != "label"]
        monkeypatch.setitem(files, stem, sha256(lines))
    monkeypatch.setenv("LAGHU_DATA_DIR", str(tmp_path))
    return request.param, labels, tmp_path


def test_official_splits_are_kept_flagged_and_without_further_columns(official_splits):
    name, labels, _ = official_splits
    corpus = corpora.load(name)
    check_shape(corpus)
    assert corpus.name == name and corpus.labels == list(labels) and not corpus.synthetic
    train, validation, test = corpus.splits.values()
    assert train.features["label"].int2str(list(train["label"])) == list(labels[:3])
    assert list(train["duplicate"]) == [False, True, False]
    assert list(train["in_other_split"]) == [True, True, False]
    assert list(validation["text"]) == ["डोंगर"]
    assert list(test["duplicate"]) == [False, False, True, False]
    assert list(test["in_other_split"]) == [True, False, False, False]
    # The first of the two labels of one text stays in the clean view: no flag tells it from the others.
    assert evaluation.views(test)["clean"].tolist() == [False, True, False, True]
    assert [counts["kept"] for counts in corpus.cleaning.values()] == [3, 1, 4]
    assert [counts["blanks"] + counts["stray_headers"] for counts in corpus.cleaning.values()] == [1, 1, 0]


def test_official_splits_refuse_other_rows_and_labels_and_name_what_is_missing(official_splits, monkeypatch):
    name, labels, folder = official_splits
    *_, last = OFFICIAL_SPLITS[name][0]
    path = folder / f"{last}.parquet"
    pd.DataFrame([("झाड", "Manoranjan")], columns=["text", "label"]).to_parquet(path)
    said = message(corpora.load, name)
    assert "unknown label 'Manoranjan'" in said and ", ".join(labels) in said
    pd.DataFrame([("झाड", labels[0])], columns=["text", "label"]).to_parquet(path)
    said = message(corpora.load, name)
    assert str(path) in said and OFFICIAL_SPLITS[name][0][last] in said and "fetch it again" in said
    path.unlink()
    said = message(corpora.load, name)
    assert str(folder) in said and path.name in said
    monkeypatch.delenv("LAGHU_DATA_DIR")
    said = message(corpora.load, name)
    assert "LAGHU_DATA_DIR" in said and path.name in said and "'sample'" in said


# ---------------------------------------------------------------- mahanews-shc on invented files


def test_shc_is_downloaded_once_from_the_pinned_commit(home, official):
    corpus = corpora.load("mahanews-shc")
    check_shape(corpus)
    assert len(official) == 3 and all(f"/l3cube-pune/MarathiNLP/{corpora.COMMIT}/" in url for url in official)
    cached = {path.name: path.read_bytes().decode() for path in (home / ".cache").rglob("*") if path.is_file()}
    assert cached == OFFICIAL
    assert corpora.load("mahanews-shc").sha256 == corpus.sha256 and len(official) == 3


def test_shc_cleans_and_flags(home, official):
    corpus = corpora.load("mahanews-shc")
    assert corpus.cleaning["SHC_Train.csv"] == {
        "rows_read": 4,
        "stray_headers": 1,
        "blanks": 1,
        "mojibake_repaired": 0,
        "kept": 2,
    }
    test, validation = corpus.splits["test"], corpus.splits["validation"]
    assert list(validation["text"]) == ["तिसरी, बातमी आहे", "चौथी बातमी"]
    assert list(validation["mojibake"]) == [False, True]
    assert list(test["in_other_split"]) == [True, True, False, False]
    assert list(test["duplicate"]) == [False, False, False, True]
    assert evaluation.views(test)["clean"].tolist() == [False, False, True, False]


def test_shc_is_taken_from_the_folder_without_the_network(home, official, no_network, monkeypatch):
    folder = home / "mine"
    folder.mkdir()
    for file, content in OFFICIAL.items():
        (folder / file).write_bytes(content.encode())
    monkeypatch.setenv("LAGHU_DATA_DIR", str(folder))
    assert len(corpora.load("mahanews-shc").splits["test"]) == 4
    assert not (home / ".cache").exists()


def test_shc_without_network_names_the_remedies_and_falls_back_to_nothing(home, no_network):
    said = message(corpora.load, "mahanews-shc")
    for part in ("SHC_Train.csv", "Name or service not known", "LAGHU_DATA_DIR", "'mahanews-open'", "'sample'"):
        assert part in said
    assert not (home / ".cache").exists()


@pytest.mark.parametrize("served", [b"", b"<html>rate limit</html>", OFFICIAL["SHC_Train.csv"].encode()[:-5]])
def test_shc_keeps_nothing_of_a_wrong_download(home, official, monkeypatch, served):
    monkeypatch.setattr(corpora, "urlopen", lambda url, **_: io.BytesIO(served))
    said = message(corpora.load, "mahanews-shc")
    expected = corpora.SHC_FILES["train"][1]
    found = hashlib.sha1(b"blob %d\0" % len(served) + served).hexdigest()
    assert "SHC_Train.csv" in said and expected in said and found in said and "load again" in said
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_shc_stops_at_an_interrupted_download(home, official, monkeypatch):
    class Interrupted(io.BytesIO):
        def read(self, *_):
            raise corpora.http.client.IncompleteRead(b"half")

    monkeypatch.setattr(corpora, "urlopen", lambda url, **_: Interrupted())
    assert "IncompleteRead" in message(corpora.load, "mahanews-shc")
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_shc_refuses_an_edited_local_file(home, official, monkeypatch):
    corpora.load("mahanews-shc")
    (path,) = (home / ".cache").rglob("SHC_Test.csv")
    path.write_bytes(path.read_bytes() + b"\n")
    said = message(corpora.load, "mahanews-shc")
    assert str(path) in said and corpora.SHC_FILES["test"][1] in said and "delete it" in said


# ---------------------------------------------------------------- the published files


@pytest.fixture(scope="module")
def published():
    return corpora.load("mahanews-open")


@real_data
def test_counts_printed_with_the_data(published):
    """Numbers of the notes beside the data, counted there before and without this code."""
    check_shape(published)
    test = published.splits["test"]
    assert len(test) == 2761
    assert len(set(map(plain, test["text"]))) == 2402
    assert sum(test["duplicate"]) == 359
    assert sum(test["in_other_split"]) == 407
    assert sum(test["mojibake"]) == 135
    by_label = Counter(test.features["label"].int2str(list(test["label"])))
    assert by_label == {
        "Auto": 209, "Bhakti": 174, "Crime": 295, "Education": 86, "Fashion": 241, "Health": 249,
        "International": 256, "Manoranjan": 374, "Politics": 282, "Sports": 236, "Tech": 264, "Travel": 95,
    }  # fmt: skip
    names = np.array(published.labels)[np.asarray(test["label"])]
    assert Counter(names[np.asarray(test["mojibake"])]) == {"Fashion": 128, "Travel": 7}
    assert Counter(names[np.asarray(test["in_other_split"])])["Manoranjan"] == 374
    counts = published.cleaning
    assert counts["mahanews_shc_validation.parquet"]["rows_read"] == 2750
    assert counts["mahanews_shc_validation.parquet"]["mojibake_repaired"] == 146
    assert counts["mahanews_shc_validation.parquet"]["same_text_as_test"] == 408
    assert counts["mahanews_lpc_validation.parquet"]["rows_read"] == 2541


@real_data
def test_flags_are_those_published_with_the_data(published):
    theirs = pd.read_parquet(f"{FOLDER}/mahanews_shc_test.parquet")
    for flag in ("duplicate", "in_other_split", "mojibake"):
        assert list(published.splits["test"][flag]) == theirs[flag].tolist()
    assert {name: int(view.sum()) for name, view in evaluation.views(published.splits["test"]).items()} == {
        "published": len(theirs),
        "deduplicated": int((~theirs.duplicate).sum()),
        "clean": int((~theirs.duplicate & ~theirs.in_other_split & ~theirs.mojibake).sum()),
    }


@real_data
def test_exactly_the_rows_that_share_text_with_a_test_row_are_gone(published):
    """Every five-word window of every validation row, headlines and paragraphs, against those of all test rows."""
    tests = [plain(text) for text in published.splits["test"]["text"]]
    windows_of_test = {window for text in tests for window in windows(text)}
    expected = Counter()
    for stem in ("mahanews_shc_validation", "mahanews_lpc_validation"):
        rows = pd.read_parquet(f"{FOLDER}/{stem}.parquet")
        # The one flagged paragraph quotes real Cyrillic and needs no repair.
        damaged = rows["mojibake"] & (stem == "mahanews_shc_validation")
        for text, is_damaged in zip(rows["text"], damaged, strict=True):
            text = text.encode("cp866").decode() if is_damaged else text
            if plain(text) not in tests and windows_of_test.isdisjoint(windows(plain(text))):
                expected[text] += 1
    assert 4000 < expected.total() < 2750 + 2541
    assert Counter([*published.splits["train"]["text"], *published.splits["validation"]["text"]]) == expected


def windows(text, length=5):
    words = text.split()
    return zip(*(words[start:] for start in range(length)), strict=False)


@pytest.fixture(scope="module")
def clean():
    return corpora.load("mahanews-clean")


@real_data
def test_published_split_is_the_one_that_its_rules_give():
    tables, _ = corpora.pinned_tables(corpora.OPEN_FILES, corpora.LABELS, others=("row",))
    assert corpora.clean_split(tables).equals(pd.read_csv(corpora.CLEAN_FILE, dtype=str))


@real_data
def test_published_split_against_the_flags_and_windows_of_the_data():
    """Membership worked out again from the columns published with the data and five-word windows of all test rows."""
    frames = {stem: pd.read_parquet(f"{FOLDER}/{stem}.parquet") for stem in corpora.OPEN_FILES}
    # The one flagged paragraph quotes real Cyrillic and needs no repair.
    frames["mahanews_lpc_validation"]["mojibake"] = False
    labels, tests = {}, set()
    for stem, frame in frames.items():
        rows = zip(frame["text"], frame["mojibake"], strict=True)
        frame["plain"] = [plain(text.encode("cp866").decode() if damaged else text) for text, damaged in rows]
        for key, label in zip(frame["plain"], frame["label"], strict=True):
            labels.setdefault(key, set()).add(label)
        if stem == "mahanews_shc_test":
            tests = set(frame["plain"])
    run_of_test = {window for key in tests for window in windows(key)}
    test, seen, before = set(), set(), set()
    for stem, frame in frames.items():
        for row in frame.itertuples():
            sound = not row.mojibake and len(labels[row.plain]) == 1
            if stem == "mahanews_shc_test":
                if sound and not row.duplicate and not row.in_other_split:
                    test.add((stem, row.row))
            elif sound and row.plain not in before | tests and run_of_test.isdisjoint(windows(row.plain)):
                seen.add((stem, row.row))
                before.add(row.plain)
    published = pd.read_csv(corpora.CLEAN_FILE)
    assert chosen(published, "test") == test
    assert chosen(published, "train", "validation") == seen


@real_data
def test_clean_corpus_raises_no_flag(clean):
    check_shape(clean)
    assert [len(rows) for rows in clean.splits.values()] == [4056, 450, 2194]
    assert not any(any(rows[flag]) for rows in clean.splits.values() for flag in corpora.FLAGS)
    train, validation, test = (Counter(rows["label"]) for rows in clean.splits.values())
    assert {clean.labels[label] for label in test} == set(clean.labels) - {"Manoranjan"}
    for label in range(12):
        assert validation[label] == round((train[label] + validation[label]) / 10)


@real_data
def test_bengali_counts_printed_with_the_data():
    corpus = corpora.load("indicnews-bengali")
    check_shape(corpus)
    train, validation, test = corpus.splits.values()
    assert (len(train), len(validation), len(test)) == (23_968, 2_996, 2_997)
    assert sum(test["in_other_split"]) == 29 and "29 of the 2,997" in corpus.note
    assert sum(test["duplicate"]) == 5
    trained = set(map(plain, train["text"]))
    assert sum(text in trained for text in map(plain, test["text"])) == 26
    assert all(set(rows["label"]) == set(range(10)) for rows in corpus.splits.values())
    assert not any(any(rows["mojibake"]) for rows in corpus.splits.values())


def labels_of_texts(corpus):
    """Every text of a corpus in its comparison form, with all labels that it bears in any split."""
    found = {}
    for rows in corpus.splits.values():
        for text, label in zip(rows["text"], rows["label"], strict=True):
            found.setdefault(plain(text), set()).add(label)
    return found


@real_data
def test_english_counts_printed_with_the_data():
    corpus = corpora.load("indicnews-english")
    check_shape(corpus)
    train, validation, test = corpus.splits.values()
    assert (len(train), len(validation), len(test)) == (36_605, 4_570, 4_577)
    assert sum(test["in_other_split"]) == 1_678 and sum(test["duplicate"]) == 1_241
    trained, keys = set(map(plain, train["text"])), [plain(text) for text in test["text"]]
    assert sum(key in trained for key in keys) == 1_642
    labels = labels_of_texts(corpus)
    conflict = np.array([len(labels[key]) > 1 for key in keys])
    kept = conflict & evaluation.views(test)["clean"]
    assert conflict.sum() == 1_640 and "1,640, of which the clean view keeps 20," in corpus.note
    assert kept.sum() == 20 and "1,678 of the 4,577" in corpus.note
    page = " ".join((paths.root() / "book" / "data.md").read_text(encoding="utf-8").split())
    assert "the text of 1,640 of the test rows" in page and "; 20 remain there" in page
    assert all(set(rows["label"]) == set(range(12)) for rows in corpus.splits.values())


@real_data
def test_sib200_counts_printed_with_the_data():
    corpus = corpora.load("sib200-marathi")
    check_shape(corpus)
    assert [len(rows) for rows in corpus.splits.values()] == [701, 99, 204]
    assert all(set(rows["label"]) == set(range(7)) for rows in corpus.splits.values())
    assert not any(any(rows[flag]) for rows in corpus.splits.values() for flag in corpora.FLAGS)


@real_data
def test_mahasent_counts_printed_with_the_data():
    corpus = corpora.load("mahasent")
    check_shape(corpus)
    train, validation, test = corpus.splits.values()
    assert (len(train), len(validation), len(test)) == (35_998, 4_500, 4_500)
    assert Counter(test["label"]) == {0: 1_500, 1: 1_500, 2: 1_500}
    assert sum(test["in_other_split"]) == 120 and "120 of the 4,500" in corpus.note

    # The notes beside the data count underscores as letters, and so find slightly fewer equal texts.
    def noted(text):
        return plain(text.replace("_", "क"))

    keys, trained, held_out = ([noted(text) for text in rows["text"]] for rows in (test, train, validation))
    seen = {"train": set(trained), "either": {*trained, *held_out}}
    assert {name: sum(key in texts for key in keys) for name, texts in seen.items()} == {"train": 107, "either": 119}
    assert len(keys) - len(set(keys)) == 9


@real_data
@pytest.mark.parametrize("name", ["indicnews-bengali", *OFFICIAL_SPLITS])
def test_views_in_the_chapter_on_data_are_those_of_the_corpora(name):
    page = (paths.root() / "book" / "data.md").read_text(encoding="utf-8")
    sizes = [f"{view.sum():,}" for view in evaluation.views(corpora.load(name).splits["test"]).values()]
    assert f"| `{name}` | {' | '.join(sizes)} |\n" in page


@real_data
def test_blob_ids_are_those_of_the_rows(published):
    """The official bytes, rebuilt from the rows and their numbers (the gaps are stray headers), have the pinned ids."""
    for split in ("validation", "test"):
        rows = pd.read_parquet(f"{FOLDER}/mahanews_shc_{split}.parquet").set_index("row")
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\r\n")
        for row in range(rows.index.max() + 1):
            writer.writerow(rows.loc[row, ["text", "label"]] if row in rows.index else ["Text", "Label"])
        assert corpora.git_blob_id(buffer.getvalue().encode()) == corpora.SHC_FILES[split][1]
