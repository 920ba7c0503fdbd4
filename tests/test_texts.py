import hashlib
import os
import unicodedata
from typing import get_args

import pandas as pd
import pytest

from laghu import corpora, paths, sample, spec, texts
from laghu.errors import LaghuError

FOLDER = os.environ.get("LAGHU_DATA_DIR")
DECOMPOSED = "क\u093c एक cafe\u0301"  # NFC leaves the nukta pair (a composition exclusion) and joins e + acute

HEADLINES = [("bengali", "state", corpora.BENGALI_FILES), ("english", "India", corpora.ENGLISH_FILES)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rows = ["पहिले वाक्य.", DECOMPOSED, "तिसरे, वाक्य"]
    pd.DataFrame({"text": rows, "source": "invented"}).to_parquet(tmp_path / "marathi_text.parquet")
    content = "".join(unicodedata.normalize("NFC", row) + "\n" for row in rows).encode()
    monkeypatch.setattr(texts, "TABLE_DIGEST", hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("LAGHU_DATA_DIR", str(tmp_path))
    return tmp_path


def message(name):
    with pytest.raises(LaghuError) as caught:
        texts.load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_column_in_nfc_and_in_order(folder):
    rows = texts.load("marathi-text")
    assert rows.column_names == ["text"]
    assert list(rows["text"]) == ["पहिले वाक्य.", "क\u093c एक caf\u00e9", "तिसरे, वाक्य"]
    assert texts.sha256("marathi-text") == texts.TABLE_DIGEST


def test_the_same_from_csv(folder):
    path = folder / "marathi_text.parquet"
    pd.read_parquet(path).to_csv(path.with_suffix(".csv"), index=False)
    path.unlink()
    assert len(texts.load("marathi-text")) == 3


def test_licensed_text_leaves_out_what_states_no_licence(tmp_path, monkeypatch):
    """Against the published list of sources, read by its words."""
    listed = pd.read_csv(paths.root() / "book" / "data" / "marathi_text_sources.csv")
    unstated = listed["licence"].str.startswith("not stated") & ~listed["licence"].str.contains("CC BY")
    assert set(listed["source"][unstated]) == texts.UNLICENSED
    rows = [f"वाक्य {number} येथे" for number in range(len(listed))]
    pd.DataFrame({"text": rows, "source": listed["source"]}).to_parquet(tmp_path / "marathi_text.parquet")
    monkeypatch.setattr(texts, "TABLE_DIGEST", hashlib.sha256("".join(f"{row}\n" for row in rows).encode()).hexdigest())
    monkeypatch.setenv("LAGHU_DATA_DIR", str(tmp_path))
    kept = [row for row, out in zip(rows, unstated, strict=True) if not out]
    assert list(texts.load("marathi-licensed")["text"]) == kept


def test_sample_is_the_training_headlines():
    headlines = [unicodedata.normalize("NFC", headline.text) for headline in sample.splits()["train"]]
    assert list(texts.load("sample")["text"]) == headlines
    assert texts.sha256("sample") == hashlib.sha256("".join(f"{h}\n" for h in headlines).encode()).hexdigest()


@pytest.mark.parametrize(("language", "label", "digests"), HEADLINES)
def test_headlines_are_the_train_texts_that_stand_once_and_nowhere_else(
    tmp_path, monkeypatch, language, label, digests
):
    files = {
        "train": ["প্রথম cafe\u0301", "Second headline", "প্রথম, CAFÉ!", "তৃতীয় খবর", "Fourth headline"],
        "validation": ["তৃতীয় খবর!", "পঞ্চম খবর"],
        "test": ["FOURTH, headline", "ষষ্ঠ খবর"],
    }
    for split, rows in files.items():
        stem = f"indicnews_{language}_shc_{split}"
        pd.DataFrame({"text": rows, "label": label}).to_parquet(tmp_path / f"{stem}.parquet")
        lines = "".join(f"{label}\t{row}\n" for row in rows)
        monkeypatch.setitem(digests, stem, hashlib.sha256(lines.encode()).hexdigest())
    monkeypatch.setenv("LAGHU_DATA_DIR", str(tmp_path))
    kept = [unicodedata.normalize("NFC", row) for row in files["train"][:2]]
    assert kept[0] != files["train"][0]
    name = f"indicnews-{language}"
    assert list(texts.load(name)["text"]) == kept
    assert texts.sha256(name) == hashlib.sha256("".join(f"{k}\n" for k in kept).encode()).hexdigest()


def test_every_source_says_what_it_is():
    assert set(texts.NAMES) == {
        "marathi-text", "marathi-licensed", "indicnews-bengali", "indicnews-english", "sample"}
    assert set(texts.NAMES) == set(get_args(spec.TextName))
    assert [name for name, source in texts.SOURCES.items() if source.synthetic] == ["sample"]
    assert all(source.licence and source.citation and source.note.endswith(".") for source in texts.SOURCES.values())


def test_unknown_name_lists_the_known():
    said = message("oscar")
    assert "'oscar'" in said and "marathi-text" in said and "sample" in said


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("marathi-text", "marathi_text.parquet"),
        ("indicnews-bengali", "indicnews_bengali_shc_train.parquet"),
        ("indicnews-english", "indicnews_english_shc_train.parquet"),
    ],
)
def test_no_folder(monkeypatch, name, file):
    monkeypatch.delenv("LAGHU_DATA_DIR", raising=False)
    said = message(name)
    assert "LAGHU_DATA_DIR" in said and file in said and "'sample'" in said


def test_missing_file(folder):
    (folder / "marathi_text.parquet").unlink()
    said = message("marathi-text")
    assert str(folder) in said and "marathi_text.parquet" in said


def test_damaged_file(folder):
    path = folder / "marathi_text.parquet"
    path.write_bytes(path.read_bytes()[:100])
    assert "is not a readable Parquet file; fetch it again" in message("marathi-text")


def test_missing_column(folder):
    pd.DataFrame({"sentence": ["एक"]}).to_parquet(folder / "marathi_text.parquet")
    said = message("marathi-text")
    assert "'text'" in said and "sentence" in said


def test_changed_text(folder):
    pd.DataFrame({"text": ["दुसरे काही"]}).to_parquet(folder / "marathi_text.parquet")
    assert texts.TABLE_DIGEST in message("marathi-text")


@pytest.mark.skipif(not FOLDER, reason="LAGHU_DATA_DIR is not set: no marathi_text file to check against")
def test_published_file():
    """Row count and size printed in the notes beside the data."""
    rows = texts.load("marathi-text")["text"][:]
    assert len(rows) == 252_445
    assert round(sum(len(row.encode()) for row in rows) / 1e6, 1) == 85.9
    assert all(unicodedata.is_normalized("NFC", row) for row in rows)


@pytest.mark.skipif(not FOLDER, reason="LAGHU_DATA_DIR is not set: no headlines to check against")
@pytest.mark.parametrize("language", ["bengali", "english"])
def test_published_headlines(language):
    """No text of validation or test in the sense of the comparison form, none twice, and as many as the note says."""
    train, *others = (
        pd.read_parquet(f"{FOLDER}/indicnews_{language}_shc_{split}.parquet")["text"].map(corpora.normalise)
        for split in ("train", "validation", "test")
    )
    name = f"indicnews-{language}"
    rows = list(texts.load(name)["text"])
    keys = [corpora.normalise(row) for row in rows]
    assert len(set(keys)) == len(keys) and set(keys) == set(train) - set().union(*others)
    counted = f"{len(rows):,} of the {len(train):,} {language.capitalize()} headlines"
    assert texts.SOURCES[name].note.startswith(counted)
    assert all(unicodedata.is_normalized("NFC", row) for row in rows)
