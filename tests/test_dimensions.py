import copy
import re

import numpy as np
import pytest
import random_models
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from laghu.compression import movement, surgery
from laghu.compression.dimensions import narrowed
from laghu.errors import LaghuError

CLASSIFIERS = [
    (BertConfig, BertForSequenceClassification),
    (BertConfig, BertForTokenClassification),
    (RobertaConfig, RobertaForSequenceClassification),
    (XLMRobertaConfig, XLMRobertaForSequenceClassification),
    (ElectraConfig, ElectraForSequenceClassification),
]

# Half of 16 dimensions, of which each has a twin among those that go, and half of 4 heads, others in either layer.
KEPT = [1, 2, 4, 7, 8, 11, 13, 14]
TWINS = [5, 0, 3, 9, 15, 6, 12, 10]
HEADS = [[0, 3], [1, 2]]
CHANNELS = [[0, 1, 2, 3, 12, 13, 14, 15], [4, 5, 6, 7, 8, 9, 10, 11]]


def random_model(config=BertConfig, kind=BertForSequenceClassification, **shape):
    """In double precision, with FFNs as wide as the hidden size, so that a size alone doesn't tell what is hidden."""
    return random_models.random_model(config, kind, **{"vocab_size": 60, "intermediate_size": 16} | shape).double()


def half(model):
    return narrowed(model, torch.tensor(KEPT), [torch.tensor(heads) for heads in HEADS])


@pytest.fixture
def batch():
    ids = torch.randint(5, 60, (3, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def logits_of(model, batch):
    with torch.no_grad():
        return model(**batch).logits


# ------------------------------------------------------------------------------------------------ what is computed


def let_die(model):
    """Make what goes copies of what stays that nothing reads: a layer norm's mean and variance are then those of half.

    Whoever writes hidden dimensions writes the same to both of a pair, and whoever reads them reads one. The heads that
    go write nothing.
    """
    def twin(weight):
        weight[..., TWINS] = weight[..., KEPT]

    def ignore(weight):
        weight[:, TWINS] = 0

    with torch.no_grad():
        for name, parameter in model.base_model.named_parameters():
            if "embeddings" in name or "LayerNorm" in name:
                twin(parameter)
        for layer, channels in zip(model.base_model.encoder.layer, CHANNELS, strict=True):
            for linear in (layer.attention.output.dense, layer.output.dense):
                twin(linear.weight.T)
                twin(linear.bias)
            attention = layer.attention.self
            for linear in (attention.query, attention.key, attention.value, layer.intermediate.dense):
                ignore(linear.weight)
            layer.attention.output.dense.weight[:, [c for c in range(16) if c not in channels]] = 0
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and "encoder" not in name:  # pooler and heads
                ignore(module.weight)


@pytest.mark.parametrize(("config", "kind"), CLASSIFIERS, ids=lambda value: value.__name__)
def test_what_nothing_reads_can_go(config, kind, batch):
    model = random_model(config, kind)
    alive = logits_of(half(model), batch) - logits_of(model, batch)
    let_die(model)
    expected = logits_of(model, batch)
    torch.testing.assert_close(logits_of(half(model), batch), expected, rtol=0, atol=1e-10)
    assert expected.std() > 0.01 and alive.abs().max() > 0.1


# ------------------------------------------------------------------------------------------------ against numpy


def by_hand(name, weight):
    """The part of a BERT's weight that stays, by its name in transformers."""
    layer = re.search(r"layer\.(\d)", name)
    channels = CHANNELS[int(layer[1])] if layer else None
    if re.search(r"self\.(query|key|value)\.weight", name):
        return weight[np.ix_(channels, KEPT)]
    if re.search(r"self\.(query|key|value)\.bias", name):
        return weight[channels]
    if "attention.output.dense.weight" in name:
        return weight[np.ix_(KEPT, channels)]
    if "intermediate.dense.weight" in name or re.search("embeddings.weight|decoder.weight|classifier.weight", name):
        return weight[:, KEPT]
    if "intermediate.dense.bias" in name or name in ("cls.predictions.bias", "cls.predictions.decoder.bias"):
        return weight
    if re.search(r"layer\.\d\.output\.dense\.weight", name):
        return weight[KEPT]
    if re.search(r"(pooler|transform)\.dense\.weight", name):
        return weight[np.ix_(KEPT, KEPT)]
    return weight if name == "classifier.bias" else weight[KEPT]


@pytest.mark.parametrize("kind", [BertForSequenceClassification, BertForMaskedLM])
def test_every_weight_is_a_part_of_the_wide_ones(kind):
    model = random_model(kind=kind)
    old = {name: weight.numpy().copy() for name, weight in model.state_dict().items()}
    new = {name: weight.numpy() for name, weight in half(model).state_dict().items()}
    assert new.keys() == old.keys()
    for name, weight in new.items():
        np.testing.assert_array_equal(weight, by_hand(name, old[name]), err_msg=name)
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight.numpy(), old[name], err_msg=name)


def test_neurons_cut_before_are_neither_dimensions_nor_channels(batch):
    model, other = random_model(), random_model()
    neurons = [torch.arange(8), torch.arange(4, 12)]  # as many as dimensions and channels that stay
    surgery.cut_neurons(model, neurons)
    first_neurons, first_dimensions = half(model), half(other)
    surgery.cut_neurons(first_dimensions, neurons)
    assert torch.equal(logits_of(first_neurons, batch), logits_of(first_dimensions, batch))


@pytest.mark.parametrize(("heads", "d"), [(12, 768), (6, 384), (1, 64)])
def test_number_of_parameters(heads, d):
    """The closed form of a BERT classifier of width d, heads of 64."""
    vocabulary, layers, f = 100, 2, 64
    model = BertForSequenceClassification(BertConfig(
        vocab_size=vocabulary, num_hidden_layers=layers, intermediate_size=f, max_position_embeddings=32, num_labels=3
    ))
    narrow = narrowed(model, torch.arange(d), [torch.arange(heads)] * layers)
    attention, feed_forward, norms = 4 * (d * d + d), 2 * d * f + f + d, 4 * d
    embeddings = (vocabulary + 32 + 2) * d + 2 * d
    assert narrow.num_parameters() == embeddings + layers * (attention + feed_forward + norms) + d * d + d + 3 * d + 3


# ------------------------------------------------------------------------------------------------ a plain model


@pytest.mark.parametrize(
    ("config", "kind"), [*CLASSIFIERS[:1], *CLASSIFIERS[2:], (BertConfig, BertForMaskedLM)],
    ids=lambda value: value.__name__,
)
def test_a_saved_model_is_loaded_exactly_by_plain_transformers(config, kind, batch, tmp_path):
    narrow = half(random_model(config, kind))
    narrow.save_pretrained(tmp_path)
    auto = AutoModelForMaskedLM if "MaskedLM" in kind.__name__ else AutoModelForSequenceClassification
    loaded, report = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    assert (loaded.config.hidden_size, loaded.config.num_attention_heads) == (8, 2)
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, narrow.state_dict()[name]), name
    # not to the last bit: where a tensor lies in memory can change the order of a sum
    torch.testing.assert_close(logits_of(loaded.eval(), batch), logits_of(narrow, batch), rtol=0, atol=1e-12)


def test_its_decoder_stays_tied_and_it_trains_on(batch):
    narrow = half(random_model(kind=BertForMaskedLM))
    assert narrow.get_output_embeddings().weight is narrow.get_input_embeddings().weight
    before = copy.deepcopy(narrow.state_dict())
    narrow(**batch, labels=batch["input_ids"]).loss.backward()
    torch.optim.SGD(narrow.parameters(), lr=1e-3).step()
    # a key's bias has no gradient but rounding
    assert [n for n, w in narrow.state_dict().items() if torch.equal(w, before[n]) and "key.bias" not in n] == []


def test_keeping_everything_changes_nothing(batch):
    model = random_model()
    same = narrowed(model, torch.arange(16), [torch.arange(4)] * 2)
    assert torch.equal(logits_of(same, batch), logits_of(model, batch))
    with torch.no_grad():
        same.classifier.bias += 1
    assert torch.equal(logits_of(same, batch), logits_of(model, batch) + 1)


def test_the_generator_of_random_numbers_is_left_alone():
    model = random_model()
    state = torch.get_rng_state()
    half(model)
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(("hidden", "heads", "message"), [
    (KEPT, [[0, 1]], "1 lists of heads for 2 layers; give one per layer"),
    (KEPT, [[0, 1], [0, 1, 2]], "[2, 3] heads in different layers; keep as many in all"),
    (KEPT[:6], HEADS, "2 heads of 4 channels need 8 hidden dimensions, not 6"),
    ([], [[], []], "hidden dimensions [] can't be kept; name some of 0 to 15, ascending"),
    ([*KEPT[:7], 16], HEADS, f"hidden dimensions {[*KEPT[:7], 16]} can't be kept; name some of 0 to 15, ascending"),
    (KEPT, [[0, 1], [1, 4]], "heads [1, 4] can't be kept; name some of 0 to 3, ascending"),
    (KEPT, [[-1, 1], [1, 3]], "heads [-1, 1] can't be kept; name some of 0 to 3, ascending"),
    (KEPT, [[0, 1], [2, 1]], "heads [2, 1] can't be kept; name some of 0 to 3, ascending"),
])
def test_indices_that_do_not_fit_are_refused(hidden, heads, message):
    with pytest.raises(LaghuError) as refused:
        narrowed(random_model(), torch.tensor(hidden), [torch.tensor(kept) for kept in heads])
    assert str(refused.value) == message


def test_models_that_cannot_be_narrowed_are_refused():
    distilled = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=30, dim=8, n_layers=1, n_heads=2))
    with pytest.raises(LaghuError, match=r"^model type 'distilbert' "):
        half(distilled)
    with pytest.raises(LaghuError, match=r"^embedding size 8 isn't the hidden size 16; only equal ones can shrink$"):
        half(random_model(ElectraConfig, ElectraForSequenceClassification, embedding_size=8))
    masked = random_model()
    movement.attach(masked, attention="heads")
    with pytest.raises(LaghuError, match=r"^bert\..* isn't a weight of a plain BertForSequenceClassification; make "):
        half(masked)
