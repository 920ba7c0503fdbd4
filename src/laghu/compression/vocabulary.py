"""Vocabulary trimming: drop the tokens that a corpus seldom uses, with their rows of the embedding matrix.

Most parameters of a multilingual encoder are such rows. The tokenizer is cut and renumbered together with the model, so
that both stay one plain checkpoint.

Source: Gurgurov et al. 2025 (arXiv 2505.16956), step 4 of the method: keep the tokens most frequent in the training
text. Their published code looks rows up by position, draws ids from an unordered set and keeps the old tokenizer. Here
row i of the new matrix belongs to the i-th kept token, in the order of the old ids, and the tokenizer says so too.

**What does not change.** A text all of whose tokens are kept is cut into the same tokens as before, and so has the same
logits.

- WordPiece takes the longest piece that matches, from left to right. Without the dropped pieces no longer one can
  match, and the one chosen before is still there. This fails for a word that was [UNK] because the longest pieces led
  into a dead end: shorter ones may now find a way. So the promise is for texts without [UNK].
- Unigram takes the path of the highest score. Fewer pieces are fewer paths, and ties go to the earliest start, as
  before. An unknown character costs the lowest score in the vocabulary less 10, so `kept_ids` keeps one piece of that
  score: without it unknown characters would become cheaper and could win against kept pieces. The `tokenizers` library
  reads scores from JSON to within their last digit; only paths that tie to that digit could be exchanged.

**What does change.** A dropped piece is spelled with shorter ones, so other texts become longer (`mean_length`). Their
shorter pieces may be rare as the corpus was cut, and were then dropped too; in the end single characters remain.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from statistics import fmean
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from laghu.errors import LaghuError

SUPPORTED = ("WordPiece", "Unigram")

# Texts tokenised at a time.
BATCH = 1000


# ------------------------------------------------------------------------------------------------ what to keep


def frequencies(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> np.ndarray:
    """How often each token occurs in a corpus; special tokens that the tokenizer adds around a text are not counted.

    Args:
        texts: read once and in batches, whole, however long a text is.

    Returns:
        Shape (largest id + 1,), int64.

    Raises:
        LaghuError: a slow tokenizer, or one that is neither WordPiece nor Unigram.
    """
    _state(tokenizer)
    counts = np.zeros(_last_id(tokenizer.get_vocab()) + 1, dtype=np.int64)
    for ids in _encoded(tokenizer, texts):
        counts += np.bincount(ids, minlength=len(counts))
    return counts


def mean_length(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> float:
    """Mean number of tokens of a text, untruncated and without the special tokens around it.

    On held-out texts, the ratio of this after and before trimming says what the smaller vocabulary costs in time.

    Raises:
        LaghuError: no texts.
    """
    lengths = [len(ids) for ids in _encoded(tokenizer, texts)]
    if not lengths:
        raise LaghuError("no texts have no mean length; give at least one")
    return fmean(lengths)


def kept_ids(tokenizer: PreTrainedTokenizerBase, counts: np.ndarray, size: int) -> np.ndarray:
    """The ids of a vocabulary of `size` tokens, ascending: what must stay, then the most frequent; ties by lower id.

    These stay whatever their count, and are part of `size` (the paper's 40,000 tokens come on top of BERT's 5 special
    ones, which is 40,005 here):

    - special and added tokens;
    - each character of the corpus as a token of its own, in WordPiece both as a beginning and as a continuation (क and
      ##क), where the vocabulary has it. Otherwise a rare word whose pieces are dropped would become [UNK], not just
      longer. Characters that the corpus doesn't have, such as most scripts of XLM-R, are not worth their rows;
    - in Unigram the piece of the lowest score (why: see the module), and the bytes where it falls back to bytes.

    Args:
        counts: what `frequencies` gave for this tokenizer.

    Returns:
        Shape (size,), int64.

    Raises:
        LaghuError: `size` is larger than the vocabulary or smaller than what must stay; counts of another vocabulary; a
            slow tokenizer, or one that is neither WordPiece nor Unigram.
    """
    state = _state(tokenizer)
    vocabulary = tokenizer.get_vocab()
    if len(counts) != _last_id(vocabulary) + 1:
        raise LaghuError(
            f"{len(counts)} counts for ids up to {_last_id(vocabulary)}; take the frequencies of the same tokenizer"
        )
    if size > len(vocabulary):
        raise LaghuError(f"a vocabulary of {len(vocabulary)} tokens can't be trimmed to {size}; ask for fewer")
    required = _special_ids(tokenizer, state) | _last_resorts(state)
    counted = {token: token_id for token, token_id in vocabulary.items() if counts[token_id]}
    required |= _alphabet(vocabulary, state, [token for token, token_id in counted.items() if token_id not in required])
    if size < len(required):
        raise LaghuError(
            f"{size} tokens are too few: special tokens and the characters of the corpus need {len(required)}"
        )
    others = sorted(set(vocabulary.values()) - required, key=lambda token_id: (-counts[token_id], token_id))
    return np.array(sorted([*required, *others[: size - len(required)]]), dtype=np.int64)


def _special_ids(tokenizer: PreTrainedTokenizerBase, state: dict[str, Any]) -> set[int]:
    """Tokens found in a text before the model sees it (all named ones are), put around it, or put for unknown words."""
    model = state["model"]
    unknown = model["unk_id"] if model["type"] == "Unigram" else model["vocab"].get(model["unk_token"])
    # In lists, because an empty second text alone is taken for none.
    around = chain(*tokenizer([""])["input_ids"], *tokenizer([""], [""])["input_ids"])
    return {*tokenizer.added_tokens_decoder, *around, unknown} - {None}


def _last_resorts(state: dict[str, Any]) -> set[int]:
    """What Unigram makes of a character of which it has no piece depends on these."""
    if state["model"]["type"] != "Unigram":
        return set()
    pieces = state["model"]["vocab"]
    lowest = min(range(len(pieces)), key=lambda token_id: pieces[token_id][1])
    if not state["model"]["byte_fallback"]:
        return {lowest}
    return {lowest, *(token_id for token_id, (piece, _) in enumerate(pieces) if re.fullmatch("<0x[0-9A-F]{2}>", piece))}


def _alphabet(vocabulary: dict[str, int], state: dict[str, Any], counted: Iterable[str]) -> set[int]:
    """The single characters that the counted tokens consist of.

    A character of a text is part of a token of that text, so that the corpus need not be read again.
    """
    prefix = state["model"].get("continuing_subword_prefix", "")
    characters = {character for token in counted for character in token.removeprefix(prefix)}
    forms = (form for character in characters for form in (character, prefix + character))
    return {vocabulary[form] for form in forms if form in vocabulary}


# ------------------------------------------------------------------------------------------------ cutting


def trim(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kept: np.ndarray) -> PreTrainedTokenizerFast:
    """Keep only the given tokens: the model is cut in place, the tokenizer to go with it is returned.

    Token `kept[i]` gets the id i: in the input embeddings, in the masked-language head with its bias, tied or not, in
    `vocab_size`, `pad_token_id` and the like of the configuration, and in all of the tokenizer. Rows of the embedding
    matrix beyond the tokenizer's ids go; an id in the configuration whose token goes becomes None.

    Args:
        kept: ids, ascending, shape (k,), such as from `kept_ids`.

    Returns:
        A tokenizer that saves and loads as `tokenizer.json`, whichever class the old one had.

    Raises:
        LaghuError: ids that are not ascending, not in the vocabulary or lack a special token; a model with fewer rows
            than the tokenizer has ids, or with another padding token; one that counts positions from the id of its
            padding token (RoBERTa, XLM-R) where that id would change; a slow tokenizer, or one that is neither
            WordPiece nor Unigram. The model is then as it was.
    """
    kept = np.asarray(kept)
    state = _state(tokenizer)
    vocabulary = tokenizer.get_vocab()
    _check_ids(kept, vocabulary, special=_special_ids(tokenizer, state))
    _check_model(model, vocabulary, tokenizer.pad_token_id)
    _check_positions(model, kept)
    trimmed = _renumber(tokenizer, state, kept)
    for parameter in _rows_per_token(model):
        _cut_rows(model, parameter, kept)
    new_id = {old: new for new, old in enumerate(kept.tolist())}
    for name, old in model.config.to_dict().items():
        if name.endswith("_token_id") and isinstance(old, int):
            setattr(model.config, name, new_id.get(old))
    model.config.vocab_size = len(kept)
    embedding = model.get_input_embeddings()
    embedding.num_embeddings = len(kept)
    embedding.padding_idx = model.config.pad_token_id
    if (decoder := model.get_output_embeddings()) is not None:
        decoder.out_features = len(kept)
    return trimmed


def _check_ids(kept: np.ndarray, vocabulary: dict[str, int], special: set[int]) -> None:
    if kept.ndim != 1 or kept.dtype.kind not in "iu" or (np.diff(kept) <= 0).any():
        raise LaghuError(f"kept ids must be whole numbers in ascending order, each once; found {kept.tolist()[:5]} ...")
    if foreign := sorted(set(kept.tolist()) - set(vocabulary.values())):
        raise LaghuError(f"id {foreign[0]} is not in the vocabulary; ids go up to {_last_id(vocabulary)}")
    if missing := sorted(special - set(kept.tolist())):
        name = next(token for token, token_id in vocabulary.items() if token_id == missing[0])
        raise LaghuError(f"special token {name} is not among the kept ids; add its id, {missing[0]}")


def _check_model(model: PreTrainedModel, vocabulary: dict[str, int], padding: int | None) -> None:
    rows = model.get_input_embeddings().num_embeddings
    if rows <= _last_id(vocabulary):
        raise LaghuError(
            f"the model has {rows} embeddings, the tokenizer ids up to {_last_id(vocabulary)}; give the model's own"
        )
    if model.config.pad_token_id != padding:
        raise LaghuError(
            f"the model pads with id {model.config.pad_token_id}, the tokenizer with {padding}; set config.pad_token_id"
        )


def _check_positions(model: PreTrainedModel, kept: np.ndarray) -> None:
    """RoBERTa's first position is the id of the padding token plus one, so that this id must stay."""
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    if padding is not None and (moved := int((kept < padding).sum())) != padding:
        raise LaghuError(
            f"model type {model.config.model_type!r} counts positions from the padding token's id, {padding}, which "
            f"would become {moved}; keep all ids below it"
        )


def _rows_per_token(model: PreTrainedModel) -> list[nn.Parameter]:
    """Parameters with one row or number per token; tied ones are one."""
    found = [model.get_input_embeddings().weight]
    decoder = model.get_output_embeddings()
    if decoder is not None:
        path = next(name for name, module in model.named_modules() if module is decoder)
        head = model.get_submodule(path.rpartition(".")[0])
        # BERT's and XLM-R's heads name the decoder's bias a second time, and untied it is a second parameter.
        found += [decoder.weight, decoder.bias, getattr(head, "bias", None)]
    return list({id(parameter): parameter for parameter in found if parameter is not None}.values())


def _cut_rows(model: PreTrainedModel, parameter: nn.Parameter, kept: np.ndarray) -> None:
    """Replace a parameter by the kept rows of it, wherever in the model it stands: so what was tied stays tied."""
    rows = torch.as_tensor(kept, device=parameter.device)
    cut = nn.Parameter(parameter.detach()[rows], requires_grad=parameter.requires_grad)
    for module in model.modules():
        for name, found in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            if found is parameter:
                setattr(module, name, cut)


# ------------------------------------------------------------------------------------------------ the tokenizer's JSON


def _state(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    if not tokenizer.is_fast:
        raise LaghuError(f"{type(tokenizer).__name__} is a slow tokenizer; load a fast one (with a tokenizer.json)")
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    if state["model"]["type"] not in SUPPORTED:
        raise LaghuError(
            f"a vocabulary of type {state['model']['type']} can't be trimmed; supported: {', '.join(SUPPORTED)}"
        )
    return state


def _renumber(tokenizer: PreTrainedTokenizerBase, state: dict[str, Any], kept: np.ndarray) -> PreTrainedTokenizerFast:
    new_id = {token: new for new, token in enumerate(tokenizer.convert_ids_to_tokens(kept.tolist()))}
    state["model"] = _cut_model(state["model"], set(kept.tolist()), new_id)
    state["added_tokens"] = [{**token, "id": new_id[token["content"]]} for token in state["added_tokens"]]
    _renumber_post_processor(state["post_processor"], new_id)
    # Left over from the last call, which would make the result depend on it; every call sets them anew.
    state["truncation"] = state["padding"] = None
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)), model_max_length=tokenizer.model_max_length,
        padding_side=tokenizer.padding_side, truncation_side=tokenizer.truncation_side,
        model_input_names=tokenizer.model_input_names, extra_special_tokens=tokenizer.extra_special_tokens,
        clean_up_tokenization_spaces=tokenizer.clean_up_tokenization_spaces, **tokenizer.special_tokens_map,
    )


def _cut_model(model: dict[str, Any], kept: set[int], new_id: dict[str, int]) -> dict[str, Any]:
    if model["type"] == "WordPiece":
        return {**model, "vocab": {token: new for token, new in new_id.items() if token in model["vocab"]}}
    unknown = model["unk_id"]
    return {
        **model,
        "vocab": [piece for old, piece in enumerate(model["vocab"]) if old in kept],
        "unk_id": None if unknown is None else new_id[model["vocab"][unknown][0]],
    }


def _renumber_post_processor(processor: dict[str, Any] | None, new_id: dict[str, int]) -> None:
    match processor and processor["type"]:
        case "TemplateProcessing":
            for special in processor["special_tokens"].values():
                special["ids"] = [new_id[token] for token in special["tokens"]]
        case "BertProcessing" | "RobertaProcessing":
            for role in ("cls", "sep"):
                processor[role][1] = new_id[processor[role][0]]
        case "Sequence":
            for part in processor["processors"]:
                _renumber_post_processor(part, new_id)


def _last_id(vocabulary: dict[str, int]) -> int:
    """Not one less than the number of tokens: where a vocabulary was made of a list with repeats, ids are left out."""
    return max(vocabulary.values())


def _encoded(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Iterator[list[int]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, BATCH)):
        yield from tokenizer(
            batch, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )["input_ids"]
