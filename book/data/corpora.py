"""Writes the tables of the chapter on data: `LAGHU_DATA_DIR=... python book/data/corpora.py`."""

from pathlib import Path

import numpy as np
import pandas as pd

from laghu import corpora, evaluation
from laghu.corpora import Corpus

FOLDER = Path(__file__).parent


def files(corpus: Corpus) -> pd.DataFrame:
    """What became of the rows of each source file."""
    counts = pd.DataFrame.from_dict(corpus.cleaning, orient="index").astype("Int64")
    return pd.DataFrame(
        {
            "File": [Path(name).stem for name in counts.index],
            "Rows": counts["rows_read"],
            "Repaired": counts["mojibake_repaired"],
            "Same text as test": counts["same_text_as_test"],
            "Five words of test": counts["shared_run_with_test"],
            "Kept": counts["kept"],
        }
    )


def labels(corpus: Corpus) -> pd.DataFrame:
    """Rows per label in train, validation and the three views of the test split."""
    test = corpus.splits["test"]
    parts = {name.capitalize(): np.asarray(corpus.splits[name]["label"]) for name in ("train", "validation")}
    parts |= {f"Test, {view}": np.asarray(test["label"])[mask] for view, mask in evaluation.views(test).items()}
    counts = {name: np.bincount(ids, minlength=len(corpus.labels)) for name, ids in parts.items()}
    table = pd.DataFrame({"Label": corpus.labels, **counts})
    return pd.concat([table, pd.DataFrame([{"Label": "All", **table.drop(columns="Label").sum()}])])


def sources() -> pd.DataFrame:
    """The sources of the pretraining text without repository, commit and citation, which would not fit a page."""
    table = pd.read_csv(FOLDER / "marathi_text_sources.csv")
    return table[["source", "rows", "licence"]].set_axis(["Source", "Rows", "Licence, as stated there"], axis=1)


def tables() -> dict[str, str]:
    """File name to content."""
    corpus = corpora.load("mahanews-open")
    drawn = {"mahanews_open_files": files(corpus), "mahanews_open_labels": labels(corpus), "marathi_text": sources()}
    return {f"{name}.csv": _grouped(table).to_csv(index=False) for name, table in drawn.items()}


def _grouped(table: pd.DataFrame) -> pd.DataFrame:
    """Thousands apart, and a dash where there is no number, for readers."""
    return table.map(lambda cell: "–" if pd.isna(cell) else cell if isinstance(cell, str) else f"{cell:,}")


if __name__ == "__main__":
    for name, content in tables().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
