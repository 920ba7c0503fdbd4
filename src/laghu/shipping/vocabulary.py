"""A tokenizer as one text file for `book/_static/live/wordpiece.js`, which gives the same ids in a browser.

The first line holds the settings as JSON, the others the pieces in the order of their ids. What a word is, is not left
to the browser's Unicode tables: which characters are signs and which are spaces is asked of the tokenizers library and
written down.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from laghu import tokenization
from laghu.errors import LaghuError

# Code points, and those among them that are halves of others.
_UNICODE = 0x110000
_SURROGATES = range(0xD800, 0xE000)


def text(tokenizer: Tokenizer, max_length: int) -> str:
    """The file's content.

    Args:
        max_length: tokens to read of a text, special ones among them.

    Raises:
        LaghuError: the script could not give this tokenizer's ids.
    """
    parts = json.loads(tokenizer.to_str())
    ids, added = parts["model"].get("vocab", {}), parts["added_tokens"]
    if not (
        tokenization.can_be_prepared(tokenizer)
        and tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("\0") == " "
        and sorted(ids.values()) == list(range(len(ids)))
        and not any("\n" in piece for piece in ids)
        # Such a token takes blanks with it, or stands only between words.
        and not any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in added)
    ):
        raise LaghuError("the live page reads word pieces as laghu.backbones trains them; this tokenizer is another")
    before, after = tokenization.around(tokenizer)
    signs, spaces = _signs_and_spaces(tokenizer)
    settings: dict[str, Any] = {
        "maxLength": max_length,
        "before": before,
        "after": after,
        "unknown": parts["model"]["unk_token"],
        "continuing": parts["model"]["continuing_subword_prefix"],
        "longestWord": parts["model"]["max_input_chars_per_word"],
        "special": [token["content"] for token in added],
        "signs": list(_ends(signs)),
        "spaces": list(_ends(spaces)),
    }
    first = json.dumps(settings, ensure_ascii=False, separators=(",", ":"))
    return "\n".join([first, *sorted(ids, key=ids.__getitem__)])


def tokenizer(content: str) -> Tokenizer:
    """The tokenizer of a file's content."""
    first, *pieces = content.split("\n")
    settings = json.loads(first)
    made = Tokenizer(models.WordPiece(
        {piece: place for place, piece in enumerate(pieces)}, unk_token=settings["unknown"],
        max_input_chars_per_word=settings["longestWord"], continuing_subword_prefix=settings["continuing"],
    ))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\p{Cc}+"), " ")])
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    around = [pieces[place] for place in (*settings["before"], *settings["after"])]
    made.post_processor = processors.TemplateProcessing(
        single=" ".join([*around[:len(settings["before"])], "$A", *around[len(settings["before"]):]]),
        special_tokens=[(token, made.token_to_id(token)) for token in dict.fromkeys(around)],
    )
    made.add_special_tokens(settings["special"])
    return made


def max_length(content: str) -> int:
    """Tokens to read of a text, of a file's content."""
    return json.loads(content.partition("\n")[0])["maxLength"]


def _signs_and_spaces(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Code points that are words by themselves, and those that only stand between words."""
    codes = [code for code in range(_UNICODE) if code not in _SURROGATES]
    parts = [part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(f"a{'a'.join(map(chr, codes))}a")]
    signs = {ord(part) for part in parts if len(part) == 1 and part != "a"}
    letters = {ord(character) for part in parts if len(part) > 1 for character in part} | {ord("a")}
    controls = {code for code in range(0xA0) if tokenizer.normalizer.normalize_str(chr(code)) == " "}
    spaces = set(codes) - signs - letters | controls
    return sorted(signs - controls), sorted(spaces)


def _ends(codes: Iterable[int]) -> Iterator[int]:
    """First and last of each run of neighbours, one after the other."""
    for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0]):
        neighbours = [code for _, code in run]
        yield from (neighbours[0], neighbours[-1])
