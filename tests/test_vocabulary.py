import json
from collections import Counter
from functools import cache
from itertools import chain

import numpy as np
import pytest
import torch
from headlines import HEADLINES
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    ByT5Tokenizer,
    ElectraConfig,
    ElectraForMaskedLM,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification,
    XLMRobertaTokenizer,
)

from laghu import backbones
from laghu.compression import vocabulary
from laghu.errors import LaghuError

SPECIAL = {"wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
           "unigram": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]}
KINDS = list(SPECIAL)
# Matras, nukta, conjuncts, and both joiners: eyelash reph (zero-width joiner), open virama (non-joiner).
CHARACTERS = "कखगरनय" "ािीु" "़्" "\u200d\u200c"
SPELLINGS = [*" ".join(HEADLINES).split(), "र्\u200dया", "क्\u200cन"]


@cache
def wordpiece() -> PreTrainedTokenizerFast:
    return backbones.train_tokenizer([*HEADLINES, *CHARACTERS, " ".join(CHARACTERS), CHARACTERS], 190, 64)


@cache
def unigram() -> XLMRobertaTokenizer:
    """XLM-R's own tokenizer over all substrings of the headlines that occur twice; scores are log frequencies."""
    counts: Counter[str] = Counter("▁" + CHARACTERS)
    for word in chain.from_iterable(map(str.split, HEADLINES)):
        spelled = f"▁{word}"
        counts.update(spelled[i:j] for i in range(len(spelled)) for j in range(i + 1, min(i + 6, len(spelled)) + 1))
    total = counts.total()
    pieces = [
        (piece, round(float(np.log(count / total)), 3))
        for piece, count in sorted(counts.items()) if count > 1 or len(piece) == 1
    ]
    special = [(token, 0.0) for token in SPECIAL["unigram"]]
    return XLMRobertaTokenizer(vocab=[*special[:4], *pieces, special[4]], model_max_length=64)


def tokenizer_of(kind):
    return wordpiece() if kind == "wordpiece" else unigram()


def special_ids(kind):
    return set(tokenizer_of(kind).convert_tokens_to_ids(SPECIAL[kind]))


def lowest_id():
    """The Unigram piece of the lowest score, first of its kind."""
    scores = [score for _, score in json.loads(unigram().backend_tokenizer.to_str())["model"]["vocab"]]
    return scores.index(min(scores))


def random_model(model_class, config_class, rows, **config):
    """Every parameter random, biases and gains too."""
    torch.manual_seed(0)
    model = model_class(config_class(**{
        "vocab_size": rows, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_labels": 3,
        "intermediate_size": 12, "max_position_embeddings": 70, "type_vocab_size": 2,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, **config,
    }))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "LayerNorm.weight" in name or "layer_norm.weight" in name else 0.0, 0.5)
    return model.eval()


CASES = {
    "bert classifier": ("wordpiece", BertForSequenceClassification, BertConfig),
    "bert masked": ("wordpiece", BertForMaskedLM, BertConfig),
    "electra masked": ("wordpiece", ElectraForMaskedLM, ElectraConfig),
    "xlm-r classifier": ("unigram", XLMRobertaForSequenceClassification, XLMRobertaConfig),
    "xlm-r masked": ("unigram", XLMRobertaForMaskedLM, XLMRobertaConfig),
}
cases = pytest.mark.parametrize(("kind", "model_class", "config_class"), CASES.values(), ids=CASES)


def logits_of(model, tokenizer, texts):
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


def kept_for(kind, texts, others=()):
    """Ids by hand: the special tokens, all tokens of the texts, and `others`."""
    used = {token_id for text in texts for token_id in tokenizer_of(kind)(text)["input_ids"]}
    return np.array(sorted(special_ids(kind) | used | set(others)))


def trimmed(kind, kept):
    """The trimmed tokenizer, of a model that does not matter."""
    tokenizer = tokenizer_of(kind)
    with torch.device("meta"):
        model = BertModel(BertConfig(
            vocab_size=len(tokenizer), hidden_size=2, num_hidden_layers=0, num_attention_heads=1, intermediate_size=2,
            pad_token_id=tokenizer.pad_token_id,
        ))
    return vocabulary.trim(model, tokenizer, kept)


# ------------------------------------------------------------------------------------------------ counting


@pytest.mark.parametrize("kind", KINDS)
def test_frequencies_are_those_of_a_loop_over_tokens(kind, monkeypatch):
    monkeypatch.setattr(vocabulary, "BATCH", 3)  # so that the texts fill several batches and part of one
    tokenizer = tokenizer_of(kind)
    texts = [*HEADLINES, "", "दुसर्‍या 漢 दुसर्या", " ".join(HEADLINES * 3)]
    tokenizer(texts, truncation=True, max_length=5)  # its traces must not shorten what is counted
    encoded = (tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in texts)
    expected = Counter(tokenizer.convert_ids_to_tokens(chain.from_iterable(encoded)))
    assert expected.total() > 64 and expected[tokenizer.unk_token] == 1
    counts = vocabulary.frequencies(tokenizer, (text for text in texts))
    assert counts.dtype == np.int64 and counts.shape == (len(tokenizer),)
    names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert {name: count for name, count in zip(names, counts.tolist(), strict=True) if count} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_mean_length_is_tokens_for_each_text(kind):
    tokenizer = tokenizer_of(kind)
    expected = sum(len(tokenizer.tokenize(text)) for text in HEADLINES) / len(HEADLINES)
    assert vocabulary.mean_length(tokenizer, iter(HEADLINES)) == pytest.approx(expected)
    with pytest.raises(LaghuError, match=r"^no texts have no mean length; give at least one$"):
        vocabulary.mean_length(tokenizer, [])


# ------------------------------------------------------------------------------------------------ what is kept


LATIN = {"zz": 0, "[UNK]": 1, "a": 2, "##a": 3, "b": 4, "ab": 5, "[CLS]": 6, "##b": 7, "c": 8, "##c": 9, "bc": 10,
         "[SEP]": 11, "abc": 12, "##bc": 13, "[PAD]": 14, "##bd": 15, "x": 16}


def latin(post_processor=None, **special):
    """A vocabulary small enough to know by heart, with special tokens among the others."""
    backend = Tokenizer(models.WordPiece(LATIN, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.NFC(), pre_tokenizers.BertPreTokenizer()
    backend.post_processor = post_processor or processors.BertProcessing(("[SEP]", 11), ("[CLS]", 6))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"} | special
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def test_kept_ids_by_hand():
    counts = np.zeros(17, dtype=np.int64)
    counts[5] = 3  # ab; so of characters a ##a b ##b stay: 2 3 4 7, with the special 1 6 11 14
    assert vocabulary.kept_ids(latin(), counts, 8).tolist() == [1, 2, 3, 4, 6, 7, 11, 14]
    assert vocabulary.kept_ids(latin(), counts, 9).tolist() == [1, 2, 3, 4, 5, 6, 7, 11, 14]
    assert vocabulary.kept_ids(latin(), counts, 10).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 11, 14]  # all others at 0
    assert vocabulary.kept_ids(latin(), counts, 17).tolist() == list(range(17))
    counts[[12, 13, 10]] = 9, 2, 2  # abc ##bc bc: c and ##c (8 9) stay too
    required = [1, 2, 3, 4, 6, 7, 8, 9, 11, 14]
    for size, best in [(11, [12]), (12, [12, 5]), (13, [12, 5, 10]), (14, [12, 5, 10, 13])]:
        assert vocabulary.kept_ids(latin(), counts, size).tolist() == sorted([*required, *best])


def test_a_special_token_in_the_text_adds_no_characters():
    counts = np.zeros(17, dtype=np.int64)
    counts[1] = 100  # [UNK]; of its characters the vocabulary has none, of <abc> it would have three
    assert vocabulary.kept_ids(latin(extra_special_tokens=["abc"]), counts, 5).tolist() == [1, 6, 11, 12, 14]
    counts[12] = 100
    assert vocabulary.kept_ids(latin(extra_special_tokens=["abc"]), counts, 5).tolist() == [1, 6, 11, 12, 14]


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_and_the_seen_alphabet_stay(kind):
    tokenizer = tokenizer_of(kind)
    texts = HEADLINES[:2]
    counts = vocabulary.frequencies(tokenizer, texts)
    seen = set("".join(texts)) - {" "} | {"▁"}
    single = {
        number for token, number in tokenizer.get_vocab().items()
        if len(token.removeprefix("##")) == 1 and token.removeprefix("##") in seen
    }
    assert kind == "wordpiece" or lowest_id() not in single
    required = special_ids(kind) | single | ({lowest_id()} if kind == "unigram" else set())
    kept = vocabulary.kept_ids(tokenizer, counts, len(required))
    assert len(required) < len(tokenizer) and kept.tolist() == sorted(required)
    with pytest.raises(LaghuError, match=rf"^{len(required) - 1} tokens are too few: .* need {len(required)}$"):
        vocabulary.kept_ids(tokenizer, counts, len(required) - 1)


def test_bytes_stay_where_a_tokenizer_falls_back_to_them():
    pieces = [("<unk>", 0.0), ("▁", -3.0), ("a", -1.0), ("ab", -12.0)]
    pieces += [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True)), unk_token="<unk>"
    )
    counts = vocabulary.frequencies(tokenizer, ["a"])
    assert vocabulary.kept_ids(tokenizer, counts, 259).tolist() == [0, 2, 3, *range(4, 260)]


# ------------------------------------------------------------------------------------------------ same tokens


def greedy(word, known):
    """WordPiece as in Devlin et al.'s code: longest match first; a word that can't be finished is [UNK]."""
    pieces, rest = [], word
    while rest:
        prefix = "##" if pieces else ""
        length = next((n for n in range(len(rest), 0, -1) if prefix + rest[:n] in known), 0)
        if not length:
            return ["[UNK]"]
        pieces.append(prefix + rest[:length])
        rest = rest[length:]
    return pieces


def best_paths(word, scores):
    """All ways to cut a word, by brute force: the highest score and the cuts that have it; None is an unknown."""
    unknown = min(scores.values()) - 10

    @cache
    def paths(start):
        if start == len(word):
            return [(0.0, ())]
        ends = [end for end in range(start + 1, len(word) + 1) if word[start:end] in scores]
        steps = [(scores[word[start:end]], word[start:end], end) for end in ends]
        if start + 1 not in ends:
            steps.append((unknown, None, start + 1))
        return [(score + rest, (piece, *path)) for score, piece, end in steps for rest, path in paths(end)]

    highest = max(score for score, _ in paths(0))
    return {path for score, path in paths(0) if score > highest - 1e-9}


unknown = st.sampled_from(["漢", "क漢न", "न漢漢"])
words = st.one_of(st.sampled_from(SPELLINGS), st.text(CHARACTERS, min_size=1, max_size=8), unknown)
sentences = st.lists(words, min_size=1, max_size=5).map(" ".join)
seeds = st.integers(0, 2**16)


def a_part(kind, seed, always=()):
    """A random part of the vocabulary, special tokens in it."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(tokenizer_of(kind)))[: generator.integers(5, len(tokenizer_of(kind)))]
    return np.array(sorted({*chosen.tolist(), *special_ids(kind), *always}))


@settings(deadline=None, max_examples=40)
@given(sentences, seeds)
def test_a_trimmed_wordpiece_is_longest_match_first_over_the_kept_pieces(text, seed):
    kept = a_part("wordpiece", seed)
    tokenizer = trimmed("wordpiece", kept)
    pieces = {*wordpiece().convert_ids_to_tokens(kept.tolist())}
    spelled = wordpiece().backend_tokenizer.normalizer.normalize_str(text)
    split = [word for word, _ in wordpiece().backend_tokenizer.pre_tokenizer.pre_tokenize_str(spelled)]
    assert tokenizer.tokenize(text) == list(chain.from_iterable(greedy(word, pieces) for word in split))


@settings(deadline=None, max_examples=40)
@given(words, seeds)
def test_a_trimmed_unigram_takes_the_best_path_over_the_kept_pieces(word, seed):
    kept = a_part("unigram", seed)
    pieces = json.loads(unigram().backend_tokenizer.to_str())["model"]["vocab"]
    scores = dict(pieces[number] for number in kept)
    found = trimmed("unigram", kept).tokenize(word[:9])
    # Neighbouring unknowns are one token, so only what is known can be compared.
    paths = [[piece for piece in path if piece] for path in best_paths(f"▁{word[:9]}", scores)]
    assert [token for token in found if token in scores] in paths


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(text=sentences, seed=seeds)
def test_a_text_whose_tokens_are_kept_is_cut_as_before(kind, text, seed):
    before = tokenizer_of(kind)(text)["input_ids"]
    assume(kind == "unigram" or wordpiece().unk_token_id not in before)
    kept = a_part(kind, seed, always=[*before, *([lowest_id()] if kind == "unigram" else [])])
    assert kept[trimmed(kind, kept)(text)["input_ids"]].tolist() == before


def test_an_unknown_word_may_become_known():
    """The one exception: ab + ##d led nowhere, and without ab there is a + ##bd."""
    assert latin().tokenize("abd") == ["[UNK]"]
    kept = np.array([1, 2, 6, 11, 14, 15])
    model = random_model(BertForSequenceClassification, BertConfig, 17, pad_token_id=14)
    assert vocabulary.trim(model, latin(), kept).tokenize("abd") == ["a", "##bd"]


def test_without_the_lowest_score_unknown_characters_would_be_too_cheap():
    """Why `kept_ids` keeps a piece that nobody uses."""
    pieces = [("a", -100.0), ("b", -15.0), ("c", -15.0), ("d", -15.0), ("ab", -20.0), ("cd", -20.0), ("bcd", -1.0),
              ("zz", -100.0), ("?", 0.0)]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.Unigram(pieces, unk_id=8)))
    assert tokenizer("abcd")["input_ids"] == [4, 5]

    def without(*dropped):
        kept = np.array([number for number, (piece, _) in enumerate(pieces) if piece not in dropped])
        model = random_model(BertForSequenceClassification, BertConfig, 9, pad_token_id=None)
        return vocabulary.trim(model, tokenizer, kept)

    assert without("a")("abcd")["input_ids"] == [3, 4]  # ab cd
    assert without("a", "zz")("abcd")["input_ids"] == [6, 5]  # ? bcd
    counts = vocabulary.frequencies(tokenizer, ["cd"])
    assert vocabulary.kept_ids(tokenizer, counts, 4).tolist() == [0, 2, 3, 8]  # a, what the text consists of, and ?


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=30)
@given(text=st.text(sorted(set("".join(HEADLINES[:4]))), max_size=30))
def test_no_text_of_the_corpus_characters_becomes_unknown(kind, text):
    """A text with [UNK] before: of some characters the WordPiece only has the form that begins a word."""
    tokenizer, smallest = tokenizer_of(kind), least(kind)
    if tokenizer.unk_token_id not in tokenizer(text)["input_ids"]:
        assert smallest.unk_token_id not in smallest(text)["input_ids"]


@cache
def least(kind):
    """Trimmed to the fewest tokens that can be had of a corpus of four headlines."""
    counts = vocabulary.frequencies(tokenizer_of(kind), HEADLINES[:4])
    with pytest.raises(LaghuError) as refusal:
        vocabulary.kept_ids(tokenizer_of(kind), counts, 1)
    size = int(str(refusal.value).rpartition(" ")[2])
    return trimmed(kind, vocabulary.kept_ids(tokenizer_of(kind), counts, size))


def test_other_texts_become_longer():
    counts = vocabulary.frequencies(wordpiece(), HEADLINES[:4])
    shorter = trimmed("wordpiece", vocabulary.kept_ids(wordpiece(), counts, 150))
    seen, unseen = HEADLINES[:4], HEADLINES[4:]
    assert vocabulary.mean_length(shorter, seen) == vocabulary.mean_length(wordpiece(), seen)
    assert vocabulary.mean_length(shorter, unseen) > vocabulary.mean_length(wordpiece(), unseen)


# ------------------------------------------------------------------------------------------------ same logits


@cases
def test_logits_of_texts_whose_tokens_are_kept_are_the_same(kind, model_class, config_class):
    tokenizer = tokenizer_of(kind)
    texts = HEADLINES[:4]
    model = random_model(model_class, config_class, len(tokenizer) + 10, pad_token_id=tokenizer.pad_token_id)
    before = logits_of(model, tokenizer, texts)
    kept = kept_for(kind, texts, others=range(20, 60, 3))
    assert 60 < len(kept) < len(tokenizer) - 20
    after = logits_of(model, vocabulary.trim(model, tokenizer, kept), texts)
    assert before.std() > 0.1
    if "Masked" in model_class.__name__:  # a matrix product of another shape may be summed in another order
        torch.testing.assert_close(after, before[..., kept], rtol=0, atol=1e-5)
    else:
        assert torch.equal(after, before)


@cases
def test_saved_pair_loads_in_plain_transformers(kind, model_class, config_class, tmp_path):
    tokenizer = tokenizer_of(kind)
    model = random_model(model_class, config_class, len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    kept = vocabulary.kept_ids(tokenizer, vocabulary.frequencies(tokenizer, HEADLINES[:5]), 100)
    cut = vocabulary.trim(model, tokenizer, kept)
    model.save_pretrained(tmp_path)
    cut.save_pretrained(tmp_path)
    loader = AutoModelForMaskedLM if "Masked" in model_class.__name__ else AutoModelForSequenceClassification
    loaded, report = loader.from_pretrained(tmp_path, output_loading_info=True)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded) is model_class and not any(report.values())
    assert loaded.config.vocab_size == len(again) == 100
    assert loaded.num_parameters() == model.num_parameters()
    assert again.get_vocab() == cut.get_vocab()
    assert again.model_input_names == tokenizer.model_input_names and again.model_max_length == 64
    assert again.special_tokens_map == tokenizer.special_tokens_map
    assert again(HEADLINES, padding=True).data == cut(HEADLINES, padding=True).data
    assert torch.equal(logits_of(loaded.eval(), again, HEADLINES), logits_of(model, cut, HEADLINES))
    assert again.decode(again(HEADLINES[0])["input_ids"]) == tokenizer.decode(tokenizer(HEADLINES[0])["input_ids"])


@pytest.mark.parametrize("kind", KINDS)
def test_encodings_differ_in_nothing_but_the_numbers(kind):
    tokenizer = tokenizer_of(kind)
    mask = tokenizer.mask_token
    texts, pairs = [f"शाळा {mask} सुरू", "जोरदार", f"{mask}शाळा"], ["पावसाची हजेरी", "दुसर्\u200dया", "漢"]
    kept = kept_for(kind, [*texts, *pairs])
    assert len(kept) < len(tokenizer) - 50
    cut = trimmed(kind, kept)
    before, after = tokenizer(texts, pairs, padding=True).data, cut(texts, pairs, padding=True).data
    assert kept[after.pop("input_ids")].tolist() == before.pop("input_ids")
    assert after == before
    roles = ("pad", "unk", "cls", "sep", "mask", *(("bos", "eos") if kind == "unigram" else ()))
    for role in roles:
        assert kept[getattr(cut, f"{role}_token_id")] == getattr(tokenizer, f"{role}_token_id")
    added, old = cut.added_tokens_decoder, tokenizer.added_tokens_decoder
    assert {int(kept[number]): str(token) for number, token in added.items()} == {n: str(t) for n, t in old.items()}
    assert cut(HEADLINES[0], truncation=True, max_length=4)["input_ids"][-1] == cut.sep_token_id


def trimmed_latin(call):
    """One with settings of its own, trimmed after it was called."""
    tokenizer = latin(model_max_length=9, padding_side="left", truncation_side="left", model_input_names=["input_ids"],
                      extra_special_tokens=["abc"], clean_up_tokenization_spaces=True)
    tokenizer("b", **call)
    model = random_model(BertForSequenceClassification, BertConfig, 17, pad_token_id=14)
    return vocabulary.trim(model, tokenizer, np.array([1, 2, 4, 6, 7, 11, 12, 14]))


def test_settings_of_the_old_tokenizer_are_kept_and_its_last_call_is_not():
    cut = trimmed_latin({})
    assert cut("b abc", padding="max_length").data == {"input_ids": [7, 7, 7, 7, 7, 3, 2, 6, 5]}
    assert cut("a b b", truncation=True, max_length=4)["input_ids"] == [3, 2, 2, 5]
    assert cut.model_max_length == 9 and cut.extra_special_tokens == ["abc"] and cut.clean_up_tokenization_spaces
    called = trimmed_latin({"padding": "max_length", "truncation": True, "max_length": 3})
    assert called.backend_tokenizer.to_str() == trimmed_latin({}).backend_tokenizer.to_str()
    assert called.init_kwargs == trimmed_latin({}).init_kwargs


@pytest.mark.parametrize("post_processor", [
    processors.BertProcessing(("[SEP]", 11), ("[CLS]", 6)),
    processors.RobertaProcessing(("[SEP]", 11), ("[CLS]", 6), trim_offsets=False, add_prefix_space=False),
    processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[SEP]", 11), ("[CLS]", 6)]),
    processors.Sequence([processors.BertProcessing(("[SEP]", 11), ("[CLS]", 6))]),
], ids=["bert", "roberta", "template", "sequence"])
def test_post_processors_put_the_new_ids_around_a_text(post_processor):
    """Also where nobody told the tokenizer the names of these tokens."""
    tokenizer = latin(post_processor, cls_token=None, sep_token=None, unk_token=None)
    kept = vocabulary.kept_ids(tokenizer, vocabulary.frequencies(tokenizer, ["b"]), 6)
    assert kept.tolist() == [1, 4, 6, 7, 11, 14]
    model = random_model(BertForSequenceClassification, BertConfig, 17, pad_token_id=14)
    cut = vocabulary.trim(model, tokenizer, kept)
    assert cut("b")["input_ids"] == [2, 1, 4]
    assert kept[cut("b", "bb")["input_ids"]].tolist() == tokenizer("b", "bb")["input_ids"]


def test_a_token_that_only_stands_in_pairs_must_stay():
    tokenizer = latin(processors.TemplateProcessing(
        "[CLS] $A", "[CLS] $A x $B [SEP]", [("[CLS]", 6), ("x", 16), ("[SEP]", 11)]
    ))
    model = random_model(BertForSequenceClassification, BertConfig, 17, pad_token_id=14)
    with pytest.raises(LaghuError, match=r"^special token x is not among the kept ids; add its id, 16$"):
        vocabulary.trim(model, tokenizer, np.array([1, 4, 6, 11, 14]))
    cut = vocabulary.trim(model, tokenizer, np.array([1, 4, 6, 11, 14, 16]))
    assert cut("b", "b")["input_ids"] == [2, 1, 5, 1, 3]


def test_an_added_word_stays_with_its_row():
    """It is no piece of the model's, special or not, and is found in a text before the others."""
    tokenizer = latin()
    tokenizer.add_tokens(["Laghu"])
    counts = vocabulary.frequencies(tokenizer, ["b"])
    kept = vocabulary.kept_ids(tokenizer, counts, 7)
    assert kept.tolist() == [1, 4, 6, 7, 11, 14, 17]
    model = random_model(BertForSequenceClassification, BertConfig, 18, pad_token_id=14)
    before = logits_of(model, tokenizer, ["bLaghub"])
    cut = vocabulary.trim(model, tokenizer, kept)
    assert cut("Laghu b")["input_ids"] == [2, 6, 1, 4] and not cut.added_tokens_decoder[6].special
    assert torch.equal(logits_of(model, cut, ["bLaghub"]), before)


def test_ids_that_a_vocabulary_leaves_out_cost_nothing():
    """A vocab.txt with a repeated line makes such a vocabulary."""
    tokenizer = BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 3, "[SEP]": 4, "[MASK]": 5, "x": 8, "y": 9})
    counts = vocabulary.frequencies(tokenizer, ["y y", "x"])
    assert counts.tolist() == [0] * 8 + [1, 2]
    kept = vocabulary.kept_ids(tokenizer, counts, 7)
    assert kept.tolist() == [0, 1, 3, 4, 5, 8, 9]
    model = random_model(BertForSequenceClassification, BertConfig, 10)
    before = logits_of(model, tokenizer, ["x y", "y"])
    assert torch.equal(logits_of(model, vocabulary.trim(model, tokenizer, kept), ["x y", "y"]), before)
    assert model.bert.embeddings.word_embeddings.weight.shape == (7, 16)


# ------------------------------------------------------------------------------------------------ the model


@cases
def test_parameters_go_by_the_closed_form(kind, model_class, config_class):
    """A row for each token, and in the masked-language head, whose decoder is tied, a bias."""
    tokenizer = tokenizer_of(kind)
    model = random_model(model_class, config_class, 300, pad_token_id=tokenizer.pad_token_id)
    width = getattr(model.config, "embedding_size", 16)
    before = model.num_parameters()
    vocabulary.trim(model, tokenizer, kept_for(kind, [], others=range(10, 90)))
    head = 1 if "Masked" in model_class.__name__ else 0
    assert before - model.num_parameters() == (300 - 85) * (width + head)
    assert model.config.vocab_size == model.get_input_embeddings().num_embeddings == 85


def test_the_papers_last_step():
    """XLM-R after six layers, FFN 2048 and width 312: 88.54 M parameters, and 22.81 M with 40,000 tokens."""
    tokens = {token: number for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
    tokenizer = BertTokenizer(vocab=tokens | {f"t{number}": number for number in range(5, 40_000)})
    with torch.device("meta"):
        model = XLMRobertaForMaskedLM(XLMRobertaConfig(
            vocab_size=250_002, hidden_size=312, num_hidden_layers=6, num_attention_heads=12, intermediate_size=2048,
            max_position_embeddings=514, type_vocab_size=1, pad_token_id=0,
        ))
    assert round(model.num_parameters() / 1e6, 2) == 88.54
    vocabulary.trim(model, tokenizer, np.arange(40_000))
    assert round(model.num_parameters() / 1e6, 2) == 22.81


@pytest.mark.parametrize(("kind", "model_class", "config_class"),
                         [CASES["bert masked"], CASES["xlm-r masked"]], ids=["bert", "xlm-r"])
def test_decoder_stays_tied(kind, model_class, config_class):
    tokenizer = tokenizer_of(kind)
    model = random_model(model_class, config_class, len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    vocabulary.trim(model, tokenizer, kept_for(kind, HEADLINES[:1]))
    decoder = model.get_output_embeddings()
    head = model.cls.predictions if model_class is BertForMaskedLM else model.lm_head
    assert decoder.weight is model.get_input_embeddings().weight and decoder.bias is head.bias
    assert decoder.out_features == len(decoder.bias) == len(decoder.weight) == model.config.vocab_size


def test_untied_decoder_is_cut_too(tmp_path):
    model = random_model(BertForMaskedLM, BertConfig, len(wordpiece()), tie_word_embeddings=False)
    weight, bias = model.get_output_embeddings().weight.detach().clone(), model.cls.predictions.bias.detach().clone()
    before = logits_of(model, wordpiece(), HEADLINES[:2])
    kept = kept_for("wordpiece", HEADLINES[:2])
    cut = vocabulary.trim(model, wordpiece(), kept)
    after = logits_of(model, cut, HEADLINES[:2])
    torch.testing.assert_close(after, before[..., kept], rtol=0, atol=1e-5)
    assert torch.equal(model.get_output_embeddings().weight, weight[kept])
    assert torch.equal(model.cls.predictions.bias, bias[kept])
    model.save_pretrained(tmp_path)
    loaded, report = BertForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert torch.equal(logits_of(loaded.eval(), cut, HEADLINES[:2]), after)


def test_ids_in_the_configuration_move_with_their_tokens():
    model = random_model(
        BertForSequenceClassification, BertConfig, 17, pad_token_id=14, bos_token_id=6, eos_token_id=16, sep_token_id=11
    )
    vocabulary.trim(model, latin(), np.array([1, 2, 6, 11, 14]))
    config = model.config
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id, config.sep_token_id) == (4, 2, None, 3)
    embedding = model.get_input_embeddings()
    assert embedding.padding_idx == 4
    model(input_ids=torch.tensor([[2, 1, 3, 4]]), labels=torch.tensor([1])).loss.backward()
    assert embedding.weight.grad.any(dim=1).tolist() == [False, True, True, True, False]  # [PAD] does not learn


def test_trimming_twice_is_trimming_once():
    first, second = kept_for("wordpiece", HEADLINES[:3]), kept_for("wordpiece", HEADLINES[:1])
    twice = random_model(BertForMaskedLM, BertConfig, len(wordpiece()))
    once = random_model(BertForMaskedLM, BertConfig, len(wordpiece()))
    tokenizer = vocabulary.trim(twice, wordpiece(), first)
    tokenizer = vocabulary.trim(twice, tokenizer, np.searchsorted(first, second))
    assert tokenizer.backend_tokenizer.to_str() == vocabulary.trim(once, wordpiece(), second).backend_tokenizer.to_str()
    assert all(torch.equal(a, b) for a, b in zip(twice.parameters(), once.parameters(), strict=True))
    assert twice.config.to_dict() == once.config.to_dict()


def test_frozen_embeddings_stay_frozen():
    model = random_model(BertForMaskedLM, BertConfig, len(wordpiece()))
    model.get_input_embeddings().weight.requires_grad_(False)
    vocabulary.trim(model, wordpiece(), kept_for("wordpiece", HEADLINES[:1]))
    assert not model.get_input_embeddings().weight.requires_grad and model.cls.predictions.bias.requires_grad


# ------------------------------------------------------------------------------------------------ refusals


def test_sizes_and_counts_that_cannot_be():
    counts = np.ones(17, dtype=np.int64)
    with pytest.raises(LaghuError, match=r"^a vocabulary of 17 tokens can't be trimmed to 18; ask for fewer$"):
        vocabulary.kept_ids(latin(), counts, 18)
    with pytest.raises(LaghuError, match=r"^16 counts for ids up to 16; take the frequencies of the same tokenizer$"):
        vocabulary.kept_ids(latin(), counts[:16], 10)


@pytest.mark.parametrize(("kept", "message"), [
    ([1, 2, 11, 6, 14], r"must be whole numbers in ascending order, each once; found \[1, 2, 11, 6, 14\] ..."),
    ([1, 6, 6, 11, 14], "in ascending order"),
    ([1.0, 6.0, 11.0, 14.0], "whole numbers"),
    ([[1, 6, 11, 14]], "whole numbers"),
    ([-1, 1, 6, 11, 14], "id -1 is not in the vocabulary; ids go up to 16"),
    ([1, 6, 11, 14, 17], "id 17 is not in the vocabulary; ids go up to 16"),
    ([1, 6, 14], r"special token \[SEP\] is not among the kept ids; add its id, 11"),
])
def test_ids_that_cannot_be_kept_leave_the_model_as_it_was(kept, message):
    model = random_model(BertForSequenceClassification, BertConfig, 17, pad_token_id=14)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(LaghuError, match=message):
        vocabulary.trim(model, latin(), np.array(kept))
    assert model.config.vocab_size == 17
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_models_that_are_not_the_tokenizers():
    kept = np.arange(17)
    with pytest.raises(LaghuError, match=r"^the model has 16 embeddings, the tokenizer ids up to 16; give the model's"):
        vocabulary.trim(random_model(BertForSequenceClassification, BertConfig, 16, pad_token_id=14), latin(), kept)
    with pytest.raises(LaghuError, match=r"^the model pads with id 0, the tokenizer with 14; set config.pad_token_id$"):
        vocabulary.trim(random_model(BertForSequenceClassification, BertConfig, 17), latin(), kept)


def test_a_padding_token_that_positions_are_counted_from_keeps_its_id():
    model = random_model(XLMRobertaForSequenceClassification, XLMRobertaConfig, 17, pad_token_id=14)
    with pytest.raises(LaghuError, match=r"^model type 'xlm-roberta' .* id, 14, which would become 3; keep all"):
        vocabulary.trim(model, latin(), np.array([1, 6, 11, 14]))
    before = logits_of(model, latin(), ["ab", "a b c"])
    cut = vocabulary.trim(model, latin(), np.arange(15))
    assert torch.equal(logits_of(model, cut, ["ab", "a b c"]), before)


@pytest.mark.parametrize(("backend", "name"), [
    (models.BPE({"<unk>": 0, "a": 1, "b": 2, "ab": 3}, [("a", "b")], unk_token="<unk>"), "BPE"),
    (models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"), "WordLevel"),
])
def test_other_vocabularies_are_refused_by_name(backend, name):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(backend), unk_token="<unk>", pad_token="<unk>")
    model = random_model(BertForSequenceClassification, BertConfig, 4)
    for refused in (
        lambda: vocabulary.frequencies(tokenizer, ["a"]),
        lambda: vocabulary.kept_ids(tokenizer, np.ones(4), 2),
        lambda: vocabulary.trim(model, tokenizer, np.arange(2)),
    ):
        with pytest.raises(LaghuError, match=rf"^a vocabulary of type {name} can't be trimmed; supported: Word"):
            refused()


def test_slow_tokenizers_are_refused_by_name():
    with pytest.raises(LaghuError, match=r"^ByT5Tokenizer is a slow tokenizer; load a fast one"):
        vocabulary.frequencies(ByT5Tokenizer(), ["a"])
