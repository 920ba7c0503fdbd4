"""The tables and examples of the chapter on data against the data itself."""

import os
import re
import runpy

import pandas as pd
import pytest

from laghu import corpora, paths, sample

BOOK = paths.root() / "book"
FOLDER = os.environ.get("LAGHU_DATA_DIR")
real_data = pytest.mark.skipif(not FOLDER, reason="LAGHU_DATA_DIR is not set: no corpora to check against")


@real_data
def test_tables_are_what_their_script_writes() -> None:
    for name, content in runpy.run_path(str(BOOK / "data" / "corpora.py"))["tables"]().items():
        assert (BOOK / "data" / name).read_text(encoding="utf-8") == content, f"run book/data/corpora.py for {name}"


@real_data
def test_sources_have_the_rows_of_the_pretraining_text() -> None:
    listed = pd.read_csv(BOOK / "data" / "marathi_text_sources.csv").set_index("source")["rows"]
    counted = pd.read_parquet(f"{FOLDER}/marathi_text.parquet", columns=["source"])["source"].value_counts()
    assert listed.to_dict() == counted.to_dict()


def test_totals_of_the_label_table_are_its_sums() -> None:
    table = pd.read_csv(BOOK / "data" / "mahanews_open_labels.csv", index_col="Label", thousands=",")
    assert tuple(table.index[:-1]) == corpora.LABELS
    assert (table.iloc[:-1].sum() == table.loc["All"]).all()


def test_examples_are_headlines_of_the_sample() -> None:
    page = (BOOK / "data.md").read_text(encoding="utf-8")
    examples = re.findall(r'^\| (\w+) \| <span lang="mr">(.+?)</span>', page, flags=re.MULTILINE)
    written = {(headline.label, headline.text) for headline in sample.headlines()}
    assert len(examples) == 3
    assert set(examples) <= written


@real_data
def test_sizes_in_the_first_table_are_those_of_the_corpora() -> None:
    page = (BOOK / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| [^|]+ \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", page, flags=re.MULTILINE)
    assert {name for name, *_ in rows} == set(corpora.NAMES)
    for name, *sizes in rows:
        if name != "mahanews-shc":  # its training file is not at hand
            found = [len(corpora.load(name).splits[split]) for split in ("train", "validation", "test")]
            assert found == [int(size.replace(",", "")) for size in sizes], name
