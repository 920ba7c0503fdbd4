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

_NOT_PRINTED = (
    ".headerlink, script, style, button, p.laghu-data:has(a.download), .laghu-weights, .toctree-wrapper, .noprint, "
    "[hidden]"
)


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
    articles = {_name(file): _article(site / f"{_name(file)}.html") for _, files in named for file in files}
    titles = {page: " ".join(article.h1.get_text().split()) for page, article in articles.items()}
    places = {page: {tag["id"] for tag in article.select("[id]")} for page, article in articles.items()}
    for page, article in articles.items():
        _set_in(page, article, places, site)
        if page != contents["root"]:
            _lower_headings(article)
    return [Part(title, [Chapter(_name(file), titles[_name(file)], articles[_name(file)]) for file in files])
            for title, files in named]


def document(book: Sequence[Part], title: str, imprint: Sequence[str], style: str, scripts: Sequence[str],
             pages: Mapping[str, int]) -> str:
    """The whole document.

    Args:
        title: of the book.
        imprint: lines of the title page below the title, in HTML.
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
        f'<section class="title-page"><p class="title">{escape(title)}</p>'
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


def _name(file: str) -> str:
    """A page by its file in the table of contents."""
    return file.removesuffix(".ipynb")


def _set_in(page: str, article: Tag, places: Mapping[str, set[str]], site: Path) -> None:
    """Make ids, links and images of a page those of the document."""
    for tag in article.select("[id]"):
        tag["id"] = anchor(page, tag["id"])
    for attribute in ("aria-labelledby", "aria-describedby", "for"):
        for tag in article.select(f"[{attribute}]"):
            del tag[attribute]
    for link in article.select("a[href]"):
        target = _target(page, link["href"], places)
        if target is None:
            link.unwrap()
        else:
            link["href"] = target
    for image in article.select('img[src]:not([src^="data:"])'):
        image["src"] = (site / posixpath.dirname(page) / unquote(image["src"])).resolve().as_uri()
    article["id"] = anchor(page)
    article["class"] = ["chapter"]
    article["style"] = f"page: {anchor(page)}"


def _lower_headings(article: Tag) -> None:
    """One level down, below the title of the part."""
    for heading in article.select("h1, h2, h3, h4, h5"):
        heading.name = f"h{int(heading.name[1]) + 1}"


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
