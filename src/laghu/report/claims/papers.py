"""What the three papers print, from the book's data. Numbers stay text where the printed digits matter."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import pandas as pd

from laghu import paths
from laghu.errors import LaghuError

TITLES = {
    1: "Mirashi et al. 2024, pruning and distillation of a Marathi classifier",
    2: "Gurgurov et al. 2025, compression of multilingual encoders",
    3: "Wallace et al. 2025, energy, time and perplexity of compressed language models",
}


class Statement(NamedTuple):
    """Something that a paper says outside its tables; `where` names second-hand reading."""

    value: str
    where: str


@dataclass(frozen=True)
class Papers:
    """The printed numbers of all three; see the comment at the head of each file for its source.

    `table_one`: by row name (`baseline`, `pruning-25`, `pruning-25-after` for distilled ones); all text.
    `statements`: by paper and name; all text. `shapes`: by model. `languages`, `vocabulary`, `adapters`: paper 2.
    `quantisation`, `headline_means`: paper 3; all text.
    """

    table_one: pd.DataFrame
    statements: pd.DataFrame
    shapes: pd.DataFrame
    languages: pd.DataFrame
    vocabulary: pd.DataFrame
    adapters: pd.DataFrame
    quantisation: pd.DataFrame
    headline_means: pd.DataFrame

    @classmethod
    def load(cls) -> Self:
        """Read them from `book/data`."""
        table_one = _text("paper1_table1.csv")
        distilled = table_one["distilled"].map({"yes": "-after", "no": ""})
        names = ("pruning-" + table_one["pruning_pct"] + distilled).where(table_one["pruning_pct"] != "0", "baseline")
        return cls(
            table_one=table_one.set_index(names.rename("name")),
            statements=_text("paper_statements.csv").set_index(["paper", "statement"]),
            shapes=pd.read_csv(_file("encoder_shapes.csv"), comment="#", index_col="model"),
            languages=pd.read_csv(_file("paper2_languages.csv"), comment="#", index_col="language"),
            vocabulary=pd.read_csv(_file("paper2_vocabulary_size_f1.csv"), comment="#"),
            adapters=pd.read_csv(_file("paper2_adapter_reduction_topic_f1.csv"), comment="#"),
            quantisation=_text("paper3_set1_extra_tables_1_to_8.csv"),
            headline_means=_text("paper3_headline_means.csv"),
        )

    def said(self, paper: int, statement: str) -> Statement:
        """One statement.

        Raises:
            LaghuError: the book's data has none of that name.
        """
        if (str(paper), statement) not in self.statements.index:
            known = ", ".join(self.statements.loc[str(paper)].index)
            raise LaghuError(f"paper_statements.csv has no {statement!r} of paper {paper}; it has {known}")
        line = self.statements.loc[(str(paper), statement)]
        quoted = ", as quoted by a third party" if line["seen"] == "a third party" else ""
        return Statement(line["value"], line["where"] + quoted)


def _file(name: str) -> Path:
    return paths.root() / "book" / "data" / name


def _text(name: str) -> pd.DataFrame:
    return pd.read_csv(_file(name), comment="#", dtype=str)
