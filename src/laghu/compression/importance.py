"""Which FFN neurons, attention heads, layers and hidden dimensions of an encoder matter: scores, higher is better.

Criteria only say *what* matters; `top` makes indices of their scores and `laghu.compression.surgery` cuts. All scores
are float64 on the CPU. A criterion that reads texts takes batches as a data loader gives them, token ids with
`attention_mask`, runs the model without dropout, counts no padding, and leaves the model as it was.

Sources:
- `first_order`: Gurgurov, Gregor, van Genabith, Ostermann 2025 (arXiv 2505.16956), step 2, as their code does it
  (`src/prune_mlm.py`).
- `activation`, `head_importance`, `hidden_importance`: Muralidharan et al. 2024 (arXiv 2407.14679, "Minitron"),
  section 2.2, in the form of NVIDIA's code (TensorRT-Model-Optimizer, Minitron plugin for Megatron-Core).
- `layer_importance`: block influence of Men et al. 2024 (arXiv 2403.03853, "ShortGPT"), which Minitron adopts.
- `magnitude` and `random`: the references that every criterion has to beat.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from laghu import quiet
from laghu.compression.layout import layers
from laghu.errors import LaghuError

# Where torch's cross-entropy, and so every model of transformers, expects no prediction.
IGNORED = -100

Batches = Iterable[Mapping[str, Tensor]]


# ------------------------------------------------------------------------------------------------ scores to indices


def top(scores: Sequence[Tensor], kept: int) -> list[Tensor]:
    """Indices of the `kept` highest scores, ascending, shape (kept,), one tensor for each of scores.

    Ties go to the earlier index, as in movement pruning.

    Args:
        scores: shape (n,) each; one tensor per layer for `cut_neurons`.

    Raises:
        LaghuError: fewer than one or more than n to keep, or a score that is not finite and so has no rank.
    """
    for layer, values in enumerate(scores):
        if not 1 <= kept <= len(values):
            raise LaghuError(f"can't keep {kept} of {len(values)} scores; keep 1 to {len(values)}")
        if not values.isfinite().all():
            wrong = int((~values.isfinite()).sum())
            raise LaghuError(f"{wrong} of {len(values)} scores are not finite (tensor {layer}); give finite scores")
    return [values.sort(descending=True, stable=True).indices[:kept].sort().values for values in scores]


# ------------------------------------------------------------------------------------------------ without text


def magnitude(model: PreTrainedModel) -> list[Tensor]:
    """L2 norm of each neuron's weights: its row and bias in the first dense layer and its column in the second.

    Returns:
        One tensor per layer, shape (intermediate_size,).

    Raises:
        LaghuError: an architecture without this layout.
    """
    return [
        torch.cat([_values(layer.up.weight), _values(layer.up.bias)[:, None], _values(layer.down.weight).T], dim=1)
        .norm(dim=1)
        for layer in layers(model)
    ]


def random(model: PreTrainedModel, seed: int) -> list[Tensor]:
    """Scores drawn evenly from [0, 1): the same seed gives the same on every machine.

    Returns:
        One tensor per layer, shape (intermediate_size,).

    Raises:
        LaghuError: an architecture without this layout.
    """
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.rand(layer.up.out_features, generator=generator, dtype=torch.float64) for layer in layers(model)
    ]


def _values(parameter: Tensor) -> Tensor:
    return parameter.detach().cpu().double()


# ------------------------------------------------------------------------------------------------ from the loss


def first_order(model: PreTrainedModel, batches: Batches) -> list[Tensor]:
    """What the loss would change by, to first order, without the neuron: its weights times their gradients.

        I_i = sum over batches of |sum_j g_ij w_ij + g_bi b_i|

    w_i and b_i are the neuron's row and bias in the first dense layer, g the gradients of one batch's loss. The sum
    inside is also dL/dm_i for a gate m_i = 1 on the neuron before its nonlinearity. It is taken from such gates, so
    that no weight needs a gradient: none is left behind, and a frozen model can be scored.

    The size of a batch matters, since signs cancel within one: the authors take 8 texts, masked at 15 %. A label on
    padding is left out, and so is a batch without any label.

    Args:
        model: any with a head that gives a loss, such as `BertForMaskedLM` or a classifier.
        batches: with `labels`; of text held out from training, never from a test split.

    Returns:
        One tensor per layer, shape (intermediate_size,).

    Raises:
        LaghuError: an architecture without this layout, a model without a loss, batches without `labels`, without
            `attention_mask` or without one label to predict.
    """
    ups = [layer.up for layer in layers(model)]
    gates = [torch.ones_like(up.bias, requires_grad=True) for up in ups]
    scores = [torch.zeros(len(gate), dtype=torch.float64) for gate in gates]
    labelled = False
    with _evaluating(model), _gated(ups, gates), torch.enable_grad():
        for batch in _prepared(batches, model.device):
            labels = _labels_on_text(batch)
            if (labels == IGNORED).all():  # the mean over no token is no number
                continue
            labelled = True
            with quiet.working():
                loss = getattr(model(**{**batch, "labels": labels}), "loss", None)
                if loss is None:
                    raise LaghuError(f"{type(model).__name__} gives no loss; use a model with a head for the labels")
                gradients = torch.autograd.grad(loss, gates)
            for score, gradient in zip(scores, gradients, strict=True):
                score += gradient.double().cpu().abs()
    if not labelled:
        raise LaghuError(f"all labels are {IGNORED}, so there is no loss; mask some tokens")
    return scores


def _labels_on_text(batch: Mapping[str, Tensor]) -> Tensor:
    """The labels; where they are one per token, without those on padding."""
    if "labels" not in batch:
        raise LaghuError(f"a batch with {', '.join(batch)} has no loss; add labels")
    labels = batch["labels"]
    if labels.shape != batch["attention_mask"].shape or labels.is_floating_point():
        return labels
    return labels.masked_fill(batch["attention_mask"] == 0, IGNORED)


@contextmanager
def _gated(linears: list[nn.Linear], gates: list[Tensor]) -> Iterator[None]:
    """Multiplies the output of each linear layer by its gate, shape (out_features,)."""
    handles = [
        linear.register_forward_hook(lambda module, inputs, output, gate=gate: output * gate)
        for linear, gate in zip(linears, gates, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# ------------------------------------------------------------------------------------------------ from activations


def activation(model: PreTrainedModel, batches: Batches) -> list[Tensor]:
    """How strongly each neuron fires: its |activation| after the nonlinearity, mean over a text, L2 norm over texts.

    NVIDIA's code measures there. The paper's formula is said to stand before the nonlinearity, where a neuron that
    GELU holds at zero would still count.

    Returns:
        One tensor per layer, shape (intermediate_size,).

    Raises:
        LaghuError: an architecture without this layout, no batches, or batches without `attention_mask`.
    """
    *neurons, _ = _activation_norms(model, batches, [layer.down for layer in layers(model)])
    return neurons


def head_importance(model: PreTrainedModel, batches: Batches) -> list[Tensor]:
    """How much each attention head gives: L2 norm over its channels of what `activation` is for a neuron.

    Measured before the output projection.

    Returns:
        One tensor per layer, shape (num_attention_heads,).

    Raises:
        LaghuError: an architecture without this layout, no batches, or batches without `attention_mask`.
    """
    *channels, _ = _activation_norms(model, batches, [layer.attention_output for layer in layers(model)])
    return [norms.view(model.config.num_attention_heads, -1).norm(dim=1) for norms in channels]


def hidden_importance(model: PreTrainedModel, batches: Batches) -> Tensor:
    """How much each hidden dimension carries: what `activation` is for a neuron, summed over all outputs of LayerNorms.

    These are the inputs of every attention and FFN, as in NVIDIA's code, and the encoder's output. There the norms
    stand before attention and FFN and the last is not counted; in BERT they stand behind, and the head reads the last.
    Of an ELECTRA whose embeddings have another width, the first is their projection.

    Returns:
        Shape (hidden_size,), one for the whole model, since all layers share these dimensions.

    Raises:
        LaghuError: an architecture without this layout, no batches, or batches without `attention_mask`.
    """
    readers = [linear for layer in layers(model) for linear in (layer.query, layer.up)]
    return torch.stack(_activation_norms(model, batches, readers)).sum(dim=0)


def layer_importance(model: PreTrainedModel, batches: Batches) -> Tensor:
    """How much each layer turns its input: block influence.

        BI_l = 1 - E[cos(x_l, x_l+1)], the mean over all tokens of all texts

    Returns:
        Shape (num_hidden_layers,), from 0 (a layer that changes no direction) to 2.

    Raises:
        LaghuError: an architecture without this layout, no batches, or batches without `attention_mask`.
    """
    queries = [layer.query for layer in layers(model)]
    similarities, tokens = torch.zeros(len(queries), dtype=torch.float64), 0
    for mask, hidden_states in _passes(model, batches, queries):
        for layer, (before, after) in enumerate(pairwise(hidden_states)):
            cosines = functional.cosine_similarity(before.float(), after.float(), dim=-1)
            similarities[layer] += cosines[mask].double().cpu().sum()
        tokens += int(mask.sum())
    return 1 - similarities / tokens


def _activation_norms(model: PreTrainedModel, batches: Batches, watched: list[nn.Linear]) -> list[Tensor]:
    """|activation|, mean over a text's tokens, L2 norm over texts: of each watched layer's input, shape (in_features,),
    and last of the encoder's output, shape (hidden_size,).

    The norm is over all texts of all batches, so that it doesn't matter which stand together.
    """
    widths = [*(linear.in_features for linear in watched), model.config.hidden_size]
    squares = [torch.zeros(width, dtype=torch.float64) for width in widths]
    for mask, activations in _passes(model, batches, watched):
        for total, values in zip(squares, activations, strict=True):
            sums = (values.abs().float() * mask[..., None]).sum(dim=1)
            means = (sums / mask.sum(dim=1, keepdim=True)).double().cpu()
            total += means.square().sum(dim=0)
    return [total.sqrt() for total in squares]


@torch.no_grad()
def _passes(
    model: PreTrainedModel, batches: Batches, watched: list[nn.Linear]
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """For each batch: where text stands, bool (texts, tokens), and the inputs of the watched layers, then the output of
    the encoder, all of shape (texts, tokens, n).

    Not by `output_hidden_states`: transformers leaves the hooks that it needs for it on the model.
    """
    with _evaluating(model), _recorded(watched) as inputs:
        for batch in _prepared(batches, model.device):
            for pieces in inputs:
                pieces.clear()
            with quiet.working():
                output = model.base_model(**{name: batch[name] for name in batch if name != "labels"})
            yield (
                batch["attention_mask"].bool(),
                # more than one piece where the configuration cuts the FFN's work up (chunk_size_feed_forward)
                [*(torch.cat(pieces, dim=1) for pieces in inputs), output.last_hidden_state],
            )


@contextmanager
def _recorded(linears: list[nn.Linear]) -> Iterator[list[list[Tensor]]]:
    """One list for each linear layer, to which it adds its input whenever it runs."""
    inputs: list[list[Tensor]] = [[] for _ in linears]
    handles = [
        linear.register_forward_pre_hook(lambda module, arguments, pieces=pieces: pieces.append(arguments[0]))
        for linear, pieces in zip(linears, inputs, strict=True)
    ]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()


# ------------------------------------------------------------------------------------------------ model and batches


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode; afterwards every module is back in the mode of its own that it came in."""
    modes = [(module, module.training) for module in model.modules()]
    problem_type = model.config.problem_type
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        # where a classifier of transformers notes the kind of labels that it met first
        model.config.problem_type = problem_type


def _prepared(batches: Batches, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """The batches on the device.

    Raises:
        LaghuError: none, or one that doesn't say where its padding is.
    """
    found = False
    for batch in batches:
        if "attention_mask" not in batch:
            raise LaghuError(f"a batch with {', '.join(batch)} doesn't say what is padding; add attention_mask")
        found = True
        yield {name: values.to(device) for name, values in batch.items()}
    if not found:
        raise LaghuError("0 batches of text; give at least one")
