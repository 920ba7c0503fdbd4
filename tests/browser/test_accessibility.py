"""WCAG as axe-core measures it, and the book with a keyboard alone."""

import pytest
from axe import violations
from book_pages import PAGES
from screens import DRAWN, SIZES, THEMES

from laghu.shipping import manifest

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect

# Where the pointer would have to be taken to follow the focus.
_FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const box = element.getBoundingClientRect();
  return { id: element.id, name: (element.ariaLabel || element.textContent || element.title).trim(),
           kind: element.className, main: element.closest("main") !== null, seen: box.width > 0 && box.height > 0 };
}"""


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(open_page, name):
    """All rules on a desktop in light; then those that the theme or the width bears on."""
    page = open_page("desktop", "light", bypass_csp=True, reduced_motion="reduce")  # axe writes a style into the page
    page.goto(name)
    assert violations(page) == []
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert violations(page, runOnly=["color-contrast"]) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate(DRAWN)
    assert violations(page, runOnly=["color-contrast", "scrollable-region-focusable", "target-size"]) == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_serious_where_models_are_at_work(open_page, size, theme):
    if manifest.load() is None:
        pytest.skip("no model is shipped in this checkout")
    page = open_page(size, theme, bypass_csp=True, reduced_motion="reduce")
    page.goto("book/live.html")
    for model in ("small", "teacher"):
        page.locator(f".laghu-live-load[data-model={model}]").click()
        expect(page.locator(f"td.laghu-live-first[data-of={model}]")).to_have_count(1, timeout=60_000)
    page.locator("textarea").fill("Rain in Pune 🙂 " * 40)
    expect(page.locator(".laghu-live-said li").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_serious_in_an_explorer_that_shows_a_run_and_a_calculator_that_refuses(
    open_page, size, theme
):
    page = open_page(size, theme, bypass_csp=True, reduced_motion="reduce")
    page.goto("book/explorer.html")
    for each in page.locator(".laghu-explorer details").all():
        each.evaluate("(details) => { details.open = true; }")
    page.locator("#laghu-layers").fill("0")
    page.locator("a.laghu-point").first.focus()
    expect(page.locator(".laghu-card")).to_be_visible()
    expect(page.locator("#laghu-layers")).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []


def test_the_skip_link_comes_first_and_leads_past_the_contents(open_page):
    page = open_page()
    page.goto("book/index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(_FOCUSED)["main"]


def test_the_keyboard_reaches_every_control_once_in_the_order_of_the_page(open_page):
    page = open_page()
    page.goto("book/index.html")
    expected = page.evaluate("""() => [...document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")]
      .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.disabled && each.tabIndex >= 0)
      .map((each) => each.outerHTML)""")
    reached = []
    for _ in range(2 * len(expected)):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached.append(page.evaluate("document.activeElement.outerHTML"))
    assert reached == expected
    for needed in ("search-button-field", "theme-switch-button", "right-next", "primary-toggle"):
        assert any(needed in html for html in reached), needed


def test_search_opens_and_closes_from_the_keyboard(open_page):
    page = open_page()
    page.goto("book/index.html")
    page.keyboard.press("Control+k")
    assert page.evaluate("document.activeElement.id") == "search-input"
    page.keyboard.type("pruning")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=pruning")


@pytest.mark.parametrize("name", ["book/results.html", "book/methods.html"])
def test_what_scrolls_sideways_on_a_phone_can_be_focused(open_page, name):
    page = open_page("phone")
    page.goto(name)
    page.evaluate("window.MathJax?.startup.promise")
    page.evaluate(DRAWN)
    wide, unreachable = page.evaluate("""() => {
      const wide = [...document.querySelectorAll(".pst-scrollable-table-container, div.math mjx-container, pre")]
        .filter((each) => each.scrollWidth > each.clientWidth);
      return [wide.length, wide.filter((each) => each.tabIndex !== 0).map((each) => each.outerHTML.slice(0, 200))];
    }""")
    assert wide > 0
    assert unreachable == []
