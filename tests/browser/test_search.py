"""The book's search, as a reader uses it."""

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect


def results(page) -> list[str]:
    expect(page.locator("p.search-summary")).to_contain_text("page")
    return [link.split("/", 3)[3].partition("?")[0].partition("#")[0]
            for link in page.locator("#search-results li a").evaluate_all("links => links.map((link) => link.href)")]


@pytest.mark.parametrize(("words", "found"), [
    ("लघु", "book/index.html"),
    ("लघु", "book/introduction.html"),
    ("भक्ती", "book/data.html"),
    ("हृदयाच्या आरोग्यासाठी", "book/data.html"),
    ("दुसर्या", "book/methods.html"),  # written there with a joiner
    ("neurons", "book/methods.html"),  # stands there in the singular too: English is stemmed
])
def test_words_lead_to_the_page_that_they_stand_on(open_page, words, found):
    page = open_page()
    page.goto("search.html")
    page.keyboard.type(words)  # the cursor is in the field
    page.keyboard.press("Enter")
    assert found in results(page)


def test_a_word_is_not_found_by_its_consonants(open_page):
    """Sphinx's own index has the letters between vowel signs for words."""
    page = open_page()
    page.goto("search.html?q=मनरजन")
    expect(page.locator("p.search-summary")).to_contain_text("did not match")
    assert page.locator("#search-results li").count() == 0
