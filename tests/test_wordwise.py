"""Oracle: the tokenizers library on whole texts."""

import threading

import pytest
from headlines import HEADLINES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from laghu import wordwise
from laghu.wordwise import TextByText, WordByWord, divides_words, tokens

ALPHABET = [*"abAÉßéİςΣ .,'-[]#", "[CLS]", "[MASK]", "[UNK]", "पाऊस", "ि", "\u093c", "\u200d", "\u00a0", "\u2028",
            "\u3000", "\x00", "\x1c", "\t", "\n", "\x85", "中", "é", "e\u0301", "\u0301", "ﷺ", "🙂", "a" * 120]
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


DIVIDING = {
    "bare": wordpiece(),
    "google": wordpiece(normalizers.BertNormalizer(lowercase=True)),
    "cased": wordpiece(normalizers.BertNormalizer(lowercase=False, handle_chinese_chars=False, clean_text=False)),
    "nfc": wordpiece(normalizers.NFC()),
    "stripped": wordpiece(normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(),
                                                normalizers.Lowercase()])),
    "at spaces": wordpiece(normalizers.NFD(), pre_tokenizers.WhitespaceSplit()),
    "words and signs": wordpiece(normalizers.NFKC(), pre_tokenizers.Whitespace()),
}


@pytest.mark.parametrize("kind", DIVIDING)
@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5), st.integers(3, 12))
@example(["", " ", "  a", "a  ", "\u0301 \u0301", " \u0301", "[MASK] [MASK]", "a[SEP]b"], 6)
def test_words_in_a_row_are_the_text(kind, texts, length):
    assert divides_words(DIVIDING[kind])
    assert WordByWord(DIVIDING[kind], length)(texts) == TextByText(DIVIDING[kind], length)(texts)


def test_our_own_tokenizer_divides_words(tokenizer):
    own = tokenizer.backend_tokenizer
    assert isinstance(tokens(own, 64), WordByWord)
    texts = [*HEADLINES, "a\x00b \x1f", "पाऊस " * 100]
    expected = [tokenizer(text, truncation=True, max_length=64)["input_ids"] for text in texts]
    assert tokens(own, 64)(texts) == (expected, 1)


@pytest.mark.parametrize("other", [
    wordpiece(normalizers.Replace(Regex("a b"), "c")), wordpiece(normalizers.Strip()),
    wordpiece(None, pre_tokenizers.Metaspace()), Tokenizer(models.BPE()),
], ids=["replaced", "stripped", "joined", "bpe"])
def test_what_looks_beyond_a_space_is_asked_for_whole_texts(other):
    assert not divides_words(other)
    assert isinstance(tokens(other, 8), TextByText)


def test_a_token_with_a_space_in_it_needs_whole_texts():
    changed = wordpiece()
    changed.add_tokens(["two words"])
    assert not divides_words(changed)


def test_the_callers_tokenizer_stays_as_it_is():
    own = wordpiece()
    before = own.to_str()
    for kind in (TextByText, WordByWord):
        kind(own, 5)(["a b c d e f g"])
    assert own.to_str() == before


def test_no_stream_fills_the_memory(monkeypatch):
    monkeypatch.setattr(wordwise, "WORDS", 10)
    monkeypatch.setattr(wordwise, "LONGEST", 5)
    made, expected = WordByWord(DIVIDING["nfc"], 9), TextByText(DIVIDING["nfc"], 9)
    for start in range(40):
        texts = [f"{number} {'a' * number}" for number in range(start, start + 4)]
        assert made(texts) == expected(texts)
        assert len(made._known) <= 10 and max(map(len, made._known)) <= 5


def test_several_threads_share_the_memory(monkeypatch):
    """A small memory is begun anew all the time, while others read it."""
    monkeypatch.setattr(wordwise, "WORDS", 16)
    made, expected = WordByWord(DIVIDING["nfc"], 9), TextByText(DIVIDING["nfc"], 9)
    texts = [[f"{number * step % 53} {number % 7}" for number in range(60)] for step in range(1, 5)]
    wanted, wrong = [expected(each) for each in texts], []

    def work(each, answer):
        for _ in range(50):
            if made(each) != answer:
                wrong.append(each)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(texts, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
