"""Oracle: the tokenizers library on whole texts."""

import os

import pytest
from headlines import HEADLINES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from laghu.tokenization import Prepared, TextByText, can_be_prepared, leave_threads_to_chunks, library_threads, tokens

ALPHABET = [*"abAÉßéİςΣ .,'-[]#।…\U00010100𑇉", "[CLS]", "[MASK]", "[UNK]", "पाऊस", "ि", "\u093c", "\u200d", "\u00a0",
            "\u2028", "\u3000", "\x00", "\x1c", "\t", "\n", "\x85", "中", "é", "e\u0301", "\u0301", "ﷺ", "🙂",
            "a" * 120]
TEXTS = st.one_of(st.lists(st.sampled_from(ALPHABET), max_size=20).map("".join), st.text(max_size=30))


def wordpiece(normalizer=None, pre_tokenizer=None) -> Tokenizer:
    """A word-piece tokenizer of single letters and a few pieces, with BERT's special tokens."""
    letters = sorted({letter for text in [*HEADLINES, *ALPHABET] for letter in text})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), "पाऊस"]
    made = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(dict.fromkeys(pieces))},
                                      unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer, made.pre_tokenizer = normalizer, pre_tokenizer or pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return made


COMPOSED = wordpiece(normalizers.NFC())
LIKE_OURS = wordpiece(normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\p{Cc}+"), " ")]))


@pytest.mark.parametrize("tokenizer", [COMPOSED, LIKE_OURS], ids=["composed", "like ours"])
@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5), st.integers(3, 12))
@example(["", " ", "  a", "a  ", "\u0301 \u0301", " \u0301", "[MASK] [MASK]", "a[SEP]b"], 6)
@example(["a", "\u0301b"], 6)
@example(["a\nb"], 6)
def test_prepared_texts_have_the_same_ids(tokenizer, texts, length):
    assert can_be_prepared(tokenizer)
    assert Prepared(tokenizer, length)(texts) == TextByText(tokenizer, length)(texts)


def test_every_character_there_is_is_prepared_as_the_library_does():
    """Of the two planes that have signs. Whether letters around one are a word or two, no vocabulary hides."""
    for start in range(0, 0x20000, 4096):
        codes = (code for code in range(start, start + 4096) if not 0xD800 <= code < 0xE000)
        some = [f"a{chr(code)}ab" for code in codes]
        assert Prepared(LIKE_OURS, 20)(some) == TextByText(LIKE_OURS, 20)(some)


def test_our_own_tokenizer_is_prepared(tokenizer):
    own = tokenizer.backend_tokenizer
    assert isinstance(tokens(own, 64), Prepared)
    texts = [*HEADLINES, "a\x00b \x1f", "पाऊस " * 100]
    expected = [tokenizer(text, truncation=True, max_length=64)["input_ids"] for text in texts]
    assert tokens(own, 64)(texts) == (expected, 1)
    assert tokens(own, 64)(HEADLINES)[0] == expected[:len(HEADLINES)]


def with_token(token, **settings) -> Tokenizer:
    made = wordpiece(normalizers.NFC())
    made.add_tokens([AddedToken(token, **settings)])
    return made


def with_piece(piece) -> Tokenizer:
    made = wordpiece(normalizers.NFC())
    made.model = models.WordPiece({**made.get_vocab(), piece: made.get_vocab_size()}, unk_token="[UNK]")
    return made


@pytest.mark.parametrize("other", [
    wordpiece(), wordpiece(normalizers.BertNormalizer(lowercase=True)), wordpiece(normalizers.NFD()),
    wordpiece(normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex("a b"), "c")])),
    wordpiece(normalizers.NFC(), pre_tokenizers.Metaspace()), wordpiece(normalizers.NFC(), pre_tokenizers.Whitespace()),
    Tokenizer(models.BPE()), with_token("é", normalized=True), with_piece("a\u0378"),
], ids=["bare", "google", "decomposed", "replaced", "metaspace", "whitespace", "bpe", "normalised", "unassigned"])
def test_what_python_does_not_know_is_left_to_the_library(other):
    assert not can_be_prepared(other)
    assert isinstance(tokens(other, 8), TextByText)


def test_a_token_that_was_added_is_found_in_prepared_texts():
    own = with_token("two words", normalized=False)
    assert can_be_prepared(own)
    for texts in (["a two words b"], ["a", "two", "words"], ["two\nwords"]):
        assert Prepared(own, 9)(texts) == TextByText(own, 9)(texts)


def test_the_callers_tokenizer_stays_as_it_is():
    own = wordpiece(normalizers.NFC())
    before = own.to_str()
    for kind in (TextByText, Prepared):
        kind(own, 5)(["a b c d e f g"])
    assert own.to_str() == before


@pytest.mark.parametrize("before", [None, "false", "1"])
def test_threads_of_the_library_are_as_before_afterwards(monkeypatch, before):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    if before is not None:
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", before)
    with library_threads(True):
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
        with pytest.raises(ZeroDivisionError), library_threads(False):
            assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
            1 / 0  # noqa: B018
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before
    leave_threads_to_chunks()
    assert os.environ["TOKENIZERS_PARALLELISM"] == (before or "false")
