"""Writes what the chapter on MahaNews shows: `LAGHU_DATA_DIR=... python book/data/mahanews_audit.py`.

Everything is counted from the corpus. One input is a judgement: `mahanews_manoranjan_subjects.csv` says what each of
the headlines under Manoranjan is about, as one reader sees it; its key is the start of the SHA-256 of the headline as
`corpora.normalise` leaves it.
"""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from laghu import audit, corpora, evaluation, paths, provenance
from laghu.errors import LaghuError
from laghu.report import style

FOLDER = Path(__file__).parent
SUBJECTS = FOLDER / "mahanews_manoranjan_subjects.csv"
LABEL_OF_SUBJECTS = "Manoranjan"


@dataclass(frozen=True)
class Published:
    """A corpus as published: its tables are `<stem>_<split>`; `numbered` ones name each record's place in its file."""

    title: str
    stem: str
    splits: tuple[str, ...]
    numbered: bool


SETS = {
    "headlines": Published("Headlines", "mahanews_shc", ("test", "validation"), numbered=True),
    "paragraphs": Published("Paragraphs", "mahanews_lpc", ("test", "validation"), numbered=True),
    "bengali": Published("Bengali", "indicnews_bengali_shc", ("test", "validation", "train"), numbered=False),
}
# Columns of the table of defects.
COLUMNS = [(name, split) for name in ("headlines", "paragraphs") for split in ("test", "validation")]
COLUMNS += [("bengali", "test")]
LINES = {
    "rows": "Labelled texts",
    "missing": "Further records: header lines or without text",
    "texts": "Different texts",
    "repeats": "Rows that repeat an earlier row",
    "most_copies": "Most copies of one text",
    "in_other_split": "Rows whose text is in another split",
    "mojibake": "Rows in damaged script",
    "conflicts": "Texts that bear two labels",
    "clean": "Clean rows",
}
# Test headlines that the page shows, by the start of their keys' SHA-256: what each is an example of, and in English.
EXAMPLES = {
    "222c435fb580": ("not entertainment", "Bride dislikes her beauty-parlour make-up and goes straight to the police"),
    "d6c55d2164a6": ("not entertainment", "Robbery on the Devgiri Express before dawn; robbers caught in a trap"),
    "d844cc3ca88b": ("not entertainment", "Maharashtra–Karnataka border dispute flares; activists stop a bus"),
    "a5ae759ad2a9": ("entertainment", "Vikram Gokhale, senior actor of the Marathi stage, dies in a Pune hospital"),
    "5ffac1052911": ("damaged script", "Eco-capsule houses for lovers of nature"),
    "3953fe461883": ("two labels, both apt", "A smartwatch that tells how deeply you sleep; sleep quality at a click"),
    "0d30263886d0": ("two labels, neither apt", "Air pollution causes most deaths in India"),
}
COLOURS = {"in_other_split": "#d55e00", "mojibake": "#b0468c", "repeat": "#a6a6a6", "clean": "#0072b2"}
NAMES = {
    "in_other_split": "also in the other split", "mojibake": "damaged script",
    "repeat": "repeats an earlier row", "clean": "clean",
}  # fmt: skip


def published(source: Published) -> dict[str, pd.DataFrame]:
    """Split to rows as published; the index is the number of the record in the official file where that is known."""
    if (folder := paths.data_dir()) is None:
        raise LaghuError("LAGHU_DATA_DIR is not set; name the folder that holds the MahaNews and IndicNews files.")
    columns = ("text", "label", "row") if source.numbered else ("text", "label")
    files = corpora.find_tables(folder, [f"{source.stem}_{split}" for split in source.splits])
    frames = {split: corpora.read_columns(file, columns) for split, file in zip(source.splits, files, strict=True)}
    return {name: f.set_index(f["row"].astype(int)) if source.numbered else f for name, f in frames.items()}


def about_split(rows: pd.DataFrame) -> dict[str, Any]:
    """All numbers of one split, from its rows of `audit.mark`."""
    given_away = rows["label"].isin(audit.memorisable(rows)) | rows["mojibake"]
    by_label = audit.counts(rows, "label")
    return {
        **audit.counts(rows.assign(all=True), "all").iloc[0].to_dict(),
        "most_copies": int(audit.repetitions(rows)["times"].max()),
        "conflicts": len(audit.conflicts(rows)),
        "memorisable_labels": audit.memorisable(rows),
        "memorisable_or_mojibake": int(given_away.sum()),
        "memorisable_or_mojibake_share": float(given_away.mean()),
        "labels": by_label.to_dict(orient="index"),
        "sha256": corpora.digest(rows["label"] + "\t" + rows["text"]),
    }


def about_artefacts(known: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """What a classifier that cannot read gets right, and what is left of it on the three views."""
    given = audit.artefact_only(known, test)
    fallback = audit.majority(known)
    views = evaluation.views(test)
    right = given["answer"] == test["label"]
    answered = given["answer"].notna()
    return {
        "rows": len(test),
        "answered": int(answered.sum()),
        "right": int(right.sum()),
        "right_share": float(right.mean()),
        "right_of_answered": float(right[answered].mean()),
        **{f"by_{artefact}": int((given["artefact"] == artefact).sum()) for artefact in ("text", "script")},
        **{f"by_{artefact}_right": int(right[given["artefact"] == artefact].sum()) for artefact in ("text", "script")},
        "majority": fallback,
        "accuracy": audit.accuracy_on(given["answer"].fillna(fallback) == test["label"], views).to_dict(),
        "majority_accuracy": audit.accuracy_on(test["label"] == fallback, views).to_dict(),
    }


def subjects(test: pd.DataFrame) -> pd.DataFrame:
    """What the headlines of `LABEL_OF_SUBJECTS` are about: texts and test rows by subject, most frequent first."""
    read = pd.read_csv(SUBJECTS, index_col="key")["subject"]
    rows = test[test["label"] == LABEL_OF_SUBJECTS]
    keys = rows["key"].map(_key)
    if set(keys) != set(read.index):
        raise LaghuError(f"{SUBJECTS.name} must give each of the {keys.nunique()} headlines a subject, and no others.")
    counted = rows.groupby(keys.map(read).rename("subject")).agg(texts=("key", "nunique"), rows=("key", "size"))
    return counted.sort_values(["texts", "rows"], ascending=False)


def examples(test: pd.DataFrame, as_published: pd.Series) -> pd.DataFrame:
    """The few headlines that the page shows, with the labels and copies that they have in the test split."""
    keys = test["key"].map(_key)
    lines = []
    for key, (what, english) in EXAMPLES.items():
        copies = test[keys == key]
        shown = f'<span lang="mr">{html.escape(copies["text"].iloc[0].strip(), quote=False)}</span>'
        if copies["mojibake"].all():
            shown = f"`{as_published[copies.index[0]]}` for {shown}"
        lines.append((what, shown, english, ", ".join(copies["label"].unique()), len(copies)))
    return pd.DataFrame(lines, columns=["Example of", "Headline", "In English", "Label", "Test rows"])


def figure(tests: dict[str, pd.DataFrame]) -> Figure:
    """Test rows of each label by what is wrong with them; title to rows of `audit.mark`."""
    bars, panels = style.canvas(width=7.2, height=4.6, ncols=len(tests), sharex=True, sharey=True)
    for axes, (title, rows) in zip(panels, tests.items(), strict=True):
        table = audit.composition(rows)
        left = pd.Series(0, index=table.index)
        for kind, colour in COLOURS.items():
            axes.barh(table.index, table[kind], left=left, color=colour, height=0.72, linewidth=0, label=NAMES[kind])
            left += table[kind]
        axes.set(title=title, xlabel="Test rows")
        axes.grid(axis="y", visible=False)
    panels[0].invert_yaxis()
    handles, names = panels[0].get_legend_handles_labels()
    bars.legend(handles, names, loc="outside lower center", ncols=4, fontsize=9)
    return bars


def outputs() -> tuple[dict[str, str], Figure]:
    """File name to content of all tables and numbers, and the figure."""
    frames = {name: published(source) for name, source in SETS.items()}
    marked = {name: audit.mark(splits) for name, splits in frames.items()}
    tests = {name: rows.loc["test"] for name, rows in marked.items()}
    numbers: dict[str, Any] = {"commit": provenance.commit()}
    for name, rows in marked.items():
        outside = audit.left_out(frames[name])
        numbers[name] = {split: about_split(rows.loc[split]) for split in SETS[name].splits}
        if SETS[name].numbered:
            for split, counted in outside.sum(axis=1).items():
                numbers[name][split]["missing"] = int(counted)
        known = rows[rows.index.get_level_values("split") != "test"]
        numbers[name]["artefact_only"] = about_artefacts(known, tests[name])
    subjects_read = subjects(tests["headlines"])
    numbers["headlines"]["test"]["subjects"] = subjects_read.to_dict(orient="index")
    numbers["headlines"]["test"]["marks"] = audit.encode(tests["headlines"])
    numbers["clean_split"] = pd.read_csv(corpora.CLEAN_FILE)["split"].value_counts().to_dict()

    tables = {
        "splits": _splits(numbers),
        "labels": _labels(numbers),
        "artefacts": _artefacts(numbers),
        "subjects": subjects_read.reset_index().set_axis(["About", "Headlines", "Test rows"], axis=1),
        "examples": examples(tests["headlines"], frames["headlines"]["test"]["text"]),
    }
    files = {f"mahanews_audit_{name}.csv": _grouped(table).to_csv(index=False) for name, table in tables.items()}
    files["mahanews_audit.json"] = json.dumps(numbers, indent=1, ensure_ascii=False) + "\n"
    return files, figure({SETS[name].title: tests[name] for name in ("headlines", "paragraphs")})


def _splits(numbers: dict[str, Any]) -> pd.DataFrame:
    columns = {f"{SETS[name].title}, {split}": pd.Series(numbers[name][split]) for name, split in COLUMNS}
    return pd.DataFrame(columns).reindex(LINES).rename(LINES).rename_axis("Count").reset_index()


def _labels(numbers: dict[str, Any]) -> pd.DataFrame:
    headlines, paragraphs = (
        pd.DataFrame.from_dict(numbers[name]["test"]["labels"], orient="index") for name in ("headlines", "paragraphs")
    )
    table = pd.DataFrame(
        {
            "Headlines": headlines["rows"],
            "Different": headlines["texts"],
            "In validation": headlines["in_other_split"],
            "Damaged": headlines["mojibake"],
            "Clean": headlines["clean"],
            "Paragraphs": paragraphs["rows"],
            "Clean paragraphs": paragraphs["clean"],
        }
    )
    return table.rename_axis("Label").reset_index()


def _artefacts(numbers: dict[str, Any]) -> pd.DataFrame:
    lines = []
    for name, source in SETS.items():
        found = numbers[name]["artefact_only"]
        accuracy = {f"Accuracy, {view}": _percent(value) for view, value in found["accuracy"].items()}
        counted = {"Rows": found["rows"], "Answered": found["answered"], "Right": found["right"]}
        share = {"Right, share": _percent(found["right_share"])}
        lines.append({"Test split": source.title} | counted | share | accuracy)
    return pd.DataFrame(lines)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _key(key: str) -> str:
    return corpora.digest([key])[:12]


def _grouped(table: pd.DataFrame) -> pd.DataFrame:
    """Thousands apart, and a dash where there is no number, for readers."""
    return table.map(lambda cell: cell if isinstance(cell, str) else "–" if pd.isna(cell) else f"{int(cell):,}")


if __name__ == "__main__":
    texts, bars = outputs()
    for name, content in texts.items():
        (FOLDER / name).write_text(content, encoding="utf-8")
    style.save(bars, FOLDER / "mahanews_audit.svg")
