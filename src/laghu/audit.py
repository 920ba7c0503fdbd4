"""Audit of a labelled corpus: what repeats, leaks, is damaged or contradicts itself, and what that gives away.

Every count starts from `mark`, which says of each row what is wrong with it, and is an ordinary group-by from there.
Nothing here knows a corpus, a label or a split by name.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from laghu.errors import LaghuError
from laghu.records import RunRecord

_DUPLICATE, _ELSEWHERE, _MOJIBAKE = 1, 2, 4
_DEFECTS = ("in_other_split", "mojibake", "repeat")


# ---------------------------------------------------------------- rows and what is wrong with them


def left_out(splits: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What of each split is no labelled text, by split.

    Args:
        splits: name to rows as published, columns text and label; the index is the number of the record in the
            published file, counted from 1.

    Returns:
        Columns header_lines (the header again, among the rows), blank_texts, and missing: records of the published
        file, up to the last one here, that `splits` no longer holds.
    """
    return pd.DataFrame(
        {
            split: {
                "header_lines": int(_header(frame).sum()),
                "blank_texts": int((_blank(frame) & ~_header(frame)).sum()),
                "missing": int(frame.index.max()) - len(frame),
            }
            for split, frame in splits.items()
        }
    ).T


def mark(splits: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All labelled texts of a corpus and what is wrong with each.

    Two texts are the same if `corpora.normalise` makes them equal after `corpora.repair`, as everywhere in Laghu.

    Args:
        splits: as in `left_out`; header lines and blank texts among them are dropped.

    Returns:
        Index (split, row); text (repaired), label, key (the text to compare by), and the flags duplicate (the text
        stands earlier in this split), in_other_split (it stands in another split as well), mojibake (it was damaged),
        conflict (within this split it bears another label too).

    Raises:
        LaghuError: a split without a labelled text.
    """
    from laghu import corpora  # it loads `datasets`, which the book, built from what `mark` found, does without

    kept = {split: frame.loc[~_header(frame) & ~_blank(frame), ["text", "label"]] for split, frame in splits.items()}
    if empty := [split for split, frame in kept.items() if frame.empty]:
        raise LaghuError(f"split {', '.join(map(repr, empty))} holds no labelled text; give at least one row.")
    rows = pd.concat(kept, names=["split", "row"])
    published, rows["text"] = rows["text"], rows["text"].map(corpora.repair)
    rows["key"] = rows["text"].map(corpora.normalise)
    split = rows.index.get_level_values("split").to_series(index=rows.index)
    return rows.assign(
        duplicate=rows.groupby([split, "key"]).cumcount() > 0,
        in_other_split=split.groupby(rows["key"]).transform("nunique") > 1,
        mojibake=rows["text"] != published,
        conflict=rows.groupby([split, "key"])["label"].transform("nunique") > 1,
    )


def _header(frame: pd.DataFrame) -> pd.Series:
    return (frame["text"].str.lower() == "text") & (frame["label"].str.lower() == "label")


def _blank(frame: pd.DataFrame) -> pd.Series:
    return frame["text"].str.strip() == ""


# ---------------------------------------------------------------- counts


def counts(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """Counts of rows of `mark` by "split" or by "label".

    Returns:
        Columns rows, texts (different ones), repeats, in_other_split, mojibake, clean (rows with none of these flags).
    """
    clean = ~rows[["duplicate", "in_other_split", "mojibake"]].any(axis=1)
    return rows.assign(clean=clean).groupby(by).agg(
        rows=("key", "size"), texts=("key", "nunique"), repeats=("duplicate", "sum"),
        in_other_split=("in_other_split", "sum"), mojibake=("mojibake", "sum"), clean=("clean", "sum"),
    )


def composition(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of each label by the first that holds of in_other_split, mojibake, repeat and clean, which add up."""
    kinds = kinds_of(encode(rows))
    first = np.select([kinds[defect] for defect in _DEFECTS], _DEFECTS, "clean")
    return pd.crosstab(rows["label"].to_numpy(), first).reindex(columns=[*_DEFECTS, "clean"], fill_value=0)


def repetitions(rows: pd.DataFrame) -> pd.DataFrame:
    """Texts that one split holds more than once, most frequent first.

    Returns:
        Index key; text (its first form), times, labels (all that it bears, alphabetical).
    """
    texts = rows.groupby("key", sort=False).agg(
        text=("text", "first"), times=("key", "size"), labels=("label", lambda labels: tuple(sorted(set(labels))))
    )
    return texts[texts["times"] > 1].sort_values("times", ascending=False, kind="stable")


def conflicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of `repetitions` that bear more than one label."""
    repeated = repetitions(rows)
    return repeated[repeated["labels"].map(len) > 1]


def memorisable(rows: pd.DataFrame) -> list[str]:
    """Labels of one split whose every row stands in another split as well: nothing of them is left to learn."""
    known = rows.groupby("label")["in_other_split"].all()
    return known.index[known].tolist()


# ---------------------------------------------------------------- what artefacts give away


def majority(known: pd.DataFrame) -> str:
    """The most frequent label; of equally frequent ones the first in the alphabet."""
    return known["label"].mode().iloc[0]


def artefact_only(known: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Answers of a classifier that cannot read.

    It knows the other split's texts by heart and tells damaged script from sound script. A text that it knows has the
    label most frequent there (at a tie the first in the alphabet); a damaged one that it does not know has the most
    frequent label of damaged texts; of any other it says nothing.

    Args:
        known, asked: rows of `mark` from different splits.

    Returns:
        Columns answer (a label; missing where it says nothing) and artefact ("text", "script" or "none"), indexed as
        `asked`.
    """
    pairs = known.groupby(["key", "label"]).size().reset_index(name="times")
    memory = pairs.sort_values("times", ascending=False, kind="stable").drop_duplicates("key").set_index("key")["label"]
    remembered = asked["key"].isin(memory.index)
    damaged = known[known["mojibake"]]
    by_script = asked["mojibake"] & ~remembered & bool(len(damaged))

    answer = pd.Series(index=asked.index, dtype=object)
    answer[remembered] = asked.loc[remembered, "key"].map(memory)
    if by_script.any():
        answer[by_script] = majority(damaged)
    artefact = np.select([remembered, by_script], ["text", "script"], "none")
    return pd.DataFrame({"answer": answer, "artefact": artefact}, index=asked.index)


def accuracy_on(right: Sequence[bool], masks: Mapping[str, np.ndarray]) -> pd.Series:
    """Share of right rows under each mask; NaN where a mask selects none.

    Args:
        right: (rows,), whether a prediction is the label.
        masks: name to boolean array (rows,), such as `laghu.evaluation.views` or `kinds_of`.
    """
    right = np.asarray(right, dtype=bool)
    return pd.Series({name: right[mask].mean() if np.any(mask) else np.nan for name, mask in masks.items()})


# ---------------------------------------------------------------- what artefacts do to a model's score


def encode(rows: pd.DataFrame) -> str:
    """Flags of one split without its texts: a digit per row, the sum of 1 duplicate, 2 in_other_split, 4 mojibake."""
    code = _DUPLICATE * rows["duplicate"] + _ELSEWHERE * rows["in_other_split"] + _MOJIBAKE * rows["mojibake"]
    return "".join(map(str, code))


def kinds_of(marks: str) -> dict[str, np.ndarray]:
    """Kinds of rows, each a boolean array (rows,): clean is none of the others, which may overlap.

    Args:
        marks: as of `encode`.
    """
    code = np.array(list(marks)).astype(int)
    return {
        "clean": code == 0,
        "in_other_split": (code & _ELSEWHERE) > 0,
        "mojibake": (code & _MOJIBAKE) > 0,
        "repeat": (code & _DUPLICATE) > 0,
    }


def accuracy_by_kind(records: Iterable[RunRecord], marks: str) -> pd.DataFrame:
    """Accuracy of each run on each kind of test row, fractions; index run, columns as of `kinds_of`.

    Args:
        marks: `encode` of the test split that the runs were measured on.

    Raises:
        LaghuError: a run was measured on another test split.
    """
    kinds = kinds_of(marks)
    lines = {}
    for record in records:
        if not (
            np.array_equal(record.views["clean"], kinds["clean"])
            and np.array_equal(record.views["deduplicated"], ~kinds["repeat"])
        ):
            raise LaghuError(
                f"run {record.run!r} of study {record.study!r} was tested on other rows than the {len(marks)} audited; "
                "name a study whose test split was audited."
            )
        lines[record.run] = accuracy_on(record.correct, kinds)
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(kinds))
