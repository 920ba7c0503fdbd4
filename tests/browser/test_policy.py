"""The policy of the pages, as a browser enforces it."""

import re

import pytest
from hostile_site import ATTACK, build

# Each is markup that a page would run had it no policy, or a request that would leave it.
INJECTIONS = {
    "a script": "add('script').textContent = 'window.attacked = 1'",
    "a handler": "document.body.insertAdjacentHTML('beforeend', '<img src=x: onerror=\"window.attacked = 1\">')",
    "a link that is a script": "const link = add('a'); link.href = 'javascript:window.attacked = 1'; link.click()",
    "another host's script": "add('script').src = 'https://example.org/x.js'",
    "another host's image": "add('img').src = 'https://example.org/x.png'",
    "a request": "fetch('https://example.org/').catch(() => {})",
    "a frame": "add('iframe').src = 'https://example.org/'",
    "a style": "add('style').textContent = 'body { display: none }'",
}


@pytest.mark.parametrize("name", ["book/index.html", "book/methods.html", "results/cpu/baseline-seed1.html"])
@pytest.mark.parametrize("injection", INJECTIONS)
def test_what_is_injected_does_not_run(open_page, problems, name, injection):
    page = open_page()
    page.goto(name)
    violated = page.evaluate("""(code) => new Promise((resolve) => {
      document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
      const add = (tag) => document.body.appendChild(document.createElement(tag));
      new Function("add", code)(add);
    })""", INJECTIONS[injection])
    assert violated
    assert page.evaluate("window.attacked") is None
    assert page.evaluate("getComputedStyle(document.body).display") != "none"
    page.close()
    assert problems
    # A browser notes a request that it then blocks.
    assert all("Content Security Policy" in problem or re.search(r"request to (https://example\.org/|x:)", problem)
               for problem in problems), problems
    problems.clear()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, serve) -> str:
    """URL of a book whose data is an attack."""
    return serve(build(tmp_path_factory.mktemp("hostile")))


@pytest.mark.parametrize("name", ["records.html", "notebook.html"])
def test_an_attack_in_the_data_is_shown_and_not_run(open_page, hostile, name):
    page = open_page(base_url=hostile)
    page.goto(name)
    page.locator("body").hover()
    assert ATTACK in page.locator("body").inner_text()
    assert page.evaluate("window.attacked") is None
