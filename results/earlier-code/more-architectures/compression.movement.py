"""Block movement pruning: learn, while fine-tuning, which blocks of the encoder's weights can go.

A weight W is used as M(S) * W, where the mask M is made from learned scores S, one score per block. The gradient passes
the mask straight through, so that a score grows while its block moves away from zero and falls while it shrinks.

Sources: Sanh, Wolf, Rush 2020, "Movement Pruning", section 3 (straight-through scores, cubic schedule); Lagunas,
Charlaix, Sanh, Rush 2021, "Block Pruning For Faster Transformers", section 3 (blocks, FFN neurons as one block).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from laghu.compression.layout import Layer, layers
from laghu.errors import LaghuError
from laghu.training import Objective

# Final threshold of the sigmoid method in the authors' shipped configurations (nn_pruning, MNLI and SQuAD).
SIGMOID_THRESHOLD = 0.1


# ------------------------------------------------------------------------------------------------ scores to masks


class _StraightThrough(torch.autograd.Function):
    """A mask whose gradient goes to the scores unchanged: dL/dS := dL/dM."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, mask: Tensor) -> Tensor:
        return mask

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def kept_count(count: int, density: float) -> int:
    """How many of `count` blocks stay at a density; at least one, so that no layer loses its last."""
    return max(1, round(density * count))


def topk_mask(scores: Tensor, density: float) -> Tensor:
    """1 for the `density` share of blocks with the highest scores, else 0; same shape as `scores`.

    Ties go to the earlier block, so that untrained scores still give exactly the density asked for.
    """
    mask = torch.zeros_like(scores)
    best = torch.sort(scores.detach().flatten(), descending=True, stable=True).indices
    mask.view(-1)[best[: kept_count(scores.numel(), density)]] = 1
    return mask


def sigmoid_mask(scores: Tensor, threshold: float) -> Tensor:
    """1 where sigmoid(score) is above `threshold`, else 0; the best block always stays.

    The density follows from the L1 penalty and can't be asked for (Sanh et al. 2020, "soft movement pruning").
    """
    probabilities = torch.sigmoid(scores.detach())
    return ((probabilities > threshold) | (probabilities == probabilities.max())).to(scores.dtype)


def cubic_schedule(step: int, steps: int, initial: float, final: float, warm_up: float, cool_down: float) -> float:
    """Threshold at a step: `initial`, then a cubic way down (or up), then `final`.

        t = t_f + (t_i - t_f) (1 - p)^3,  p = progress between warm-up and cool-down

    Source: Zhu & Gupta 2017, equation 1, as used by Sanh et al. 2020, section 4.

    Args:
        step: optimiser steps done, of `steps` in all.
        warm_up, cool_down: fractions of the steps spent at `initial` and at `final`.
    """
    if step <= warm_up * steps:
        return initial
    descent = (1 - warm_up - cool_down) * steps
    progress = min(1.0, (step - warm_up * steps) / descent) if descent > 0 else 1.0
    return final + (initial - final) * (1 - progress) ** 3


@dataclass(frozen=True)
class Method:
    """How scores become a mask: `mask(scores, threshold)`, and the threshold at which nothing is pruned."""

    mask: Callable[[Tensor, float], Tensor]
    initial: float


# The threshold is a density for top-k and a probability for sigmoid, as in nn_pruning.
TOPK = Method(topk_mask, initial=1.0)
SIGMOID = Method(sigmoid_mask, initial=0.0)


class Scores(nn.Module):
    """The scores of one group of blocks, one mask for all the weights that share them.

    Shape of `values`: `(rows, columns)` of blocks, `(n, 1)` where a block is a neuron or a head. They start at 0, as
    in the authors' configurations (`mask_init: constant`, `mask_scale: 0`).
    """

    def __init__(self, rows: int, columns: int, method: Method) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(rows, columns))
        self.threshold = method.initial
        self._to_mask = method.mask

    def hard_mask(self) -> Tensor:
        """0 or 1 per block, without gradient."""
        return self._to_mask(self.values.detach(), self.threshold)

    def mask(self) -> Tensor:
        """0 or 1 per block, with the straight-through gradient."""
        return _StraightThrough.apply(self.values, self.hard_mask())


class Masked(nn.Module):
    """Parametrisation W -> M(S) * W for a weight cut into equal blocks.

    Args:
        scores: shared with the other weights of the group. The owner is `model.movement`, so it is kept here in a
            tuple, out of torch's sight: registered twice it would be saved twice.
        grid: blocks along each dimension of the weight.
        transposed: the group's scores run along the weight's columns instead of its rows.
    """

    def __init__(self, scores: Scores, grid: tuple[int, ...], transposed: bool = False) -> None:
        super().__init__()
        self._scores = (scores,)
        self._grid = grid
        self._transposed = transposed

    def forward(self, weight: Tensor) -> Tensor:
        mask = self._scores[0].mask()
        mask = (mask.T if self._transposed else mask).reshape(self._grid)
        for dimension, (blocks, size) in enumerate(zip(self._grid, weight.shape, strict=True)):
            mask = mask.repeat_interleave(size // blocks, dim=dimension)
        return mask * weight


# ------------------------------------------------------------------------------------------------ masks on a model


def _mask_neurons(layer: Layer, scores: Scores) -> None:
    """One score per FFN neuron: its row and bias in the first dense layer, its column in the second."""
    neurons = layer.up.out_features
    parametrize.register_parametrization(layer.up, "weight", Masked(scores, (neurons, 1)))
    parametrize.register_parametrization(layer.up, "bias", Masked(scores, (neurons,)))
    parametrize.register_parametrization(layer.down, "weight", Masked(scores, (1, neurons), transposed=True))


def _mask_heads(layer: Layer, scores: Scores) -> None:
    """One score per head: its rows and biases in query, key and value, its columns in the output projection."""
    heads = scores.values.shape[0]
    for linear in (layer.query, layer.key, layer.value):
        parametrize.register_parametrization(linear, "weight", Masked(scores, (heads, 1)))
        parametrize.register_parametrization(linear, "bias", Masked(scores, (heads,)))
    parametrize.register_parametrization(layer.attention_output, "weight", Masked(scores, (1, heads), transposed=True))


def _mask_blocks(linear: nn.Linear, scores: Scores) -> None:
    parametrize.register_parametrization(linear, "weight", Masked(scores, tuple(scores.values.shape)))


@dataclass(frozen=True)
class Movement:
    """The scores of a model under movement pruning. FFN scores come one per layer, first to last."""

    neurons: list[Scores]
    attention: list[Scores]

    def set_threshold(self, threshold: float) -> None:
        for scores in (*self.neurons, *self.attention):
            scores.threshold = threshold

    def parameters(self) -> list[nn.Parameter]:
        return [scores.values for scores in (*self.neurons, *self.attention)]

    def penalty(self) -> Tensor:
        """Mean of sigmoid(S) over all scores: the L1 term of the sigmoid method (Sanh et al. 2020, section 4)."""
        return torch.cat([torch.sigmoid(values).flatten() for values in self.parameters()]).mean()

    def kept_neurons(self) -> list[Tensor]:
        """Indices of the neurons that stay, ascending, one tensor per layer."""
        return [scores.hard_mask().flatten().nonzero().flatten() for scores in self.neurons]


def attach(model: PreTrainedModel, method: Method = TOPK, attention: str = "none", block_size: int = 32) -> Movement:
    """Put masks on every FFN, and if asked for on the attention, of a BERT-like model; at first they keep everything.

    The scores become parameters of the model (under `movement`), so that they are moved, trained and checkpointed with
    it. Attention blocks and heads are masked but stay in place: no configuration of transformers can say that a layer
    has fewer heads, so they give sparsity, not speed.

    Both sides of a neuron are masked, as in nn_pruning's `1d_alt`. A neuron once masked then has no gradient: it
    comes back only when another's score falls below its own.

    Args:
        method: `TOPK` keeps exactly the density asked for; `SIGMOID` keeps what the penalty leaves.
        attention: "none", "blocks" (squares of `block_size`) or "heads".

    Raises:
        LaghuError: an architecture without this layout, or a hidden size that `block_size` does not divide.
    """
    new_scores = partial(Scores, method=method)
    movement = Movement([], [])
    for layer in layers(model):
        scores = new_scores(layer.up.out_features, 1)
        _mask_neurons(layer, scores)
        movement.neurons.append(scores)
        if attention == "heads":
            scores = new_scores(model.config.num_attention_heads, 1)
            _mask_heads(layer, scores)
            movement.attention.append(scores)
        elif attention == "blocks":
            for linear in (layer.query, layer.key, layer.value, layer.attention_output):
                scores = new_scores(*_grid(linear, block_size))
                _mask_blocks(linear, scores)
                movement.attention.append(scores)
    model.movement = nn.ModuleList([*movement.neurons, *movement.attention])
    return movement


def _grid(linear: nn.Linear, block_size: int) -> tuple[int, int]:
    if linear.out_features % block_size or linear.in_features % block_size:
        raise LaghuError(
            f"block_size {block_size} must divide the attention's {linear.out_features} x {linear.in_features} weights"
        )
    return linear.out_features // block_size, linear.in_features // block_size


def penalized(objective: Objective, movement: Movement, penalty: float) -> Objective:
    """The objective plus `penalty` times the mean of sigmoid(S)."""
    return lambda logits, batch: objective(logits, batch) + penalty * movement.penalty()


def harden(model: PreTrainedModel) -> None:
    """Make the masks permanent: masked weights become zeros, scores and parametrisations go. Logits stay the same."""
    for module in model.modules():
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    del model.movement


# ------------------------------------------------------------------------------------------------ while training


class ThresholdCallback(TrainerCallback):
    """Moves the threshold along `schedule(step, steps)` before each optimiser step; it survives a resumption."""

    def __init__(self, movement: Movement, schedule: Callable[[int, int], float]) -> None:
        self._movement = movement
        self._schedule = schedule

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._movement.set_threshold(self._schedule(state.global_step, state.max_steps))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._movement.set_threshold(self._schedule(state.max_steps, state.max_steps))


def optimizer(
    model: PreTrainedModel, movement: Movement, learning_rate: float, score_learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW with a learning rate of their own for the scores, which are never decayed; nor are biases and norms."""
    scores = {id(values) for values in movement.parameters()}
    weights = [p for p in model.parameters() if p.requires_grad and id(p) not in scores]
    return torch.optim.AdamW(
        [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
            {"params": movement.parameters(), "weight_decay": 0.0, "lr": score_learning_rate},
        ],
        lr=learning_rate,
    )
