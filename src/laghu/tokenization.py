"""Token ids of many texts, fast.

The tokenizers library keeps of every character where it came from, through each step before its model. Nobody asks for
that here. So what can be done to many texts at once is done before: composing characters, and setting signs apart from
words. The library then has to cut at spaces and to divide words, which is most of its time less.

Its own threads stay idle (`library_threads`), because whoever has many texts classifies several chunks at once.
"""

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any, Protocol

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer

# What our own tokenizers do to characters, and what less would be (`laghu.backbones`).
_COMPOSED = {"type": "NFC"}
_CONTROLS_TO_SPACE = {"type": "Replace", "pattern": {"Regex": r"\p{Cc}+"}, "content": " "}
_NORMALIZERS = ([_COMPOSED], [_COMPOSED, _CONTROLS_TO_SPACE])

# All but the line feed, which stands between texts here.
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_SURROGATES = range(0xD800, 0xE000)

_SWITCH = "TOKENIZERS_PARALLELISM"


class Tokens(Protocol):
    """A tokenizer at work."""

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Token ids of each text, special ones included, and the number of texts that had to be cut."""


def tokens(tokenizer: Tokenizer, max_length: int) -> Tokens:
    """The fastest way to a tokenizer's ids that gives the same ids, at most `max_length` of a text."""
    kind = Prepared if can_be_prepared(tokenizer) else TextByText
    return kind(tokenizer, max_length)


@contextmanager
def library_threads(on: bool) -> Iterator[None]:
    """Within, the library divides a call among threads of its own, or does not: everywhere in this process."""
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = str(on).lower()
    try:
        yield
    finally:
        os.environ.pop(_SWITCH) if before is None else os.environ.update({_SWITCH: before})


def leave_threads_to_chunks() -> None:
    """Turn the library's own threads off for this process, unless its environment says something of them already."""
    os.environ.setdefault(_SWITCH, "false")


class TextByText:
    """Any tokenizer: whole texts."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.enable_truncation(max_length)
        self._tokenizer.no_padding()

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        encodings = self._tokenizer.encode_batch_fast(texts)
        return [encoding.ids for encoding in encodings], sum(bool(encoding.overflowing) for encoding in encodings)


class Prepared:
    """A tokenizer that `can_be_prepared`: texts come to the library as words with spaces between them."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        parts = json.loads(tokenizer.to_str())
        self._special = [token["content"] for token in parts["added_tokens"]]
        self._before, self._after = around(tokenizer)
        self._room = max_length - len(self._before) - len(self._after)
        self._whole = TextByText(tokenizer, max_length)
        self._sign = re.compile(f"([{re.escape(''.join(_signs_of_bmp()))}])")
        self._words = Tokenizer.from_str(json.dumps(parts | {
            "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None,
            "added_tokens": [], "truncation": None, "padding": None,
        }))

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        joined = "\n".join(texts)
        if (joined.count("\n") >= len(texts) or _CONTROLS.search(joined)
                or any(token in joined for token in self._special)):
            return self._whole(texts)
        rows = [encoding.ids for encoding in self._words.encode_batch_fast(self._apart(joined).split("\n"))]
        cut = sum(len(row) > self._room for row in rows)
        return [[*self._before, *row[:self._room], *self._after] for row in rows], cut

    def _apart(self, joined: str) -> str:
        """With composed characters, and spaces around signs."""
        joined = unicodedata.normalize("NFC", joined)
        for sign in _signs(set(_BEYOND_BMP.findall(joined))):
            joined = joined.replace(sign, f" {sign} ")
        return " ".join(self._sign.split(joined))


def can_be_prepared(tokenizer: Tokenizer) -> bool:
    """Does Python know all that this tokenizer does before it divides words?"""
    parts = json.loads(tokenizer.to_str())
    model = parts["model"]
    return (
        model["type"] == "WordPiece"
        and parts["pre_tokenizer"] == {"type": "BertPreTokenizer"}
        and _steps(parts["normalizer"]) in _NORMALIZERS
        # These would be looked for in composed text.
        and not any(token["normalized"] for token in parts["added_tokens"])
        # Characters that are newer than Python's tables may compose otherwise, which only matters in words it knows.
        and all(unicodedata.category(character) != "Cn" for character in set(chain.from_iterable(model["vocab"])))
    )


def around(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Special tokens before and after those of a text."""
    inner = tokenizer.encode("a", add_special_tokens=False).ids
    ids = tokenizer.encode("a").ids
    start = next(place for place in range(len(ids)) if ids[place:place + len(inner)] == inner)
    return ids[:start], ids[start + len(inner):]


def _steps(normalizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    if normalizer is None:
        return []
    return normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]


def _signs(characters: Iterable[str]) -> list[str]:
    """Those that BERT's pre-tokenizer cuts out of words. The library is asked: its tables are not Python's."""
    parts = BertPreTokenizer().pre_tokenize_str(f"a{'a'.join(characters)}a")
    return [part for part, _ in parts if len(part) == 1 and part != "a"]


@cache
def _signs_of_bmp() -> list[str]:
    return _signs(chr(code) for code in range(0x10000) if code not in _SURROGATES)
