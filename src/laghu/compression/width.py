"""A smaller hidden size: an encoder of size d becomes one of size k < d, from embeddings to head, for a distillation.

Three ways to start the narrow model from the wide one's weights, all in place:

- `truncate`: the first k rows and columns of every tensor, as the authors of the pipeline do. The k attention channels
  that stay are split into heads anew, so that a new head holds channels of several old ones.
- `truncate_heads`, and with any choice of dimensions `keep_hidden`: each head keeps its own first channels.
- `project`: the k leading directions of the hidden space instead of k of its coordinates.

None of them keeps what the model computes. The reason that no choice can mend is layer normalisation: it gives the k
dimensions that are left the mean 0 and mean square 1 that all d had together.

Source: Gurgurov, Gregor, van Genabith, Ostermann 2025 (arXiv 2505.16956), step 3 of the pipeline, as their code does it
(`src/distil_model.py`). Head-aligned truncation and projection are ours: their `svd` takes the leading part of each
tensor on its own and then truncates it all the same.
"""

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from laghu.compression.layout import Layer, layers
from laghu.errors import LaghuError

# Rows whose products are summed in double precision at once: 100 MB at hidden size 768.
ROWS_AT_ONCE = 2**14


# ------------------------------------------------------------------------------------------------ by coordinates


def truncate(model: PreTrainedModel, hidden_size: int) -> None:
    """Keep the first `hidden_size` rows and columns of every tensor, across the boundaries of heads, in place.

    As the authors do, attention scores included: they are divided by the root of the new head size, nothing else.

    Raises:
        LaghuError: a hidden size above the model's or no multiple of its heads, an architecture without this layout,
            an ELECTRA whose embeddings have another width, or masks on the weights.
    """
    _require_size(model, hidden_size)
    first = torch.arange(hidden_size)
    _keep(model, first, first)


def truncate_heads(model: PreTrainedModel, hidden_size: int) -> None:
    """`keep_hidden` of the first `hidden_size` dimensions, in place.

    Raises:
        LaghuError: as `truncate`.
    """
    _require_size(model, hidden_size)
    keep_hidden(model, torch.arange(hidden_size))


def keep_hidden(model: PreTrainedModel, kept: Tensor) -> None:
    """Keep the given hidden dimensions, and of every head its first k / heads channels, in place.

    The outputs of pooler and heads, which have the hidden size too, keep the same indices.

    Scores are divided by the root of the head size, which falls from s to s'. sqrt(s' / s) is folded into the query's
    weights and biases, so that they are the scores of the whole head with the dropped channels at zero: sliced equals
    masked, as for neurons. (Left out, all scores would grow by sqrt(s / s'). That is how they would keep their
    variance if channels were independent, but also a change where the dropped channels did nothing.)

    Args:
        kept: indices of the dimensions that stay, ascending, shape (k,), as `importance.top` gives them.

    Raises:
        LaghuError: as `truncate`, or indices out of range or order.
    """
    _require_size(model, len(kept))
    wide, heads = model.config.hidden_size, model.config.num_attention_heads
    if kept[0] < 0 or kept[-1] >= wide or (kept.diff() <= 0).any():
        raise LaghuError(f"hidden dimensions {kept.tolist()} can't be kept; name some of 0 to {wide - 1}, ascending")
    channels = torch.arange(wide).view(heads, -1)[:, : len(kept) // heads].flatten()
    _keep(model, kept, channels)
    for layer in layers(model):
        _scale_scores(layer, (len(kept) / wide) ** 0.5)


@torch.no_grad()
def _keep(model: PreTrainedModel, hidden: Tensor, channels: Tensor) -> None:
    """Cut all tensors to the given hidden dimensions and channels of attention."""
    before, after = _plain(model, model.config.hidden_size), _plain(model, len(hidden))
    over_channels = _channel_dimensions(model)
    for parameter, dimensions in _shrinking(model, before, after):
        weight = parameter.detach()
        for dimension in dimensions:
            kept = channels if over_channels.get(parameter) == dimension else hidden
            weight = weight.index_select(dimension, kept.to(weight.device))
        _replace(parameter, weight)
    _adopt(model, before, after)


# ------------------------------------------------------------------------------------------------ by directions


@torch.no_grad()
def project(model: PreTrainedModel, hidden_size: int, states: Tensor | None = None) -> None:
    """Rotate the hidden space onto its leading directions, in place: what is read is W U, what is written U^T W.

    Within attention, each head's query-key and value-output products keep their leading singular values, as many as a
    head has channels (Eckart & Young 1936: the best such matrices). A key's bias adds the same to all scores of a
    query, which softmax takes out again; it becomes 0. The scale of scores is folded into the query, as in
    `keep_hidden`.

    A layer norm's gains g turn into a full matrix, U^T diag(g) U, of which the diagonal is kept. They are scaled so
    that its outputs keep the share of their mean square that lies in U. So the encoder stays exact, up to the norms'
    epsilon, where states and biases lie within U, the gains of a norm are equal and heads have the rank that is left.
    Pooler and heads don't: their GELU and tanh don't commute with a rotation.

    Args:
        states: hidden states whose directions count, shape (..., d), such as the layers' inputs on some text held out.
            By default the rows of all embedding tables.

    Raises:
        LaghuError: as `truncate`, or states of another size.
    """
    _require_size(model, hidden_size)
    wide = model.config.hidden_size
    if states is None:
        tables = [module for module in model.base_model.modules() if isinstance(module, nn.Embedding)]
        states = torch.cat([table.weight.detach() for table in tables])
    if states.shape[-1] != wide:
        raise LaghuError(f"hidden states have {states.shape[-1]} dimensions; give states of {wide}")
    if hidden_size == wide:
        return
    before, after = _plain(model, wide), _plain(model, hidden_size)
    shrinking, over_channels = _shrinking(model, before, after), _channel_dimensions(model)
    gains = {module.weight for module in model.modules() if isinstance(module, nn.LayerNorm)}
    directions, share = leading_directions(states, hidden_size)
    for parameter, dimensions in shrinking:
        weight = parameter.detach()
        basis = directions.to(weight)
        if parameter in gains:
            _replace(parameter, (share * wide / hidden_size) ** 0.5 * (weight @ basis**2))
            continue
        for dimension in dimensions:
            if over_channels.get(parameter) != dimension:
                weight = torch.tensordot(weight, basis, dims=([dimension], [0])).movedim(-1, dimension)
        _replace(parameter, weight)
    for layer in layers(model):
        _lower_rank(layer, model.config.num_attention_heads, hidden_size)
        _scale_scores(layer, (hidden_size / wide) ** 0.5)
    _adopt(model, before, after)


def leading_directions(states: Tensor, count: int) -> tuple[Tensor, float]:
    """Orthonormal directions, shape (d, count), and the share of the states' squares that lies in them.

    The space that they span is that of 1/sqrt(d), which a layer norm takes out, and of the `count` - 1 leading right
    singular vectors of what it leaves, the states less each one's mean. Within that space they are turned so that
    1/sqrt(d) has the coordinates 1/sqrt(count): the mean that the narrow norm takes out is the wide one's.

    Args:
        states: shape (..., d).

    Returns:
        Double precision, on the CPU. The share is of the centred states, from 0 to 1.
    """
    wide = states.shape[-1]
    gram = torch.zeros(wide, wide, dtype=torch.float64)
    for rows in states.detach().reshape(-1, wide).split(ROWS_AT_ONCE):
        rows = rows.cpu().double()
        gram += rows.T @ rows
    centred = _mean_first(wide)[:, 1:]
    squares, vectors = torch.linalg.eigh(centred.T @ gram @ centred)
    squares, vectors = squares.flip(0).clamp(min=0), centred @ vectors.flip(1)[:, : count - 1]
    # A singular vector's sign is the library's whim.
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    mean = torch.full((wide, 1), wide**-0.5, dtype=torch.float64)
    directions = torch.cat([mean, vectors * largest.sign()], dim=1) @ _mean_first(count)
    return directions, float(squares[: count - 1].sum() / squares.sum())


def _mean_first(size: int) -> Tensor:
    """A symmetric orthogonal matrix, shape (size, size), whose first row is 1/sqrt(size).

    Half a turn about the middle between the first axis and that row: a reflection negated, defined for size 1 too.
    """
    middle = torch.full((size, 1), size**-0.5, dtype=torch.float64)
    middle[0] += 1
    return 2 * middle @ middle.T / middle.square().sum() - torch.eye(size, dtype=torch.float64)


def _lower_rank(layer: Layer, heads: int, hidden_size: int) -> None:
    """Reduce the channels of each head to `hidden_size` / `heads` by the products in which they are summed over."""
    rank = hidden_size // heads
    query, value = (
        torch.cat([linear.weight.detach(), linear.bias.detach()[:, None]], dim=1).double()
        .view(heads, -1, hidden_size + 1)
        for linear in (layer.query, layer.value)
    )
    key = layer.key.weight.detach().double().view(heads, -1, hidden_size)
    output = layer.attention_output.weight.detach().double().view(hidden_size, heads, -1).transpose(0, 1)

    query, key = _factors(query.mT, key, rank)
    query = query.mT.reshape(hidden_size, -1)
    _replace(layer.query.weight, query[:, :-1])
    _replace(layer.query.bias, query[:, -1])
    _replace(layer.key.weight, key.reshape(hidden_size, -1))
    _replace(layer.key.bias, torch.zeros_like(query[:, -1]))

    output, value = _factors(output, value, rank)
    value = value.reshape(hidden_size, -1)
    _replace(layer.value.weight, value[:, :-1])
    _replace(layer.value.bias, value[:, -1])
    _replace(layer.attention_output.weight, output.transpose(0, 1).reshape(hidden_size, -1))


def _factors(left: Tensor, right: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Best approximation of `left @ right` of a rank, as factors of equal norm.

    Shapes (..., m, n) and (..., n, p) become (..., m, rank) and (..., rank, p).
    """
    # n is far below m and p: by QR the product to decompose is n x n.
    left_basis, left = torch.linalg.qr(left)
    right_basis, right = torch.linalg.qr(right.mT)
    u, values, vh = torch.linalg.svd(left @ right.mT)
    root = values[..., :rank].sqrt()
    return left_basis @ u[..., :rank] * root[..., None, :], root[..., None] * vh[..., :rank, :] @ right_basis.mT


# ------------------------------------------------------------------------------------------------ model and sizes


def _require_size(model: PreTrainedModel, hidden_size: int) -> None:
    layers(model)  # refuses other architectures
    wide, heads = model.config.hidden_size, model.config.num_attention_heads
    embedding_size = getattr(model.config, "embedding_size", wide)
    if embedding_size != wide:
        raise LaghuError(f"embedding size {embedding_size} isn't the hidden size {wide}; only equal ones can shrink")
    if not 1 <= hidden_size <= wide:
        raise LaghuError(f"can't reduce hidden size {wide} to {hidden_size}; keep {heads} to {wide}")
    if hidden_size % heads:
        raise LaghuError(f"hidden size {hidden_size} can't be split into {heads} heads; give a multiple of {heads}")


def _plain(model: PreTrainedModel, hidden_size: int) -> PreTrainedModel:
    """An empty model of the same class that differs in its hidden size: the sizes that transformers will expect."""
    config = copy.deepcopy(model.config)
    for name in _size_fields(model):
        setattr(config, name, hidden_size)
    with torch.device("meta"):
        return type(model)(config)


def _size_fields(model: PreTrainedModel) -> list[str]:
    """`embedding_size` is ELECTRA's alone."""
    return [name for name in ("hidden_size", "embedding_size") if hasattr(model.config, name)]


def _shrinking(
    model: PreTrainedModel, before: PreTrainedModel, after: PreTrainedModel
) -> list[tuple[nn.Parameter, list[int]]]:
    """Each parameter that depends on the hidden size, with the dimensions that do; one that is tied comes once.

    Known from two empty models, since a size alone doesn't tell: an FFN or a vocabulary may have d of its own.
    """
    wide = {name: parameter.shape for name, parameter in before.named_parameters(remove_duplicate=False)}
    shrinking = []
    for name, parameter in model.named_parameters():
        if wide.get(name) != parameter.shape:
            raise LaghuError(f"{name} isn't a weight of a plain {type(model).__name__}; make its masks permanent first")
        narrow = after.get_parameter(name).shape
        dimensions = [dimension for dimension, size in enumerate(parameter.shape) if size != narrow[dimension]]
        if dimensions:
            shrinking.append((parameter, dimensions))
    return shrinking


def _channel_dimensions(model: PreTrainedModel) -> dict[nn.Parameter, int]:
    """The dimension that runs over the channels of all heads, of each parameter that has one."""
    dimensions = {}
    for layer in layers(model):
        for linear in (layer.query, layer.key, layer.value):
            dimensions |= {linear.weight: 0, linear.bias: 0}
        dimensions[layer.attention_output.weight] = 1
    return dimensions


def _replace(parameter: nn.Parameter, weight: Tensor) -> None:
    # The parameter stays the same object: an output layer tied to the embeddings stays tied.
    parameter.grad = None
    parameter.data = weight.to(parameter.dtype).contiguous()


def _scale_scores(layer: Layer, factor: float) -> None:
    with torch.no_grad():
        layer.query.weight *= factor
        layer.query.bias *= factor


def _adopt(model: PreTrainedModel, before: PreTrainedModel, after: PreTrainedModel) -> None:
    """Give configuration and modules the sizes that follow from the hidden size: what differs between the empty models.

    Features of linear layers, shapes of norms, channels of heads and the scale of their scores.
    """
    for name in _size_fields(model):
        setattr(model.config, name, getattr(after.config, name))
    for name, module in model.named_modules():
        old, new = vars(before.get_submodule(name)), vars(after.get_submodule(name))
        for attribute, size in new.items():
            if isinstance(size, (int, float, tuple)) and size != old[attribute]:
                setattr(module, attribute, size)
