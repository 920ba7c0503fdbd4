"""A classifier without padding, for GPUs: the tokens of a batch in one row, and attention that stays within each text.

    ids     [CLS] a b [SEP] [CLS] c [SEP]   (tokens,)
    starts  0               4             7 (texts + 1,)

All that works token by token, which is nearly everything in an encoder, doesn't care whose token it is. Only attention
has to know, and the classifier, which reads the first token of each text.

Sources: Zeng et al. 2022, "Boosting distributed training performance of the unpadded BERT model", for the idea;
`torch.nn.attention.varlen` for the attention.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, PreTrainedModel

from laghu.errors import LaghuError

# Names of model types whose head takes the first token of each text.
MODEL_TYPES = ("bert", "electra", "roberta", "xlm-roberta")
# Tokens of a row are filled up to a multiple of this, and texts to the next power of two: each shape is compiled once.
TOKENS = 4096
# Shapes that PyTorch compiles of one function before it refuses another: its own 8 are for all models together.
SHAPES = 128

_ATTENTION = "laghu_packed"
# Numbers of a head come in multiples of this in the GPU's kernel.
_HEAD = 8


class Room(NamedTuple):
    """A shape: how much there is room for."""

    tokens: int
    texts: int


# What `PackedClassifier.forward` takes.
Row = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


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
    """Rows of token ids to logits, on the device of a `PackedClassifier`, compiled there for a few shapes.

    Before PyTorch 2.13 a graph on the GPU belongs to the thread that first compiled anything: call it from there alone.
    """

    def __init__(
        self, classifier: PackedClassifier, compiler: Callable[[nn.Module], Callable[..., Any]],
        rooms: Sequence[Room] = (),
    ) -> None:
        """
        Args:
            compiler: such as `compiled`; `lambda module: module` compiles nothing.
            rooms: the only shapes there shall be, and a batch takes the smallest that holds it; they are compiled here
                and now. None given: shapes as `TOKENS` says, each compiled when it first comes.

        Raises:
            LaghuError: a model in fp32 on a GPU, whose attention within texts knows 16-bit numbers only.
        """
        config = classifier.model.config
        self._device = classifier.model.device
        if self._device.type == "cuda" and classifier.model.dtype not in (torch.bfloat16, torch.float16):
            raise LaghuError(f"texts can't be packed in {classifier.model.dtype} on a GPU; convert the model to bf16 "
                             "or fp16")
        self._first_position = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        self._padding = config.pad_token_id or 0
        self._labels, self._longest, self._rooms = config.num_labels, classifier.longest, sorted(rooms)
        self._run = compiler(classifier)
        # A graph on the GPU has one place for its inputs and one for its outputs.
        self._lock = Lock()
        for room in self._rooms:
            nothing = self._row([], room)
            for _ in range(3):  # compiled, recorded, replayed
                self.logits(nothing, 0)

    def __call__(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Logits, (texts, labels) float32.

        Raises:
            LaghuError: as `pack`.
        """
        if not rows:
            return np.empty((0, self._labels), dtype=np.float32)
        row = self.pack(rows)
        with self._lock:
            return self.logits(row, len(rows)).float().cpu().numpy()

    def pack(self, rows: Sequence[Sequence[int]]) -> Row:
        """One row of them, filled up to a shape that others have, too; on the host, from where it is soon sent.

        Any thread may call it at any time.

        Raises:
            LaghuError: a text without tokens or with more than the classifier was told, or no room for so many.
        """
        lengths = [len(row) for row in rows]
        if not all(0 < length <= self._longest for length in lengths):
            raise LaghuError(f"texts of {min(lengths)} to {max(lengths)} tokens; give some of 1 to {self._longest}")
        return self._row(rows, self._room(Room(sum(lengths), len(rows))))

    def logits(self, row: Row, texts: int) -> torch.Tensor:
        """Those of the first texts of a row, (texts, labels), on the device and without waiting for it.

        They are gone with the next call, before which there must be no reference to them. One thread at a time.
        """
        with torch.inference_mode():
            return self._run(*(part.to(self._device, non_blocking=True) for part in row))[:texts]

    def _room(self, needed: Room) -> Room:
        if not self._rooms:
            return Room(needed.tokens + -needed.tokens % TOKENS, 2 ** (needed.texts - 1).bit_length())
        for room in self._rooms:
            if needed.tokens <= room.tokens and needed.texts <= room.texts:
                return room
        raise LaghuError(f"{needed.texts} texts of {needed.tokens} tokens find no room; give fewer at a time")

    def _row(self, rows: Sequence[Sequence[int]], room: Room) -> Row:
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        ends = np.cumsum(lengths)
        tokens = int(lengths.sum())
        ids = np.full(room.tokens, self._padding)
        ids[:tokens] = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=tokens)
        positions = np.full(room.tokens, self._first_position)
        positions[:tokens] += np.arange(tokens) - np.repeat(ends - lengths, lengths)
        starts = np.full(room.texts + 1, tokens, dtype=np.int32)
        starts[0], starts[1:len(rows) + 1] = 0, ends
        parts = map(torch.from_numpy, (ids, positions, starts))
        # From any other memory a copy to the GPU would wait for what it has to do.
        return tuple(part.pin_memory() if self._device.type == "cuda" else part for part in parts)


def compiled(module: nn.Module) -> Callable[..., Any]:
    """Fused by torch.compile, and on a GPU recorded as one graph for each shape."""
    return _compile(module, "reduce-overhead")


def tuned(module: nn.Module) -> Callable[..., Any]:
    """As `compiled`, with the kernels of the products chosen by trying them, which takes minutes."""
    return _compile(module, "max-autotune")


def _compile(module: nn.Module, mode: str) -> Callable[..., Any]:
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)
    # Without fullgraph, what can't be compiled runs as it is, unsaid and slow.
    return torch.compile(module, dynamic=False, fullgraph=True, mode=mode)


def _attend(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: None, *,
    scaling: float, starts: torch.Tensor, longest: int, **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' interface: (1, heads, tokens, head size) each, to (1, tokens, heads, head size)."""
    within = _on_gpu if query.is_cuda else _elsewhere
    return within(query, key, value, starts, longest, scaling), None


def _on_gpu(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, starts: torch.Tensor, longest: int,
            scaling: float) -> torch.Tensor:
    size = query.shape[-1]
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    if missing := -size % _HEAD:
        # Zeros add nothing to a product, and the scale is given.
        query, key, value = (functional.pad(part, (0, missing)) for part in (query, key, value))
    return varlen_attn(query, key, value, starts, starts, longest, longest, scale=scaling)[None, ..., :size]


def _elsewhere(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, starts: torch.Tensor, longest: int,
               scaling: float) -> torch.Tensor:
    """The same by a mask over all pairs of tokens, at a cost that is quadratic in the batch: for tests."""
    tokens = torch.arange(query.shape[2], dtype=starts.dtype, device=starts.device)
    owner = torch.searchsorted(starts, tokens, right=True)
    mask = owner[:, None] == owner
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling).transpose(1, 2)


AttentionInterface.register(_ATTENTION, _attend)
