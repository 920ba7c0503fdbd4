import math
from itertools import pairwise

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForMaskedLM,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from laghu.compression.depth import chosen_layers, keep_layers, reinitialise
from laghu.errors import LaghuError

KINDS = {
    "bert": (BertConfig, BertForMaskedLM),
    "roberta": (RobertaConfig, RobertaForSequenceClassification),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaForMaskedLM),
    "electra": (ElectraConfig, ElectraForMaskedLM),
}


def random_model(config, model, **shape):
    """Everything random, biases and layer norms included, and no dropout."""
    torch.manual_seed(0)
    made = model(config(**{
        "vocab_size": 160, "hidden_size": 16, "num_hidden_layers": 5, "num_attention_heads": 4,
        "intermediate_size": 12, "max_position_embeddings": 64, "num_labels": 3,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    } | shape))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.normal_(1.0 if "norm.weight" in name.lower() else 0.0, 0.5)
    return made.eval()


def logits_of(model, batch):
    with torch.no_grad():
        return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def encoder_names(model):
    return [name for name in model.state_dict() if ".encoder.layer." in name]


# ------------------------------------------------------------------------------------------------ which layers


def test_layers_of_the_authors():
    """XLM-R: layers 0, 2, 4, ...; mBERT: the last six; older notes of theirs: factors 4 and 6."""
    assert chosen_layers("stride", 12, 6) == [0, 2, 4, 6, 8, 10]
    assert chosen_layers("last", 12, 6) == [6, 7, 8, 9, 10, 11]
    assert chosen_layers("stride", 12, 3) == [0, 4, 8]
    assert chosen_layers("stride", 12, 2) == [0, 6]


@pytest.mark.parametrize("total", range(1, 14))
def test_stride_is_even_and_last_ends_with_the_last(total):
    for kept in range(1, total + 1):
        strided, last = chosen_layers("stride", total, kept), chosen_layers("last", total, kept)
        gaps = {after - before for before, after in pairwise([*strided, total])}
        assert len(strided) == kept and strided[0] == 0
        assert gaps <= {math.floor(total / kept), math.ceil(total / kept)}
        assert last == sorted(range(total), reverse=True)[:kept][::-1]


def test_impossible_choices_are_refused():
    with pytest.raises(LaghuError, match=r"^can't keep 13 of 12 layers; keep 1 to 12$"):
        chosen_layers("stride", 12, 13)
    with pytest.raises(LaghuError, match=r"^can't keep 0 of 12 layers; keep 1 to 12$"):
        chosen_layers("last", 12, 0)
    with pytest.raises(LaghuError, match=r"^layers can't be chosen by 'first'; choose by 'stride' or 'last'$"):
        chosen_layers("first", 12, 6)


# ------------------------------------------------------------------------------------------------ without the others


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [[0, 2, 4], [3, 4], [1], [0, 1, 2, 3, 4]])
def test_kept_layers_equal_a_model_whose_other_layers_pass_their_input_on(kind, kept, batch):
    model, reference = random_model(*KINDS[kind]), random_model(*KINDS[kind])
    whole = logits_of(reference, batch)
    for index, layer in enumerate(reference.base_model.encoder.layer):
        if index not in kept:
            layer.register_forward_hook(lambda module, inputs, output: inputs[0])
    keep_layers(model, kept)
    assert torch.equal(logits_of(model, batch), logits_of(reference, batch))
    assert torch.equal(logits_of(model, batch), whole) == (len(kept) == 5)
    assert model.config.num_hidden_layers == model.base_model.config.num_hidden_layers == len(kept)


def test_hidden_states_are_those_of_the_layers_that_stay(batch):
    model = random_model(*KINDS["bert"])
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        assert len(model(**inputs, output_hidden_states=True).hidden_states) == 6  # leaves its hooks behind
        keep_layers(model, [0, 3])
        found = model(**inputs, output_hidden_states=True)
    assert len(found.hidden_states) == 3
    assert [layer.attention.self.layer_idx for layer in model.bert.encoder.layer] == [0, 1]


def test_embeddings_head_and_chosen_layers_keep_every_weight():
    model, plain = random_model(*KINDS["xlm-roberta"]), random_model(*KINDS["xlm-roberta"])
    keep_layers(model, [1, 4])
    old, new = plain.state_dict(), model.state_dict()
    for name, weights in new.items():
        source = name.replace("layer.1.", "layer.4.").replace("layer.0.", "layer.1.")
        assert torch.equal(weights, old[source]), name
    assert len(encoder_names(model)) * 5 == len(encoder_names(plain)) * 2
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_a_saved_student_is_loaded_exactly_by_plain_transformers(kind, batch, tmp_path):
    model = random_model(*KINDS[kind])
    keep_layers(model, [0, 2])
    model.save_pretrained(tmp_path)
    loaded, report = AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    assert torch.equal(logits_of(loaded.eval(), batch), logits_of(model, batch))


@pytest.mark.parametrize(("total", "kept"), [(12, 6), (12, 1), (6, 4)])
def test_each_base_layer_left_out_saves_its_parameters(total, kept):
    """4 (768^2 + 768) of attention, 2 x 768 x 3072 + 3072 + 768 of the FFN, 4 x 768 of the norms."""
    with torch.device("meta"):
        model = BertForMaskedLM(BertConfig(num_hidden_layers=total))
    before = model.num_parameters()
    keep_layers(model, chosen_layers("stride", total, kept))
    assert before - model.num_parameters() == (total - kept) * 7_087_872


@pytest.mark.parametrize("kept", [[], [0, 5], [-1, 2], [2, 1], [1, 1]])
def test_layers_that_are_not_there_or_out_of_order_are_refused(kept):
    model = random_model(*KINDS["bert"])
    with pytest.raises(LaghuError) as refused:
        keep_layers(model, kept)
    assert str(refused.value) == f"layers {kept} can't be kept; name some of 0 to 4, ascending"
    assert model.config.num_hidden_layers == len(model.bert.encoder.layer) == 5


def test_another_architecture_is_refused_by_name():
    model = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=30, dim=8, n_layers=1, n_heads=2))
    for change in (lambda: keep_layers(model, [0]), lambda: reinitialise(model, 0)):
        with pytest.raises(LaghuError, match=r"^model type 'distilbert' "):
            change()


# ------------------------------------------------------------------------------------------------ random layers


def test_only_the_layers_become_random():
    model, plain = random_model(*KINDS["bert"]), random_model(*KINDS["bert"])
    reinitialise(model, seed=1)
    fresh = set(encoder_names(model))
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, plain.state_dict()[name]) == (name not in fresh), name
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_checkpoint_s_layers_become_distributed_as_those_of_a_new_model(kind, tmp_path):
    """Mean and deviation against a model that transformers makes; a loaded model's weights are marked as done there."""
    config, classifier = KINDS[kind][0], {"bert": BertForSequenceClassification}.get(kind, KINDS[kind][1])
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "initializer_range": 0.05}
    random_model(config, classifier, **shape).save_pretrained(tmp_path)
    model = classifier.from_pretrained(tmp_path)
    reinitialise(model, seed=3)
    fresh = classifier(model.config).state_dict()
    for name in encoder_names(model):
        found, expected = model.state_dict()[name], fresh[name]
        if found.ndim == 1:  # biases and layer norms
            assert torch.equal(found, expected), name
        else:
            error = 0.05 / math.sqrt(found.numel())
            assert abs(found.mean()) < 5 * error, name
            assert abs(found.std() - expected.std()) < 5 * error, name
            assert abs((found.abs() < 0.05).double().mean() - 0.6827) < 5 * 0.47 / math.sqrt(found.numel()), name


def test_the_seed_alone_decides():
    models = [random_model(*KINDS["bert"]) for _ in range(3)]
    torch.manual_seed(11)
    reinitialise(models[0], seed=5)
    state = torch.get_rng_state()
    assert torch.equal(state, torch.Generator().manual_seed(11).get_state())
    torch.rand(3)
    reinitialise(models[1], seed=5)
    reinitialise(models[2], seed=6)
    first, same, other = ([model.state_dict()[name] for name in encoder_names(model)] for model in models)
    assert all(map(torch.equal, first, same))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True) if a.ndim == 2)
    matrices = [weights for weights in first if weights.shape == (16, 16)]
    assert not torch.equal(matrices[0], matrices[1])  # nor is one matrix like the next
