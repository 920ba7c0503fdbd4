"""Texts and labels of a reader's files, and what of them is no labelled text."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from laghu import corpora
from laghu.errors import LaghuError

SUFFIXES = (".csv", ".parquet", ".jsonl")
# What people call the three splits.
_CALLED = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {name: split for split, names in _CALLED.items() for name in names}
# A column with more than this is one of texts or numbers, not of labels.
MOST_LABELS = 1000


def read(source: Path, text: str, label: str, split: str | None) -> tuple[dict[str, pd.DataFrame], dict]:
    """The labelled texts of a file, or of a folder with one for each split.

    Args:
        text, label: names of the columns.
        split: name of the column that says which split a row is of; None where there is none.

    Returns:
        Split to rows with columns text and label; all under "all" where nothing says of which split they are. And by
        file name the counts rows_read, blanks (no text), unlabelled, stray_headers (the header again) and kept.

    Raises:
        LaghuError: as `corpora.read_columns`; no labelled text, fewer than two labels or more than `MOST_LABELS`, an
            unknown name of a split, or no training texts.
    """
    found, counts = {}, {}
    for name, file in _files(source).items():
        frame, counts[file.name] = _labelled(file, text, label, split)
        found[name] = frame
    if split:
        found = _by_column(source, split, found["all"])
    labels = set().union(*(frame["label"] for frame in found.values()))
    if not 2 <= len(labels) <= MOST_LABELS:
        raise LaghuError(
            f"{source.name}: column {label!r} holds {len(labels):,} different labels; a classifier needs 2 to "
            f"{MOST_LABELS:,}"
        )
    if "all" not in found and "train" not in found:
        raise LaghuError(f"{source.name} has {', '.join(found)} and no training texts; name a split 'train'")
    return found, counts


def _files(source: Path) -> dict[str, Path]:
    if not source.is_dir():
        return {"all": source}
    files: dict[str, Path] = {}
    for file in sorted(source.iterdir()):
        name = _SPLIT_OF.get(file.stem.lower())
        if name is None or file.suffix not in SUFFIXES:
            continue
        if name in files:
            raise LaghuError(f"{source.name} holds {files[name].name} and {file.name}, both of split {name}; keep one")
        files[name] = file
    if not files:
        raise LaghuError(f"{source} holds no train, validation or test with one of {', '.join(SUFFIXES)}; name a file")
    return files


def _labelled(file: Path, text: str, label: str, split: str | None) -> tuple[pd.DataFrame, dict[str, int]]:
    if text == label:
        raise LaghuError(f"column {text!r} can't hold both the texts and the labels; name two")
    columns = [text, label, *([split] if split else [])]
    raw = corpora.read_columns(file, columns).set_axis(["text", "label", "split"][: len(columns)], axis=1)
    raw["label"] = raw["label"].str.strip()
    stray = (raw["text"] == text) & (raw["label"] == label)
    blank = ~stray & (raw["text"].str.strip() == "")
    unlabelled = ~stray & ~blank & (raw["label"] == "")
    kept = raw[~(stray | blank | unlabelled)]
    if kept.empty:
        raise LaghuError(f"{file.name} holds no row with text and label; at least one is needed")
    return kept, {
        "rows_read": len(raw), "stray_headers": int(stray.sum()), "blanks": int(blank.sum()),
        "unlabelled": int(unlabelled.sum()), "kept": len(kept),
    }


def _by_column(source: Path, column: str, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    splits = frame["split"].str.strip().str.lower().map(_SPLIT_OF)
    if (unknown := splits.isna()).any():
        row = unknown.idxmax()
        raise LaghuError(
            f"{source.name}, row {row}: column {column!r} says {frame['split'][row]!r}; it has to be one of "
            f"{', '.join(_SPLIT_OF)}"
        )
    return {name: frame.loc[splits == name, ["text", "label"]] for name in _CALLED if (splits == name).any()}


def split(found: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Train, validation and test, with the columns of `corpora.write_own` and `key`, the text to compare by.

    What is not there is made, a tenth of all rows each, in the proportions of the labels and with equal texts on one
    side: test out of what is not of a split yet, or else of train; and validation likewise.

    Args:
        found: as `read` gives it.

    Raises:
        LaghuError: too few texts to fill a split.
    """
    frames = {
        name: _repaired(frame.reset_index(drop=True)) for name, frame in found.items()
    }
    rest = frames.pop("all", None)
    rest = frames.pop("train") if rest is None else rest
    share = corpora.HELD_OUT_SHARE
    for name in ("test", "validation"):
        if name not in frames:
            out = corpora.held_out(rest, share)
            frames[name], rest = rest[out], rest[~out]
            share /= 1 - share  # of what is left
    ordered = {"train": rest, "validation": frames["validation"], "test": frames["test"]}
    if empty := [name for name, frame in ordered.items() if frame.empty]:
        raise LaghuError(
            f"{sum(map(len, ordered.values()))} labelled texts are too few: none is left for {' and '.join(empty)}; "
            "give at least ten of each label, or splits of your own"
        )
    if unseen := sorted(set(ordered["test"]["label"]) - set(rest["label"])):
        raise LaghuError(f"no training text bears label {', '.join(map(repr, unseen))}, which test texts do; give some")
    return corpora.flagged_against_each_other(ordered)


def _repaired(frame: pd.DataFrame) -> pd.DataFrame:
    texts = frame["text"].map(sound)
    return frame.assign(text=texts, mojibake=texts != frame["text"], key=texts.map(corpora.normalise))


def sound(text: str) -> str:
    """Undo UTF-8 that was read as Windows-1252 or Latin-1 or, as `corpora.repair` does, as code page 866.

    Any other text comes back as it is: bytes of these that happen to be UTF-8 throughout do not occur in what people
    write.
    """
    text = corpora.repair(text)
    if text.isascii():
        return text
    try:
        return b"".join(map(_byte, text)).decode("utf-8")
    except UnicodeError:
        return text


def _byte(character: str) -> bytes:
    """The byte that was read as this character; five that Windows-1252 leaves out are read as Latin-1 has them."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")
