"""A classifier without padding, for GPUs: the tokens of a batch in one row, and attention that stays within each text.

    ids     [CLS] a b [SEP] [CLS] c [SEP]   (tokens,)
    starts  0               4             7 (texts + 1,)

All that works token by token, which is nearly everything in an encoder, doesn't care whose token it is. Only attention
has to know, and the classifier, which reads the first token of each text.

Sources: Zeng et al. 2022, "Boosting distributed training performance of the unpadded BERT model", for the idea;
`torch.nn.attention.varlen` for the attention.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from laghu.errors import LaghuError

# Names of model types whose head takes the first token of each text.
MODEL_TYPES = ("bert", "electra", "roberta", "xlm-roberta")
# Tokens of a row are filled up to a multiple of this, and texts to the next power of two: each shape is compiled once.
TOKENS = 4096

_ATTENTION = "laghu_packed"


class PackedClassifier(nn.Module):
    """A Hugging Face classifier on packed texts. It takes the model over, with its weights, device and precision."""

    def __init__(self, model: PreTrainedModel, longest: int) -> None:
        """
        Args:
            longest: tokens of the longest text that will be given.

        Raises:
            LaghuError: a model type that is not in `MODEL_TYPES`.
        """
        super().__init__()
        if model.config.model_type not in MODEL_TYPES:
            raise LaghuError(f"a {model.config.model_type} can't be packed; give one of {', '.join(MODEL_TYPES)}")
        model.set_attn_implementation(_ATTENTION)
        self.model, self.longest = model.eval(), longest

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        """Logits, (texts, labels).

        Args:
            ids: (tokens,) int64. Those after the last text are computed and not looked at.
            positions: (tokens,) int64, as the embeddings count them.
            starts: (texts + 1,) int32: where each text begins, and where the last one ends.
        """
        base = self.model.base_model
        hidden = base(
            input_ids=ids[None], position_ids=positions[None], token_type_ids=torch.zeros_like(ids)[None],
            starts=starts, longest=self.longest,
        ).last_hidden_state[0]
        # A text that was filled in is empty, and may begin behind the last token.
        first = hidden[starts[:-1].long().clamp(max=len(ids) - 1)][:, None]
        pooler = getattr(base, "pooler", None)
        return self.model.classifier(first if pooler is None else pooler(first))


class Packed:
    """Rows of token ids to logits, on the device of a `PackedClassifier`, compiled there for a few shapes."""

    def __init__(self, classifier: PackedClassifier, compiler: Callable[[nn.Module], Callable[..., Any]]) -> None:
        """
        Args:
            compiler: such as `compiled`; `lambda module: module` compiles nothing.
        """
        config = classifier.model.config
        self._device = classifier.model.device
        self._first_position = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        self._padding = config.pad_token_id or 0
        self._run = compiler(classifier)
        # A graph on the GPU has one place for its inputs and one for its outputs.
        self._lock = Lock()

    def __call__(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Logits, (texts, labels) float32."""
        with self._lock, torch.inference_mode():
            given = (part.to(self._device, non_blocking=True) for part in self._pack(rows))
            return self._run(*given)[:len(rows)].float().cpu().numpy()

    def _pack(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What `PackedClassifier.forward` takes, filled up to a shape that others have, too."""
        lengths = [len(row) for row in rows]
        tokens = sum(lengths)
        fill = -tokens % TOKENS
        ids = [*chain.from_iterable(rows), *[self._padding] * fill]
        positions = [*chain.from_iterable(map(range, lengths)), *[0] * fill]
        empty = 2 ** (len(rows) - 1).bit_length() - len(rows)
        starts = [0, *accumulate(lengths)]
        starts += [starts[-1]] * empty
        return (torch.tensor(ids), torch.tensor(positions) + self._first_position,
                torch.tensor(starts, dtype=torch.int32))


def compiled(classifier: nn.Module) -> Callable[..., Any]:
    """Fused by torch.compile, and on a GPU recorded as one graph for each shape."""
    return torch.compile(classifier, dynamic=False, mode="reduce-overhead")


def _attend(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: None, *,
    scaling: float, starts: torch.Tensor, longest: int, **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' interface: (1, heads, tokens, head size) each, to (1, tokens, heads, head size)."""
    within = _on_gpu if query.is_cuda else _elsewhere
    return within(query, key, value, starts, longest, scaling), None


def _on_gpu(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, starts: torch.Tensor, longest: int,
            scaling: float) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    return varlen_attn(query, key, value, starts, starts, longest, longest, scale=scaling)[None]


def _elsewhere(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, starts: torch.Tensor, longest: int,
               scaling: float) -> torch.Tensor:
    """The same by a mask over all pairs of tokens, at a cost that is quadratic in the batch: for tests."""
    owner = torch.searchsorted(starts, torch.arange(query.shape[2], dtype=starts.dtype), right=True)
    mask = owner[:, None] == owner
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling).transpose(1, 2)


AttentionInterface.register(_ATTENTION, _attend)
