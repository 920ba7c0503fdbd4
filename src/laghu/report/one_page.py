"""The rendered book as one HTML document, to be printed: title page, contents, and every page as a chapter.

What the reader of a web page needs and a printed one does not is left out: navigation, scripts, downloads, sliders.
Links within the book lead to the place in the document.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

_NOT_PRINTED = ".headerlink, script, style, p.laghu-data, .laghu-weights, .toctree-wrapper, .noprint, [hidden]"


@dataclass(frozen=True)
class Chapter:
    """One page of the book: its name as in the table of contents, its title, and its article."""

    page: str
    title: str
    article: Tag

    @property
    def anchor(self) -> str:
        return anchor(self.page)


@dataclass(frozen=True)
class Part:
    """Chapters under a common title; that before the first part has none."""

    title: str
    chapters: Sequence[Chapter]


def anchor(page: str, place: str = "") -> str:
    """Where a page, or a place on it, is in the document."""
    name = re.sub(r"[^\w-]", "-", page)
    return f"{name}--{place}" if place else name


def parts(site: Path, contents: Mapping) -> list[Part]:
    """The book's parts, in order.

    Args:
        site: the folder of the rendered book.
        contents: its table of contents, as `book.assemble` gives it.
    """
    named = [("", [contents["root"]])]
    named += [(part["caption"], [each["file"] for each in part["chapters"]]) for part in contents["parts"]]
    pages = [page.removesuffix(".ipynb") for _, files in named for page in files]
    articles = {page: _article(site / f"{page}.html") for page in pages}
    places = {page: {tag["id"] for tag in article.select("[id]")} for page, article in articles.items()}
    for page, article in articles.items():
        _place(page, article, places, site)
    return [Part(title, [_chapter(page.removesuffix(".ipynb"), articles) for page in files]) for title, files in named]


def document(book: Sequence[Part], title: str, imprint: Sequence[str], style: str, scripts: Sequence[str],
             pages: Mapping[str, int]) -> str:
    """The whole document.

    Args:
        title: of the book.
        imprint: lines of the title page below the title.
        style: CSS, behind which come rules that name each chapter at the head of its pages.
        scripts: addresses of scripts that are to be run before printing.
        pages: page numbers of chapters by anchor, for the contents; what has none yet gets a blank of the same width.
    """
    heads = "\n".join(_running_head(chapter) for part in book for chapter in part.chapters)
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f"<title>{escape(title)}</title>\n<style>\n{style}\n{heads}\n</style>",
        '<script>window.MathJax = {options: {ignoreHtmlClass: "body", processHtmlClass: "math"}, '
        'svg: {fontCache: "local"}};</script>',
        *(f'<script src="{escape(script)}"></script>' for script in scripts),
        '</head>\n<body class="body">',
        f'<section class="title-page"><h1>{escape(title)}</h1>'
        + "".join(f"<p>{line}</p>" for line in imprint) + "</section>",
        _contents(book, pages),
        *(_part(part) for part in book),
        "</body>\n</html>\n",
    ])


def _article(file: Path) -> Tag:
    article = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").select_one("article")
    for tag in article.select(_NOT_PRINTED):
        tag.decompose()
    for tag in article.select("noscript"):  # what stands in the place of a script
        tag.unwrap()
    return article


def _chapter(page: str, articles: Mapping[str, Tag]) -> Chapter:
    article = articles[page]
    return Chapter(page, article.h1.get_text(" ", strip=True), article)


def _place(page: str, article: Tag, places: Mapping[str, set[str]], site: Path) -> None:
    """Make ids, links and images of a page those of the document; headings go down by two for title and part."""
    for tag in article.select("[id]"):
        tag["id"] = anchor(page, tag["id"])
    for tag in article.select("[aria-labelledby], [aria-describedby], [for]"):
        for attribute in ("aria-labelledby", "aria-describedby", "for"):
            tag.attrs.pop(attribute, None)
    for link in article.select("a[href]"):
        target = _target(page, link["href"], places)
        if target is None:
            link.unwrap()
        else:
            link["href"] = target
    for image in article.select("img[src]"):
        image["src"] = (site / posixpath.dirname(page) / unquote(image["src"])).resolve().as_uri()
    for heading in article.select("h1, h2, h3, h4"):
        heading.name = f"h{min(int(heading.name[1]) + 1, 6)}"
    article.h2.name = "h1" if article.h1 is None else "h2"
    article["id"] = anchor(page)
    article["class"] = ["chapter"]
    article["style"] = f"page: {anchor(page)}"


def _target(page: str, href: str, places: Mapping[str, set[str]]) -> str | None:
    """Where a link leads in the document; an address elsewhere stays, and a file of the site is None."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return href
    other = page
    if parts.path:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path)))
        other = path.removesuffix(".html")
    if other not in places:
        return None
    return f"#{anchor(other, parts.fragment if parts.fragment in places[other] else '')}"


def _running_head(chapter: Chapter) -> str:
    written = chapter.title.replace("\\", "\\\\").replace('"', '\\"').replace("<", "\\3c ")
    return f'@page {chapter.anchor} {{ @top-right {{ content: "{written}"; }} }}'


def _contents(book: Sequence[Part], pages: Mapping[str, int]) -> str:
    lines = []
    for part in book:
        if part.title:
            lines.append(f'<li class="part">{escape(part.title)}</li>')
        lines += [
            f'<li><a href="#{chapter.anchor}"><span>{escape(chapter.title)}</span>'
            f'<span class="page">{pages.get(chapter.anchor, "")}</span></a></li>' for chapter in part.chapters
        ]
    return f'<nav class="contents"><h1>Contents</h1><ul>{"".join(lines)}</ul></nav>'


def _part(part: Part) -> str:
    title = f'<section class="part-title"><h1>{escape(part.title)}</h1></section>' if part.title else ""
    return title + "".join(str(chapter.article) for chapter in part.chapters)
