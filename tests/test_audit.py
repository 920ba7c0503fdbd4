"""The audit against hand counts, brute force, and a recount of the real files that shares no code with it."""

import collections
import itertools
import json
import os
import random
import re
import runpy
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fake_records import fake_study
from html_pages import plain
from sphinx_pages import render

from laghu import audit, corpora
from laghu.errors import LaghuError
from laghu.report import audit_ext, style
from laghu.report.rows import row_of

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY / "book" / "data"
PAGE = (REPOSITORY / "book" / "mahanews.md").read_text(encoding="utf-8")
FOLDER = os.environ.get("LAGHU_DATA_DIR")
real_data = pytest.mark.skipif(not FOLDER, reason="LAGHU_DATA_DIR is not set: no corpora to check against")


def damaged(text):
    return text.encode("utf-8").decode("cp866")


def split(*rows):
    frame = pd.DataFrame(rows, columns=["text", "label"])
    frame.index += 1
    return frame


INVENTED = {
    "validation": split(
        ("पाऊस आला", "News"), ("पाऊस, आला!", "News"), ("सोने महाग", "Money"), (damaged("नवी साडी"), "Style"),
        (damaged("जुनी साडी"), "Style"), (damaged("गड"), "Travel"),
    ),
    "test": split(
        ("Text", "Label"), ("पाऊस आला", "Rain"), ("गड चढला", "Travel"), (" ", "Style"), ("गड चढला.", "News"),
        (damaged("लाल साडी"), "Style"), (damaged("गड"), "Travel"), ("सोने  महाग", "Money"),
    ),
}  # fmt: skip


@pytest.fixture
def rows():
    return audit.mark(INVENTED)


# ---------------------------------------------------------------- invented tables


def test_flags_of_an_invented_corpus(rows):
    test = rows.loc["test"]
    assert test.index.tolist() == [2, 3, 5, 6, 7, 8]
    assert test["text"].tolist()[3:5] == ["लाल साडी", "गड"]
    flags = {name: test.index[test[name]].tolist() for name in ("duplicate", "in_other_split", "mojibake", "conflict")}
    assert flags == {"duplicate": [5], "in_other_split": [2, 7, 8], "mojibake": [6, 7], "conflict": [3, 5]}
    validation = rows.loc["validation"]
    assert validation.index[validation["duplicate"]].tolist() == [2]
    assert validation.index[validation["in_other_split"]].tolist() == [1, 2, 3, 6]


def test_flags_are_those_of_brute_force_over_all_pairs():
    rng = random.Random(5)
    words = ["क", "ख!", "Ab", "aB", damaged("क"), "ग घ", "ग, घ"]
    frames = {
        name: split(*((rng.choice(words), rng.choice("XYZ")) for _ in range(size)))
        for name, size in (("a", 9), ("b", 12), ("c", 4))
    }
    marked = audit.mark(frames)
    same = {"क": 0, damaged("क"): 0, "ख!": 1, "Ab": 2, "aB": 2, "ग घ": 3, "ग, घ": 3}
    plain = [(name, row, same[t], label, t) for name, f in frames.items() for row, t, label in f.itertuples()]
    for name, row, text, label, published in plain:
        here = [other for other in plain if other[0] == name and other[2] == text]
        found = marked.loc[(name, row)]
        assert found["duplicate"] == any(other[1] < row for other in here)
        assert found["in_other_split"] == any(other[0] != name and other[2] == text for other in plain)
        assert found["conflict"] == any(other[3] != label for other in here)
        assert found["mojibake"] == (published == damaged("क"))


def test_header_lines_blank_texts_and_missing_records_are_counted():
    without = {"validation": INVENTED["validation"], "test": INVENTED["test"].drop([5, 6])}
    assert audit.left_out(without).to_dict(orient="index") == {
        "validation": {"header_lines": 0, "blank_texts": 0, "missing": 0},
        "test": {"header_lines": 1, "blank_texts": 1, "missing": 2},
    }


def test_a_split_without_texts_is_refused():
    with pytest.raises(LaghuError, match="'test' holds no labelled text"):
        audit.mark({"validation": INVENTED["validation"], "test": split(("text", "label"), ("", "News"))})


def test_counts_by_split_and_label(rows):
    names = ["rows", "texts", "repeats", "in_other_split", "mojibake", "clean"]
    assert audit.counts(rows, "split").loc["test", names].tolist() == [6, 5, 1, 3, 2, 1]
    by_label = audit.counts(rows.loc["test"], "label")
    assert by_label.loc["Travel", names].tolist() == [2, 2, 0, 1, 1, 1]
    assert by_label["rows"].sum() == 6


def test_composition_puts_every_row_into_one_kind(rows):
    table = audit.composition(rows.loc["test"])
    assert table.loc["Travel"].to_dict() == {"in_other_split": 1, "mojibake": 0, "repeat": 0, "clean": 1}
    assert table.loc["Style"].to_dict() == {"in_other_split": 0, "mojibake": 1, "repeat": 0, "clean": 0}
    assert table.loc["News"].to_dict() == {"in_other_split": 0, "mojibake": 0, "repeat": 1, "clean": 0}
    assert table.sum(axis=1).to_dict() == collections.Counter(rows.loc["test"]["label"])


def test_repetitions_and_conflicts(rows):
    repeated = audit.repetitions(rows.loc["test"])
    assert repeated.to_dict(orient="index") == {
        "गड चढला": {"text": "गड चढला", "times": 2, "labels": ("News", "Travel")}
    }
    assert audit.conflicts(rows.loc["test"]).index.tolist() == ["गड चढला"]
    assert audit.repetitions(rows.loc["validation"])["times"].to_dict() == {"पाऊस आला": 2}
    assert audit.conflicts(rows.loc["validation"]).empty


def test_a_label_is_memorisable_if_all_its_rows_are_elsewhere(rows):
    assert audit.memorisable(rows.loc["test"]) == ["Money", "Rain"]


def test_artefact_only_prefers_the_text_it_knows_to_the_script(rows):
    given = audit.artefact_only(rows.loc["validation"], rows.loc["test"])
    assert given["answer"].fillna("").tolist() == ["News", "", "", "Style", "Travel", "Money"]
    assert given["artefact"].tolist() == ["text", "none", "none", "script", "text", "text"]


def test_artefact_only_breaks_ties_by_the_alphabet_and_the_greater_number():
    frames = {
        "known": split(("क", "Z"), ("क", "A"), ("ख", "A"), ("ख", "Z"), ("ख", "Z")),
        "asked": split(("क", "A"), ("ख", "A"), (damaged("ग"), "A")),
    }
    rows = audit.mark(frames)
    given = audit.artefact_only(rows.loc["known"], rows.loc["asked"])
    assert given["answer"].fillna("").tolist() == ["A", "Z", ""]  # no damaged text is known, so script says nothing
    assert audit.majority(rows.loc["known"]) == "Z"
    assert audit.majority(rows.loc["known"].iloc[:2]) == "A"


def test_accuracy_on_masks():
    masks = {"all": np.ones(4, bool), "two": np.array([1, 1, 0, 0], bool), "none": np.zeros(4, bool)}
    found = audit.accuracy_on([True, False, True, True], masks)
    assert found["all"] == 0.75
    assert found["two"] == 0.5
    assert np.isnan(found["none"])


def test_marks_hold_the_flags(rows):
    test = rows.loc["test"]
    assert audit.encode(test) == "201462"
    kinds = audit.kinds_of("0123456")
    places = {kind: np.flatnonzero(mask).tolist() for kind, mask in kinds.items()}
    assert places == {"clean": [0], "in_other_split": [2, 3, 6], "mojibake": [4, 5, 6], "repeat": [1, 3, 5]}


# ---------------------------------------------------------------- records and pages


MARKS = "".join(random.Random(1).choices("0123456", weights=(70, 5, 8, 9, 4, 1, 1), k=2761))
ROW_VIEWS = "".join("2" if mark == "0" else "0" if mark in "135" else "1" for mark in MARKS)
STUDY = [record.model_copy(update={"row_views": ROW_VIEWS}) for record in fake_study()]


def brute_accuracy(record, marks):
    pairs = [(answer, mark) for answer, mark in zip(record.right, MARKS, strict=True) if mark in marks]
    return sum(answer == "1" for answer, _ in pairs) / len(pairs)


KIND_MARKS = {"clean": "0", "in_other_split": "236", "mojibake": "456", "repeat": "135"}


def test_accuracy_by_kind_is_a_count_over_rows():
    found = audit.accuracy_by_kind(STUDY[:3], MARKS)
    assert found.index.tolist() == [record.run for record in STUDY[:3]]
    for record, (kind, marks) in itertools.product(STUDY[:3], KIND_MARKS.items()):
        assert found.loc[record.run, kind] == pytest.approx(brute_accuracy(record, marks))


@pytest.mark.parametrize("marks", [MARKS[:-1], MARKS.replace("2", "0"), MARKS.replace("3", "2")])
def test_records_of_other_rows_are_refused(marks):
    with pytest.raises(LaghuError, match="tested on other rows"):
        audit.accuracy_by_kind(STUDY[:1], marks)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Builds a page in a checkout of its own with the study "cpu" and the numbers of an invented audit."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "book").mkdir()
    shutil.copytree(DATA, folder / "book" / "data")
    numbers = {"commit": "0123456789abcdef",
               "headlines": {"test": {"rows": 2761, "marks": MARKS, "labels": {"A": 1}}, "share": 0.18435, "name": "A"}}
    (folder / "book" / "data" / "mahanews_audit.json").write_text(json.dumps(numbers), encoding="utf-8")
    (folder / "studies").mkdir()
    (folder / "studies" / "later.yaml").write_text("title: never run\nseeds: [1]\ncommon: {}\nruns: []\n")

    def build(text):
        page = f"# Page\n\n{text}\n\n(audit-mahanews)=\n## Audit\n\n(study-cpu)=\n## Study\n"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LAGHU_HOME", str(folder))
            return render(folder, page, "laghu.report.audit_ext")

    for record in STUDY:
        record.save(folder / "results" / "cpu")
    return build


def test_the_role_writes_counts_shares_and_names(site):
    html, warnings = site("a {audit}`headlines.test.rows` b {audit}`headlines.share` c {audit}`headlines.name` d")
    assert warnings == ""
    assert "a 2,761 b 18.4 % c A d" in plain(html)
    assert 'title="headlines.share in mahanews_audit.json, counted at commit 0123456"><a' in html
    assert html.count('href="#audit-mahanews"') >= 3, "each number links to the page of provenance"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{audit}`headlines.tset.rows`", "no 'tset'"),
        ("{audit}`headlines.test.rows.all`", "it is a number already"),
        ("{audit}`headlines.test.labels`", "not a single number; it holds A"),
        ("```{audit-kinds} nosuch\n```", "no study 'nosuch'"),
    ],
)
def test_what_does_not_exist_is_one_warning_at_its_line(site, text, reason):
    _, warnings = site(f"text\n\n{text}")
    assert len(warnings.splitlines()) == 1
    assert reason in warnings
    assert "index.md:5" in warnings


def test_the_table_of_kinds_has_means_over_seeds(site):
    html, warnings = site("```{audit-kinds} cpu\nA caption.\n```")
    assert warnings == ""
    cells = [[plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S)]
             for line in re.findall(r"<tr.*?</tr>", html, re.S)]  # fmt: skip
    clean = MARKS.count("0")
    assert cells[0][1] == f"Clean ({clean:,})"
    baselines = [record for record in STUDY if row_of(record.run) == "baseline"]
    expected = [
        f"{100 * sum(brute_accuracy(record, marks) for record in baselines) / 3:.1f} %" for marks in KIND_MARKS.values()
    ]
    assert next(line for line in cells if line[0] == "Baseline")[1:] == expected
    assert len(cells) == 1 + len({row_of(record.run) for record in STUDY})
    assert "A caption." in plain(html)


def test_a_study_that_was_not_run_is_no_warning(site):
    html, warnings = site("```{audit-kinds} later\nA caption.\n```")
    assert warnings == ""
    assert "has not been run" in plain(html)


# ---------------------------------------------------------------- the page and its files


def test_every_number_of_the_page_is_in_the_file():
    names = re.findall(r"\{audit\}`([^`]+)`", PAGE)
    assert len(names) > 20
    for name in names:
        audit_ext.written(audit_ext.number(name))


def test_every_file_of_the_page_is_there():
    named = re.findall(r"^(?::file: |```\{figure\} )(data/\S+)", PAGE, flags=re.MULTILINE)
    assert {Path(name).suffix for name in named} == {".csv", ".svg"}
    assert all((REPOSITORY / "book" / name).is_file() for name in named)


def test_examples_are_few_and_the_damaged_one_is_repaired_to_what_is_beside_it():
    headlines = pd.read_csv(DATA / "mahanews_audit_examples.csv")["Headline"]
    assert len(headlines) <= 8
    (pair,) = headlines[headlines.str.startswith("`")]
    published, meant = re.fullmatch(r'`(.+)` for <span lang="mr">(.+)</span>', pair).groups()
    assert published.encode("cp866").decode("utf-8") == meant


def test_marks_of_the_page_add_up_to_its_counts():
    test = json.loads((DATA / "mahanews_audit.json").read_text(encoding="utf-8"))["headlines"]["test"]
    marks = collections.Counter(test["marks"])
    assert marks["0"] == test["clean"]
    assert sum(marks[mark] for mark in "1357") == test["repeats"]
    assert sum(marks[mark] for mark in "2367") == test["in_other_split"]
    assert sum(marks[mark] for mark in "4567") == test["mojibake"]


# ---------------------------------------------------------------- the real files


@pytest.fixture(scope="module")
def written():
    """What the script writes now: file name to content, and the figure."""
    return runpy.run_path(str(DATA / "mahanews_audit.py"))["outputs"]()


@pytest.fixture(scope="module")
def numbers(written):
    return json.loads(written[0]["mahanews_audit.json"])


@real_data
def test_committed_files_are_what_the_script_writes(written, tmp_path):
    files, figure = written
    for name, content in files.items():
        committed = (DATA / name).read_text(encoding="utf-8")
        # The commit says with which code they were made, and may be older.
        committed, content = (re.sub(r'"commit": "[^"]*"', "", text) for text in (committed, content))
        assert committed == content, f"run book/data/mahanews_audit.py for {name}"
    style.save(figure, tmp_path / "again.svg")
    assert (DATA / "mahanews_audit.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()


def records_of(stem):
    """(text, label, place) of a Parquet file, as it is; places count from 1."""
    table = pq.read_table(f"{FOLDER}/{stem}.parquet").to_pydict()
    return list(zip(table["text"], table["label"], table.get("row", range(1, len(table["text"]) + 1)), strict=True))


def canonical(text):
    """The comparison form again, by Unicode categories instead of a pattern; damaged text is repaired first."""
    if is_damaged(text):
        text = text.encode("cp866").decode("utf-8")
    text = unicodedata.normalize("NFC", text).lower()
    text = "".join(c for c in text if c not in "\u200c\u200d")
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split())


def is_damaged(text):
    try:
        meant = text.encode("cp866").decode("utf-8")
    except UnicodeError:
        return False
    return any("\u0900" <= c <= "\u097f" for c in meant)


@real_data
@pytest.mark.parametrize(
    ("name", "stem", "others"),
    [
        ("headlines", "mahanews_shc", ["validation"]),
        ("paragraphs", "mahanews_lpc", ["validation"]),
        ("bengali", "indicnews_bengali_shc", ["train", "validation"]),
    ],
)
def test_numbers_equal_an_independent_recount(numbers, name, stem, others):
    test = [(canonical(text), label, is_damaged(text), place) for text, label, place in records_of(f"{stem}_test")]
    known = [(canonical(t), label, is_damaged(t)) for other in others for t, label, _ in records_of(f"{stem}_{other}")]
    labels_there = collections.defaultdict(collections.Counter)
    damaged_there = collections.Counter()
    for key, label, broken in known:
        labels_there[key][label] += 1
        damaged_there[label] += broken
    majority = min((-times, label) for label, times in collections.Counter(label for _, label, _ in known).items())[1]

    seen, counted, answers = set(), collections.Counter(), []
    copies, labels_here = collections.Counter(), collections.defaultdict(set)
    for key, label, broken, _ in test:
        defects = {"repeats": key in seen, "in_other_split": key in labels_there, "mojibake": broken}
        counted.update(defect for defect, there in defects.items() if there)
        counted["clean"] += not any(defects.values())
        seen.add(key)
        copies[key] += 1
        labels_here[key].add(label)
        if key in labels_there:
            answer = min((-times, there) for there, times in labels_there[key].items())[1]
        elif broken and sum(damaged_there.values()):
            answer = min((-times, there) for there, times in damaged_there.items())[1]
        else:
            answer = None
        answers.append((answer, label, not any(defects.values())))

    found = numbers[name]["test"]
    assert found["rows"] == len(test)
    assert found["texts"] == len(seen)
    assert {defect: found[defect] for defect in ("repeats", "in_other_split", "mojibake", "clean")} == {
        defect: counted[defect] for defect in ("repeats", "in_other_split", "mojibake", "clean")
    }
    assert found["most_copies"] == max(copies.values())
    assert found["conflicts"] == sum(len(labels) > 1 for labels in labels_here.values())
    if "missing" in found:
        assert found["missing"] == test[-1][-1] - len(test)
    artefacts = numbers[name]["artefact_only"]
    assert artefacts["majority"] == majority
    assert artefacts["answered"] == sum(answer is not None for answer, _, _ in answers)
    assert artefacts["right"] == sum(answer == label for answer, label, _ in answers)
    with_fallback = [((answer or majority) == label, clean) for answer, label, clean in answers]
    assert artefacts["accuracy"]["published"] == pytest.approx(np.mean([right for right, _ in with_fallback]))
    assert artefacts["accuracy"]["clean"] == pytest.approx(np.mean([right for right, clean in with_fallback if clean]))


@real_data
def test_numbers_are_those_of_the_data_readme(numbers):
    headlines, paragraphs = numbers["headlines"]["test"], numbers["paragraphs"]["test"]
    expected = {"rows": 2761, "texts": 2402, "repeats": 359, "in_other_split": 407, "mojibake": 135, "conflicts": 5,
                "missing": 11, "memorisable_labels": ["Manoranjan"], "memorisable_or_mojibake": 509}  # fmt: skip
    assert {name: headlines[name] for name in expected} == expected
    assert headlines["labels"]["Manoranjan"] | {"texts": 38, "rows": 374} == headlines["labels"]["Manoranjan"]
    assert {label for label, found in headlines["labels"].items() if found["mojibake"]} == {"Fashion", "Travel"}
    expected = {"rows": 2539, "texts": 2451, "repeats": 88, "in_other_split": 195, "missing": 11 + 222}
    assert {name: paragraphs[name] for name in expected} == expected
    subjects = headlines["subjects"].values()
    assert (sum(s["texts"] for s in subjects), sum(s["rows"] for s in subjects)) == (38, 374)


@real_data
def test_digests_are_those_that_the_corpora_pin(numbers):
    pinned = corpora.OPEN_FILES
    assert numbers["headlines"]["test"]["sha256"] == pinned["mahanews_shc_test"]
    assert numbers["headlines"]["validation"]["sha256"] == pinned["mahanews_shc_validation"]
    assert numbers["paragraphs"]["validation"]["sha256"] == pinned["mahanews_lpc_validation"]


@real_data
def test_marks_are_the_flags_of_the_corpus_that_studies_are_tested_on(numbers):
    test = corpora.load("mahanews-open").splits["test"]
    marks = [int(mark) for mark in numbers["headlines"]["test"]["marks"]]
    for flag, value in (("duplicate", 1), ("in_other_split", 2), ("mojibake", 4)):
        assert [bool(mark & value) for mark in marks] == test[flag]
