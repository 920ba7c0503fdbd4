"""The book of this repository, from its committed results, with every warning an error."""

import itertools
import re
from pathlib import Path

import pytest
import yaml
from html_pages import Element, Parts

from laghu import paths
from laghu.report import book, link_check

# Blocks of data that a script of the page reads; a browser does not run them.
DATA = frozenset({"application/json"})
DEVANAGARI, BENGALI = re.compile("[\u0900-\u097f]"), re.compile("[\u0980-\u09ff]")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Parts]:
    """Every page of the rendered book, by its name."""
    return {file.relative_to(site).as_posix(): Parts.of(file) for file in link_check.pages(site)}


def test_every_page_of_the_contents_is_there_with_one_heading(pages):
    toc = yaml.safe_load((paths.root() / "_toc.yml").read_text(encoding="utf-8"))
    for name in [toc["root"], *book.pages(book.assemble(toc)[0])]:
        page = pages[Path(name).with_suffix(".html").as_posix()]
        # The theme repeats the title elsewhere, for print.
        headings = {id(around[-1]) for _, around in page.texts if _is_title(around)}
        assert len(headings) == 1, name


def _is_title(around: list[Element]) -> bool:
    tags = [element.tag for element in around]
    return "article" in tags and "h1" in tags and tags[-1] == "h1"


def test_pages_open_with_question_result_and_records_and_end_with_limits_and_the_command(pages):
    toc = yaml.safe_load((paths.root() / "_toc.yml").read_text(encoding="utf-8"))
    named = {part["caption"]: [each["file"] for each in part["chapters"]] for part in book.assemble(toc)[0]["parts"]}
    runs = [file for file in itertools.chain(*named.values()) if file.startswith("results/")]
    assert len(runs) > 50
    for file in [toc["root"], *named["Paper"], *named["Do it yourself"], "book/provenance", *runs]:
        name = Path(file).with_suffix(".html").as_posix()
        texts = [(text.strip(), [element.tag for element in around]) for text, around in pages[name].texts
                 if "article" in [element.tag for element in around]]
        question = next(place for place, (_, tags) in enumerate(texts) if tags[-2:] == ["p", "em"])
        line, records, *_ = (place for place, (text, tags) in enumerate(texts)
                             if text == "In one line:" or (tags[-1] == "dt" and text in ("Records", "Record")))
        assert question < line < records < 80, name
        sections = [text for text, tags in texts if tags[-1] == "h2"]
        assert sections[-1] == "Run it again", name
        assert "Limits" in sections, name
        assert any("highlight-console" in element.attributes.get("class", "") for _, around in pages[name].texts[-80:]
                   for element in around), name


def test_no_page_loads_anything_from_another_host(pages):
    for name, page in pages.items():
        for tag, given in page.elements:
            loaded = given.get("src") if tag in ("script", "img", "iframe", "source") else None
            loaded = given.get("href") if tag == "link" and given.get("rel") in ("stylesheet", "preload") else loaded
            assert "//" not in (loaded or ""), name


def test_no_link_is_broken_and_every_image_says_what_it_shows(site):
    assert not link_check.problems(site)


def test_the_address_of_the_site_leads_to_the_first_page(site):
    (door,) = [given for _, given in Parts.of(site / "index.html").elements if given.get("http-equiv") == "Refresh"]
    assert door["content"] == "0; url=book/index.html"


def test_every_page_of_a_notebook_and_no_other_opens_it_in_colab(pages):
    toc = yaml.safe_load((paths.root() / "_toc.yml").read_text(encoding="utf-8"))
    there = book.pages(book.assemble(toc)[0])
    notebooks = {name for name in there if name.endswith(".ipynb") and name.split("/")[1] in book.PUBLISHED}
    assert notebooks
    buttons = re.compile(r"https://colab\.research\.google\.com/github/[\w-]+/[\w-]+/blob/main/(.+)")
    for name, page in pages.items():
        addresses = [given["href"] for tag, given in page.elements if tag == "a" and "colab" in given.get("href", "")]
        opened = [buttons.fullmatch(address)[1] for address in addresses]
        own = Path(name).with_suffix(".ipynb").as_posix()
        assert opened == ([own] if own in notebooks else []), name
        assert all((paths.root() / file).is_file() for file in opened)


# ------------------------------------------------------------------------------------------------ policy


def test_every_page_begins_with_a_policy(pages):
    for name, page in pages.items():
        order = [(tag, given.get("http-equiv", "")) for tag, given in page.elements]
        first = order.index(("meta", "Content-Security-Policy"))
        assert not {"script", "link", "style", "img"} & {tag for tag, _ in order[:first]}, name
        assert "default-src 'none'" in page.elements[first].attributes["content"], name


def test_no_script_or_style_stands_in_a_page(pages):
    for name, page in pages.items():
        for tag, given in page.elements:
            assert tag != "style" and "style" not in given, name
            assert not [attribute for attribute in given if attribute.startswith("on")], name
            assert tag != "script" or given.get("src") or given.get("type") in DATA, name


def test_mathjax_is_loaded_by_pages_with_maths_alone(pages):
    for name, page in pages.items():
        loads = any("mathjax/tex-svg.js" in given.get("src", "") for _, given in page.elements)
        assert loads == any("math" in given.get("class", "").split() for _, given in page.elements), name
    assert any("mathjax/settings.js" in given.get("src", "") for _, given in pages["book/methods.html"].elements)


def test_every_icon_is_in_the_font_that_is_shipped(pages, site):
    drawn = set(re.findall(r"\.(fa-[a-z-]+)", (site / "_static/lib/icons/icons.css").read_text(encoding="utf-8")))
    used = {sign for page in pages.values() for _, given in page.elements
            for sign in given.get("class", "").split() if sign.startswith("fa-")}
    assert "fa-magnifying-glass" in used
    assert used <= drawn


# ------------------------------------------------------------------------------------------------ languages


@pytest.mark.parametrize(("language", "letter"), [("mr", DEVANAGARI), ("bn", BENGALI)])
def test_words_in_another_script_bear_their_language_once(pages, language, letter):
    found = 0
    for name, page in pages.items():
        for text, around in page.texts:
            if letter.search(text) and not {"pre", "code", "title", "script"} & {element.tag for element in around}:
                given = [element.attributes["lang"] for element in around if "lang" in element.attributes]
                assert given == ["en", language], (name, text)
                found += 1
    assert found > 10


def test_no_text_in_latin_letters_is_called_marathi(pages):
    for name, page in pages.items():
        for text, around in page.texts:
            if around and around[-1].attributes.get("lang") == "mr":
                assert DEVANAGARI.search(text), (name, text)
