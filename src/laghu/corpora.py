"""Labelled corpora: where each comes from, how it is cleaned, and which rows repeat or leak.

Every corpus has the same shape, a `datasets.DatasetDict` with the splits train, validation and test, so that a
notebook names a corpus and nothing else. No corpus ever stands in for another one: where the official training split
cannot be had, `load` says so, and the reader chooses "mahanews-open" or "sample" by name.
"""

import hashlib
import http.client
import io
import json
import os
import random
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import regex
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from pydantic import BaseModel, ConfigDict

from laghu import paths, sample
from laghu.errors import LaghuError, shown
from laghu.spec import OWN

NAMES = (
    "mahanews-shc", "mahanews-open", "mahanews-clean", "indicnews-bengali", "indicnews-english", "sib200-marathi",
    "mahasent", "sample",
)  # fmt: skip
OWN_FILE = "corpus.json"
SPLITS = ("train", "validation", "test")
LABELS = sample.LABELS  # those of MahaNews, which the sample shares
BENGALI_LABELS = (
    "editorial", "entertainment", "international", "kolkata", "lifestyle",
    "national", "politics", "sports", "state", "technology",
)  # fmt: skip
ENGLISH_LABELS = (
    "Auto", "Business", "Education", "Elections", "Entertainment", "Health",
    "India", "Lifestyle", "Science", "Sports", "Technology", "World",
)  # fmt: skip
SIB200_LABELS = ("entertainment", "geography", "health", "politics", "science/technology", "sports", "travel")
MAHASENT_LABELS = ("negative", "neutral", "positive")
SEED = 2409

REPOSITORY = "l3cube-pune/MarathiNLP"
COMMIT = "8ee29fa1329d6a841030eb46659d3c10614b5e59"
# Official file and its git blob id, per split.
SHC_FILES = {
    "train": ("SHC_Train.csv", "5f78bd1141ddcd13a4ec7957b19de36a75247dda"),
    "validation": ("SHC_Valid.csv", "9108fddc9adef6daad99eebd356278a2f28d5be7"),
    "test": ("SHC_Test.csv", "a347d130f48258216a05c569e357f9c293812a0c"),
}
# Local table (Parquet, or CSV of the same stem) and the `digest` of its cleaned rows: the bytes of a Parquet file
# depend on the version of pyarrow that wrote it, its rows do not.
OPEN_FILES = {
    "mahanews_shc_validation": "2fa38b36bfb5fa8958a3e6b6121613896c6d63d3683d5d55b98c3f6dc1d7bc2f",
    "mahanews_lpc_validation": "af96c31ac0e876e3c6a5f180426237150a7fa5b29903835455c1d5d3d3d44710",
    "mahanews_shc_test": "149ae0f8245ddd62f4db90f163b052d19a2a5fa992d94b562c663ac553912a1f",
}
BENGALI_FILES = {
    "indicnews_bengali_shc_train": "f5d3219daf6fda07bdec7e96383e7359805d2582b1b6e57ecafaab414ffc9940",
    "indicnews_bengali_shc_validation": "611553e235030995dd0cec20f5bc20eca79c122324a1e22b9830cf9717d59c46",
    "indicnews_bengali_shc_test": "d52b4efe11aec291a4f250e557a1926b28e0775413e92109e51696bb1d5f4fa7",
}
ENGLISH_FILES = {
    "indicnews_english_shc_train": "904efcdc3a7ac97f13050d2d859c823c1ca9af9a5aa7dfe331b385bc4a335cc7",
    "indicnews_english_shc_validation": "3bb11231bf0e4d7be31b4511cb715f0fc3744d87e57eebfd90f1a612cc19b0d1",
    "indicnews_english_shc_test": "b36c6f6853a2d61456e67a695eec9a83a38c0d42dc7eddf776b1ad5145a83aca",
}
SIB200_FILES = {
    "sib200_marathi_train": "1e894a52e8c936b3e52426b4716217457a680a4c7fd8663ca8448fb3317da2bf",
    "sib200_marathi_validation": "16dbc9e2e7ce3dc1bb375b30162e3e9eaa10f55de0c84bc0f3c2928e893e2313",
    "sib200_marathi_test": "de07cc1f38eb844fab634c780fe966b30e7482a4dfc7f52c1894ecf38244555a",
}
MAHASENT_FILES = {
    "mahasent_train": "3e9661206a592e810b3bbb33c07229d4fd464c43a0dd2ab03b51bca941cc756e",
    "mahasent_validation": "a98f48ac329baa089de65b08cea5df4bcc7c42ecbab2fab6a0c43792e60e4902",
    "mahasent_test": "2900b4e859a5a0d64c240f16654e819b5a8e2cfdb33ed1459a1724a3426ac046",
}
# The proposed split as row numbers, without texts, and the digest of the corpus that it makes.
CLEAN_FILE = Path(__file__).with_name("mahanews_clean.csv")
CLEAN_SHA256 = "d9baab663762033e6a4b2e3852ebfa5ddb726b25a6500b94fbee854c6d10bdab"
RUN_WORDS = 5
HELD_OUT_SHARE = 0.1

FLAGS = ("duplicate", "in_other_split", "mojibake")

# The repository of MahaNews names no licence for it; l3cube-pune/indic-nlp carries the same headline files and does.
_LICENCE = "CC BY-NC-SA 4.0"
_MAHANEWS = "Mittal et al. 2023, L3Cube-MahaNews, arXiv:2404.18216"
_INDICNEWS = "Mirashi et al. 2024, L3Cube-IndicNews, arXiv:2401.02254"


@dataclass(frozen=True)
class Corpus:
    """A labelled corpus and everything a record or a caption has to say about it.

    Attributes:
        splits: train, validation and test with the columns of `features`. `duplicate`: the same text stands earlier
            in this split. `in_other_split`: the same text stands in another split of the official files at hand.
            `mojibake`: the text was repaired. "Same" is equality after `normalise`.
        labels: all labels in their order, alphabetical; a split may lack some.
        cleaning: per source file, how many rows were read, repaired, dropped (and why) and kept.
        sha256: digest of all that a result can depend on, whatever the file format: the labels in their order and, for
            each split, its rows and their flags (see `identity`).
        note: one sentence to show wherever the corpus is named.
    """

    name: str
    splits: DatasetDict
    labels: list[str]
    cleaning: dict[str, dict[str, int]]
    sha256: str
    licence: str
    citation: str
    synthetic: bool
    note: str


def features(labels: Sequence[str]) -> Features:
    """The columns of a split: its text, its label as a number, and the flags that `Corpus` explains."""
    flags = {flag: Value("bool") for flag in FLAGS}
    return Features({"text": Value("string"), "label": ClassLabel(names=list(labels)), **flags})


def load(name: str) -> Corpus:
    """The corpus of that name, one of `NAMES`, or the reader's own in the folder after `OWN`.

    Raises:
        LaghuError: unknown name; a file is missing, damaged, or not the one that was published; no network.
    """
    if name.startswith(OWN):
        return own(Path(name.removeprefix(OWN)))
    match name:
        case "mahanews-shc":
            return _mahanews_shc()
        case "mahanews-open":
            return _mahanews_open()
        case "mahanews-clean":
            return _mahanews_clean()
        case "indicnews-bengali":
            return _indicnews_bengali()
        case "indicnews-english":
            return _indicnews_english()
        case "sib200-marathi":
            return _sib200_marathi()
        case "mahasent":
            return _mahasent()
        case "sample":
            return _sample()
    raise LaghuError(f"Unknown corpus {name!r}; the corpora are {', '.join(NAMES)}.")


# ---------------------------------------------------------------- text


def normalise(text: str) -> str:
    """Comparison form of a text: NFC, lower case, all but letters, marks and digits reduced to single spaces.

    The zero-width joiners are not separators: they change how a conjunct is drawn, not which word it is.
    """
    text = unicodedata.normalize("NFC", text).replace("\u200c", "").replace("\u200d", "").lower()
    return regex.sub(r"[^\p{L}\p{M}\p{N}]+", " ", text).strip()


def repair(text: str) -> str:
    """Undo UTF-8 that was read as code page 866; any other text comes back as it is."""
    try:
        fixed = text.encode("cp866").decode("utf-8")
    except UnicodeError:
        return text
    return fixed if regex.search(r"\p{Devanagari}", fixed) else text


def word_runs(normalised: str, length: int = RUN_WORDS) -> set[str]:
    """All runs of `length` consecutive words; none where the text is shorter."""
    words = normalised.split()
    return {" ".join(words[start : start + length]) for start in range(len(words) - length + 1)}


# ---------------------------------------------------------------- identity


def digest(lines: Iterable[str]) -> str:
    """SHA-256 (hex) of the lines as UTF-8, each ended by a line feed."""
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line.encode() + b"\n")
    return sha.hexdigest()


def git_blob_id(content: bytes) -> str:
    """The id that git gives to a file of this content (`git hash-object`)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def identity(
    labels: Sequence[str], frames: Mapping[str, pd.DataFrame], rows_digest: Callable[[pd.DataFrame], str]
) -> str:
    """Digest of the labels and of every split: that of its rows, and its `FLAGS` as lines of 0 and 1."""
    lines = [f"labels {' '.join(labels)}"]
    for split, frame in frames.items():
        flags = digest("".join("01"[flag] for flag in row) for row in frame[list(FLAGS)].itertuples(index=False))
        lines.append(f"{split} {rows_digest(frame)} {flags}")
    return digest(lines)


def _rows_digest(frame: pd.DataFrame) -> str:
    """Digest of the "label<tab>text" lines."""
    return digest(f"{label}\t{text}" for label, text in zip(frame["label"], frame["text"], strict=True))


# ---------------------------------------------------------------- tables


def find_tables(folder: Path, stems: Sequence[str]) -> list[Path]:
    """The table of each stem in `folder`, Parquet or else CSV.

    Raises:
        LaghuError: some are missing; the message names the folder and all of them.
    """
    found = [next((p for p in (folder / f"{s}.parquet", folder / f"{s}.csv") if p.is_file()), None) for s in stems]
    if missing := [f"{stem}.parquet" for stem, path in zip(stems, found, strict=True) if path is None]:
        raise LaghuError(f"{folder} lacks {', '.join(missing)}; put the missing files there (Parquet or CSV).")
    return found


def read_columns(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns of a .csv, .parquet or .jsonl file as strings, missing values as "".

    The index is the row's number in the file, its header line being 0.

    Raises:
        LaghuError: the file is missing, not of a known kind, truncated, not UTF-8, or lacks a column.
    """
    if not path.is_file():
        raise LaghuError(f"{path} does not exist; name a .csv, .parquet or .jsonl file.")
    match path.suffix:
        case ".parquet":
            frame = _read_parquet(path)
        case ".csv":
            frame = _read_csv(path, columns)
        case ".jsonl":
            frame = _read_json_lines(path)
        case _:
            raise LaghuError(f"{path} is neither a .csv nor a .parquet nor a .jsonl file.")
    return _only(columns, frame, path).astype(object).map(lambda cell: _as_text(cell, path))


def _as_text(cell: object, path: Path) -> str:
    """A cell as a string, a missing one as "".

    Raises:
        LaghuError: it holds several values, or bytes that are no text.
    """
    if isinstance(cell, str):
        return cell
    if not pd.api.types.is_scalar(cell) or isinstance(cell, bytes):
        raise LaghuError(f"{path} has the cell {shown(cell)}; a cell must be a text or a number.")
    return "" if pd.isna(cell) else str(cell)


def read_parquet(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns of a .parquet file as they are; the index is the row's number, counted from 1.

    Raises:
        LaghuError: the file is missing, truncated, not Parquet, or lacks a column.
    """
    return _only(columns, _read_parquet(path), path)


def _only(columns: Sequence[str], frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if missing := [column for column in columns if column not in frame.columns]:
        there = ", ".join(map(str, frame.columns[:50]))
        raise LaghuError(f"{path} has no column {', '.join(map(repr, missing))}; its columns are {there}.")
    if repeated := [column for column in columns if list(frame.columns).count(column) > 1]:
        raise LaghuError(f"{path} has more than one column {', '.join(map(repr, repeated))}; keep the one you mean.")
    return frame[list(columns)]


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
        table.validate(full=True)  # a text may be none: its bytes are not looked at when it is read
        # What other programs noted beside the columns, such as an index, is not a part of the table.
        frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise LaghuError(f"{path} is not a readable Parquet file; fetch it again.") from error
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LaghuError(f"{path} can't be read: {error.strerror}.") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LaghuError(
            f"{path} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}; save it as UTF-8."
        ) from error


def _read_json_lines(path: Path) -> pd.DataFrame:
    rows = {}
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows[number] = json.loads(line)
            if "\\u" in line:  # JSON can spell half of a character, which no text holds
                json.dumps(rows[number], ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise LaghuError(f"{path}, line {number}: no JSON ({error}); write one object in each line.") from error
        if not isinstance(rows[number], dict):
            raise LaghuError(f"{path}, line {number}: {shown(line)} is no object; write one in each line.")
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object)


def _read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """The table, its columns parted by commas, or by what parts the wanted ones in the first line."""
    text = _read_text(path)
    header = text.partition("\n")[0].replace('"', "").rstrip("\r")
    separator = next((each for each in ",;\t" if set(columns) <= set(header.split(each))), ",")
    try:
        # The header is read as a row so that a longer row is an error and not, as pandas has it, an index column.
        frame = pd.read_csv(io.StringIO(text), sep=separator, header=None, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        raise LaghuError(f"{path} is not a readable CSV file: {str(error).strip()}") from error
    frame.columns = frame.iloc[0].tolist()
    return frame.iloc[1:]


def read_table(
    path: Path, labels: Sequence[str], text: str = "text", label: str = "label", others: Sequence[str] = ()
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Labelled rows of one .csv or .parquet file, cleaned, and the counts of what was done.

    Repeated header lines and rows without text are dropped, code page 866 mojibake is repaired and flagged.

    Args:
        labels: the labels that may occur.
        text, label: names of the file's columns.
        others: further columns to keep, as strings.

    Returns:
        Columns text, label, `others` and mojibake in the file's order; counts rows_read (the header line is not one),
        stray_headers, blanks, mojibake_repaired.

    Raises:
        LaghuError: as `read_columns`; a label is unknown; no row is left.
    """
    raw = read_columns(path, (text, label, *others))
    frame = raw.set_axis(["text", "label", *others], axis=1)
    stray = (frame["text"] == text) & (frame["label"] == label)
    frame = frame[~stray]
    if not (known := frame["label"].isin(labels)).all():
        row = known.idxmin()
        raise LaghuError(
            f"{path}, row {row}: unknown label {shown(frame['label'][row])}; the labels are {', '.join(labels)}."
        )
    blank = frame["text"].str.strip() == ""
    frame = frame[~blank]
    if frame.empty:
        raise LaghuError(f"{path} holds no row with text; at least one is needed.")
    repaired = frame["text"].map(repair)
    mojibake = repaired != frame["text"]
    counts = {
        "rows_read": len(raw),
        "stray_headers": int(stray.sum()),
        "blanks": int(blank.sum()),
        "mojibake_repaired": int(mojibake.sum()),
    }
    return frame.assign(text=repaired, mojibake=mojibake).reset_index(drop=True), counts


def pinned_tables(
    digests: Mapping[str, str], labels: Sequence[str], others: Sequence[str] = ()
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, int]]]:
    """Tables in `LAGHU_DATA_DIR` that have to hold the published rows.

    Args:
        digests: stem of each table to the digest of its cleaned rows.
        labels, others: as `read_table` has them.

    Returns:
        Stem to rows as of `read_table`, with a column `key`, the text after `normalise`; file name to its counts.

    Raises:
        LaghuError: no folder is set, a file is missing, or as `read_table`; the rows are not those published.
    """
    folder = paths.data_dir()
    if folder is None:
        raise LaghuError(
            f"{', '.join(f'{stem}.parquet' for stem in digests)} are read from a local folder: set LAGHU_DATA_DIR to "
            "the one that holds them, or choose the corpus 'mahanews-shc' or 'sample'."
        )
    tables, counts = {}, {}
    for path in find_tables(folder, tuple(digests)):
        frame, counts[path.name] = read_table(path, labels, others=others)
        if (found := _rows_digest(frame)) != (expected := digests[path.stem]):
            raise LaghuError(
                f"{path} does not hold the published rows: digest {found}, expected {expected}; fetch it again."
            )
        tables[path.stem] = _keyed(frame)
    return tables, counts


# ---------------------------------------------------------------- rows that repeat or leak


def leaks(frame: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """For each row of `frame`, whether it has a `test` row's text and whether it shares a run of `RUN_WORDS` words.

    Both frames hold a column `key`, the text after `normalise`.

    Returns:
        Boolean columns same_text and shared_run, indexed as `frame`.
    """
    runs = set().union(*map(word_runs, test["key"]))
    return pd.DataFrame(
        {
            "same_text": frame["key"].isin(test["key"]),
            "shared_run": [not runs.isdisjoint(word_runs(key)) for key in frame["key"]],
        },
        index=frame.index,
    )


def held_out(frame: pd.DataFrame, share: float = HELD_OUT_SHARE, seed: int = SEED) -> pd.Series:
    """Which rows to hold out: at most `share` of each label's rows, rounded, and never a part of equal texts.

    A text that bears several labels counts under the first.
    """
    groups = frame.groupby("key", sort=False)["label"].agg(["first", "size"])
    shuffle = random.Random(seed).shuffle
    chosen: set[str] = set()
    for label in sorted(groups["first"].unique()):
        keys = groups.index[groups["first"] == label].tolist()
        shuffle(keys)
        rows = groups["size"].loc[keys].cumsum()
        chosen.update(rows.index[rows <= round(share * rows.max())])
    return frame["key"].isin(chosen)


def clean_split(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Which rows of the open MahaNews files make up "mahanews-clean".

    A row is sound if it was no mojibake and its text bears one label throughout the three files. The test split is the
    clean view of the official one (see `laghu.evaluation.views`) as far as it is sound. Train and validation (see
    `held_out`) are the sound rows of the two validation files, headlines and paragraphs, each text once, that share
    nothing with any row of the official test split (see `leaks`).

    Args:
        tables: stem to rows, in the order of `OPEN_FILES`, with the columns row, text, label, mojibake and key.

    Returns:
        Columns file (the stem), row (number of the record in the official file, its header line being 0) and split,
        in the order of the tables; `to_csv(CLEAN_FILE, index=False)` publishes it.
    """
    rows = pd.concat([table.assign(file=stem) for stem, table in tables.items()], ignore_index=True)
    headlines, _, official_test = (rows["file"] == stem for stem in OPEN_FILES)
    sound = ~rows["mojibake"] & (rows.groupby("key")["label"].transform("nunique") == 1)

    official = rows[official_test]
    repeated = official["key"].duplicated() | official["key"].isin(rows["key"][headlines])
    test = official[sound[official_test] & ~repeated]
    seen = rows[sound & ~official_test]
    seen = seen[~seen["key"].duplicated() & ~leaks(seen, official).any(axis=1)]

    split = pd.Series("train", index=seen.index).mask(held_out(seen), "validation")
    split = pd.concat([split, pd.Series("test", index=test.index)])
    return rows.loc[split.index, ["file", "row"]].assign(split=split).reset_index(drop=True)


def _keyed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(key=frame["text"].map(normalise))


def _flagged(frame: pd.DataFrame, elsewhere: Iterable[str]) -> pd.DataFrame:
    return frame.assign(duplicate=frame["key"].duplicated(), in_other_split=frame["key"].isin(set(elsewhere)))


def flagged_against_each_other(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Splits, each with a column `key` (see `leaks`), with the flags duplicate and in_other_split of `Corpus`."""
    return {
        split: _flagged(frame, pd.concat([other["key"] for name, other in frames.items() if name != split]))
        for split, frame in frames.items()
    }


# ---------------------------------------------------------------- the corpora


def _corpus(
    name: str,
    labels: Sequence[str],
    frames: dict[str, pd.DataFrame],
    cleaning: dict[str, dict[str, int]],
    **about,
) -> Corpus:
    columns = features(labels)
    splits = {
        split: Dataset.from_dict(
            {
                "text": frame["text"].tolist(),
                "label": columns["label"].str2int(frame["label"].tolist()),
                **{flag: frame[flag].tolist() for flag in FLAGS},
            },
            features=columns,
        )
        for split, frame in frames.items()
    }
    return Corpus(
        name=name,
        splits=DatasetDict(splits),
        labels=list(labels),
        cleaning=cleaning,
        sha256=identity(labels, frames, _rows_digest),
        **about,
    )


class _Own(BaseModel):
    """What stands beside the splits of a reader's own corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...]
    sha256: str
    cleaning: dict[str, dict[str, int]]
    licence: str
    citation: str
    note: str


def write_own(
    folder: Path, labels: Sequence[str], frames: Mapping[str, pd.DataFrame], cleaning: dict[str, dict[str, int]],
    **about: str,
) -> None:
    """Write a reader's own corpus for `own` to read.

    Args:
        frames: of `SPLITS`, with the columns text, label and `FLAGS`.
        about: licence, citation and note, as `Corpus` has them.
    """
    for split in SPLITS:
        frames[split][["text", "label", *FLAGS]].to_parquet(folder / f"{split}.parquet", index=False)
    content = _Own(labels=labels, sha256=identity(labels, frames, _rows_digest), cleaning=cleaning, **about)
    (folder / OWN_FILE).write_text(content.model_dump_json(indent=1) + "\n", encoding="utf-8")


def own(folder: Path) -> Corpus:
    """A reader's own corpus, as `write_own` left it.

    Raises:
        LaghuError: the folder holds none, or one that has changed since.
    """
    try:
        content = _Own.model_validate_json((folder / OWN_FILE).read_bytes())
    except (OSError, ValueError):
        raise LaghuError(f"{folder} holds no corpus that `laghu compress` has checked; let it do so.") from None
    frames = {split: read_parquet(folder / f"{split}.parquet", ["text", "label", *FLAGS]) for split in SPLITS}
    if not (all(_is_own(frame, content.labels) for frame in frames.values())
            and identity(content.labels, frames, _rows_digest) == content.sha256):
        raise LaghuError(f"{folder} is not what `laghu compress` wrote; delete it and let it be written again.")
    return _corpus(
        "own", content.labels, frames, content.cleaning, licence=content.licence, citation=content.citation,
        synthetic=False, note=content.note,
    )


def _is_own(frame: pd.DataFrame, labels: Sequence[str]) -> bool:
    texts = all(isinstance(text, str) for text in frame["text"])
    return texts and frame["label"].isin(labels).all() and all(frame[flag].dtype == bool for flag in FLAGS)


def _sample() -> Corpus:
    frames = {
        split: _keyed(
            pd.DataFrame({"text": [h.text for h in rows], "label": [h.label for h in rows], "mojibake": False})
        )
        for split, rows in sample.splits().items()
    }
    return _corpus(
        "sample",
        LABELS,
        flagged_against_each_other(frames),
        cleaning={},
        licence=sample.LICENCE,
        citation="Laghu, invented headlines (laghu.sample)",
        synthetic=True,
        note="Invented headlines: they show that a run works, and say nothing about how well a model reads Marathi.",
    )


def _mahanews_shc() -> Corpus:
    frames, cleaning = {}, {}
    for split, (file, blob_id) in SHC_FILES.items():
        frame, cleaning[file] = read_table(official_file(file, blob_id), LABELS, "Text", "Label")
        cleaning[file]["kept"] = len(frame)
        frames[split] = _keyed(frame)
    return _corpus(
        "mahanews-shc",
        LABELS,
        flagged_against_each_other(frames),
        cleaning,
        licence=_LICENCE,
        citation=_MAHANEWS,
        synthetic=False,
        note="Official headlines and splits of L3Cube-MahaNews; many test rows stand in other splits word for word, "
        "so read the clean view beside the published one.",
    )


def _mahanews_open() -> Corpus:
    tables, cleaning = pinned_tables(OPEN_FILES, LABELS)
    shc_validation, lpc_validation, test = tables.values()
    *counts_of_validations, counts_of_test = cleaning.values()
    kept = []
    for frame, counts in zip((shc_validation, lpc_validation), counts_of_validations, strict=True):
        leak = leaks(frame, test)
        kept.append(frame[~leak.any(axis=1)])
        counts["same_text_as_test"] = int(leak["same_text"].sum())
        counts["shared_run_with_test"] = int((leak["shared_run"] & ~leak["same_text"]).sum())
        counts["kept"] = len(kept[-1])
    counts_of_test["kept"] = len(test)
    seen = pd.concat(kept, ignore_index=True)
    out = held_out(seen)
    frames = {
        "train": _flagged(seen[~out], [*seen["key"][out], *test["key"]]),
        "validation": _flagged(seen[out], [*seen["key"][~out], *test["key"]]),
        # Against all of the official counterpart, so that the views are those of the official splits.
        "test": _flagged(test, shc_validation["key"]),
    }
    return _corpus(
        "mahanews-open",
        LABELS,
        frames,
        cleaning,
        licence=_LICENCE,
        citation=f"{_MAHANEWS}; {_INDICNEWS}",
        synthetic=False,
        note="Official MahaNews headline test split, but trained on the far smaller official validation splits "
        "(headlines and paragraphs) without the rows that share text with it, so scores are not comparable with "
        "those of models trained on the official train split.",
    )


def _mahanews_clean() -> Corpus:
    tables, cleaning = pinned_tables(OPEN_FILES, LABELS, others=("row",))
    rows = pd.concat([table.assign(file=stem) for stem, table in tables.items()], ignore_index=True)
    chosen = pd.read_csv(CLEAN_FILE, dtype=str).merge(rows, on=["file", "row"])
    for stem, counts in zip(tables, cleaning.values(), strict=True):
        counts["kept"] = int((chosen["file"] == stem).sum())
        counts["left_out"] = len(tables[stem]) - counts["kept"]
    corpus = _corpus(
        "mahanews-clean",
        LABELS,
        flagged_against_each_other(
            {split: chosen[chosen["split"] == split] for split in SPLITS}
        ),
        cleaning,
        licence=_LICENCE,
        citation=f"{_MAHANEWS}; {_INDICNEWS}; split: Laghu (laghu.corpora)",
        synthetic=False,
        note="A split of the open MahaNews files proposed here, not an official one: every text stands once, undamaged "
        "and under one label, and no row of train or validation shares five words in a row with an official test "
        "headline; the label Manoranjan has no clean test headline.",
    )
    if corpus.sha256 != CLEAN_SHA256:
        # The rows are pinned above, their numbers are not.
        raise LaghuError(
            f"{CLEAN_FILE.name} and the columns 'row' of {', '.join(cleaning)} do not give the published split: digest "
            f"{corpus.sha256}, expected {CLEAN_SHA256}; fetch them again."
        )
    return corpus


def _official_splits(
    name: str, files: Mapping[str, str], labels: Sequence[str], *, licence: str, citation: str, note: str
) -> Corpus:
    """A corpus of local tables that are its official train, validation and test splits, in this order."""
    tables, cleaning = pinned_tables(files, labels)
    for frame, counts in zip(tables.values(), cleaning.values(), strict=True):
        counts["kept"] = len(frame)
    return _corpus(
        name,
        labels,
        flagged_against_each_other(dict(zip(SPLITS, tables.values(), strict=True))),
        cleaning,
        licence=licence,
        citation=citation,
        synthetic=False,
        note=note,
    )


def _indicnews_bengali() -> Corpus:
    return _official_splits(
        "indicnews-bengali",
        BENGALI_FILES,
        BENGALI_LABELS,
        licence=_LICENCE,
        citation=_INDICNEWS,
        note="Official Bengali headlines and splits of L3Cube-IndicNews; 29 of the 2,997 test rows also stand in "
        "another split.",
    )


def _indicnews_english() -> Corpus:
    return _official_splits(
        "indicnews-english",
        ENGLISH_FILES,
        ENGLISH_LABELS,
        licence=_LICENCE,
        citation=_INDICNEWS,
        # No flag says that a text bears several labels; nearly all such rows also stand in another split.
        note="Official English headlines and splits of L3Cube-IndicNews; 1,678 of the 4,577 test rows also stand in "
        "another split, and 1,640, of which the clean view keeps 20, bear another label elsewhere, so read the clean "
        "view beside the published one.",
    )


def _sib200_marathi() -> Corpus:
    return _official_splits(
        "sib200-marathi",
        SIB200_FILES,
        SIB200_LABELS,
        licence="Apache-2.0 (repository); the sentences are FLORES-200, CC BY-SA 4.0",
        citation="Adelani et al. 2023, SIB-200, arXiv:2309.07445",
        note="Official Marathi sentences and splits of SIB-200: translated from English and few, so that intervals "
        "are wide.",
    )


def _mahasent() -> Corpus:
    return _official_splits(
        "mahasent",
        MAHASENT_FILES,
        MAHASENT_LABELS,
        licence=_LICENCE,
        citation="Pingle et al. 2023, L3Cube-MahaSent-MD, arXiv:2306.13888",
        note="Official splits of three of the four domains of L3Cube-MahaSent-MD (film reviews, subtitles and general "
        "tweets, together), so scores are not comparable with those on all four; 120 of the 4,500 test rows also stand "
        "in another split.",
    )


# ---------------------------------------------------------------- official files


def official_file(file: str, blob_id: str) -> Path:
    """Where an official MahaNews headline file lies: in `LAGHU_DATA_DIR`, else in the cache, else downloaded to it.

    Raises:
        LaghuError: its git blob id is not `blob_id`; it is nowhere and cannot be downloaded.
    """
    folder, cached = paths.data_dir(), paths.cache() / "mahanews-shc" / file
    for path in ([folder / file] if folder else []) + [cached]:
        if path.is_file():
            if (found := git_blob_id(path.read_bytes())) != blob_id:
                raise LaghuError(f"{path} has git blob id {found}, expected {blob_id}; delete it and load again.")
            return path
    _download(file, blob_id, cached)
    return cached


def _download(file: str, blob_id: str, target: Path) -> None:
    url = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/L3Cube-MahaNews/SHC/{file}"
    remedy = (
        f"set LAGHU_DATA_DIR to a folder that holds {', '.join(name for name, _ in SHC_FILES.values())}, "
        "or choose the corpus 'mahanews-open' or 'sample'"
    )
    try:
        with urlopen(url, timeout=60) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise LaghuError(
            f"{file} is neither in LAGHU_DATA_DIR ({os.environ.get('LAGHU_DATA_DIR') or 'not set'}) nor in the cache, "
            f"and {url} cannot be reached ({error}): connect to the network, {remedy}."
        ) from error
    if (found := git_blob_id(content)) != blob_id:
        raise LaghuError(
            f"{file} from {url} has git blob id {found}, expected {blob_id}; nothing was kept: load again, {remedy}."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        partial = Path(scratch) / file
        partial.write_bytes(content)
        partial.replace(target)
