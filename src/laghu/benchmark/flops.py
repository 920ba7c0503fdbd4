"""Floating-point operations of a document: what a step could save at best."""

from collections.abc import Sequence

from transformers import PreTrainedConfig

from laghu.inference import CHUNK, by_length
from laghu.measurement import encoder_flops_per_token


def of_document(config: PreTrainedConfig, length: int, *, first_token: bool = False) -> int:
    """Operations in the matrix products of a BERT-like encoder for one text, two per multiply-add.

    Counted as in `measurement.encoder_flops_per_token`, for any length.

    Args:
        length: tokens, padding included.
        first_token: the last layer works for the first token only (`laghu.first_token`).
    """
    of_token = encoder_flops_per_token(config, length)
    if not first_token:
        return length * of_token
    # In the last layer keys and values are of all tokens; all else, and one row of attention, of the first.
    layers, keys_and_values = config.num_hidden_layers, 4 * config.hidden_size**2
    return ((layers - 1) * length + 1) * (of_token // layers) + (length - 1) * keys_and_values


def mean(config: PreTrainedConfig, lengths: Sequence[int], *, first_token: bool = False) -> float:
    """`of_document`, over texts of these lengths."""
    return sum(of_document(config, length, first_token=first_token) for length in lengths) / len(lengths)


def in_order(lengths: Sequence[int], batch_size: int) -> list[int]:
    """Lengths of texts that are padded to the longest of their batch, batches cut in the order of the texts."""
    batches = [lengths[start:start + batch_size] for start in range(0, len(lengths), batch_size)]
    return [max(batch) for batch in batches for _ in batch]


def sorted_by_length(lengths: Sequence[int], tokens: int, chunk: int = CHUNK) -> list[int]:
    """As `in_order`, for batches of up to so many tokens, cut by length out of chunks of the texts."""
    padded = []
    for start in range(0, len(lengths), chunk):
        part = lengths[start:start + chunk]
        padded += [max(part[row] for row in rows) for rows in by_length(part, tokens) for _ in rows]
    return padded
