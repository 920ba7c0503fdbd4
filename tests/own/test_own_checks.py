import json

import pandas as pd
import pytest

from laghu.own import checks, tables


@pytest.fixture
def found() -> dict[str, pd.DataFrame]:
    """Ten training texts, two of validation and six test texts, with one of each defect."""
    train = [("moja", "a"), ("mbili", "a"), ("tatu", "b"), ("nne", "b"), ("tano", "A"), ("moja", "a"), ("sita", "b"),
             ("sita", "a"), ("moja mbili tatu nne tano", "b"), ("saba\u200b", "b")]
    test = [("mbili", "a"), ("tatu", "a"), ("nane", "b"), ("sasa moja mbili tatu nne tano pia", "b"),
            ("ng’ombe".encode().decode("cp1252"), "a"), ("tisa \ufffd", "b")]
    columns = ["text", "label"]
    return {"train": pd.DataFrame(train, columns=columns), "validation": pd.DataFrame(
        [("kumi", "a"), ("Ọjọ́", "b")], columns=columns), "test": pd.DataFrame(test, columns=columns)}


@pytest.fixture
def report(found) -> checks.Report:
    files = {"rows.csv": {"rows_read": 21, "stray_headers": 1, "blanks": 2, "unlabelled": 0, "kept": 18}}
    return checks.report(found, tables.split(found), files)


def test_everything_is_counted(report):
    assert report.splits["train"] == {
        "rows": 10, "texts": 8, "repeats": 2, "in_other_split": 2, "mojibake": 0, "clean": 6}
    assert report.splits["test"] == {
        "rows": 6, "texts": 6, "repeats": 0, "in_other_split": 2, "mojibake": 1, "clean": 3}
    assert report.labels == {
        "A": {"train": 1, "validation": 0, "test": 0}, "a": {"train": 4, "validation": 1, "test": 3},
        "b": {"train": 5, "validation": 1, "test": 3}}
    assert report.conflicts == 2  # "sita", within a split, and "tatu", across two
    assert report.remembered == {"rows": 2, "right": 1}
    assert report.shared_runs == 1
    assert report.majority == pytest.approx(1.0)  # the three clean ones are b, the most frequent in training
    assert (report.replaced, report.not_nfc, report.invisible) == (1, 0, 1)
    assert report.words["largest"] == 7
    assert report.made == []


def test_findings_say_it_in_sentences_warnings_first(report):
    findings = report.findings
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels, reverse=True)
    said = " ".join(finding.text for finding in findings)
    for part in ("With more than one label: 2 texts", "In another split too: 2 of 6 test rows", "answers 1 of them",
                 "and repaired: 1 text.", "lost for good: 1 text.", "'A' and 'a'", "Left out: 2 without a text",
                 "Clean test rows: 3 alone", "5 words in a row of a training text: 1 test row."):
        assert part in said, (part, said)
    assert not any("Made here" in finding.text for finding in findings)


def test_sound_data_give_no_warning():
    texts = [f"neno {n} {'abc'[n % 3]}" for n in range(3000)]
    found = {"all": pd.DataFrame({"text": texts, "label": ["abc"[n % 3] for n in range(3000)]})}
    report = checks.report(found, tables.split(found), {"rows.csv": {
        "rows_read": 3000, "stray_headers": 0, "blanks": 0, "unlabelled": 0, "kept": 3000}})
    assert [(each.level, each.text.split(":")[0]) for each in report.findings] == [("note", "Made here")]


def test_a_report_comes_back_from_its_json(report):
    assert checks.Report.model_validate(json.loads(report.model_dump_json())) == report


def test_tokens_are_those_of_the_tokenizer(tokenizer):
    texts = ["पुणे शहर", "पुणे शहर 漢字 漢字", "पुणे"]
    ids = [tokenizer(text)["input_ids"] for text in texts]
    found = checks.tokens(texts, tokenizer, max_length=len(ids[2]))
    lengths = sorted(map(len, ids))
    assert (found.median, found.largest) == (lengths[1], lengths[2])
    assert found.cut == pytest.approx(sum(length > len(ids[2]) for length in lengths) / 3)
    pieces = [token for row in ids for token in row[1:-1]]
    assert found.per_word == pytest.approx(len(pieces) / 7)
    assert found.unknown == pytest.approx(pieces.count(tokenizer.unk_token_id) / len(pieces)) and found.unknown > 0


@pytest.mark.parametrize(("p95", "most", "expected"), [(3, 512, 16), (17, 512, 24), (24, 512, 24), (900, 512, 512),
                                                       (900, 128, 128), (900, 510, 504)])
def test_length_to_read(p95, most, expected):
    assert checks.length_for(p95, most) == expected
