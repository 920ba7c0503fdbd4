"""Token ids of many texts, fast: a tokenizer that treats every word by itself is asked once for each word.

BERT's kind of tokenizer normalises characters in their places, cuts at spaces and signs, and then divides each word
without a look at its neighbours. So the ids of a text are those of its words in a row, and words come again and again.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

from tokenizers import Tokenizer

# Words remembered, some 20 MB; then it begins anew. A longer word is looked up every time: no stream fills the memory.
WORDS, LONGEST = 2**17, 64

# Normalisers that never look beyond a space. Replacement is one of them only as our own tokenizers use it.
_LOCAL = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "BertNormalizer"}
_CONTROLS_TO_SPACE = {"type": "Replace", "pattern": {"Regex": r"\p{Cc}+"}, "content": " "}
# What cuts at every space, and keeps none.
_CUTTING = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}


class Tokens(Protocol):
    """A tokenizer at work."""

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Token ids of each text, special ones included, and the number of texts that had to be cut."""

    def forget(self) -> None:
        """Go on as if no text had been read: for measurements."""


def tokens(tokenizer: Tokenizer, max_length: int) -> Tokens:
    """The fastest way to a tokenizer's ids that gives the same ids, at most `max_length` of a text."""
    kind = WordByWord if divides_words(tokenizer) else TextByText
    return kind(tokenizer, max_length)


class TextByText:
    """Any tokenizer: whole texts, side by side in the library's own threads."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.enable_truncation(max_length)
        self._tokenizer.no_padding()

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        encodings = self._tokenizer.encode_batch_fast(texts)
        return [encoding.ids for encoding in encodings], sum(bool(encoding.overflowing) for encoding in encodings)

    def forget(self) -> None:
        pass


class WordByWord:
    """A tokenizer that `divides_words`: words that are new in the library's own threads, the others from memory."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._before, self._after = _around(self._tokenizer)
        self._room = max_length - len(self._before) - len(self._after)
        self.forget()

    def forget(self) -> None:
        self._known: dict[str, list[int]] = {}

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        split = [text.split(" ") for text in texts]
        ids = self._ids(set(chain.from_iterable(split)))
        rows = [list(chain.from_iterable(map(ids.__getitem__, words))) for words in split]
        cut = sum(len(row) > self._room for row in rows)
        return [[*self._before, *row[:self._room], *self._after] for row in rows], cut

    def _ids(self, words: Iterable[str]) -> dict[str, list[int]]:
        """Of each word. Other threads may add words to the memory meanwhile, or begin a new one."""
        known = self._known
        ids = {word: known[word] for word in words if word in known}
        if missing := [word for word in words if word not in ids]:
            encodings = self._tokenizer.encode_batch_fast(missing, add_special_tokens=False)
            new = {word: encoding.ids for word, encoding in zip(missing, encodings, strict=True)}
            ids |= new
            if len(known) + len(new) > WORDS:
                self._known = known = {}
            known.update((word, row) for word, row in new.items() if len(word) <= LONGEST)
        return ids


def divides_words(tokenizer: Tokenizer) -> bool:
    """Are a text's ids those of its parts between spaces, in a row, whatever the text?"""
    parts = json.loads(tokenizer.to_str())
    before_words = parts["pre_tokenizer"] or {"type": None}
    return (
        parts["model"]["type"] == "WordPiece"
        and before_words["type"] in _CUTTING
        and all(step["type"] in _LOCAL or step == _CONTROLS_TO_SPACE for step in _steps(parts["normalizer"]))
        and not any(" " in token["content"] for token in parts["added_tokens"])
    )


def _steps(normalizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    if normalizer is None:
        return []
    return normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]


def _around(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Special tokens before and after those of a text."""
    inner = tokenizer.encode("a", add_special_tokens=False).ids
    ids = tokenizer.encode("a").ids
    start = next(place for place in range(len(ids)) if ids[place:place + len(inner)] == inner)
    return ids[:start], ids[start + len(inner):]
