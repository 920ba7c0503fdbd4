"""A real browser on the rendered book.

`page` runs a test four times, `open_page` opens whatever a test wants, and both fail the test where a page wrote an
error to the console, threw one, or asked another host for anything. URLs are relative to `server`, the rendered book:

    def test_it_opens(page):
        page.goto("book/explorer.html")
"""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from screens import SIZES, THEMES

from laghu.errors import LaghuError
from laghu.report import pdf

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)
# The theme's own memory of the reader's choice, set before its scripts run.
_CHOOSE_THEME = """
if (location.protocol === "http:") {{
  localStorage.setItem("mode", "{theme}");
  localStorage.setItem("theme", "{theme}");
}}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder on a free port of this machine for the rest of the session; returns its URL, "/" at the end."""
    servers = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("localhost", 0), partial(_Quiet, directory=str(folder)))
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://localhost:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def server(site: Path, serve: Callable[[Path], str]) -> str:
    """URL of the rendered book."""
    return serve(site)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium, once for a file: Playwright keeps an event loop running, which other files' tests must not meet."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    try:
        executable = pdf.chromium()
    except LaghuError as missing:
        pytest.skip(str(missing))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=[*_FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def problems() -> Iterator[list[str]]:
    """What the test's pages have done wrong so far; a test that provokes an error asserts it here, then clears it."""
    found: list[str] = []
    yield found
    assert not found, "\n".join(found)


@pytest.fixture
def open_page(browser: "Browser", server: str, problems: list[str]) -> Iterator[Callable[..., "Page"]]:
    """Opens an empty page, whose URLs are relative to the book: `open_page("phone", "dark")`.

    Arguments: one of `SIZES`, one of `THEMES`, and as keywords what Playwright's `new_context` takes; `base_url` for
    another site than the book.
    """
    contexts = []

    def make(size: str = "desktop", theme: str = "light", **options) -> "Page":
        settings = {"viewport": SIZES[size], "color_scheme": theme, "base_url": server} | options
        context = browser.new_context(**settings)
        contexts.append(context)
        context.add_init_script(_CHOOSE_THEME.format(theme=theme))
        page = context.new_page()
        _watch(page, settings["base_url"], problems)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(params=list(product(SIZES, THEMES)), ids="-".join)
def page(request: pytest.FixtureRequest, open_page: Callable[..., "Page"]) -> "Page":
    """An empty page; the test runs once for each size and theme."""
    return open_page(*request.param)


def _watch(page: "Page", home: str, problems: list[str]) -> None:
    """Note the page's errors, and every request that leaves `home`."""

    def on_console(message: "ConsoleMessage") -> None:
        if message.type == "error":
            problems.append(f"{page.url}: console: {message.text} ({message.location['url']})")

    def on_request(asked: "Request") -> None:
        if not asked.url.startswith((home, "data:", "blob:")):
            problems.append(f"{page.url}: request to {asked.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("request", on_request)
