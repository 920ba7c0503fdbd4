import copy
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    ElectraConfig,
    ElectraForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from laghu.compression import importance
from laghu.compression.surgery import cut_neurons
from laghu.errors import LaghuError

LAYERS, HIDDEN, NEURONS, HEADS, VOCABULARY = 3, 16, 12, 4, 60
LENGTHS = [9, 4, 7, 2, 9, 5]
# pad_token_id 0 everywhere: RoBERTa numbers positions by the tokens that are not padding
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "intermediate_size": NEURONS, "max_position_embeddings": 32, "pad_token_id": 0, "num_labels": 3,
    "hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.3,
}
READING = (
    importance.activation, importance.head_importance, importance.hidden_importance, importance.layer_importance,
)
ENCODERS = [
    (BertForMaskedLM, BertConfig, {}),
    (RobertaForMaskedLM, RobertaConfig, {}),
    (XLMRobertaForMaskedLM, XLMRobertaConfig, {}),
    (ElectraForMaskedLM, ElectraConfig, {"embedding_size": 8}),
    (BertForMaskedLM, BertConfig, {"chunk_size_feed_forward": 1}),
]


def make(kind=BertForMaskedLM, config=BertConfig, seed=0, **shape):
    """A model in eval mode, every parameter random, biases and layer norms included."""
    torch.manual_seed(seed)
    model = kind(config(**SHAPE | shape))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "LayerNorm.weight" in name else 0.0, 0.4)
    return model.eval()


def classifier(**shape):
    return make(BertForSequenceClassification, **shape)


def collate(texts):
    """Rows of unequal length as one batch: padded with 0, labels with -100."""
    width = max(len(text["input_ids"]) for text in texts)
    padding = {"input_ids": 0, "attention_mask": 0, "labels": -100}
    return {
        name: torch.stack([functional.pad(text[name], (0, width - len(text[name])), value=value) for text in texts])
        for name, value in padding.items()
    }


@pytest.fixture
def texts():
    """Six texts of 2 to 9 tokens; every other token is to be predicted."""
    generator = torch.Generator().manual_seed(3)
    rows = []
    for length in LENGTHS:
        ids = torch.randint(5, VOCABULARY, (length,), generator=generator)
        labels = torch.randint(5, VOCABULARY, (length,), generator=generator)
        labels[::2] = -100
        rows.append({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels})
    return rows


@pytest.fixture
def batches(texts):
    return [collate(texts[:4]), collate(texts[4:])]


def encoder_of(model):
    return model.base_model.encoder.layer


def flat(scores):
    return scores if isinstance(scores, torch.Tensor) else torch.cat(scores)


def gradients_by_weights(model, loss):
    """sum_j g_ij w_ij + g_bi b_i per layer and neuron, by `backward`; shape (layers, neurons), with its sign."""
    model.zero_grad()
    loss.backward()
    return np.array([
        [
            sum((dense.weight.grad[i] * dense.weight[i]).tolist()) + (dense.bias.grad[i] * dense.bias[i]).item()
            for i in range(NEURONS)
        ]
        for dense in (layer.intermediate.dense for layer in encoder_of(model))
    ])


# ------------------------------------------------------------------------------------------------ first order


def test_first_order_is_the_slope_of_the_loss_when_a_neuron_is_scaled(batches):
    """Central differences: row and bias of a neuron times 1 + h and 1 - h."""
    model = make().double()
    found = importance.first_order(model, iter(batches))
    step = 1e-4
    expected = np.zeros((LAYERS, NEURONS))
    for batch in batches:
        for layer in range(LAYERS):
            for neuron in range(NEURONS):
                losses = []
                dense = encoder_of(model)[layer].intermediate.dense
                row, bias = dense.weight[neuron].detach().clone(), dense.bias[neuron].detach().clone()
                with torch.no_grad():
                    for scale in (1 + step, 1 - step, 1):
                        dense.weight[neuron], dense.bias[neuron] = row * scale, bias * scale
                        losses.append(model(**batch).loss.item())
                expected[layer, neuron] += abs(losses[0] - losses[1]) / (2 * step)
    assert expected.min() > 1e-6
    np.testing.assert_allclose(torch.stack(found).numpy(), expected, rtol=1e-5, atol=1e-8)
    assert [scores.shape for scores in found] == [(NEURONS,)] * LAYERS


@pytest.mark.parametrize(("kind", "config", "shape"), ENCODERS)
def test_first_order_is_weight_times_gradient_summed_per_batch(batches, kind, config, shape):
    model = make(kind, config, **shape)
    slopes = [gradients_by_weights(model, model(**batch).loss) for batch in batches]
    model.zero_grad()
    found = torch.stack(importance.first_order(model, batches)).numpy()
    np.testing.assert_allclose(found, sum(map(np.abs, slopes)), rtol=2e-4, atol=1e-6)
    # gradients carried on from batch to batch, as FastFormers does, would be something else
    carried = np.abs(slopes[0]) + np.abs(slopes[0] + slopes[1])
    assert np.abs(found - carried).max() > 1e-2
    assert np.abs(found - np.abs(slopes[0] + slopes[1])).max() > 1e-2


def test_first_order_of_a_classifier(tiny_bert, batch):
    model = tiny_bert()
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = np.abs(gradients_by_weights(model, functional.cross_entropy(logits, batch["labels"])))
    found = importance.first_order(model, [batch])
    np.testing.assert_allclose(torch.stack(found).numpy(), expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("labels", [torch.randn(4, generator=torch.Generator().manual_seed(1)), torch.eye(4, 9)])
def test_labels_that_are_no_token_labels_are_left_alone(texts, labels):
    """A regression, and several labels a text, of which there happen to be as many as tokens."""
    model = classifier(num_labels=labels[0].numel())
    batch = collate(texts[:4]) | {"labels": labels}
    logits = model(batch["input_ids"], batch["attention_mask"]).logits
    loss = (
        functional.mse_loss(logits.squeeze(), labels) if labels.ndim == 1
        else functional.binary_cross_entropy_with_logits(logits, labels)
    )
    expected = np.abs(gradients_by_weights(model, loss))
    found = importance.first_order(model, [batch])
    np.testing.assert_allclose(torch.stack(found).numpy(), expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(("kind", "config", "shape"), ENCODERS)
def test_no_padding_enters_the_loss(texts, kind, config, shape):
    """Against texts one at a time, never padded: their losses weighted by their labels."""
    model = make(kind, config, **shape)
    losses, counts = [], []
    for text in texts:
        logits = model(input_ids=text["input_ids"][None]).logits[0]
        wanted = text["labels"] != -100
        losses.append(functional.cross_entropy(logits[wanted], text["labels"][wanted], reduction="sum"))
        counts.append(int(wanted.sum()))
    expected = np.abs(gradients_by_weights(model, sum(losses) / sum(counts)))
    batch = collate(texts)
    batch["labels"] = batch["labels"].masked_fill(batch["attention_mask"] == 0, 11)
    before = {name: values.clone() for name, values in batch.items()}
    found = importance.first_order(model, [batch])
    np.testing.assert_allclose(torch.stack(found).numpy(), expected, rtol=5e-4, atol=1e-6)
    assert all(torch.equal(batch[name], before[name]) for name in before)  # the caller's labels are the caller's


def test_a_batch_in_which_nothing_is_masked_adds_nothing(batches):
    model = make()
    nothing = batches[0] | {"labels": torch.full_like(batches[0]["labels"], -100)}
    on_padding = batches[0] | {"labels": torch.where(batches[0]["attention_mask"] == 0, 9, -100)}
    expected = importance.first_order(model, batches)
    found = importance.first_order(model, [nothing, batches[0], on_padding, batches[1]])
    assert torch.equal(flat(found), flat(expected)) and flat(found).isfinite().all()
    with pytest.raises(LaghuError, match=r"^all labels are -100, so there is no loss; mask some tokens$"):
        importance.first_order(model, [nothing, on_padding])


def test_first_order_needs_no_gradient_of_the_weights(batches):
    model = make()
    expected = importance.first_order(model, batches)
    model.requires_grad_(False)
    with torch.no_grad():
        found = importance.first_order(model, batches)
        assert not torch.is_grad_enabled()
    torch.testing.assert_close(flat(found), flat(expected))


# ------------------------------------------------------------------------------------------------ magnitude, random


@pytest.mark.parametrize(("kind", "config", "shape"), ENCODERS)
def test_magnitude_is_how_far_the_weights_move_when_the_neuron_goes(kind, config, shape):
    model = make(kind, config, **shape)
    found = importance.magnitude(model)
    assert [scores.shape for scores in found] == [(NEURONS,)] * LAYERS
    before = {name: p.detach().double().clone() for name, p in model.named_parameters()}
    for layer in range(LAYERS):
        for neuron in (0, 5, NEURONS - 1):
            without = copy.deepcopy(model)
            block = encoder_of(without)[layer]
            with torch.no_grad():
                block.intermediate.dense.weight[neuron] = 0
                block.intermediate.dense.bias[neuron] = 0
                block.output.dense.weight[:, neuron] = 0
            moved = sum(((before[name] - p.double()) ** 2).sum().item() for name, p in without.named_parameters())
            assert found[layer][neuron].item() == pytest.approx(math.sqrt(moved), rel=1e-9)


def test_random_is_made_of_its_seed_alone():
    first, again, other = (importance.random(make(seed=model), seed) for model, seed in [(0, 4), (1, 4), (0, 5)])
    assert torch.equal(flat(first), flat(again))
    assert not torch.equal(flat(first), flat(other))
    assert [scores.shape for scores in first] == [(NEURONS,)] * LAYERS
    assert len(set(flat(first).tolist())) == LAYERS * NEURONS  # no layer repeats another


def test_random_keeps_every_neuron_equally_often():
    model, kept, seeds = make(), 3, 800
    counts = [Counter() for _ in range(LAYERS)]
    for seed in range(seeds):
        for counter, indices in zip(counts, importance.top(importance.random(model, seed), kept), strict=True):
            counter.update(indices.tolist())
    share = kept / NEURONS
    deviation = math.sqrt(seeds * share * (1 - share))
    for counter in counts:
        assert all(abs(counter[neuron] - seeds * share) < 4.5 * deviation for neuron in range(NEURONS))


# ------------------------------------------------------------------------------------------------ activations


def seen(model, text, modules):
    """Inputs and outputs of modules for one text on its own, never padded: per module two arrays (tokens, n)."""
    notes = {}

    def note(module, inputs, output):
        notes[module] = (inputs[0][0].numpy(), (output if isinstance(output, torch.Tensor) else output[0])[0].numpy())

    handles = [module.register_forward_hook(note) for module in modules]
    with torch.no_grad():
        model.base_model(input_ids=text["input_ids"][None])
    for handle in handles:
        handle.remove()
    return [notes[module] for module in modules]


def l2_of_means(per_text):
    """Per text an array (tokens, n): loops over texts, channels and tokens."""
    return np.array([
        math.sqrt(sum(
            (sum(abs(float(row[channel])) for row in values) / len(values)) ** 2 for values in per_text
        ))
        for channel in range(per_text[0].shape[1])
    ])


@pytest.mark.parametrize(("kind", "config", "shape"), ENCODERS[:4])
def test_activation_is_that_of_unpadded_texts_one_by_one(texts, batches, kind, config, shape):
    model = make(kind, config, **shape)
    found = importance.activation(model, iter(batches))
    assert len(found) == LAYERS
    notes = [seen(model, text, [layer.intermediate for layer in encoder_of(model)]) for text in texts]
    for layer, scores in enumerate(found):
        expected = l2_of_means([outputs for _, outputs in (note[layer] for note in notes)])
        np.testing.assert_allclose(scores.numpy(), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("kind", "config", "shape"), ENCODERS[:4])
def test_head_importance_is_that_of_attention_written_out(texts, batches, kind, config, shape):
    model = make(kind, config, **shape)
    found = importance.head_importance(model, iter(batches))
    assert [scores.shape for scores in found] == [(HEADS,)] * LAYERS
    size = HIDDEN // HEADS
    notes = [seen(model, text, list(encoder_of(model))) for text in texts]
    for layer, scores in enumerate(found):
        attention = encoder_of(model)[layer].attention.self
        outputs = []
        for x, _ in (note[layer] for note in notes):
            q, k, v = (
                x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
                for linear in (attention.query, attention.key, attention.value)
            )
            heads = []
            for head in range(HEADS):
                span = slice(head * size, (head + 1) * size)
                weights = np.exp(q[:, span] @ k[:, span].T / math.sqrt(size))
                heads.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, span])
            outputs.append(np.concatenate(heads, axis=1))
        channels = l2_of_means(outputs)
        expected = [math.hypot(*channels[head * size:(head + 1) * size]) for head in range(HEADS)]
        np.testing.assert_allclose(scores.numpy(), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("kind", "config", "shape"), ENCODERS[:4])
def test_hidden_importance_is_that_of_all_layer_norms(texts, batches, kind, config, shape):
    model = make(kind, config, **shape)
    found = importance.hidden_importance(model, iter(batches))
    assert found.shape == (HIDDEN,)
    base = model.base_model
    # ELECTRA's narrow embeddings get their width from a projection behind the norm
    first = base.embeddings_project if shape else base.embeddings.LayerNorm
    norms = [first] + [
        norm for layer in base.encoder.layer for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm)
    ]
    notes = [seen(model, text, norms) for text in texts]
    expected = sum(l2_of_means([note[index][1] for note in notes]) for index in range(2 * LAYERS + 1))
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5)


@pytest.mark.parametrize(("kind", "config", "shape"), ENCODERS[:4])
def test_layer_importance_is_one_minus_the_mean_cosine_over_tokens(texts, batches, kind, config, shape):
    model = make(kind, config, **shape)
    found = importance.layer_importance(model, iter(batches))
    assert found.shape == (LAYERS,)
    notes = [seen(model, text, list(encoder_of(model))) for text in texts]
    for layer in range(LAYERS):
        cosines = [
            float(x @ y) / math.sqrt(float(x @ x) * float(y @ y))
            for before, after in (note[layer] for note in notes) for x, y in zip(before, after, strict=True)
        ]
        assert len(cosines) == sum(LENGTHS)
        assert found[layer].item() == pytest.approx(1 - sum(cosines) / len(cosines), rel=1e-5)


@pytest.mark.parametrize("criterion", READING)
def test_neither_batches_nor_padding_change_what_activations_say(texts, criterion):
    model = make()
    together = flat(criterion(model, [collate(texts)]))
    for grouped in ([texts[:1], texts[1:]], [texts[4:], texts[:4]], [[text] for text in texts]):
        torch.testing.assert_close(flat(criterion(model, map(collate, grouped))), together, rtol=1e-5, atol=2e-6)
    noise = collate(texts)
    noise["input_ids"] = noise["input_ids"].masked_fill(noise["attention_mask"] == 0, 33)
    wider = {name: functional.pad(values, (0, 5), value=0) for name, values in noise.items()}
    for batch in (noise, wider):
        torch.testing.assert_close(flat(criterion(model, [batch])), together, rtol=1e-5, atol=2e-6)
    # if it did not count, as where padding is taken for text:
    careless = collate(texts)
    careless["attention_mask"] = torch.ones_like(careless["attention_mask"])
    assert (flat(criterion(model, [careless])) - together).abs().max() > 1e-3


@pytest.mark.parametrize("criterion", READING)
def test_the_work_of_the_ffn_may_be_cut_up(batches, criterion):
    whole, cut = make(), make(chunk_size_feed_forward=1)
    torch.testing.assert_close(flat(criterion(cut, batches)), flat(criterion(whole, batches)), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("criterion", READING)
def test_a_bare_encoder_is_enough_for_activations(batches, criterion):
    headed, bare = make(), make(BertModel)
    bare.load_state_dict(headed.bert.state_dict(), strict=False)
    assert torch.equal(flat(criterion(bare, batches)), flat(criterion(headed, batches)))


# ------------------------------------------------------------------------------------------------ planted


CRITERIA = {
    "first_order": importance.first_order,
    "activation": importance.activation,
    "magnitude": lambda model, batches: importance.magnitude(model),
}


@pytest.mark.parametrize("criterion", CRITERIA)
def test_dead_neurons_come_last_and_go_first(batches, criterion):
    model, dead = make(), [4, 0, NEURONS - 1]
    with torch.no_grad():
        for layer, neuron in zip(encoder_of(model), dead, strict=True):
            layer.intermediate.dense.weight[neuron] = 0
            layer.intermediate.dense.bias[neuron] = 0
            layer.output.dense.weight[:, neuron] = 0
    scores = CRITERIA[criterion](model, batches)
    for values, neuron in zip(scores, dead, strict=True):
        assert values[neuron] == 0
        assert (np.delete(values.numpy(), neuron) > 0).all()
    expected = model(batches[0]["input_ids"], batches[0]["attention_mask"]).logits
    cut_neurons(model, importance.top(scores, NEURONS - 1))
    assert model.config.intermediate_size == NEURONS - 1
    found = model(batches[0]["input_ids"], batches[0]["attention_mask"]).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_first_order_sees_a_neuron_that_nobody_reads_and_activation_one_that_is_silent(batches):
    model = make()
    with torch.no_grad():
        encoder_of(model)[1].output.dense.weight[:, 3] = 0  # fires, unread
        encoder_of(model)[1].intermediate.dense.weight[8] = 0  # GELU(-30) is 0
        encoder_of(model)[1].intermediate.dense.bias[8] = -30
    assert importance.first_order(model, batches)[1].argsort()[:2].sort().values.tolist() == [3, 8]
    fires = importance.activation(model, batches)[1]
    assert fires.argmin() == 8 and fires[3] > 0.1
    assert importance.magnitude(model)[1].argmax() == 8


def test_a_head_of_zero_values_comes_last(batches):
    model, head = make(), 2
    span = slice(head * HIDDEN // HEADS, (head + 1) * HIDDEN // HEADS)
    with torch.no_grad():
        encoder_of(model)[1].attention.self.value.weight[span] = 0
        encoder_of(model)[1].attention.self.value.bias[span] = 0
    scores = importance.head_importance(model, batches)
    assert scores[1][head] == 0 and scores[1].argsort()[0] == head
    assert (scores[0] > 0).all() and (scores[2] > 0).all()
    assert importance.top(scores, HEADS - 1)[1].tolist() == [0, 1, 3]


def test_a_hidden_dimension_that_every_norm_shuts_comes_last(batches):
    model = make()
    with torch.no_grad():
        for name, parameter in model.bert.named_parameters():
            if "LayerNorm" in name:
                parameter[6] = 0
    scores = importance.hidden_importance(model, batches)
    assert scores[6] == 0 and (np.delete(scores.numpy(), 6) > 0).all()
    assert importance.top([scores], HIDDEN - 1)[0].tolist() == [i for i in range(HIDDEN) if i != 6]


def test_a_layer_that_does_nothing_has_no_influence(batches):
    """Its two dense layers give nothing and its norms, as that before it, only normalise what is normal."""
    model = make()
    before, idle = encoder_of(model)[0], encoder_of(model)[1]
    with torch.no_grad():
        for dense in (idle.attention.output.dense, idle.output.dense):
            dense.weight.zero_()
            dense.bias.zero_()
        for norm in (before.output.LayerNorm, idle.attention.output.LayerNorm, idle.output.LayerNorm):
            norm.weight.fill_(1)
            norm.bias.zero_()
    scores = importance.layer_importance(model, batches)
    assert abs(scores[1].item()) < 1e-6
    assert scores[0] > 1e-2 and scores[2] > 1e-2
    assert importance.top([scores], 2)[0].tolist() == [0, 2]


def test_a_layer_that_turns_everything_round_has_the_most_influence(batches):
    model = make()
    before, turning = encoder_of(model)[0], encoder_of(model)[1]
    with torch.no_grad():
        for dense in (turning.attention.output.dense, turning.output.dense):
            dense.weight.zero_()
            dense.bias.zero_()
        for norm in (before.output.LayerNorm, turning.attention.output.LayerNorm, turning.output.LayerNorm):
            norm.weight.fill_(1)
            norm.bias.zero_()
        turning.output.LayerNorm.weight.fill_(-1)
    assert importance.layer_importance(model, batches)[1].item() == pytest.approx(2, abs=1e-6)


# ------------------------------------------------------------------------------------------------ left as it was


def hooks_of(model):
    return [
        len(hooks) for module in model.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    ]


def in_mixed_modes(model):
    """In training, but for one module, as where a part is frozen; one gradient is there from before."""
    model.train()
    encoder_of(model)[0].eval()
    encoder_of(model)[1].intermediate.dense.weight.grad = torch.ones(NEURONS, HIDDEN)
    return model


ALL = {
    **CRITERIA,
    **{criterion.__name__: criterion for criterion in READING},
    "random": lambda model, batches: importance.random(model, 0),
}


@pytest.mark.parametrize("criterion", ALL)
@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForSequenceClassification])
def test_the_model_is_left_as_it_was_and_scored_without_dropout(batches, kind, criterion):
    model, calm = make(kind), make(kind)
    if kind is BertForSequenceClassification:
        batches = [batch | {"labels": torch.arange(len(batch["labels"])) % 3} for batch in batches]
    in_mixed_modes(model)
    state = {name: values.clone() for name, values in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    hooks, config, generator = hooks_of(model), model.config.to_dict(), torch.get_rng_state()
    found = ALL[criterion](model, batches)
    assert torch.equal(torch.get_rng_state(), generator)
    assert flat(found).dtype == torch.float64 and not flat(found).requires_grad
    assert (flat(found) >= 0).all()
    assert [module.training for module in model.modules()] == modes
    assert hooks_of(model) == hooks and model.config.to_dict() == config
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(values, state[name]) for name, values in model.state_dict().items())
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad
        if name == "bert.encoder.layer.1.intermediate.dense.weight":
            assert torch.equal(parameter.grad, torch.ones(NEURONS, HIDDEN))
        else:
            assert parameter.grad is None, name
    assert torch.equal(flat(found), flat(ALL[criterion](calm, batches)))


@pytest.mark.parametrize("criterion", [importance.first_order, *READING])
def test_the_model_is_left_as_it_was_by_a_batch_that_fails(batches, criterion):
    model = in_mixed_modes(make())
    modes, hooks = [module.training for module in model.modules()], hooks_of(model)
    unknown = batches[1] | {"input_ids": batches[1]["input_ids"] + VOCABULARY}
    with pytest.raises(IndexError):
        criterion(model, [batches[0], unknown])
    assert [module.training for module in model.modules()] == modes
    assert hooks_of(model) == hooks
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("criterion", ALL)
def test_a_model_in_half_precision_is_scored_as_precisely_as_it_runs(batches, criterion):
    expected = flat(ALL[criterion](make(), batches))
    found = flat(ALL[criterion](make().bfloat16(), batches))
    assert found.dtype == torch.float64
    assert (found - expected).norm() < 0.1 * expected.norm()


# ------------------------------------------------------------------------------------------------ top


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.lists(st.integers(-2, 2), min_size=5, max_size=9), min_size=1, max_size=3), st.integers(1, 5))
def test_top_keeps_the_best_and_of_equals_the_first(rows, kept):
    found = importance.top([torch.tensor(row, dtype=torch.float64) for row in rows], kept)
    assert len(found) == len(rows)
    for row, indices in zip(rows, found, strict=True):
        assert indices.dtype == torch.long
        assert indices.tolist() == sorted(sorted(range(len(row)), key=lambda i: (-row[i], i))[:kept])


def test_top_of_many_equals_is_the_first():
    """An unstable sort shows itself only on long rows."""
    assert importance.top([torch.zeros(3072)], 2048)[0].tolist() == list(range(2048))
    steps = torch.arange(3072) % 2 * 1.0
    assert importance.top([steps], 1600)[0].tolist() == sorted([*range(1, 3072, 2), *range(0, 128, 2)])


@pytest.mark.parametrize("kept", [0, -1, 13])
def test_top_keeps_at_least_one_and_no_more_than_there_are(kept):
    with pytest.raises(LaghuError, match=rf"^can't keep {kept} of 12 scores; keep 1 to 12$"):
        importance.top([torch.arange(12.0), torch.arange(20.0)], kept)


def test_top_looks_at_every_layer():
    with pytest.raises(LaghuError, match=r"^can't keep 13 of 12 scores; keep 1 to 12$"):
        importance.top([torch.arange(20.0), torch.arange(12.0)], 13)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_scores_without_a_rank_are_refused(wrong):
    scores = [torch.arange(4.0), torch.tensor([1.0, wrong, 3.0, wrong])]
    with pytest.raises(LaghuError, match=r"^2 of 4 scores are not finite \(tensor 1\); give finite scores$"):
        importance.top(scores, 2)


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("criterion", [importance.first_order, *READING])
def test_batches_must_be_there_and_say_what_is_padding(batches, criterion):
    with pytest.raises(LaghuError, match=r"^0 batches of text; give at least one$"):
        criterion(make(), [])
    bare = {name: batches[0][name] for name in ("input_ids", "labels")}
    with pytest.raises(LaghuError, match=r"^a batch with input_ids, labels doesn't say what is padding; add atten"):
        criterion(make(), [bare])


def test_first_order_without_a_loss_is_refused(batches):
    bare = {name: batches[0][name] for name in ("input_ids", "attention_mask")}
    with pytest.raises(LaghuError, match=r"^a batch with input_ids, attention_mask has no loss; add labels$"):
        importance.first_order(make(), [bare])
    with pytest.raises(LaghuError, match=r"^BertModel gives no loss; use a model with a head for the labels$"):
        importance.first_order(make(BertModel), batches)


@pytest.mark.parametrize("criterion", ALL)
def test_another_architecture_is_refused(batches, criterion):
    model = make()
    model.config.model_type = "gpt2"
    with pytest.raises(LaghuError, match=r"^model type 'gpt2' can't be cut but in its FFN neurons; what can is bert, "):
        ALL[criterion](model, batches)
