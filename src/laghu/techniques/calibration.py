"""Batches over which importance is taken: training texts, never development or test texts."""

import numpy as np
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

# As in the authors' code of arXiv 2505.16956; where signs can cancel, the size of a batch matters.
BATCH_SIZE = 8


def batches(
    rows: Dataset, tokenizer: PreTrainedTokenizerBase, count: int, seed: int
) -> list[dict[str, torch.Tensor]]:
    """Padded batches of `count` rows drawn from a tokenized split with `labels`, all of it if it has fewer."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
    collate = DataCollatorWithPadding(tokenizer)
    starts = range(0, len(chosen), BATCH_SIZE)
    return [
        dict(collate([rows[int(row)] for row in chosen[start : start + BATCH_SIZE]])) for start in starts
    ]
