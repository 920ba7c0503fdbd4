"""What a reader meets on any page of the book."""


def test_landing_page_opens(page):
    page.goto("book/index.html")
    assert page.locator("article h1").count() == 1
