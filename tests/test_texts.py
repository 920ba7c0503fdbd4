import hashlib
import os
import unicodedata

import pandas as pd
import pytest

from laghu import sample, texts
from laghu.errors import LaghuError

FOLDER = os.environ.get("LAGHU_DATA_DIR")
DECOMPOSED = "क\u093c एक cafe\u0301"  # NFC leaves the nukta pair (a composition exclusion) and joins e + acute


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


def test_sample_is_the_training_headlines():
    headlines = [unicodedata.normalize("NFC", headline.text) for headline in sample.splits()["train"]]
    assert list(texts.load("sample")["text"]) == headlines
    assert texts.sha256("sample") == hashlib.sha256("".join(f"{h}\n" for h in headlines).encode()).hexdigest()


def test_every_source_says_what_it_is():
    assert set(texts.SOURCES) == set(texts.NAMES) == {"marathi-text", "sample"}
    assert texts.SOURCES["sample"].synthetic and not texts.SOURCES["marathi-text"].synthetic
    assert all(source.licence and source.citation and source.note.endswith(".") for source in texts.SOURCES.values())


def test_unknown_name_lists_the_known():
    said = message("oscar")
    assert "'oscar'" in said and "marathi-text" in said and "sample" in said


def test_no_folder(monkeypatch):
    monkeypatch.delenv("LAGHU_DATA_DIR", raising=False)
    said = message("marathi-text")
    assert "LAGHU_DATA_DIR" in said and "marathi_text.parquet" in said


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
