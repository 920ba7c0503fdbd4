"""Marathi in the book's search; tests/browser/test_search.py types the words into a page."""

import json
import re

import pytest
from sphinx.search.en import SearchEnglish
from sphinx_pages import render

from laghu.report.search_ext import EnglishAndMarathi

PAGE = """# Words

लघु म्हणजे small। वृत्तपत्रांच्या मथळ्यांचे वर्गीकरण, 2024मध्ये AIने. Pruning prunes neurons; snake_case stays.
"""


@pytest.fixture
def language() -> EnglishAndMarathi:
    return EnglishAndMarathi({})


def test_marathi_words_are_kept_whole(language):
    assert language.split("वृत्तपत्रांच्या मथळ्यांचे, वर्गीकरण।") == ["वृत्तपत्रांच्या", "मथळ्यांचे", "वर्गीकरण"]
    # Sphinx's own leaves consonants.
    assert "वृत्तपत्रांच्या" not in SearchEnglish({}).split("वृत्तपत्रांच्या")


def test_words_end_where_the_script_changes(language):
    assert language.split("AIने 2024मध्ये पकडणारAuto") == ["AI", "ने", "2024", "मध्ये", "पकडणार", "Auto"]


def test_spellings_that_look_alike_are_one_word(language):
    assert language.split("दुसर्\u200dया") == language.split("दुसर्या")
    assert language.split("\u0958") == language.split("\u0915\u093c")  # qa, in one sign and in two


@pytest.mark.parametrize("text", ["Pruning prunes 50 % of the neurons.", "snake_case, x-y & naïve", ""])
def test_english_is_split_and_stemmed_as_before(language, text):
    plain = SearchEnglish({})
    assert language.split(text) == plain.split(text)
    assert [language.stem(word) for word in language.split(text)] == [plain.stem(word) for word in plain.split(text)]


def test_the_index_of_a_page_holds_its_marathi_words(tmp_path):
    _, warnings = render(tmp_path, PAGE, "laghu.report.search_ext")
    assert warnings == ""
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", (tmp_path / "html/searchindex.js").read_text())[1])
    assert {"लघु", "वृत्तपत्रांच्या", "वर्गीकरण", "मध्ये", "ने", "ai", "prune", "neuron"} <= set(index["terms"])
    assert "splitQuery" in (tmp_path / "html/_static/language_data.js").read_text(encoding="utf-8")
