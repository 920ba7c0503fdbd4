"""What a reader meets on any page of the book, on a desktop and on a phone, in light and in dark."""

from pathlib import Path

import pytest
from book_pages import PAGES

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
MEGABYTE = 10**6


def test_every_page_opens_and_is_no_wider_than_the_screen(page):
    """Errors and foreign requests fail the test in `problems`."""
    wider = []
    for name in PAGES:
        page.goto(name)
        assert page.locator("h1:visible").count() >= 1, name
        width, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        if width > screen:
            wider.append(f"{name}: {width} of {screen} pixels")
    assert not wider


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_first_visit_shows_what_the_system_prefers(browser, server, theme):
    """Without the choice that `open_page` makes; an error on the console would come from a theme not told its mode."""
    context = browser.new_context(base_url=server, color_scheme=theme)
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto("index.html")
    page.wait_for_url("**/book/index.html")
    page.wait_for_load_state()
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.locator(".theme-switch-button:visible").click()
    chosen = page.evaluate("document.documentElement.dataset.theme")
    page.goto("book/methods.html")
    assert page.evaluate("document.documentElement.dataset.theme") == chosen
    context.close()
    assert errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_the_systems_where_pages_may_remember_nothing(browser, server, theme):
    """As where a reader blocks storage; the theme's own scripts complain, which is theirs."""
    context = browser.new_context(base_url=server, color_scheme=theme)
    context.add_init_script("Object.defineProperty(window, 'localStorage', "
                            "{ get() { throw new DOMException('denied', 'SecurityError'); } });")
    page = context.new_page()
    page.goto("book/methods.html")
    chosen = page.evaluate("({ ...document.documentElement.dataset })")
    assert (chosen["mode"], chosen["theme"]) == ("auto", theme)
    context.close()


def test_the_landing_page_weighs_less_than_a_megabyte(open_page):
    page = open_page()
    sizes = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto("book/index.html", wait_until="networkidle")
    assert 100_000 < sum(sizes) < MEGABYTE


def test_formulas_are_set(open_page):
    page = open_page()
    page.goto("book/methods.html")
    expect(page.locator("mjx-container").first).to_be_attached()
    page.evaluate("MathJax.startup.promise")
    set_, marked = (page.locator(selector).count() for selector in (".math > mjx-container", ".math"))
    assert set_ == marked > 30
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0


def test_the_book_reads_from_a_disk(open_page, site: Path):
    page = open_page(base_url=site.as_uri() + "/")
    page.goto("book/methods.html")
    expect(page.locator("mjx-container").first).to_be_attached()
    assert page.locator(".article-header-buttons .theme-switch-button").is_visible()


@pytest.mark.parametrize("name", ["book/index.html", "book/data.html", "results/cpu/baseline-seed1.html"])
def test_devanagari_is_drawn_with_the_shipped_font(open_page, name):
    page = open_page()
    page.goto(name)
    # Spaces and digits are in other fonts: leave the first word of each text that has none.
    texts = page.evaluate("""() => [...document.querySelectorAll("[lang=mr]")].map((element) =>
      (element.textContent = element.textContent.match(/[\\u0900-\\u0963\\u0970-\\u097f]+/)[0]))""")
    page.evaluate("document.fonts.ready")
    assert texts and all(texts)
    protocol = page.context.new_cdp_session(page)
    protocol.send("DOM.enable")
    protocol.send("CSS.enable")
    document = protocol.send("DOM.getDocument")["root"]["nodeId"]
    found = protocol.send("DOM.querySelectorAll", {"nodeId": document, "selector": "[lang=mr]"})["nodeIds"]
    for node in found:
        fonts = protocol.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert [(font["familyName"], font["isCustomFont"]) for font in fonts] == [("Noto Sans Devanagari", True)]
