"""The book as a PDF: a small one printed by the real Chromium and read with pypdf; what is said when it can't be."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest
import yaml
from pypdf import PageObject, PdfReader
from pypdf.generic import ContentStream, DictionaryObject

from laghu.errors import LaghuError
from laghu.report import book, pdf

REPOSITORY = Path(__file__).parents[1]
CONTENTS = {
    "root": "book/index",
    "parts": [
        {"caption": "Paper", "chapters": [{"file": "book/words"}, {"file": "book/long"}, {"file": "book/table"}]},
        {"caption": "Runs", "chapters": [{"file": "results/cpu/one.ipynb"}]},
        {"caption": "Apparatus", "chapters": [{"file": "book/last"}]},
    ],
}
MARATHI = ("महाराष्ट्र", "क्षत्रिय", "विद्यार्थी", "पर्यटकांची", "किंमत")
ROWS = 85  # a last one that would stand alone on its page, if it were let
FIGURE = """<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200">
<circle cx="150" cy="100" r="80" fill="#ff0000"/></svg>"""
PAGES = {
    "book/index": "<h1>A small book</h1>"
                  '<p>See <a href="long.html#end">the end</a>, <a href="../x.json">a record</a>.</p>',
    "book/words": f"""<h1>Words and signs</h1><p lang="mr">{" ".join(MARATHI)}</p><p lang="bn">বাংলা সংবাদ</p>
        <p>α ≤ <b>β₂</b> <em>χ</em></p>
        <pre>code = "{"-" * 300}"</pre><figure><img src="../_images/figure.svg" alt="A disc"></figure>""",
    "book/long": "<h1>A long chapter</h1>" + "<p>Text and more text, and some more of it.</p>" * 150
                 + '<h2 id="end">Its end</h2><p>That was it.</p>',
    "book/table": "<h1>A table</h1><table><thead><tr><th>Row</th><th>Accuracy</th></tr></thead><tbody>"
                  + "".join(f"<tr><td>row {row}</td><td>{row / 100}</td></tr>" for row in range(ROWS))
                  + "</tbody></table>",
    "results/cpu/one": "<h1>A notebook</h1>",
    "book/last": "<h1>The last chapter</h1>"
                 '<p>Formula <span class="math notranslate">\\(x_1^2 + \\alpha\\)</span> here.</p>',
}


# ------------------------------------------------------------------------------------------------ a real browser


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> Iterator[Path]:
    """The PDF of that book."""
    try:
        pdf.chromium()
    except LaghuError as error:
        pytest.skip(str(error))
    site = tmp_path_factory.mktemp("book") / "html"
    for name, html in PAGES.items():
        file = site / f"{name}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"<meta charset='utf-8'><article><section>{html}</section></article>", encoding="utf-8")
    (site / "_images").mkdir()
    (site / "_images" / "figure.svg").write_text(FIGURE, encoding="utf-8")
    (site.parent / "_toc.yml").write_text(yaml.safe_dump(CONTENTS), encoding="utf-8")
    static = REPOSITORY / "book" / "_static"
    shutil.copytree(static / "fonts", site / "_static" / "fonts")
    shutil.copytree(static / "lib" / "mathjax", site / "_static" / "lib" / "mathjax")
    (site / "_static" / "pygments.css").write_text('html[data-theme="light"] .highlight .k { color: #008000 }\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book, "build", lambda out: site / "index.html")
        yield pdf.make()


@pytest.fixture(scope="module")
def reader(printed) -> PdfReader:
    return PdfReader(printed)


@pytest.fixture(scope="module")
def pages(reader) -> list[list[str]]:
    """Lines of each page."""
    return [page.extract_text().splitlines() for page in reader.pages]


def number_of(pages: list[list[str]], line: str) -> int:
    """The one page with that line, behind the contents; the first page is 1."""
    (found,) = [number for number, lines in enumerate(pages, 1) if number > 2 and line in lines]
    return found


def test_it_lies_where_it_should_and_nothing_else_is_left(printed):
    assert sorted(file.name for file in printed.parent.iterdir()) == ["_toc.yml", "html", "laghu.pdf"]


def test_the_contents_give_the_page_of_every_chapter(pages):
    said = dict(re.findall(r"^(.+?) +(\d+)$", "\n".join(pages[1][1:]), re.MULTILINE))
    heads = [lines[0] for lines in pages]
    titles = ["A small book", "Words and signs", "A long chapter", "A table", "The last chapter"]
    assert said == {title: str(heads.index(title, 2) + 1) for title in titles}
    for title, number in said.items():
        assert pages[int(number) - 1].count(title) == 2, "at its head, and its heading"


def test_every_page_but_the_first_has_its_number_and_those_of_chapters_their_title(pages):
    assert pages[0][0] == "A small book" and "1" not in pages[0]
    assert "executed notebooks, 1 of them." in " ".join(pages[0])
    heads = []
    for number, lines in enumerate(pages[1:], 2):
        assert str(number) in lines[:2]
        heads += [lines[0]] if lines[1] == str(number) else []
    assert list(dict.fromkeys(heads)) == [
        "A small book", "Words and signs", "A long chapter", "A table", "The last chapter"]
    assert heads.count("A long chapter") > 2


def test_notebooks_are_left_out_and_a_part_of_nothing_else_too(pages):
    lines = [line for page in pages for line in page]
    assert "Apparatus" in lines
    assert not {"Runs", "A notebook"} & set(lines)


def test_the_outline_has_every_heading_once(reader):
    def titles(entries: list) -> list:
        return [titles(entry) if isinstance(entry, list) else entry.title for entry in entries]

    assert titles(reader.outline) == [
        "Contents", "A small book", "Paper", ["Words and signs", "A long chapter", ["Its end"], "A table"],
        "Apparatus", ["The last chapter"],
    ]


def test_a_link_leads_to_the_place_in_the_book_and_one_to_a_file_is_text(reader, pages):
    page = reader.pages[number_of(pages, "See the end, a record.") - 1]
    (link,) = [annotation.get_object() for annotation in page["/Annots"]]
    place = reader.named_destinations[link["/Dest"]]
    assert reader.get_destination_page_number(place) + 1 == number_of(pages, "That was it.")


def test_the_heading_of_a_table_is_repeated_and_no_row_stands_alone(pages):
    rows = [[int(row) for line in lines for row in re.findall(r"^row (\d+) ", line)] for lines in pages]
    assert [row for found in rows for row in found] == list(range(ROWS))
    parts = [(lines, found) for lines, found in zip(pages, rows, strict=True) if found]
    assert len(parts) > 1
    assert all("Row Accuracy" in lines and len(found) > 2 for lines, found in parts)


def test_code_is_wrapped(pages):
    dashes = [line.count("-") for lines in pages for line in lines if "--" in line]
    assert sum(dashes) == 300 and len(dashes) > 2


def test_every_font_is_one_that_is_shipped_and_is_embedded(reader):
    found = {}
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            descendant = font["/DescendantFonts"][0]  # which a Type 3 font, a drawing of each letter, has not
            assert "/FontFile2" in descendant["/FontDescriptor"]
            found[re.sub(r"^/[A-Z]{6}\+|-.*", "", font["/BaseFont"])] = True
    assert set(found) == {"SourceSerif4", "NotoSansDevanagari", "NotoSansBengali", "DejaVuSerif", "DejaVuSansMono"}


def test_marathi_words_are_shaped_and_found_again(reader, pages):
    page = reader.pages[number_of(pages, "বাংলা  সংবাদ") - 1]
    text, glyphs = read(page)
    assert all(word in text for word in MARATHI)
    assert "\u0915\u094d\u0937" in glyphs  # the conjunct ksha is one glyph


def test_figures_are_drawn_and_not_pictures(reader, pages):
    page = reader.pages[number_of(pages, "বাংলা  সংবাদ") - 1]
    assert not page["/Resources"].get("/XObject")
    assert ([1, 0, 0], b"rg") in [([float(each) for each in given], operator)
                                  for given, operator in operations(page) if operator == b"rg"]


def test_formulas_are_typeset(reader, pages):
    number = number_of(pages, "Formula  here.")
    assert not [line for line in pages[number - 1] if "(" in line or "alpha" in line]
    curves = [operator for _, operator in operations(reader.pages[number - 1]) if operator == b"c"]
    assert len(curves) > 20  # the outlines of its letters


def operations(page: PageObject) -> list[tuple]:
    return ContentStream(page.get_contents(), page.pdf).operations


def read(page: PageObject) -> tuple[str, set[str]]:
    """A page's text, and what single glyphs of it stand for; what several stand for together is in its `ActualText`."""
    fonts = {name: glyphs_of(font) for name, font in page["/Resources"]["/Font"].items()}
    text, used, spans, font = [], set(), [], {}
    for given, operator in operations(page):
        if operator == b"Tf":
            font = fonts[given[0]]
        elif operator == b"BDC":
            spans.append(isinstance(given[1], DictionaryObject) and given[1].get("/ActualText"))
            text.append(spans[-1] or "")
        elif operator == b"EMC":
            spans.pop()
        elif operator == b"Tj":
            codes = given[0].original_bytes
            shown = [font.get(codes[at:at + 2], "") for at in range(0, len(codes), 2)]
            used.update(shown)
            text += [] if any(spans) else shown
    return "".join(text), used


def glyphs_of(font: DictionaryObject) -> dict[bytes, str]:
    """What each glyph of a font stands for, from its table for those who search and copy."""
    table, found = font["/ToUnicode"].get_data().decode(), {}
    for block in re.findall(r"beginbfchar\n(.*?)endbfchar", table, re.DOTALL):
        for code, text in re.findall(r"<(\w+)> <(\w+)>", block):
            found[bytes.fromhex(code)] = bytes.fromhex(text).decode("utf-16-be")
    for block in re.findall(r"beginbfrange\n(.*?)endbfrange", table, re.DOTALL):
        for first, last, text in re.findall(r"<(\w+)> <(\w+)> <(\w+)>", block):
            for step in range(int(last, 16) - int(first, 16) + 1):
                found[(int(first, 16) + step).to_bytes(2)] = chr(int(text, 16) + step)
    return found


# ------------------------------------------------------------------------------------------------ no such browser


@pytest.fixture
def browser(tmp_path):
    """Makes a program that stands for a browser: a shell script, which is given `$TARGET` and what Chromium is."""

    def make(script: str) -> Path:
        file = tmp_path / "browser"
        target = "for each; do case $each in --print-to-pdf=*) TARGET=${each#*=};; esac; done"
        file.write_text(f"#!/bin/sh\n{target}\n{script}\n")
        file.chmod(0o755)
        return file

    return make


def test_the_browser_is_the_one_that_is_named_or_the_first_that_is_found(tmp_path, monkeypatch, browser):
    named = browser("")
    monkeypatch.setenv("LAGHU_CHROMIUM", str(named))
    assert pdf.chromium() == named
    monkeypatch.delenv("LAGHU_CHROMIUM")
    monkeypatch.setenv("PATH", str(tmp_path))
    shutil.copy(named, tmp_path / "google-chrome")
    assert pdf.chromium() == tmp_path / "google-chrome"
    shutil.copy(named, tmp_path / "chromium")
    assert pdf.chromium() == tmp_path / "chromium"


def test_a_wrong_name_is_told(monkeypatch):
    monkeypatch.setenv("LAGHU_CHROMIUM", "/no/such/browser")
    with pytest.raises(LaghuError, match="LAGHU_CHROMIUM='/no/such/browser' is not a program"):
        pdf.chromium()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo first >&2; echo 'no space left' >&2; exit 3", "browser printed nothing: no space left"),
        ("exit 3", "browser printed nothing: exit status 3"),
        ("exit 0", "browser printed nothing: exit status 0"),
        ('echo half > "$TARGET"; exit 1', "browser printed nothing: exit status 1"),
        ('echo "not a PDF" > "$TARGET"', "browser printed what is no PDF"),
    ],
)
def test_a_browser_that_fails_leaves_the_last_print_as_it_was(tmp_path, monkeypatch, browser, script, told):
    site = tmp_path / "_build" / "html"
    (site / "book").mkdir(parents=True)
    (site / "_static").mkdir()
    (site / "_static" / "pygments.css").touch()
    (site / "book" / "index.html").write_text("<article><h1>A book</h1></article>")
    (site.parent / "_toc.yml").write_text(yaml.safe_dump({"root": "book/index", "parts": []}))
    (site.parent / "laghu.pdf").write_text("the last one")
    monkeypatch.setattr(book, "build", lambda out: site / "index.html")
    monkeypatch.setenv("LAGHU_CHROMIUM", str(browser(script)))
    with pytest.raises(LaghuError, match=told):
        pdf.make()
    assert (site.parent / "laghu.pdf").read_text() == "the last one"
    assert sorted(file.name for file in site.parent.iterdir()) == ["_toc.yml", "html", "laghu.pdf"]


def test_a_browser_that_hangs_is_ended_with_its_children(tmp_path, browser):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    hanging = browser(f"(echo begun; exec sleep 60) > {pipe} &\nsleep 60")
    with pytest.raises(LaghuError, match="browser did not print the book in 3 seconds"):
        pdf.print_page(hanging, tmp_path / "book.html", tmp_path / "book.pdf", seconds=3)
    said = b""
    while select([end], [], [], 20)[0] and (more := os.read(end, 100)):
        said += more
    assert said == b"begun\n"
    assert select([end], [], [], 0)[0], "a child still holds the pipe"  # at its end, a pipe is always ready
    os.close(end)
