from pathlib import Path

import pytest

from laghu.report import link_check


@pytest.fixture
def site(tmp_path) -> Path:
    """Two sound pages, one of them in a folder."""
    (tmp_path / "part").mkdir()
    (tmp_path / "_static").mkdir()
    (tmp_path / "image.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "_static" / "template.html").write_text('<a href="{{ nowhere }}">', encoding="utf-8")
    write(tmp_path / "index.html",
          '<h2 id="here">x</h2><a href="part/page.html#there">x</a><a href="#here">x</a><a href="#">x</a>'
          '<img src="image.svg" alt="What it shows"><a href="https://example.org/nothing#x">x</a>')
    write(tmp_path / "part" / "page.html",
          '<p id="there"><a href="../index.html#here">x</a><a href="../index.html?x=1#here">x</a>'
          '<a href="page.html#%74here">x</a><img src="../image.svg" alt="">')
    return tmp_path


def write(file: Path, body: str) -> None:
    file.write_text(f"<!DOCTYPE html><html><body>{body}</body></html>", encoding="utf-8")


def add(site: Path, body: str) -> list[link_check.Problem]:
    write(site / "part" / "new.html", body)
    return link_check.problems(site)


def test_a_sound_book_has_no_problems(site):
    assert link_check.problems(site) == []


@pytest.mark.parametrize(("body", "said"), [
    ('<a href="../nowhere.html">x</a>', "'../nowhere.html' is not there"),
    ('<a href="page.html#nowhere">x</a>', "'page.html#nowhere' has no such place on its page"),
    ('<a href="#nowhere">x</a>', "'#nowhere' has no such place on its page"),
    ('<a href="../../index.html">x</a>', "'../../index.html' leaves the book"),
    ('<a href="../_static">x</a>', "'../_static' is not there"),
    ('<script src="no.js"></script>', "'no.js' is not there"),
    ('<link rel="stylesheet" href="no.css">', "'no.css' is not there"),
    ('<img src="no.svg" alt="x">', "'no.svg' is not there"),
    ('<img src="../image.svg">', "image '../image.svg' has no alt"),
    ('<img src="../image.svg" alt="../image.svg">', "'../image.svg', which is a name for machines"),
    ('<img src="../image.svg" alt="_images/0f3a91c2d4e5f60718293a4b5c6d7e8f.png">', "a name for machines"),
    ('<img src="../image.svg" alt="0f3a91c2d4e5f60718293a4b5c6d7e8f">', "a name for machines"),
])
def test_what_is_broken_is_named_with_its_page(site, body, said):
    (problem,) = add(site, body)
    assert problem.page == "part/new.html"
    assert said in problem.what
    assert str(problem).startswith("part/new.html: ")


def test_a_link_that_stands_twice_is_one_problem(site):
    assert len(add(site, '<a href="no.html">x</a><a href="no.html">y</a><a href="no.html#z">z</a>')) == 2


def test_addresses_elsewhere_are_not_asked(site):
    assert add(site, '<a href="https://example.org/nothing#x">x</a><a href="mailto:a@example.org">x</a>'
                     '<script src="//example.com/x.js"></script>') == []
