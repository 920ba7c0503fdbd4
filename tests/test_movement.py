import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import TrainerCallback, TrainingArguments

from laghu.compression import movement, surgery
from laghu.compression.movement import SIGMOID, TOPK, cubic_schedule, kept_count, sigmoid_mask, topk_mask
from laghu.errors import LaghuError
from laghu.training import ClassifierTrainer, cross_entropy

HIDDEN, NEURONS, HEADS, BLOCK = 16, 12, 4, 8


def groups(layer: int, kind: str) -> list[list[list[tuple]]]:
    """Per score tensor of that layer, per block: where its weights are, as (parameter name, index)."""
    root = f"bert.encoder.layer.{layer}"
    query, key, value = (f"{root}.attention.self.{name}" for name in ("query", "key", "value"))
    output = f"{root}.attention.output.dense"
    everything = slice(None)
    if kind == "neurons":
        return [[
            [
                (f"{root}.intermediate.dense.weight", (i, everything)), (f"{root}.intermediate.dense.bias", (i,)),
                (f"{root}.output.dense.weight", (everything, i)),
            ]
            for i in range(NEURONS)
        ]]
    if kind == "heads":
        size = HIDDEN // HEADS
        spans = [slice(h * size, (h + 1) * size) for h in range(HEADS)]
        return [[
            [(f"{linear}.weight", (span, everything)) for linear in (query, key, value)]
            + [(f"{linear}.bias", (span,)) for linear in (query, key, value)]
            + [(f"{output}.weight", (everything, span))]
            for span in spans
        ]]
    spans = [slice(start, start + BLOCK) for start in range(0, HIDDEN, BLOCK)]
    return [
        [[(f"{linear}.weight", (row, column))] for row in spans for column in spans]
        for linear in (query, key, value, output)
    ]


def expected_mask(scores: torch.Tensor, density: float) -> np.ndarray:
    flat = scores.detach().numpy().ravel()
    mask = np.zeros_like(flat)
    mask[np.argsort(-flat)[: round(density * flat.size)]] = 1
    return mask


def prunable(model, attention: str, method=TOPK, seed: int = 3):
    """The model with masks and random scores."""
    scores = movement.attach(model, method, attention, BLOCK)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in scores.parameters():
            values.normal_(generator=generator)
    return scores


def logits_of(model, batch):
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


# ------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("density", [1.0, 0.5])
@pytest.mark.parametrize("attention", ["none", "blocks", "heads"])
def test_score_gradient_is_the_sum_over_the_block_of_weight_times_its_gradient(tiny_bert, batch, attention, density):
    plain = tiny_bert()
    model = copy.deepcopy(plain)
    scores = prunable(model, attention)
    scores.set_threshold(density)
    model.double()
    cross_entropy(logits_of(model, batch), batch).backward()

    # The same network without any parametrisation: its weights are leaves that hold the masked values.
    reference = copy.deepcopy(plain).double()
    original = {name: p.detach().clone() for name, p in reference.named_parameters()}
    kinds = ["neurons"] if attention == "none" else ["neurons", attention]
    found = {attention: iter(scores.attention), "neurons": iter(scores.neurons)}
    pairs = []
    for layer in range(2):
        for kind in kinds:
            for blocks in groups(layer, kind):
                pairs.append((next(found[kind]).values, blocks))
    assert all(next(rest, None) is None for rest in found.values())
    with torch.no_grad():
        parameters = dict(reference.named_parameters())
        for values, blocks in pairs:
            for keep, block in zip(expected_mask(values, density), blocks, strict=True):
                for name, where in block:
                    parameters[name][where] *= keep
    expected_logits = logits_of(reference, batch)
    torch.testing.assert_close(logits_of(model, batch), expected_logits, rtol=0, atol=1e-12)
    cross_entropy(expected_logits, batch).backward()
    for values, blocks in pairs:
        closed_form = [
            sum(float((parameters[name].grad[where] * original[name][where]).sum()) for name, where in block)
            for block in blocks
        ]
        assert any(abs(number) > 1e-6 for number in closed_form)
        np.testing.assert_allclose(values.grad.numpy().ravel(), closed_form, rtol=1e-6, atol=1e-9)


def test_a_score_grows_while_its_block_moves_away_from_zero():
    """One weight of one block, dL/dW = -1: gradient descent makes a positive weight larger, and so its score."""
    linear = torch.nn.Linear(1, 1, bias=False)
    scores = movement.Scores(1, 1, TOPK)
    torch.nn.utils.parametrize.register_parametrization(linear, "weight", movement.Masked(scores, (1, 1)))
    for weight, direction in [(2.0, 1), (-2.0, -1)]:
        scores.values.grad = None
        with torch.no_grad():
            linear.parametrizations.weight.original.fill_(weight)
        (-linear(torch.ones(1, 1))).sum().backward()
        assert math.copysign(1, -scores.values.grad.item()) == direction
        assert scores.values.grad.item() == pytest.approx(-weight)


# ------------------------------------------------------------------------------------------------ masks


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=40),
    st.floats(0, 1, exclude_min=True),
)
@example([0.0] * 8, 0.5)
@example([1.0], 0.01)
def test_topk_keeps_the_best_and_of_equals_the_first(scores, density):
    mask = topk_mask(torch.tensor(scores).reshape(-1, 1), density)
    assert mask.shape == (len(scores), 1)
    kept = [i for i, bit in enumerate(mask.flatten().tolist()) if bit == 1]
    dropped = [i for i, bit in enumerate(mask.flatten().tolist()) if bit == 0]
    assert len(kept) + len(dropped) == len(scores)
    assert kept and (abs(len(kept) - density * len(scores)) <= 0.5 or len(kept) == 1)
    for i in kept:
        for j in dropped:
            assert scores[i] > scores[j] or (scores[i] == scores[j] and i < j)


@pytest.mark.parametrize(
    ("count", "density", "kept"),
    [
        (3072, 0.75, 2304), (3072, 0.5, 1536), (3072, 0.25, 768),  # the paper's widths
        (512, 1 - 0.25, 384), (512, 1 - 0.75, 128), (1024, 1 - 0.9, 102), (10, 1 - 0.7, 3),
        (12, 1.0, 12), (7, 0.6, 4), (7, 0.65, 5), (3, 0.01, 1), (1, 0.1, 1),
    ],
)
def test_kept_count_rounds_and_never_empties_a_layer(count, density, kept):
    assert kept_count(count, density) == kept
    assert topk_mask(torch.zeros(count, 1), density).sum() == kept


def test_sigmoid_keeps_what_is_above_the_threshold():
    scores = torch.tensor([[-3.0, -2.2, -2.19], [0.0, 1.0, -50.0]])
    above = [[1 / (1 + math.exp(-s)) > 0.1 for s in row] for row in scores.tolist()]
    assert above == [[False, False, True], [True, True, False]]
    assert sigmoid_mask(scores, 0.1).bool().tolist() == above


def test_sigmoid_keeps_the_best_block_whatever_the_penalty_did():
    assert sigmoid_mask(torch.tensor([[-9.0], [-8.0], [-20.0]]), 0.1).flatten().tolist() == [0, 1, 0]


# ------------------------------------------------------------------------------------------------ schedule


@pytest.mark.parametrize(("initial", "final"), [(1.0, 0.5), (1.0, 0.1), (0.0, 0.1)])
def test_schedule_at_its_edges(initial, final):
    schedule = [cubic_schedule(step, 100, initial, final, warm_up=0.2, cool_down=0.4) for step in range(101)]
    assert schedule[:21] == [initial] * 21
    assert schedule[30] == pytest.approx(final + (initial - final) * 27 / 64)  # a quarter of the way: (3/4)^3
    assert schedule[40] == pytest.approx(final + (initial - final) / 8)  # half: (1/2)^3
    assert schedule[50] == pytest.approx(final + (initial - final) / 64)  # three quarters: (1/4)^3
    assert schedule[60:] == pytest.approx([final] * 41, abs=1e-15)
    steps = np.diff(schedule) * np.sign(final - initial)
    assert (steps >= 0).all() and (steps[20:59] > 0).all()


def test_schedule_without_warm_up_and_cool_down():
    assert [cubic_schedule(step, 4, 1.0, 0.0, 0.0, 0.0) for step in range(5)] == [1, 27 / 64, 1 / 8, 1 / 64, 0]


def test_schedule_without_time_to_descend_is_a_step():
    assert [cubic_schedule(step, 10, 1.0, 0.3, 0.6, 0.4) for step in range(11)] == [1.0] * 7 + [0.3] * 4


# ------------------------------------------------------------------------------------------------ optimiser, penalty


def test_optimizer_groups(tiny_bert):
    model = tiny_bert()
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    scores = movement.attach(model, TOPK, "heads")
    optimizer = movement.optimizer(model, scores, learning_rate=3e-4, score_learning_rate=1e-2, weight_decay=0.01)
    settings = {
        id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    }
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(settings)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert settings.keys() == {id(p) for p in trainable.values()}
    for name, parameter in trainable.items():
        if name.startswith("movement."):
            assert settings[id(parameter)] == (1e-2, 0.0), name
        elif "bias" in name or "LayerNorm" in name:
            assert settings[id(parameter)] == (3e-4, 0.0), name
        else:
            assert settings[id(parameter)] == (3e-4, 0.01), name
    assert sum(name.startswith("movement.") for name in trainable) == 4  # two layers: neurons and heads


def test_scores_are_stored_once_and_the_weights_beside_them(tiny_bert):
    model = tiny_bert()
    names = set(model.state_dict())
    movement.attach(model, TOPK, "none")
    masked = {"intermediate.dense.weight", "intermediate.dense.bias", "output.dense.weight"}
    expected = {f"movement.{i}.values" for i in range(2)}
    for name in names:
        module, _, tensor = name.rpartition(".")
        hit = "attention" not in name and any(name.endswith(part) for part in masked)
        expected.add(f"{module}.parametrizations.{tensor}.original" if hit else name)
    assert set(model.state_dict()) == expected


def test_penalty_is_the_mean_of_sigmoid_over_all_scores(tiny_bert, batch):
    model = tiny_bert()
    scores = prunable(model, "heads", SIGMOID)
    numbers = [1 / (1 + math.exp(-s)) for values in scores.parameters() for s in values.flatten().tolist()]
    assert len(numbers) == 2 * (NEURONS + HEADS)
    assert scores.penalty().item() == pytest.approx(sum(numbers) / len(numbers))
    logits = logits_of(model, batch)
    total = movement.penalized(cross_entropy, scores, 30.0)(logits, batch)
    assert total.item() == pytest.approx(
        functional.cross_entropy(logits, batch["labels"]).item() + 30 * sum(numbers) / len(numbers), rel=1e-5
    )
    scores.penalty().backward()
    first = scores.neurons[0].values
    slope = torch.sigmoid(first) * (1 - torch.sigmoid(first)) / len(numbers)
    torch.testing.assert_close(first.grad, slope.detach())


# ------------------------------------------------------------------------------------------------ masked, hard, cut


@pytest.mark.parametrize("attention", ["none", "blocks", "heads"])
@pytest.mark.parametrize(("method", "threshold"), [(TOPK, 0.5), (TOPK, 0.01), (SIGMOID, 0.5)])
def test_masked_hardened_and_sliced_models_give_the_same_logits(tiny_bert, batch, method, threshold, attention):
    plain = tiny_bert()
    model = copy.deepcopy(plain)
    scores = prunable(model, attention, method)
    with torch.no_grad():
        dense = logits_of(plain, batch)
        torch.testing.assert_close(logits_of(model, batch), dense, rtol=0, atol=0)  # at first all is kept
        scores.set_threshold(threshold)
        kept = [len(indices) for indices in scores.kept_neurons()]
        masked = logits_of(model, batch)
        assert (masked - dense).abs().max() > 1e-2
        hardened = copy.deepcopy(plain)
        prunable(hardened, attention, method).set_threshold(threshold)
        movement.harden(hardened)
        assert set(hardened.state_dict()) == set(plain.state_dict())
        assert (logits_of(hardened, batch) - masked).abs().max() < 1e-5
        surgery.excise(model, scores)
        assert (logits_of(model, batch) - masked).abs().max() < 1e-5
    assert model.config.intermediate_size == max(kept) < NEURONS
    assert set(model.state_dict()) == set(plain.state_dict())
    if method is SIGMOID:
        assert kept[0] != kept[1]  # widths differ, so the narrower layer was padded
    else:
        assert kept == [kept_count(NEURONS, threshold)] * 2


def test_block_size_must_divide_the_attention(tiny_bert):
    with pytest.raises(LaghuError, match=r"^block_size 5 must divide the attention's 16 x 16 weights$"):
        movement.attach(tiny_bert(), TOPK, "blocks", 5)


def test_another_architecture_is_refused(tiny_bert):
    model = tiny_bert()
    model.config.model_type = "gpt2"
    with pytest.raises(LaghuError, match=r"^model type 'gpt2' can't be pruned; supported: bert, .*$"):
        movement.attach(model)


# ------------------------------------------------------------------------------------------------ in training


class Probe(TrainerCallback):
    """Notes the threshold and density that each optimiser step works with."""

    def __init__(self, scores):
        self.scores = scores
        self.thresholds: list[float] = []
        self.kept: list[int] = []

    def on_step_end(self, args, state, control, **kwargs):
        self.thresholds.append(self.scores.neurons[0].threshold)
        self.kept.append(int(self.scores.neurons[0].hard_mask().sum()))


def rows(count: int = 24):
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "input_ids": torch.randint(5, 160, (6,), generator=generator),
            "attention_mask": torch.ones(6, dtype=torch.long), "labels": torch.tensor(i % 3),
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("level", [0.25, 0.5, 0.75])
def test_a_training_follows_the_schedule_and_delivers_the_density(tiny_bert, tmp_path, level):
    model = tiny_bert()
    scores = movement.attach(model)
    args = TrainingArguments(
        str(tmp_path), max_steps=10, per_device_train_batch_size=4, report_to=[], save_strategy="no", use_cpu=True,
        disable_tqdm=True,
    )
    probe = Probe(scores)
    callback = movement.ThresholdCallback(
        scores, lambda step, steps: cubic_schedule(step, steps, 1.0, 1 - level, warm_up=0.2, cool_down=0.4)
    )
    optimizer = movement.optimizer(model, scores, 1e-3, 1e-2, 0.01)
    trainer = ClassifierTrainer(
        model, args, train_dataset=rows(), objective=cross_entropy, callbacks=[callback, probe],
        optimizers=(optimizer, None),
    )
    trainer.train()
    # Warm-up: steps 0 to 2. Descent over four steps: p = 1/4, 1/2, 3/4. Then the final density.
    cubes = [1, 1, 1, 27 / 64, 1 / 8, 1 / 64, 0, 0, 0, 0]
    assert probe.thresholds == pytest.approx([1 - level + level * cube for cube in cubes])
    assert probe.kept == [round(NEURONS * (1 - level + level * cube)) for cube in cubes]
    moved = [values.detach().flatten() for values in scores.parameters()]
    assert all(len(set(values.tolist())) > 1 for values in moved)
    surgery.excise(model, scores)
    assert model.config.intermediate_size == (1 - level) * NEURONS
    assert model.bert.encoder.layer[1].intermediate.dense.weight.shape == ((1 - level) * NEURONS, HIDDEN)


def test_padding_enters_neither_logits_nor_loss_nor_scores(tiny_bert, batch):
    """Rows padded to 9, to 20, and each on its own without padding."""
    model = tiny_bert()
    scores = prunable(model, "heads")
    scores.set_threshold(0.5)

    def gradients():
        found = [values.grad.clone() for values in scores.parameters()]
        model.zero_grad()
        return found

    logits = logits_of(model, batch)
    loss = cross_entropy(logits, batch)
    loss.backward()
    short = gradients()
    padded = {name: functional.pad(batch[name], (0, 11)) for name in ("input_ids", "attention_mask")}
    padded["input_ids"][padded["attention_mask"] == 0] = 77  # whatever stands there
    long_logits = logits_of(model, padded)
    long_loss = cross_entropy(long_logits, batch)
    long_loss.backward()
    torch.testing.assert_close(long_logits, logits, rtol=0, atol=1e-5)
    assert long_loss.item() == pytest.approx(loss.item(), abs=1e-5)
    for expected, found in zip(short, gradients(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
        alone = logits_of(model, {name: batch[name][row : row + 1, :length] for name in padded})
        torch.testing.assert_close(alone[0], logits[row], rtol=0, atol=1e-5)
