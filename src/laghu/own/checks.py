"""What is to be known of a reader's texts before a number on them is believed: the audit of MahaNews, for any data."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerBase

from laghu import audit, corpora
from laghu.records import Part

# Below so many training texts of a label, or test texts of all, a finding says so.
FEW_OF_LABEL, FEW_TESTS = 20, 200
# The most frequent label over the rarest, from which on a finding says so.
UNBALANCED = 10
# Shares of rows from which on a finding is a warning.
MANY_REPEATS, MANY_CUT, MANY_UNKNOWN = 0.05, 0.1, 0.05


class Finding(Part):
    """One sentence on the data; a warning is one to act on before the numbers are believed."""

    level: Literal["warning", "note"]
    text: str


class Tokens(Part):
    """How the model's tokenizer reads the training texts; lengths in tokens, special ones among them."""

    median: float
    p95: float
    largest: int
    per_word: float
    cut: float
    unknown: float


class Report(Part):
    """Everything that was counted. Shares are fractions of rows.

    Attributes:
        files: file to counts, as `tables.read` gives them.
        splits: split to the counts of `audit.counts`.
        labels: label to split to rows.
        made: splits that were made here.
        conflicts: texts that bear more than one label, over all splits.
        shared_runs: test rows that share `corpora.RUN_WORDS` words in a row with a training text without being equal.
        majority: of the clean test rows, by the most frequent training label.
        remembered: test rows that a table of the training texts answers, and how many of them rightly.
        words: of a text: median, 95th percentile and largest number.
        replaced, not_nfc, invisible: rows with U+FFFD; not in Unicode's NFC; with characters that do not show.
    """

    files: dict[str, dict[str, int]]
    splits: dict[str, dict[str, int]]
    labels: dict[str, dict[str, int]]
    made: list[str]
    conflicts: int
    shared_runs: int
    majority: float
    remembered: dict[str, int]
    words: dict[str, float]
    replaced: int
    not_nfc: int
    invisible: int
    tokens: Tokens | None = None

    @property
    def findings(self) -> list[Finding]:
        return [Finding(level=level, text=text) for level, text in _findings(self)]


def report(
    found: Mapping[str, pd.DataFrame], frames: Mapping[str, pd.DataFrame], files: dict[str, dict[str, int]]
) -> Report:
    """Count what is wrong with the texts.

    Args:
        found: as `tables.read` gives it.
        frames: as `tables.split` gives it.
        files: counts of `tables.read`.
    """
    rows = pd.concat(frames, names=["split", "row"])
    test, train = frames["test"], frames["train"]
    answers = audit.artefact_only(train, test)
    by_text = answers["artefact"] == "text"
    clean = ~test[list(corpora.FLAGS)].any(axis=1)
    leak = corpora.leaks(test, train)
    words = rows["text"].str.split().str.len()
    return Report(
        files=files,
        splits=_plain(audit.counts(rows, "split").loc[list(frames)]),
        labels=_plain(pd.crosstab(rows["label"], rows.index.get_level_values("split"))[list(frames)]),
        made=[name for name in frames if name not in found],
        conflicts=int((rows.groupby("key")["label"].nunique() > 1).sum()),
        shared_runs=int((leak["shared_run"] & ~leak["same_text"]).sum()),
        majority=float((test["label"][clean] == audit.majority(train)).mean()) if clean.any() else 0.0,
        remembered={"rows": int(by_text.sum()), "right": int((answers["answer"] == test["label"])[by_text].sum())},
        words={"median": float(words.median()), "p95": float(words.quantile(0.95)), "largest": float(words.max())},
        replaced=int(rows["text"].str.contains("\ufffd").sum()),
        not_nfc=int(sum(unicodedata.normalize("NFC", text) != text for text in rows["text"])),
        invisible=int(sum(any(map(_invisible, text)) for text in rows["text"])),
    )


def tokens(texts: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> Tokens:
    """How a tokenizer reads texts.

    Args:
        max_length: tokens that a model is to read; None: the 95th percentile of `texts`, as `length_for` rounds it.
    """
    ids = tokenizer(texts, verbose=False)["input_ids"]
    lengths = np.array([len(row) for row in ids])
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    pieces = [[token for token in row if token not in special] for row in ids]
    words, count = sum(len(text.split()) for text in texts), sum(map(len, pieces))
    unknown = sum(row.count(tokenizer.unk_token_id) for row in pieces)
    p95 = float(np.percentile(lengths, 95))
    return Tokens(
        median=float(np.median(lengths)), p95=p95, largest=int(lengths.max()), per_word=count / max(1, words),
        cut=float((lengths > (max_length or length_for(p95))).mean()), unknown=unknown / max(1, count),
    )


def length_for(p95: float, most: int = 512) -> int:
    """Tokens to read of a text: enough for 95 % of them, a multiple of 8 from 16 to `most`."""
    return int(min(max(16, -(-p95 // 8) * 8), most // 8 * 8))


def _plain(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {str(name): {str(key): int(value) for key, value in row.items()} for name, row in table.iterrows()}


def _invisible(character: str) -> bool:
    """Control and formatting characters; the joiners of Indic and Arabic scripts are letters' business."""
    return character not in "\t\n\r\u200c\u200d" and unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn")


def _findings(report: Report) -> list[tuple[str, str]]:
    """Sentences on what was counted, warnings first."""
    splits, sums = report.splits, pd.DataFrame(report.splits).T.sum()
    dropped = pd.DataFrame(report.files).T.sum()
    train = {label: counts["train"] for label, counts in report.labels.items()}
    rare = {label: rows for label, rows in train.items() if rows < FEW_OF_LABEL}
    test, elsewhere = splits["test"], splits["test"]["in_other_split"]
    most, least = max(train.values()), max(1, min(train.values()))
    twins = _alike(report.labels)
    repeats = f"Repeats of a text of their own split: {int(sums['repeats']):,} of {int(sums['rows']):,} rows."
    found: list[tuple[bool, str, str]] = [
        (report.conflicts > 0, "warning",
         f"With more than one label: {_count(report.conflicts, 'text')}. Not all of their rows can be right."),
        (elsewhere > 0, "warning",
         f"In another split too: {elsewhere:,} of {test['rows']:,} test rows. A table of the training texts answers "
         f"{report.remembered['right']:,} of them rightly. Read the clean view, which leaves them out."),
        (sums["repeats"] > MANY_REPEATS * sums["rows"], "warning", repeats),
        (sums["mojibake"] > 0, "warning",
         f"Read in a wrong encoding, and repaired: {_count(int(sums['mojibake']), 'text')}."),
        (report.replaced > 0, "warning",
         f"With U+FFFD, where characters were lost for good: {_count(report.replaced, 'text')}."),
        (bool(rare), "warning",
         f"Fewer than {FEW_OF_LABEL} training texts: " + ", ".join(f"{k} ({v})" for k, v in rare.items()) + "."),
        (bool(twins), "warning", "Labels that differ in case or punctuation alone: " + "; ".join(twins) + "."),
        (most / least >= UNBALANCED, "warning",
         f"The most frequent label has {most / least:.0f} times the training texts of the rarest: look at macro-F1."),
        (test["clean"] < FEW_TESTS, "warning",
         f"Clean test rows: {test['clean']:,} alone, so intervals are wide, and small differences can't be seen."),
        (report.tokens is not None and report.tokens.unknown > MANY_UNKNOWN, "warning",
         f"The tokenizer does not know {_share(report.tokens, 'unknown')} of the pieces: it was made for another "
         "language or script. Look for another model, or name none and let a small one be pretrained."),
        (report.tokens is not None and report.tokens.cut > MANY_CUT, "warning",
         f"Longer than what is read of them: {_share(report.tokens, 'cut')} of the training texts."),
        (0 < sums["repeats"] <= MANY_REPEATS * sums["rows"], "note", repeats),
        (report.shared_runs > 0, "note",
         f"Not equal, but with {corpora.RUN_WORDS} words in a row of a training text: "
         f"{_count(report.shared_runs, 'test row')}."),
        (dropped["blanks"] + dropped["unlabelled"] + dropped["stray_headers"] > 0, "note",
         f"Left out: {dropped['blanks']:,} without a text, {dropped['unlabelled']:,} without a label, "
         f"{dropped['stray_headers']:,} with the header again."),
        (report.not_nfc > 0, "note", f"Not in Unicode's composed form (NFC): {_count(report.not_nfc, 'text')}."),
        (report.invisible > 0, "note", f"With characters that do not show: {_count(report.invisible, 'text')}."),
        (bool(report.made), "note",
         f"Made here: {', '.join(report.made)}, in the proportions of the labels, equal texts on one side."),
    ]
    return [(level, text) for holds, level, text in found if holds]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _share(tokens: Tokens | None, field: str) -> str:
    return f"{100 * getattr(tokens, field):.0f} %" if tokens else ""


def _alike(labels: Mapping[str, Any]) -> list[str]:
    names = pd.Series(list(labels))
    groups = names.groupby(names.map(corpora.normalise)).agg(list)
    return [" and ".join(map(repr, group)) for group in groups if len(group) > 1]
