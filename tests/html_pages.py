"""A page of HTML taken apart: its elements, and its texts with what they are in."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

# What has no end tag.
_EMPTY = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})


def plain(html: str) -> str:
    """What is left of HTML without its tags, all spaces alike."""
    return re.sub(r"<[^>]+>", "", html).replace("\N{NO-BREAK SPACE}", " ")


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str]


class Parts(HTMLParser):
    """`elements` in the order of the page, and `texts`: each with the elements around it, outermost first.

    `text` is all of it, with one space for any.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.texts: list[tuple[str, list[Element]]] = []
        self._around: list[Element] = []
        self._data: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join("".join(self._data).split())

    @classmethod
    def of(cls, file: Path) -> "Parts":
        return cls(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attributes})
        self.elements.append(element)
        if tag not in _EMPTY:
            self._around.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._around):
            while self._around.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._data.append(data)
        if data.strip():
            self.texts.append((data, list(self._around)))
