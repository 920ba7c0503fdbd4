"""Fewer hidden dimensions and fewer attention heads: any of each, a head keeping its size.

A configuration knows one hidden size, and one number of heads that divides it. So the two shrink together: of h heads k
stay in every layer, and k / h of the hidden dimensions. Which heads stay is each layer's own; the dimensions are those
that all layers share. (`laghu.compression.width` keeps all heads and makes each of them narrower.)

Every weight that stays is the wide model's, yet no choice of dimensions keeps what the model computes: layer
normalisation gives those that are left the mean 0 and mean square 1 that all had together. What the heads that go have
given isn't added to those that stay.

Source: Muralidharan et al. 2024 (arXiv 2407.14679, "Minitron"), section 2, whose decoders state the size of a head
apart and so can cut heads and hidden dimensions in different proportions.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from laghu.compression.layout import layers
from laghu.errors import LaghuError


def narrowed(model: PreTrainedModel, hidden: Tensor, heads: Sequence[Tensor]) -> PreTrainedModel:
    """A model of the given hidden dimensions and heads alone; the one it is cut from stays as it is.

    The outputs of pooler and heads of classifiers, which have the hidden size too, keep the same indices.

    Args:
        hidden: indices of the dimensions that stay, ascending, shape (k * head size,).
        heads: indices of the heads that stay, ascending, shape (k,), one tensor per layer.

    Returns:
        In evaluation mode, on the same device, in the same precision.

    Raises:
        LaghuError: indices out of range or order, numbers that don't fit each other, an architecture without this
            layout, an ELECTRA whose embeddings have another width, or masks on the weights.
    """
    _require_indices(model, hidden, heads)
    config = _smaller(model.config, len(hidden), len(heads[0]))
    with torch.device("meta"):
        shapes = {name: weight.shape for name, weight in _weights(type(model)(config)).items()}
    channels = _channels(model, heads)
    cut = {}
    for name, weight in _weights(model).items():
        if name not in shapes:
            raise LaghuError(f"{name} isn't a weight of a plain {type(model).__name__}; make its masks permanent first")
        cut[name] = weight.detach().clone()
        for dimension, size in enumerate(shapes[name]):
            if size != weight.shape[dimension]:
                kept = channels.get((weight, dimension), hidden)
                cut[name] = cut[name].index_select(dimension, kept.to(weight.device))
    narrow = type(model).from_pretrained(None, config=config, state_dict=cut, dtype=model.dtype)
    return narrow.to(model.device)


def _weights(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    return dict(model.named_parameters(remove_duplicate=False))


def _smaller(config: PreTrainedConfig, hidden_size: int, heads: int) -> PreTrainedConfig:
    config = copy.deepcopy(config)
    config.num_attention_heads = heads
    for name in ("hidden_size", "embedding_size"):  # the latter is ELECTRA's alone
        if hasattr(config, name):
            setattr(config, name, hidden_size)
    return config


def _channels(model: PreTrainedModel, heads: Sequence[Tensor]) -> dict[tuple[nn.Parameter, int], Tensor]:
    """The channels of heads that stay, for each weight and the one of its dimensions that runs over them."""
    all_channels = torch.arange(model.config.hidden_size).view(model.config.num_attention_heads, -1)
    channels = {}
    for layer, kept in zip(layers(model), heads, strict=True):
        staying = all_channels[kept.cpu()].flatten()
        for linear in (layer.query, layer.key, layer.value):
            channels |= {(linear.weight, 0): staying, (linear.bias, 0): staying}
        channels[layer.attention_output.weight, 1] = staying
    return channels


def _require_indices(model: PreTrainedModel, hidden: Tensor, heads: Sequence[Tensor]) -> None:
    total_layers, wide, total_heads = len(layers(model)), model.config.hidden_size, model.config.num_attention_heads
    if (embedding_size := getattr(model.config, "embedding_size", wide)) != wide:
        raise LaghuError(f"embedding size {embedding_size} isn't the hidden size {wide}; only equal ones can shrink")
    if len(heads) != total_layers:
        raise LaghuError(f"{len(heads)} lists of heads for {total_layers} layers; give one per layer")
    if len(numbers := sorted({len(kept) for kept in heads})) > 1:
        raise LaghuError(f"{numbers} heads in different layers; keep as many in all")
    if len(hidden) != (needed := numbers[0] * (wide // total_heads)):
        raise LaghuError(f"{numbers[0]} heads of {wide // total_heads} channels need {needed} hidden dimensions, not "
                         f"{len(hidden)}")
    for what, kept, total in [("hidden dimensions", hidden, wide), *(("heads", kept, total_heads) for kept in heads)]:
        if not len(kept) or kept[0] < 0 or kept[-1] >= total or (kept.diff() <= 0).any():
            raise LaghuError(f"{what} {kept.tolist()} can't be kept; name some of 0 to {total - 1}, ascending")
