"""Texts and labels that are an attack stay text on every kind of page; tests/browser/test_policy.py opens them."""

import pytest
from hostile_site import ATTACK, build
from html_pages import Parts


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Parts]:
    return {file.stem: Parts.of(file) for file in build(tmp_path_factory.mktemp("hostile")).glob("*.html")}


@pytest.mark.parametrize(("name", "times"), [("records", 3), ("notebook", 20)])
def test_an_attack_stays_text(pages, name, times):
    page = pages[name]
    assert sum(text.count(ATTACK) for text, _ in page.texts) >= times
    for tag, given in page.elements:
        assert not [attribute for attribute in given if attribute.startswith("on")]
        assert given.get("src") != "x"
        assert tag != "script" or given["src"].startswith(("_static/", "lib/"))
