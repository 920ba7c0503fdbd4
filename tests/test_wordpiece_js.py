"""The live page's tokenizer, run by Node. Oracle: the tokenizers library.

Texts are strings of Unicode scalars, as the library takes them; what half a surrogate pair becomes is tested by itself.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from headlines import HEADLINES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_tokenization import ALPHABET, LIKE_OURS
from tokenizers import Tokenizer, models

from laghu.shipping import vocabulary

SCRIPT = Path(__file__).parents[1] / "book" / "_static" / "live" / "wordpiece.js"
LENGTH = 12
# Answers each line of a vocabulary's path and texts by the ids of the texts, those read and those there are.
_RUNNER = """
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { WordPiece } from "./wordpiece.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const { file, texts } = JSON.parse(line);
  const wordPiece = new WordPiece(readFileSync(file, "utf8"));
  const answers = texts.map((text) => {
    const tokens = wordPiece.tokens(text);
    return { all: tokens.map((token) => token.id), read: wordPiece.read(tokens).map((token) => token.id), tokens };
  });
  console.log(JSON.stringify(answers));
}
"""
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")

# As a file of lines can hold it. No text leads to the pieces left out: control characters are spaces.
PIECES = [piece for piece, _ in sorted(LIKE_OURS.get_vocab().items(), key=lambda pair: pair[1]) if "\n" not in piece]
IN_LINES = Tokenizer.from_str(LIKE_OURS.to_str())
IN_LINES.model = models.WordPiece({piece: place for place, piece in enumerate(PIECES)}, unk_token="[UNK]",
                                  max_input_chars_per_word=100)

Answers = Callable[[Tokenizer, list[str]], list[dict]]


@pytest.fixture(scope="module")
def in_node(tmp_path_factory) -> Iterator[Answers]:
    """What the script makes of texts with a tokenizer's vocabulary."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(SCRIPT, folder / "wordpiece.mjs")
    (folder / "run.mjs").write_text(_RUNNER, encoding="utf-8")
    process = subprocess.Popen(["node", "run.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               encoding="utf-8")
    written: dict[str, Path] = {}

    def ask(tokenizer: Tokenizer, texts: list[str]) -> list[dict]:
        content = tokenizer.to_str()
        if content not in written:
            written[content] = folder / f"{len(written)}.txt"
            written[content].write_text(vocabulary.text(tokenizer, LENGTH), encoding="utf-8", newline="\n")
        process.stdin.write(json.dumps({"file": str(written[content]), "texts": texts}) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.stdout.close()
    process.wait()


def assert_same(in_node: Answers, tokenizer: Tokenizer, texts: list[str]) -> None:
    whole, cut = Tokenizer.from_str(tokenizer.to_str()), Tokenizer.from_str(tokenizer.to_str())
    whole.no_truncation()
    cut.enable_truncation(LENGTH)
    found = in_node(tokenizer, texts)
    assert [each["all"] for each in found] == [whole.encode(text, add_special_tokens=False).ids for text in texts]
    assert [each["read"] for each in found] == [cut.encode(text).ids for text in texts]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.lists(st.sampled_from(ALPHABET), max_size=20).map("".join), st.text(max_size=30)),
                max_size=8))
@example(["", " ", "  a", "a  ", "\u0301 \u0301", " \u0301", "[MASK] [MASK]", "a[SEP]b", "[[SEP]]", "[CL S]", "##a"])
@example(["a\nb", "a\x00\u0301", "e[CLS]\u0301", "\u0958", "क\u093c", "a" * 100, "a" * 101, "🙂" * 100 + "a"])
def test_same_ids_as_the_library(in_node, texts):
    assert_same(in_node, IN_LINES, texts)


def test_same_ids_for_every_character_there_is(in_node):
    """Between letters that the vocabulary knows, so that it shows whether one is a space, a sign or a letter."""
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 100_000):
        assert_same(in_node, IN_LINES, [f"a{chr(code)}ab" for code in codes[start:start + 100_000]])


def test_same_ids_with_a_tokenizer_of_ours(in_node, tokenizer):
    texts = [*HEADLINES, *(headline[::-1] for headline in HEADLINES), "पाऊस " * 2000, "प" * 10_000, "", " \t\n"]
    assert_same(in_node, tokenizer.backend_tokenizer, texts)


def test_every_token_says_which_word_it_is_of(in_node):
    (found,) = in_node(IN_LINES, ["पाऊसab, 🙂🙂 [SEP]"])
    assert [(token["piece"], token["word"]) for token in found["tokens"]] == [
        ("पाऊस", "पाऊसab"), ("##a", "पाऊसab"), ("##b", "पाऊसab"), (",", ","), ("🙂", "🙂🙂"), ("##🙂", "🙂🙂"),
        ("[SEP]", "[SEP]"),
    ]


def test_half_a_pair_is_the_replacement_character(in_node):
    """A text area can hold one; no text of Python's that the library takes can."""
    halves, replaced = in_node(IN_LINES, ["a\ud83d a\ude42 \ude42\ud83d", "a\ufffd a\ufffd \ufffd\ufffd"])
    assert halves["all"] == replaced["all"] and len(halves["all"]) == 3
