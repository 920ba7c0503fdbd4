"""Fewer layers: which of a teacher's layers the student starts from, and the student without them.

The student keeps the teacher's embeddings and head; the layers left out are trained away by a distillation.

Source: Gurgurov, Gregor, van Genabith, Ostermann 2025 (arXiv 2505.16956), step 1 of the pipeline, as their code does it
(`src/distil_model.py`): every second layer for XLM-R, the last six for mBERT.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from transformers import PreTrainedModel

from laghu.compression.layout import layers
from laghu.errors import LaghuError


def chosen_layers(how: str, total: int, kept: int) -> list[int]:
    """The layers of the teacher that become the student's, ascending, shape (kept,).

    Args:
        how: "stride", evenly spaced from the first on (0, 2, 4, ... for half of them), or "last". Where `kept` doesn't
            divide `total`, the authors' stride would leave out the end; here the spaces differ by one instead.

    Raises:
        LaghuError: fewer than one or more than `total` to keep, or another way to choose.
    """
    if not 1 <= kept <= total:
        raise LaghuError(f"can't keep {kept} of {total} layers; keep 1 to {total}")
    if how == "stride":
        return [index * total // kept for index in range(kept)]
    if how == "last":
        return list(range(total - kept, total))
    raise LaghuError(f"layers can't be chosen by {how!r}; choose by 'stride' or 'last'")


def keep_layers(model: PreTrainedModel, kept: Sequence[int]) -> None:
    """Keep only the given encoder layers, in place; embeddings, pooler and head stay.

    Args:
        kept: indices of the layers that stay, ascending.

    Raises:
        LaghuError: no layer, one that the model doesn't have, indices out of order, or an architecture without this
            layout.
    """
    total = len(layers(model))
    if not kept or kept[0] < 0 or kept[-1] >= total or any(after <= before for before, after in pairwise(kept)):
        raise LaghuError(f"layers {list(kept)} can't be kept; name some of 0 to {total - 1}, ascending")
    encoder = model.base_model.encoder
    encoder.layer = nn.ModuleList([encoder.layer[index] for index in kept])
    for index, layer in enumerate(encoder.layer):
        layer.attention.self.layer_idx = index
    model.config.num_hidden_layers = len(kept)


@torch.no_grad()
def reinitialise(model: PreTrainedModel, seed: int) -> None:
    """Give all encoder layers fresh random weights, in place: the ablation of a start from the teacher's layers.

    As BERT begins: weights normal with standard deviation `config.initializer_range`, biases 0, layer norms 1 and 0.
    Embeddings, pooler and head stay, so that the ablation is about the layers alone. (The authors' `random` makes
    those anew, too.) The same seed gives the same weights on every device; the global generator is left alone.

    Not by the model's own `_init_weights`: transformers passes over parameters that came from a checkpoint.

    Raises:
        LaghuError: an architecture without this layout.
    """
    layers(model)  # refuses other architectures
    generator = torch.Generator().manual_seed(seed)
    for module in model.base_model.encoder.layer.modules():
        if isinstance(module, nn.Linear):
            fresh = torch.normal(0.0, model.config.initializer_range, module.weight.shape, generator=generator)
            module.weight.copy_(fresh)
            module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1)
            module.bias.zero_()
