"""The book of this repository, from its committed results, with every warning an error."""

from html.parser import HTMLParser
from pathlib import Path

import yaml

from laghu import paths
from laghu.report import book


class Page(HTMLParser):
    """First-level headings of the article, and the sources of what the page loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.headings = 0
        self._in_article = False  # the theme repeats the title elsewhere, for print
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self._in_article |= tag == "article"
        self.headings += tag == "h1" and self._in_article
        if tag in ("script", "img", "iframe") and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") == "stylesheet" and given.get("href"):
            self.loads.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        self._in_article &= tag != "article"


def test_every_page_of_the_contents_is_there_with_one_heading(site):
    toc = yaml.safe_load((paths.root() / "_toc.yml").read_text(encoding="utf-8"))
    for name in [toc["root"], *book.pages(book.assemble(toc)[0])]:
        file = (site / name).with_suffix(".html")
        assert file.is_file(), name
        assert Page(file).headings == 1, name


def test_no_page_loads_anything_from_another_host(site):
    for file in site.rglob("*.html"):
        assert not [source for source in Page(file).loads if "//" in source], file.name
