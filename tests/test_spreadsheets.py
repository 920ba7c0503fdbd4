"""What a spreadsheet would compute is text in every CSV file; Python's own reader is the oracle."""

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laghu import spreadsheets
from laghu.errors import LaghuError

SOURCES = Path(__file__).parents[1] / "src" / "laghu"
FORMULAS = [
    '=HYPERLINK("http://x.invalid";"a")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\n=1", " =1", "＝1", "-", "--1", "=1",
]
HARMLESS = ["", "a=b", "पाऊस", "1.5", "-1.5", "+2", "-1e-06", "-.5", "−1", "'=1", "a\n=1"]


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_text_in_cells_headings_and_row_names(formula):
    frame = pd.DataFrame({formula: [formula, "a"], "number": [-1.5, 2.0]}, index=pd.Index([formula, "b"], name=formula))
    assert cells(spreadsheets.write(frame)) == [
        [f"'{formula}", f"'{formula}", "number"], [f"'{formula}", f"'{formula}", "-1.5"], ["b", "a", "2.0"]]


def test_a_carriage_return_ends_no_row():
    frame = pd.DataFrame({"x": ["\r=1", "a\r=1"]})
    assert cells(spreadsheets.write(frame, index=False)) == [["x"], ["'\n=1"], ["a\n=1"]]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay(text):
    assert cells(spreadsheets.write(pd.DataFrame({"x": ["first", text], "y": 1}), index=False))[2] == [text, "1"]


def test_numbers_are_written_as_pandas_writes_them():
    frame = pd.DataFrame({"a": [-1, 2], "b": [-0.5, None], "c": [True, False], "d": [None, -3]}, index=[-1, 0])
    assert spreadsheets.write(frame) == frame.to_csv()
    assert spreadsheets.write(frame, float_format="%.1f") == frame.to_csv(float_format="%.1f")


def test_names_of_several_levels():
    frame = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("=a", "b")]))
    assert cells(spreadsheets.write(frame, index=False))[0] == ["'=a"]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), min_size=1))
def test_nothing_is_lost_and_no_cell_begins_like_a_formula(rows):
    written = cells(spreadsheets.write(pd.DataFrame(rows), index=False, header=False))
    assert [[cell.removeprefix("'") for cell in row] for row in written] == [
        [cell.replace("\r\n", "\n").replace("\r", "\n").removeprefix("'") for cell in row] for row in rows]
    assert not [cell for row in written for cell in row if re.match(r"[=@\t\r\n＝＋－＠]|[+-](?![\d.])", cell)]


def test_csv_of_others():
    assert cells(spreadsheets.again('a,b\n"=1",-2\n')) == [["a", "b"], ["'=1", "-2"]]
    with pytest.raises(LaghuError, match="no CSV"):
        spreadsheets.again('a\nb,c\nd,"')


def test_no_other_module_writes_csv():
    writing = re.compile(r"\.to_csv\b|csv\.(Dict)?[wW]riter")
    assert [file.name for file in SOURCES.rglob("*.py") if writing.search(file.read_text())] == ["spreadsheets.py"]
