"""What is broken in a rendered book: links, anchors and files that are not there, images without a text that says them.

Only what lies in the book is looked at: no other host is asked for anything.
"""

import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

# Where an element names another file, by its tag.
_SOURCES = {"a": "href", "link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}
# What a program calls an image: a digest, or its file.
_MACHINE_NAME = re.compile(r"[0-9a-f]{16,}|\.(svg|png|jpe?g|gif|webp)$", re.IGNORECASE)


class Problem(NamedTuple):
    """What is wrong, and the page that it is on, as a path in the book."""

    page: str
    what: str

    def __str__(self) -> str:
        return f"{self.page}: {self.what}"


class Page(HTMLParser):
    """What one page links to, what can be linked to on it, and what its images say."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors = {"", "top"}  # a browser scrolls up for both
        self.images: list[tuple[str, str | None]] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        if target := given.get(_SOURCES.get(tag, "")):
            self.targets.append(target)
        if tag == "img":
            self.images.append((given.get("src") or "", given.get("alt")))


def pages(site: Path) -> list[Path]:
    """The pages of a rendered book, without the theme's templates among its static files."""
    return sorted(file for file in site.rglob("*.html") if file.relative_to(site).parts[0] != "_static")


def problems(site: Path) -> list[Problem]:
    """Broken links, anchors and images of all pages under `site`, and images whose `alt` is missing or no text."""
    read = cache(Page)
    found = []
    for file in pages(site):
        name, page = file.relative_to(site).as_posix(), read(file)
        found += [Problem(name, f"{target!r} {fault}") for target in dict.fromkeys(page.targets)
                  if (fault := _fault(site, file, target, read))]
        found += [Problem(name, f"image {source!r} {fault}") for source, alt in page.images if (fault := _unsaid(alt))]
    return found


def _elsewhere(target: str) -> bool:
    return bool(urlsplit(target).scheme or urlsplit(target).netloc)


def _fault(site: Path, file: Path, target: str, read: Callable[[Path], Page]) -> str | None:
    """What is wrong with a link on the page `file`, if anything is."""
    if _elsewhere(target):
        return None
    _, _, path, _, fragment = urlsplit(target)
    goal = (file.parent / unquote(path)).resolve() if path else file
    if not goal.is_relative_to(site.resolve()):
        return "leaves the book"
    if goal.is_dir():
        goal /= "index.html"
    if not goal.is_file():
        return "is not there"
    if goal.suffix == ".html" and unquote(fragment) not in read(goal).anchors:
        return "has no such place on its page"
    return None


def _unsaid(alt: str | None) -> str | None:
    """What is wrong with an image's text, if anything is; "" says that the image only adorns."""
    if alt is None:
        return "has no alt"
    if _MACHINE_NAME.search(alt):
        return f"has the alt {alt!r}, which is a name for machines"
    return None
