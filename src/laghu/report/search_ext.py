"""The book's search finds Marathi words: Sphinx's own splits them at every vowel sign.

English stays as it is, stemming included. Texts and what a reader types are split in the same way, here and in the
page: words end where the script changes, so that in "AIने" both parts are found, and joiners, which change a word's
looks only, are left out of both.
"""

import re
import unicodedata
from functools import cache
from typing import Any

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

import laghu

# The blocks of India's scripts from Devanagari to Malayalam lie together; the danda ends a sentence.
_BLOCKS = r"\u0900-\u0D7F"
_INDIC = rf"(?:(?![\u0964\u0965])[{_BLOCKS}])+"
_WORD = re.compile(rf"{_INDIC}|[^\W{_BLOCKS}]+")
_JOINERS = re.compile(r"[\u200c\u200d]")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_search_language(EnglishAndMarathi)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class EnglishAndMarathi(SearchEnglish):
    """Sphinx's English, with words of India's scripts kept whole."""

    js_splitter_code = rf"""
var splitQuery = (query) => query
  .normalize("NFC")
  .replace(/[\u200c\u200d]/g, "")
  .match(/{_INDIC}|(?:(?![{_BLOCKS}])[\p{{Letter}}\p{{Number}}_\p{{Emoji_Presentation}}])+/gu) ?? [];
"""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.stem = cache(self.stem)  # a book says most of its words many times

    def split(self, input: str) -> list[str]:  # the name is Sphinx's
        """The words of a text."""
        return _WORD.findall(_JOINERS.sub("", unicodedata.normalize("NFC", input)))
