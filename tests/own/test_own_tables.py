import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laghu import corpora
from laghu.errors import LaghuError
from laghu.own import tables

ROWS = [("Mvua kubwa leo", "hali"), ("Timu yashinda", "michezo"), ("Bei ya mahindi", "uchumi")]


def message(call, *arguments) -> str:
    with pytest.raises(LaghuError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def frame(rows, columns=("headline", "topic")) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


def write(folder, name, rows=ROWS, **kwargs):
    file = folder / name
    table = frame(rows, **kwargs)
    match file.suffix:
        case ".csv":
            table.to_csv(file, index=False)
        case ".parquet":
            table.to_parquet(file)
        case ".jsonl":
            table.to_json(file, orient="records", lines=True, force_ascii=False)
    return file


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl"])
def test_the_same_rows_of_each_kind_of_file(tmp_path, name):
    found, counts = tables.read(write(tmp_path, name), "headline", "topic", None)
    assert list(found) == ["all"]
    assert list(found["all"][["text", "label"]].itertuples(index=False, name=None)) == ROWS
    assert counts == {name: {"rows_read": 3, "stray_headers": 0, "blanks": 0, "unlabelled": 0, "kept": 3}}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_are_parted_by_what_parts_the_first_line(tmp_path, separator):
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(separator.join(row) for row in [("headline", "topic"), *ROWS]), encoding="utf-8")
    found, _ = tables.read(file, "headline", "topic", None)
    assert found["all"]["label"].tolist() == [label for _, label in ROWS]


def test_what_is_no_labelled_text_is_left_out_and_counted(tmp_path):
    rows = [*ROWS, ("", "hali"), ("  ", "hali"), ("Bila mada", ""), ("headline", "topic"), ("Nafasi", " michezo ")]
    found, counts = tables.read(write(tmp_path, "rows.csv", rows), "headline", "topic", None)
    assert found["all"]["label"].tolist() == ["hali", "michezo", "uchumi", "michezo"]
    assert counts["rows.csv"] == {"rows_read": 8, "stray_headers": 1, "blanks": 2, "unlabelled": 1, "kept": 4}


@pytest.mark.parametrize(("train", "validation", "test"), [
    ("train", "validation", "test"), ("Training", "dev", "TEST"), (" train ", "val", "testing"),
])
def test_splits_of_a_column(tmp_path, train, validation, test):
    rows = [(*row, split) for row, split in zip(ROWS, (train, validation, test), strict=True)]
    file = write(tmp_path, "rows.csv", rows, columns=("headline", "topic", "part"))
    found, _ = tables.read(file, "headline", "topic", "part")
    assert {name: rows["text"].tolist() for name, rows in found.items()} == {
        name: [text] for name, (text, _) in zip(("train", "validation", "test"), ROWS, strict=True)
    }


def test_splits_of_a_folder(tmp_path):
    write(tmp_path, "train.csv")
    write(tmp_path, "dev.jsonl", ROWS[:2])
    (tmp_path / "readme.csv").write_text("nothing")
    found, counts = tables.read(tmp_path, "headline", "topic", None)
    assert {name: len(rows) for name, rows in found.items()} == {"validation": 2, "train": 3}
    assert set(counts) == {"train.csv", "dev.jsonl"}


def test_what_is_wrong_is_said_in_one_line(tmp_path):
    file = write(tmp_path, "rows.csv")
    assert "does not exist" in message(tables.read, tmp_path / "none.csv", "headline", "topic", None)
    said = message(tables.read, file, "text", "topic", None)
    assert "'text'" in said and "headline, topic" in said
    assert "can't hold both" in message(tables.read, file, "topic", "topic", None)
    rows = [(*row, "train") for row in ROWS[:2]] + [(*ROWS[2], "holdout")]
    parts = write(tmp_path, "parts.csv", rows, columns=("headline", "topic", "part"))
    said = message(tables.read, parts, "headline", "topic", "part")
    assert "row 3" in said and "'holdout'" in said and "validation" in said
    one = write(tmp_path, "one.csv", [(text, "hali") for text, _ in ROWS])
    assert "1 different labels" in message(tables.read, one, "headline", "topic", None)
    many = write(tmp_path, "many.csv", [(f"text {n}", f"label {n}") for n in range(1001)])
    assert "1,001 different labels" in message(tables.read, many, "headline", "topic", None)
    (tmp_path / "latin.csv").write_bytes("headline,topic\nCaf\xe9,hali\n".encode("latin-1"))
    assert "0xe9 in line 2" in message(tables.read, tmp_path / "latin.csv", "headline", "topic", None)
    (tmp_path / "broken.jsonl").write_text('{"headline": "a", "topic": "b"}\n{"headline": \n')
    assert "line 2" in message(tables.read, tmp_path / "broken.jsonl", "headline", "topic", None)
    (tmp_path / "half.jsonl").write_text('{"headline": "\\ud83d", "topic": "b"}\n')
    assert "surrogates" in message(tables.read, tmp_path / "half.jsonl", "headline", "topic", None)
    (tmp_path / "list.jsonl").write_text("[1, 2]\n")
    assert "line 1" in message(tables.read, tmp_path / "list.jsonl", "headline", "topic", None)
    folder = tmp_path / "two"
    folder.mkdir()
    assert "no train" in message(tables.read, folder, "headline", "topic", None)
    write(folder, "test.csv")
    assert "name a split 'train'" in message(tables.read, folder, "headline", "topic", None)
    write(folder, "test.jsonl")
    assert "keep one" in message(tables.read, folder, "headline", "topic", None)


def many(count: int = 200) -> dict[str, pd.DataFrame]:
    """Texts of three labels, every fifth of which stands there twice."""
    texts = [f"text number {row - (row % 5 == 1)}" for row in range(count)]
    return {"all": pd.DataFrame({"text": texts, "label": ["abc"[row // 10 % 3] for row in range(count)]})}


def test_splits_are_made_in_the_proportions_of_the_labels_with_equal_texts_on_one_side():
    frames = tables.split(many())
    assert {name: len(rows) for name, rows in frames.items()} == pytest.approx(
        {"train": 160, "validation": 20, "test": 20}, abs=4
    )
    keys = [set(rows["key"]) for rows in frames.values()]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    assert not any(rows["in_other_split"].any() for rows in frames.values())
    everything = pd.concat(frames.values())
    assert sorted(everything["text"]) == sorted(many()["all"]["text"])
    for label, rows in many()["all"].groupby("label"):
        for name in ("validation", "test"):
            assert (frames[name]["label"] == label).sum() == pytest.approx(len(rows) / 10, abs=1.5)


def test_what_splits_there_are_stays_as_it_is():
    rows = many()["all"]
    given = {"train": rows[:150], "test": rows[150:]}
    frames = tables.split(given)
    assert frames["test"]["text"].tolist() == rows["text"][150:].tolist()
    assert len(frames["train"]) + len(frames["validation"]) == 150 and len(frames["validation"]) == pytest.approx(15, 3)
    again = tables.split({"train": rows[:150], "validation": rows[100:150], "test": rows[150:]})
    assert again["train"]["in_other_split"].sum() == 50 == again["validation"]["in_other_split"].sum()


def test_too_few_texts_and_labels_that_are_never_learnt():
    few = {"all": frame([("a b", "x"), ("c d", "y"), ("e f", "x")], ("text", "label"))}
    assert "3 labelled texts are too few" in message(tables.split, few)
    unseen = {"train": many()["all"], "validation": many()["all"], "test": frame([("x y", "new")], ("text", "label"))}
    assert "'new'" in message(tables.split, unseen)


@pytest.mark.parametrize("wrong", ["cp1252", "latin-1"])
@pytest.mark.parametrize("text", ["ng’ombe wa maziwa", "Café crème", "मराठी बातमी", "Ọjọ́ dára", "😀 habari", "über"])
def test_text_that_was_read_in_a_wrong_encoding_is_repaired(text, wrong):
    content = text.encode("utf-8")
    # Bytes that Windows-1252 leaves out come through as Latin-1 has them, as in browsers.
    read = "".join(bytes([byte]).decode("latin-1") if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
                   else bytes([byte]).decode(wrong) for byte in content)
    assert read != text and tables.sound(read) == text


@given(st.text(max_size=30))
def test_whatever_was_read_as_latin_1_is_repaired(text):
    try:
        misread = text.encode("utf-8").decode("latin-1")
    except UnicodeEncodeError:  # half of a pair, which no file holds
        return
    if corpora.repair(misread) == misread:
        assert tables.sound(misread) == text


@given(st.text(alphabet=st.characters(codec="utf-8", min_codepoint=0x250, exclude_categories=["Cs"]) , max_size=30))
def test_text_of_scripts_beyond_latin_stays_as_it_is(text):
    # Of these characters Windows-1252 has a few signs, and none that begins a sequence of UTF-8.
    assert tables.sound(text) == text


def test_a_corpus_comes_back_as_it_was_written_and_not_when_it_was_changed(tmp_path):
    frames = tables.split(many())
    about = {"licence": "cc0-1.0", "citation": "mine", "note": "A note."}
    corpora.write_own(tmp_path, ["a", "b", "c"], frames, {"file": {"kept": 200}}, **about)
    corpus = corpora.load(f"own:{tmp_path}")
    assert corpus.labels == ["a", "b", "c"] and corpus.licence == "cc0-1.0" and corpus.cleaning["file"]["kept"] == 200
    for name, rows in frames.items():
        assert corpus.splits[name]["text"][:] == rows["text"].tolist()
        assert corpus.splits[name]["duplicate"][:] == rows["duplicate"].tolist()
    test = pd.read_parquet(tmp_path / "test.parquet")
    test.loc[0, "label"] = {"a": "b", "b": "c", "c": "a"}[test.loc[0, "label"]]
    test.to_parquet(tmp_path / "test.parquet", index=False)
    assert "is not what `laghu compress` wrote" in message(corpora.load, f"own:{tmp_path}")
    (tmp_path / "corpus.json").write_text(json.dumps({"labels": []}))
    assert "holds no corpus that `laghu compress` has checked" in message(corpora.load, f"own:{tmp_path}")
    assert "holds no corpus" in message(corpora.load, f"own:{tmp_path / 'nowhere'}")
