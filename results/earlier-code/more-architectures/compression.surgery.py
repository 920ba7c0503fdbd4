"""Cutting masked neurons out: the result is a plain Hugging Face model of smaller `intermediate_size`."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from laghu.compression.layout import Layer, layers
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
    encoder = layers(model)
    if len(kept) != len(encoder):
        raise LaghuError(f"{len(kept)} lists of neurons for {len(encoder)} layers; give one per layer")
    width = max(len(indices) for indices in kept)
    for layer, indices in zip(encoder, kept, strict=True):
        _cut_layer(layer, indices, width)
    model.config.intermediate_size = width


def _cut_layer(layer: Layer, kept: Tensor, width: int) -> None:
    up, down = layer.up, layer.down
    with torch.no_grad():
        weight = up.weight.new_zeros(width, up.in_features)
        bias = up.bias.new_zeros(width)
        output = down.weight.new_zeros(down.out_features, width)
        weight[: len(kept)] = up.weight[kept]
        bias[: len(kept)] = up.bias[kept]
        output[:, : len(kept)] = down.weight[:, kept]
    up.weight, up.bias, up.out_features = nn.Parameter(weight), nn.Parameter(bias), width
    down.weight, down.in_features = nn.Parameter(output), width


def excise(model: PreTrainedModel, movement: Movement) -> None:
    """Make the masks of a movement-pruned model permanent and cut its masked neurons out, in place."""
    kept = movement.kept_neurons()
    harden(model)
    cut_neurons(model, kept)
