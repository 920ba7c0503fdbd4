"""Unlabelled Marathi for masked-language-model pretraining."""

import unicodedata
from dataclasses import dataclass

from datasets import Dataset, Features, Value

from laghu import paths, sample
from laghu.corpora import digest, find_tables, read_columns
from laghu.errors import LaghuError


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


def load(name: str) -> Dataset:
    """The texts of that source, one of `NAMES`: a single column `text`, in Unicode NFC.

    Raises:
        LaghuError: unknown name; the file is missing, damaged, or not the one that was published.
    """
    return Dataset.from_dict({"text": _texts(name)}, features=Features({"text": Value("string")}))


def sha256(name: str) -> str:
    """Digest of the texts of a source, one per line; it does not depend on a file format.

    Raises:
        LaghuError: as `load`.
    """
    return digest(_texts(name))


def _texts(name: str) -> list[str]:
    match name:
        case "marathi-text":
            return _marathi_text()
        case "sample":
            return [_nfc(headline.text) for headline in sample.splits()["train"]]
    raise LaghuError(f"Unknown text source {name!r}; the sources are {', '.join(NAMES)}.")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _marathi_text() -> list[str]:
    folder = paths.data_dir()
    if folder is None:
        raise LaghuError(
            "The text source 'marathi-text' is read from a local folder: set LAGHU_DATA_DIR to the one that holds "
            f"{TABLE}.parquet, or choose 'sample'."
        )
    (path,) = find_tables(folder, (TABLE,))
    texts = read_columns(path, ("text",))["text"].map(_nfc).tolist()
    if (found := digest(texts)) != TABLE_DIGEST:
        raise LaghuError(
            f"{path} does not hold the published texts: digest {found}, expected {TABLE_DIGEST}; fetch it again."
        )
    return texts
