"""Cutting masked neurons out: the result is a plain Hugging Face model of smaller `intermediate_size`."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from laghu.compression.layout import FeedForward, feed_forwards, set_intermediate_size
from laghu.compression.movement import Movement, harden
from laghu.errors import LaghuError


def cut_neurons(model: PreTrainedModel, kept: list[Tensor]) -> None:
    """Keep only the given FFN neurons, in place; the others must no longer reach the output.

    A configuration knows one `intermediate_size` for all layers. Where the layers keep different numbers of neurons,
    all get the largest, the narrower ones filled with neurons whose column in the second layer is zero.

    Args:
        kept: indices of the neurons that stay, ascending, shape (n_i,), one tensor per layer.

    Raises:
        LaghuError: not one tensor per layer.
    """
    ffns = feed_forwards(model)
    if len(kept) != len(ffns):
        raise LaghuError(f"{len(kept)} lists of neurons for {len(ffns)} layers; give one per layer")
    width = max(len(indices) for indices in kept)
    for ffn, indices in zip(ffns, kept, strict=True):
        _cut(ffn, indices, width)
    set_intermediate_size(model.config, width)


@torch.no_grad()
def _cut(ffn: FeedForward, kept: Tensor, width: int) -> None:
    up, down, parts = ffn.up, ffn.down, ffn.parts

    def rows(of: Tensor) -> nn.Parameter:
        """Those that are kept, (parts width, ...), of (parts neurons, ...)."""
        cut = of.new_zeros(parts, width, *of.shape[1:])
        cut[:, : len(kept)] = of.unflatten(0, (parts, -1))[:, kept]
        return nn.Parameter(cut.flatten(0, 1))

    up.weight = rows(up.weight)
    up.bias = None if up.bias is None else rows(up.bias)
    columns = down.weight.new_zeros(down.out_features, width)
    columns[:, : len(kept)] = down.weight[:, kept]
    down.weight = nn.Parameter(columns)
    up.out_features, down.in_features = parts * width, width


def excise(model: PreTrainedModel, movement: Movement) -> None:
    """Make the masks of a movement-pruned model permanent and cut its masked neurons out, in place."""
    kept = movement.kept_neurons()
    harden(model)
    cut_neurons(model, kept)
