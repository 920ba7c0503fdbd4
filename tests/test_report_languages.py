"""Oracles: the names that Unicode gives to letters, and pages rendered by Sphinx."""

import unicodedata

import pytest
from html_pages import Parts
from hypothesis import given
from hypothesis import strategies as st
from sphinx_pages import render

from laghu.report import languages

SCRIPTS = {"DEVANAGARI": "mr", "BENGALI": "bn"}
MIXED = st.text(alphabet="aZ9 ,.-‘’(&<" + "कषलघुिी्ंो०।" + "কখগি্ো৯" + "\u200c\u200d\n", max_size=60)


def script(sign: str) -> str | None:
    return None if sign == "।" else SCRIPTS.get(unicodedata.name(sign, "?").split()[0])


@given(MIXED)
def test_the_pieces_are_the_text_and_each_script_is_in_its_language(text):
    pieces = list(languages.runs(text))
    assert "".join(piece for piece, _ in pieces) == text
    for piece, language in pieces:
        assert {found for sign in piece if (found := script(sign))} == ({language} if language else set())
        assert language is None or (script(piece[0]) and (script(piece[-1]) or piece[-1] in "\u200c\u200d"))


@given(MIXED)
def test_words_of_one_language_stand_together_unless_other_letters_come_between(text):
    pieces = list(languages.runs(text))
    for (_, before), (between, none), (_, after) in zip(pieces, pieces[1:], pieces[2:], strict=False):
        if none is None and before == after:
            assert any(unicodedata.category(sign)[0] in "LM" for sign in between) or _digits_apart(between)


def _digits_apart(between: str) -> bool:
    """Whether the piece holds more than one number, at which a run ends too."""
    return len("".join(sign if sign.isdigit() else " " for sign in between).split()) > 1


@pytest.mark.parametrize(("text", "language"), [
    ("iPhone 15 ची किंमत", "mr"), ("ক্যাটরিনা", "bn"), ("Laghu", None), ("", None), ("२०२६", "mr"),
])
def test_language_of_a_text(text, language):
    assert languages.language(text) == language
    assert languages.attribute(text) == (f' lang="{language}"' if language else "")


def test_html_is_marked_where_it_is_not_and_put_right_where_it_is():
    html = ('<td lang="mr">ক্যাটরিনা</td><td lang="mr">Prices rise</td><td lang="mr">दर वाढले</td>'
            '<td title="दर">Auto &amp; दर &lt;b&gt; वाढले</td>')
    assert languages.marked(html) == (
        '<td lang="bn">ক্যাটরিনা</td><td>Prices rise</td><td lang="mr">दर वाढले</td>'
        '<td title="दर">Auto &amp; <span lang="mr">दर</span> &lt;b&gt; <span lang="mr">वाढले</span></td>')


def test_html_without_other_scripts_stays_as_it_is():
    html = "<table><tr><td>1 &lt; 2</td></tr></table>\n"
    assert languages.marked(html) == html


PAGE = """# लघु and light

Small (लघु, "light"), ‘भक्ती 2024 मनोरंजन’ and <span lang="mr">आधीच</span> आणि; code `दर` stays.

```text
कोड
```

| Label | In the files |
|---|---|
| Bhakti | भक्ती |
"""


def test_a_page_bears_the_languages_of_its_words(tmp_path):
    html, warnings = render(tmp_path, PAGE, "laghu.report.languages_ext")
    assert warnings == ""
    marked, bare = [], []
    for text, around in Parts(html).texts:
        # The plain theme of this test repeats the title without its markup beside the page.
        if any(script(sign) for sign in text) and any(element.tag == "section" for element in around):
            inner = [element.attributes["lang"] for element in around if "lang" in element.attributes]
            place = next(element.tag for element in reversed(around) if element.tag != "span")
            (marked if inner[1:] == ["mr"] else bare).append((text.strip(), place))
    words = ["लघु", "भक्ती 2024 मनोरंजन", "आधीच", "आणि", "भक्ती"]
    assert {("लघु", "h1"), *((word, "p") for word in words)} == set(marked)
    assert {place for _, place in bare} == {"code", "pre"}
