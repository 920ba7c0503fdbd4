import copy
from functools import partial

import numpy as np
import pytest
import torch
from random_models import random_model
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
    ElectraForMaskedLM,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification,
    XLMRobertaForTokenClassification,
)

from laghu.compression import depth, movement, surgery, width
from laghu.errors import LaghuError

MODELS = [
    (BertConfig, BertForMaskedLM),
    (BertConfig, BertForSequenceClassification),
    (RobertaConfig, RobertaForSequenceClassification),
    (XLMRobertaConfig, XLMRobertaForMaskedLM),
    (XLMRobertaConfig, XLMRobertaForSequenceClassification),
    (ElectraConfig, ElectraForMaskedLM),
    (ElectraConfig, ElectraForSequenceClassification),
]
every_model = pytest.mark.parametrize(("config", "kind"), MODELS, ids=lambda value: value.__name__)

# Half of the 16 dimensions and of each head's 4 channels, with which the tests below work.
KEPT = [1, 2, 4, 7, 8, 11, 13, 14]
DROPPED = [0, 3, 5, 6, 9, 10, 12, 15]
UNUSED_CHANNELS = [2, 3, 6, 7, 10, 11, 14, 15]


def logits_of(model, batch):
    with torch.no_grad():
        return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def arrays(model):
    return {name: weights.numpy().copy() for name, weights in model.state_dict().items()}


# ------------------------------------------------------------------------------------------------ the paper's sizes

# The pipeline of arXiv 2505.16956 worked out by hand: millions of parameters of the masked language model, without a
# pooler, its decoder tied and counted once, the decoder's bias too; then the reduction in percent. First the teacher,
# 6 layers and FFN 2048, then by hidden size, last with the vocabulary trimmed. The paper's "up to 92 %" is the -91.8.
MBERT = {"vocab_size": 119_547, "max_position_embeddings": 512, "type_vocab_size": 2}
XLMR = {"vocab_size": 250_002, "max_position_embeddings": 514, "type_vocab_size": 1}
MURIL = {"vocab_size": 197_285, "max_position_embeddings": 512, "type_vocab_size": 2}
SIZES = [
    pytest.param(BertConfig, BertForMaskedLM, MBERT, [177.97, 135.45, 126.00], [-23.9, -29.2],
                 {564: 89.69, 456: 71.31, 312: 47.71}, {564: -74.9, 456: -80.4, 312: -87.2}, id="mBERT"),
    pytest.param(XLMRobertaConfig, XLMRobertaForMaskedLM, XLMR, [278.30, 235.77, 226.32], [-15.3, -18.7],
                 {564: 163.40, 456: 130.93, 312: 88.54}, {564: -83.9, 456: -87.4, 312: -91.8}, id="XLM-R"),
    pytest.param(BertConfig, BertForMaskedLM, MURIL, [237.76, 195.23, 185.78], [-17.9, -21.9],
                 {564: 133.61, 456: 106.84, 312: 72.04}, {564: -81.2, 456: -85.3, 312: -90.4}, id="MuRIL"),
]
TRIMMED = {564: 44.75, 456: 34.96, 312: 22.81}


def closed_form(shape, layers, d, f, vocabulary=None) -> int:
    v = vocabulary or shape["vocab_size"]
    embeddings = (v + shape["max_position_embeddings"] + shape["type_vocab_size"]) * d + 2 * d
    attention, feed_forward, norms = 4 * (d * d + d), 2 * d * f + f + d, 4 * d
    return embeddings + layers * (attention + feed_forward + norms) + (d * d + d + 2 * d + v)


@pytest.mark.parametrize(("config", "kind", "shape", "millions", "percent", "narrow", "trimmed"), SIZES)
def test_every_step_has_the_size_of_the_table(config, kind, shape, millions, percent, narrow, trimmed):
    def rounded(count):
        return pytest.approx(count / 1e6, abs=0.00501)

    def reduction(count):
        return pytest.approx(100 * (count / teacher - 1), abs=0.0501)

    with torch.device("meta"):
        model = kind(config(**shape))
    teacher = model.num_parameters()
    assert millions[0] == rounded(teacher)
    assert teacher == closed_form(shape, 12, 768, 3072)
    depth.keep_layers(model, depth.chosen_layers("stride", 12, 6))
    assert (millions[1], percent[0]) == (rounded(model.num_parameters()), reduction(model.num_parameters()))
    surgery.cut_neurons(model, [torch.arange(2048)] * 6)
    assert (millions[2], percent[1]) == (rounded(model.num_parameters()), reduction(model.num_parameters()))
    for hidden_size, printed in narrow.items():
        for reduce in (width.truncate, width.truncate_heads):
            student = copy.deepcopy(model)
            reduce(student, hidden_size)
            assert printed == rounded(student.num_parameters())
            assert student.num_parameters() == closed_form(shape, 6, hidden_size, 2048)
        vocabulary = 40_000 + 5 * (config is BertConfig)
        student.config.vocab_size = vocabulary
        with torch.device("meta"):
            smallest = kind(student.config).num_parameters()
        assert (TRIMMED[hidden_size], trimmed[hidden_size]) == (rounded(smallest), reduction(smallest))
        assert smallest == closed_form(shape, 6, hidden_size, 2048, vocabulary)


# ------------------------------------------------------------------------------------------------ truncation


@every_model
@pytest.mark.parametrize("shape", [
    {}, {"tie_word_embeddings": False},
    # All of size 16, so that a size alone doesn't tell what is hidden.
    {"intermediate_size": 16, "num_labels": 16, "max_position_embeddings": 16, "type_vocab_size": 16},
], ids=["usual", "untied", "equal sizes"])
def test_truncation_equals_a_narrow_model_filled_with_slices(config, kind, shape, batch):
    """As the authors write it: a new model of transformers whose every tensor is the beginning of the old one."""
    model = random_model(config, kind, **shape)
    old = arrays(model)
    narrow = copy.deepcopy(model.config)
    narrow.hidden_size = 8
    if config is ElectraConfig:
        narrow.embedding_size = 8
    reference = kind(narrow).eval()
    sliced = {
        name: torch.from_numpy(old[name][tuple(slice(size) for size in weights.shape)])
        for name, weights in reference.state_dict().items()
    }
    reference.load_state_dict(sliced)
    width.truncate(model, 8)
    assert torch.equal(logits_of(model, batch), logits_of(reference, batch))
    assert arrays(model).keys() == old.keys()
    assert model.num_parameters() == reference.num_parameters()
    assert model.config.to_dict() == narrow.to_dict()


def test_truncated_heads_hold_channels_of_several_old_heads():
    """Why truncation cuts through heads: of 4 heads of 4 channels, the new second head has the end of the old first."""
    model = random_model()
    old = model.bert.encoder.layer[0].attention.self.query.weight.detach().clone()
    width.truncate(model, 8)
    query = model.bert.encoder.layer[0].attention.self.query.weight.view(4, 2, 8)
    assert torch.equal(query[1], old[[2, 3], :8])
    assert torch.equal(query[3], old[[6, 7], :8])  # and of the old last two heads there is nothing


# ------------------------------------------------------------------------------------------------ whole heads

def test_kept_dimensions_entry_by_entry():
    """Written out index by index for one layer and the head: hidden dimension KEPT[i], head h's channel c."""
    model = random_model()
    old = arrays(model)
    width.keep_hidden(model, torch.tensor(KEPT))
    new = arrays(model)
    checked = 0

    def same(name, place, source, factor=1.0):
        nonlocal checked
        assert new[name][place] == pytest.approx(float(old[name][source]) * factor, rel=1e-6)
        checked += 1

    attention, ffn = "bert.encoder.layer.1.attention.", "bert.encoder.layer.1."
    for h in range(4):
        for c in range(2):
            for kind, factor in (("query", 0.5**0.5), ("key", 1.0), ("value", 1.0)):  # channels per head: 4 -> 2
                same(f"{attention}self.{kind}.bias", h * 2 + c, h * 4 + c, factor)
                for i in range(8):
                    same(f"{attention}self.{kind}.weight", (h * 2 + c, i), (h * 4 + c, KEPT[i]), factor)
            for i in range(8):
                same(f"{attention}output.dense.weight", (i, h * 2 + c), (KEPT[i], h * 4 + c))
    for i in range(8):
        for name in (f"{attention}output.", ffn + "output.", "bert.embeddings.", "cls.predictions.transform."):
            same(name + "LayerNorm.weight", i, KEPT[i])
            same(name + "LayerNorm.bias", i, KEPT[i])
        for name in (f"{attention}output.", f"{ffn}output.", "cls.predictions.transform."):
            same(name + "dense.bias", i, KEPT[i])
        for n in range(12):
            same(ffn + "intermediate.dense.weight", (n, i), (n, KEPT[i]))
            same(ffn + "output.dense.weight", (i, n), (KEPT[i], n))
        for j in range(8):
            same("cls.predictions.transform.dense.weight", (i, j), (KEPT[i], KEPT[j]))
        for name, rows in (("word", 160), ("position", 64), ("token_type", 2)):
            for row in range(rows):
                same(f"bert.embeddings.{name}_embeddings.weight", (row, i), (row, KEPT[i]))
        for row in range(160):
            same("cls.predictions.decoder.weight", (row, i), (row, KEPT[i]))
    for name in (ffn + "intermediate.dense.bias", "cls.predictions.bias", "cls.predictions.decoder.bias"):
        assert np.array_equal(new[name], old[name])
        checked += new[name].size
    other_layer = sum(new[name].size for name in new if "layer.0." in name)
    assert checked == sum(weights.size for weights in new.values()) - other_layer


def attention_by_hand(weights, x, channels, scale):
    """Softmax attention of one text, shape (tokens, channels), head by head. `channels`: a list for each head."""
    context = []
    for head in channels:
        query, key, value = (x @ weights[f"{name}.weight"][head].T + weights[f"{name}.bias"][head]
                             for name in ("query", "key", "value"))
        scores = np.exp(query @ key.T * scale)
        context.append(scores / scores.sum(axis=1, keepdims=True) @ value)
    return np.concatenate(context, axis=1)


@pytest.mark.parametrize(("reduce", "channels", "scale"), [
    # scores of the whole head of 4 with its last two channels at zero
    pytest.param(width.truncate_heads, [[0, 1], [4, 5], [8, 9], [12, 13]], 4**-0.5, id="by head"),
    # those of the authors' new heads of 2
    pytest.param(width.truncate, [[0, 1], [2, 3], [4, 5], [6, 7]], 2**-0.5, id="truncated"),
])
def test_narrow_attention_equals_one_written_by_hand(reduce, channels, scale):
    model = random_model()
    prefix = "bert.encoder.layer.0.attention.self."
    old = {name.removeprefix(prefix): w.astype(float) for name, w in arrays(model).items() if name.startswith(prefix)}
    x = np.random.default_rng(0).normal(size=(7, 16))
    x[:, 8:] = 0  # what isn't there any more
    expected = attention_by_hand(old, x, channels, scale)
    reduce(model, 8)
    with torch.no_grad():
        found = model.bert.encoder.layer[0].attention.self(torch.tensor(x[None, :, :8], dtype=torch.float32))[0]
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


def make_redundant(model):
    """Make the dropped half of the hidden dimensions and of each head's channels do nothing.

    Layer norms take mean and variance over all dimensions. So the dropped ones have to be there with the same mean and
    variance as the others: each is a copy of a kept one, which nobody reads. In front of the decoder, which reads by
    the embeddings, they are zero instead.
    """
    with torch.no_grad():
        for table in (module for module in model.modules() if isinstance(module, torch.nn.Embedding)):
            table.weight[:, DROPPED] = table.weight[:, KEPT]
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight[DROPPED] = module.weight[KEPT]
                module.bias[DROPPED] = module.bias[KEPT]
            if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings():
                if module.in_features == 16 and "attention.output" not in name:
                    module.weight[:, DROPPED] = 0
                if module.out_features == 16 and ".self." not in name:
                    module.weight[DROPPED] = module.weight[KEPT]
                    module.bias[DROPPED] = module.bias[KEPT]
            if name in ("cls.predictions.transform.LayerNorm", "lm_head.layer_norm", "generator_predictions.LayerNorm"):
                module.weight[DROPPED] = 0
                module.bias[DROPPED] = 0
        for layer in model.base_model.encoder.layer:
            layer.attention.self.query.weight[UNUSED_CHANNELS] = 0
            layer.attention.self.query.bias[UNUSED_CHANNELS] = 0
            layer.attention.output.dense.weight[:, UNUSED_CHANNELS] = 0


@every_model
def test_where_the_dropped_dimensions_do_nothing_logits_stay(config, kind, batch):
    model = random_model(config, kind)
    make_redundant(model)
    expected, truncated = logits_of(model, batch), copy.deepcopy(model)
    width.keep_hidden(model, torch.tensor(KEPT))
    torch.testing.assert_close(logits_of(model, batch), expected, rtol=0, atol=2e-5)
    assert expected.std(dim=0).max() > 0.1
    width.truncate(truncated, 8)
    assert (logits_of(truncated, batch) - expected).abs().max() > 0.1


def test_without_the_factor_in_the_query_they_would_not(batch):
    model = random_model()
    make_redundant(model)
    expected = logits_of(model, batch)
    width.keep_hidden(model, torch.tensor(KEPT))
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            layer.attention.self.query.weight *= 2**0.5
            layer.attention.self.query.bias *= 2**0.5
    assert (logits_of(model, batch) - expected).abs().max() > 0.05


def test_heads_by_name_are_the_first_dimensions():
    model, reference = random_model(), random_model()
    width.truncate_heads(model, 12)
    width.keep_hidden(reference, torch.arange(12))
    assert all(map(torch.equal, model.state_dict().values(), reference.state_dict().values()))


# ------------------------------------------------------------------------------------------------ directions


def test_directions_are_the_mean_and_singular_vectors_of_numpy():
    states = np.random.default_rng(1).normal(size=(50, 16)) @ np.diag(1.3 ** -np.arange(16)) + 0.3
    directions, share = width.leading_directions(torch.tensor(states).view(5, 10, 16), 8)
    directions = directions.numpy()
    _, values, vh = np.linalg.svd(states - states.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(directions.T @ directions, np.eye(8), atol=1e-12)
    np.testing.assert_allclose(directions @ directions.T, np.full((16, 16), 1 / 16) + vh[:7].T @ vh[:7], atol=1e-10)
    assert share == pytest.approx((values[:7] ** 2).sum() / (values**2).sum())
    # turned by half a circle about the middle between the first axis and the mean's; the largest entries positive
    middle = (np.eye(8)[0] + 8**-0.5) / np.linalg.norm(np.eye(8)[0] + 8**-0.5)
    vectors = (2 * np.outer(directions @ middle, middle) - directions)[:, 1:]
    np.testing.assert_allclose(np.abs(vectors), np.abs(vh[:7].T), atol=1e-8)
    np.testing.assert_array_equal(vectors.max(axis=0), np.abs(vectors).max(axis=0))
    # the narrow mean is the wide one's, up to the lengths of the two vectors of ones
    narrow = states @ directions
    np.testing.assert_allclose(narrow.mean(axis=1) * 8**0.5, states.mean(axis=1) * 16**0.5, atol=1e-12)


def test_directions_do_not_depend_on_how_many_rows_are_summed_at_once(monkeypatch):
    states = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    whole, share = width.leading_directions(states, 8)
    monkeypatch.setattr(width, "ROWS_AT_ONCE", 7)
    parts, same = width.leading_directions(states, 8)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-10)
    assert same == pytest.approx(share)


def test_directions_stay_orthonormal_where_states_have_fewer():
    directions, share = width.leading_directions(torch.randn(3, 16, generator=torch.Generator().manual_seed(0)), 12)
    torch.testing.assert_close(directions.T @ directions, torch.eye(12, dtype=torch.float64))
    assert share == pytest.approx(1)
    torch.testing.assert_close(directions.mean(dim=0) * 4, torch.full((12,), 12**-0.5, dtype=torch.float64))


def make_low_rank(model):
    """Let the hidden states live in 8 of 16 dimensions, the mean among them, and each head in 2 of its 4 channels."""
    generator = torch.Generator().manual_seed(9)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    basis = torch.linalg.qr(torch.cat([torch.ones(16, 1, dtype=torch.float64), draw(16, 7)], dim=1))[0]
    onto = basis @ basis.T
    with torch.no_grad():
        for module in model.base_model.modules():
            if isinstance(module, torch.nn.Embedding):
                module.weight.copy_(module.weight @ onto)
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.fill_(float(module.weight[0]))
                module.bias.copy_(onto @ module.bias)
        for layer in model.base_model.encoder.layer:
            for linear in (layer.attention.output.dense, layer.output.dense):
                linear.weight.copy_(onto @ linear.weight)
                linear.bias.copy_(onto @ linear.bias)
            low = torch.block_diag(*[draw(4, 2) @ draw(2, 4) for _ in range(4)])
            query, output = layer.attention.self.query, layer.attention.output.dense
            query.weight.copy_(low @ query.weight)
            query.bias.copy_(low @ query.bias)
            output.weight.copy_(output.weight @ low)


@pytest.mark.parametrize(("config", "kind"), [
    (BertConfig, BertForTokenClassification), (XLMRobertaConfig, XLMRobertaForTokenClassification),
])
def test_projection_is_exact_where_states_live_in_the_directions(config, kind, batch):
    """A tagger's logits are linear in the last states, so no nonlinearity of a head is in the way."""
    model = random_model(config, kind).double()
    make_low_rank(model)
    expected, truncated = logits_of(model, batch), copy.deepcopy(model)
    width.project(model, 8)
    torch.testing.assert_close(logits_of(model, batch), expected, rtol=0, atol=1e-8)
    assert expected.std(dim=(0, 1)).min() > 0.01
    width.truncate_heads(truncated, 8)
    assert (logits_of(truncated, batch) - expected).abs().max() > 0.1


@pytest.mark.parametrize("given", [False, True], ids=["embeddings", "states"])
def test_projection_against_numpy(given):
    """Full rank, unequal gains: readers, writers, norms, and each head's products by numpy's own SVD."""
    model = random_model().double()
    old = arrays(model)
    states = torch.randn(40, 16, generator=torch.Generator().manual_seed(3))
    tables = [old[f"bert.embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    source = states if given else torch.tensor(np.concatenate(tables))
    directions, share = width.leading_directions(source, 8)
    u = directions.numpy()
    width.project(model, 8, states if given else None)
    new = arrays(model)
    ffn, head = "bert.encoder.layer.1.", "cls.predictions.transform."
    close = partial(np.testing.assert_allclose, atol=1e-9)
    close(new["bert.embeddings.word_embeddings.weight"], tables[0] @ u)
    close(new["cls.predictions.decoder.weight"], tables[0] @ u)
    close(new[ffn + "intermediate.dense.weight"], old[ffn + "intermediate.dense.weight"] @ u)
    close(new[ffn + "output.dense.weight"], u.T @ old[ffn + "output.dense.weight"])
    close(new[ffn + "output.dense.bias"], u.T @ old[ffn + "output.dense.bias"])
    close(new[head + "dense.weight"], u.T @ old[head + "dense.weight"] @ u)
    close(new[ffn + "output.LayerNorm.bias"], u.T @ old[ffn + "output.LayerNorm.bias"])
    gains = np.diag(u.T @ np.diag(old[ffn + "output.LayerNorm.weight"]) @ u)
    close(new[ffn + "output.LayerNorm.weight"], np.sqrt(share * 16 / 8) * gains)
    for name in (ffn + "intermediate.dense.bias", "cls.predictions.bias"):
        close(new[name], old[name])

    def head_of(weights, name, index, size, turn):
        """Weight and bias of one head side by side, shape (size, hidden + 1)."""
        linear = f"{ffn}attention.self.{name}"
        rows = slice(index * size, (index + 1) * size)
        return np.concatenate([weights[linear + ".weight"][rows] @ turn, weights[linear + ".bias"][rows, None]], axis=1)

    def best(matrix):
        left, values, right = np.linalg.svd(matrix)
        assert values[2] > 1e-2  # something is lost
        return left[:, :2] * values[:2] @ right[:2]

    output = f"{ffn}attention.output.dense.weight"
    for h in range(4):
        wide = {name: head_of(old, name, h, 4, u) for name in ("query", "key", "value")}
        narrow = {name: head_of(new, name, h, 2, np.eye(8)) for name in ("query", "key", "value")}
        # scores: divided by the root of 4 before and of 2 now; without what a key's bias adds to a whole row
        scores = best(wide["query"].T @ wide["key"][:, :-1]) / 4**0.5
        close(narrow["query"].T @ narrow["key"][:, :-1] / 2**0.5, scores)
        close(narrow["key"][:, -1], 0)
        values = best(u.T @ old[output][:, h * 4 : h * 4 + 4] @ wide["value"])
        close(new[output][:, h * 2 : h * 2 + 2] @ narrow["value"], values)


# ------------------------------------------------------------------------------------------------ all ways

WAYS = [width.truncate, width.truncate_heads, width.project]
every_way = pytest.mark.parametrize("reduce", WAYS, ids=lambda way: way.__name__)


@every_way
@every_model
def test_a_saved_model_is_loaded_exactly_by_plain_transformers(reduce, config, kind, batch, tmp_path):
    model = random_model(config, kind)
    reduce(model, 8)
    logits = logits_of(model, batch)
    assert logits.isfinite().all() and logits.std() > 0.01
    model.save_pretrained(tmp_path)
    auto = AutoModelForMaskedLM if "MaskedLM" in kind.__name__ else AutoModelForSequenceClassification
    loaded, report = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    assert loaded.config.hidden_size == 8
    assert torch.equal(logits_of(loaded.eval(), batch), logits)


@every_way
def test_modules_say_the_sizes_that_a_new_model_has(reduce):
    model = random_model()
    reduce(model, 8)
    fresh = BertForMaskedLM(model.config)
    assert str(model) == str(fresh)
    for name, module in fresh.named_modules():
        found, expected = vars(model.get_submodule(name)), vars(module)
        for attribute in ("in_features", "embedding_dim", "normalized_shape", "scaling", "attention_head_size"):
            assert found.get(attribute) == expected.get(attribute), (name, attribute)
    assert model.bert.encoder.layer[0].attention.self.scaling == 2**-0.5


@every_way
@pytest.mark.parametrize(("config", "kind"), [MODELS[0], MODELS[3], MODELS[5]], ids=lambda value: value.__name__)
def test_it_trains_on_with_its_decoder_tied(reduce, config, kind, batch):
    model = random_model(config, kind)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": batch["input_ids"]}
    model(**inputs).loss.backward()  # gradients of the old shapes are there
    reduce(model, 8)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss = model(**inputs).loss
    loss.backward()
    optimizer.step()
    # a key's bias has no gradient but rounding
    same = [n for n, w in model.state_dict().items() if torch.equal(w, before[n]) and not n.endswith("key.bias")]
    assert same == []
    assert model(**inputs).loss < loss


@every_way
def test_the_same_size_changes_nothing(reduce, batch):
    model = random_model()
    expected = logits_of(model, batch)
    reduce(model, 16)
    assert torch.equal(logits_of(model, batch), expected)


@every_way
@pytest.mark.parametrize(("hidden_size", "message"), [
    (10, "hidden size 10 can't be split into 4 heads; give a multiple of 4"),
    (20, "can't reduce hidden size 16 to 20; keep 4 to 16"),
    (0, "can't reduce hidden size 16 to 0; keep 4 to 16"),
    (-4, "can't reduce hidden size 16 to -4; keep 4 to 16"),
])
def test_impossible_sizes_are_refused(reduce, hidden_size, message):
    model = random_model()
    old = arrays(model)
    with pytest.raises(LaghuError) as refused:
        reduce(model, hidden_size)
    assert str(refused.value) == message
    assert all(np.array_equal(weights, old[name]) for name, weights in arrays(model).items())
    assert model.config.hidden_size == 16


@every_way
def test_models_that_cannot_be_narrowed_are_refused(reduce):
    distilled = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=30, dim=8, n_layers=1, n_heads=2))
    with pytest.raises(LaghuError, match=r"^model type 'distilbert' "):
        reduce(distilled, 4)
    with pytest.raises(LaghuError, match=r"^embedding size 8 isn't the hidden size 16; only equal ones can shrink$"):
        reduce(random_model(ElectraConfig, ElectraForMaskedLM, embedding_size=8), 8)
    masked = random_model()
    movement.attach(masked, attention="heads")
    with pytest.raises(LaghuError, match=r"^bert\..* isn't a weight of a plain BertForMaskedLM; make its masks "):
        reduce(masked, 8)


@pytest.mark.parametrize("kept", [[0, 1, 2, 16], [-1, 0, 1, 2], [0, 2, 1, 3], [0, 1, 1, 2]])
def test_dimensions_that_are_not_there_or_out_of_order_are_refused(kept):
    with pytest.raises(LaghuError) as refused:
        width.keep_hidden(random_model(), torch.tensor(kept))
    assert str(refused.value) == f"hidden dimensions {kept} can't be kept; name some of 0 to 15, ascending"


def test_states_of_another_size_are_refused():
    with pytest.raises(LaghuError, match=r"^hidden states have 12 dimensions; give states of 16$"):
        width.project(random_model(), 8, torch.zeros(5, 12))
