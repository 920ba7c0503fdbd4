"""Unlabelled text for masked-language-model pretraining: Marathi, and the headlines of two other languages."""

import unicodedata
from dataclasses import dataclass

import pandas as pd
from datasets import Dataset, Features, Value

from laghu import corpora, paths, sample
from laghu.errors import LaghuError
from laghu.spec import OWN


@dataclass(frozen=True)
class TextSource:
    """What a record or a caption has to say about a source; `note` is one sentence to show wherever it is named."""

    licence: str
    citation: str
    synthetic: bool
    note: str


SOURCES = {
    "marathi-text": TextSource(
        licence="mixed, source by source: Creative Commons (some non-commercial), MIT, and several not stated",
        citation="Collected from public repositories; sources, commits and licences are listed beside the file",
        synthetic=False,
        note="Sentences, tweets and paragraphs from public repositories; it holds no MahaNews test text but does hold "
        "MahaNews validation texts, so a validation score of a model pretrained on it is not blind.",
    ),
    "marathi-licensed": TextSource(
        licence="Creative Commons (some non-commercial) and MIT, source by source",
        citation="As marathi-text",
        synthetic=False,
        note="The part of marathi-text whose sources state a licence: for models that are to be given away.",
    ),
    "indicnews-bengali": TextSource(
        licence="CC BY-NC-SA 4.0",
        citation="Mirashi et al. 2024, L3Cube-IndicNews, arXiv:2401.02254",
        synthetic=False,
        note="23,754 of the 23,968 Bengali headlines of the official IndicNews train split, without their labels: each "
        "text once, and none that also stands in validation or test.",
    ),
    "indicnews-english": TextSource(
        licence="CC BY-NC-SA 4.0",
        citation="Mirashi et al. 2024, L3Cube-IndicNews, arXiv:2401.02254",
        synthetic=False,
        note="24,471 of the 36,605 English headlines of the official IndicNews train split, without their labels: each "
        "text once, and none that also stands in validation or test.",
    ),
    "sample": TextSource(
        licence=sample.LICENCE,
        citation="Laghu, invented headlines (laghu.sample)",
        synthetic=True,
        note="The training headlines of the invented sample without their labels: enough to see pretraining run.",
    ),
}
NAMES = tuple(SOURCES)

TABLE = "marathi_text"
# `corpora.digest` of its texts in NFC; as in `corpora`, the rows are pinned and not the bytes of the file.
TABLE_DIGEST = "04a9091f119084f4b446202aac9bb83bf3cf56376b33bbea3888d8e3455b4d9a"
# Its sources for whose texts no licence was found.
UNLICENSED = frozenset(
    {
        "iitb_hindi_marathi", "maha_social_ner", "mahaparaphrase", "mahasts", "news_documents", "palakneeti",
        "semrel2024", "stsb_translated",
    }
)


def load(name: str) -> Dataset:
    """The texts of that source, one of `NAMES` or a reader's own corpus: a single column `text`, in Unicode NFC.

    Raises:
        LaghuError: unknown name; the file is missing, damaged, or not the one that was published.
    """
    return Dataset.from_dict({"text": _texts(name)}, features=Features({"text": Value("string")}))


def sha256(name: str) -> str:
    """Digest of the texts of a source, one per line; it does not depend on a file format.

    Raises:
        LaghuError: as `load`.
    """
    return corpora.digest(_texts(name))


def _texts(name: str) -> list[str]:
    if name.startswith(OWN):
        return _training_texts(name)
    match name:
        case "marathi-text":
            return _marathi_text("text")["text"].tolist()
        case "marathi-licensed":
            rows = _marathi_text("text", "source")
            return rows["text"][~rows["source"].isin(UNLICENSED)].tolist()
        case "indicnews-bengali" | "indicnews-english":
            return _training_texts(name)
        case "sample":
            return [_nfc(headline.text) for headline in sample.splits()["train"]]
    raise LaghuError(f"Unknown text source {name!r}; the sources are {', '.join(NAMES)}.")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _marathi_text(*columns: str) -> pd.DataFrame:
    """Columns of the table, its text in NFC."""
    folder = paths.data_dir()
    if folder is None:
        raise LaghuError(
            "The sources 'marathi-text' and 'marathi-licensed' are read from a local folder: set LAGHU_DATA_DIR to "
            f"the one that holds {TABLE}.parquet, or choose 'sample'."
        )
    (path,) = corpora.find_tables(folder, (TABLE,))
    rows = corpora.read_columns(path, columns)
    rows["text"] = rows["text"].map(_nfc)
    if (found := corpora.digest(rows["text"])) != TABLE_DIGEST:
        raise LaghuError(
            f"{path} does not hold the published texts: digest {found}, expected {TABLE_DIGEST}; fetch it again."
        )
    return rows


def _training_texts(corpus: str) -> list[str]:
    """Training texts of a labelled corpus, each once and none that stands in another split, in NFC."""
    train = corpora.load(corpus).splits["train"]
    rows = zip(train["text"], train["duplicate"], train["in_other_split"], strict=True)
    return [_nfc(text) for text, repeated, elsewhere in rows if not repeated and not elsewhere]
