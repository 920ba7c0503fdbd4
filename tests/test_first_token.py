"""Oracles: the plain model in transformers; operations counted by hand."""

import pytest
import torch
from random_models import random_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    BertConfig,
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

from laghu.first_token import FirstTokenClassifier, supports

KINDS = {
    "bert": (BertConfig, BertForSequenceClassification, {}),
    "electra": (ElectraConfig, ElectraForSequenceClassification, {}),
    "electra-widened": (ElectraConfig, ElectraForSequenceClassification, {"embedding_size": 6}),
    "roberta": (RobertaConfig, RobertaForSequenceClassification, {"pad_token_id": 1}),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaForSequenceClassification, {"pad_token_id": 1}),
}


def made(kind, **shape):
    config, model, own = KINDS[kind]
    return random_model(config, model, **own | shape)


@torch.inference_mode()
def logits(model, given):
    found = model(**given)
    return found if isinstance(found, torch.Tensor) else found.logits


@pytest.fixture
def padded(batch):
    """Six rows, three of them filled up with the padding of RoBERTa, which counts positions by it."""
    mask = batch["attention_mask"]
    return {"input_ids": batch["input_ids"].where(mask == 1, 1), "attention_mask": mask}


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_plain_model(kind, layers, padded):
    model = made(kind, num_hidden_layers=layers)
    expected = logits(model, padded)
    torch.testing.assert_close(logits(FirstTokenClassifier(model), padded), expected, rtol=1e-4, atol=1e-5)
    assert expected.std(dim=0).min() > 0.01  # rows differ: no constant would do


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_under_the_mask_is_not_looked_at(kind, padded):
    model = FirstTokenClassifier(made(kind))
    others = padded["input_ids"].where(padded["attention_mask"] == 1, 7)
    torch.testing.assert_close(logits(model, padded | {"input_ids": others}), logits(model, padded))


def test_token_types_enter(padded):
    model = made("bert")
    typed = padded | {"token_type_ids": (padded["input_ids"] % 2)}
    found = logits(FirstTokenClassifier(model), typed)
    torch.testing.assert_close(found, logits(model, typed), rtol=1e-4, atol=1e-5)
    assert (found - logits(model, padded)).abs().max() > 0.01


def test_a_model_in_training_mode_is_put_to_work_without_dropout(padded):
    model = made("bert", hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    expected = logits(model, padded)
    torch.testing.assert_close(logits(FirstTokenClassifier(model.train()), padded), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_last_layer_works_for_one_token_of_each_text(layers, padded):
    hidden, ffn, labels = 16, 12, 3
    texts, length = padded["input_ids"].shape
    with FlopCounterMode(display=False) as counted:
        logits(FirstTokenClassifier(made("bert", num_hidden_layers=layers)), padded)
    # Multiply-adds of a text. Query, key, value and output are hidden x hidden; scores and their sums, length x hidden
    # for each query.
    a_token = 4 * hidden**2 + 2 * hidden * ffn + 2 * length * hidden
    last = length * 2 * hidden**2 + 2 * hidden**2 + 2 * hidden * ffn + 2 * length * hidden
    head = hidden**2 + hidden * labels
    assert counted.get_total_flops() == 2 * texts * ((layers - 1) * length * a_token + last + head)


@pytest.mark.parametrize("kind", KINDS)
def test_its_kinds_are_supported(kind):
    assert supports(made(kind))


def test_other_kinds_are_not():
    assert not supports(random_model(BertConfig, BertForTokenClassification))
    assert not supports(made("bert", is_decoder=True))  # its tokens look back only
    distil = DistilBertConfig(dim=16, n_heads=4, hidden_dim=12, n_layers=1, vocab_size=60)
    assert not supports(DistilBertForSequenceClassification(distil))
