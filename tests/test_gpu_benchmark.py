"""Oracles: transformers on one padded batch of all texts; PyTorch's own counter of operations. Nothing is timed."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from headlines import HEADLINES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from laghu import throughput
from laghu.benchmark import gpu, peers
from laghu.errors import LaghuError

LABELS = ["Auto", "खेळ", "State"]
TEXTS = [*HEADLINES, "", " ", "a", "🙂" * 3, "पाऊस " * 300, *HEADLINES[::-2]] * 3
LENGTH, TOKENS = 24, 64


def as_it_is(module):
    return module


def one_graph(module):
    return torch.compile(module, dynamic=False, fullgraph=True, backend="eager")


def save(model, tokenizer, folder):
    """With its logits far apart, so that no rounding changes a label."""
    head = model.classifier
    with torch.no_grad():
        getattr(head, "out_proj", head).weight.mul_(20)
    model.config.id2label, model.config.label2id = dict(enumerate(LABELS)), {n: i for i, n in enumerate(LABELS)}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer, tiny_bert):
    return save(tiny_bert(3), tokenizer, tmp_path_factory.mktemp("gpu") / "bert")


@pytest.fixture(scope="module")
def roberta(tmp_path_factory, tokenizer):
    """It counts positions from its padding, which has here the number that other models give theirs: 0."""
    model = random_model(RobertaConfig, RobertaForSequenceClassification, 1, pad_token_id=0)
    return save(model, tokenizer, tmp_path_factory.mktemp("gpu") / "roberta")


def expected(kind, folder, texts=TEXTS):
    model, tokenizer = kind.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, truncation=True, max_length=LENGTH, padding=True, return_tensors="pt")
    with torch.no_grad():
        best = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.argmax(dim=-1)
    labels = [LABELS[label] for label in best.tolist()]
    assert len(set(labels)) > 1
    return labels


WAYS = {
    "pipeline": lambda folder: peers.pipeline(folder, LENGTH, 4, "cpu"),
    "padded": lambda folder: gpu.padded("cpu", folder, LENGTH, torch.float32, 5),
    "padded, alone": lambda folder: gpu.padded("cpu", folder, LENGTH, torch.float32, 1),
    "bucketed": lambda folder: gpu.bucketed("cpu", folder, LENGTH, torch.float32, TOKENS, as_it_is),
    "bucketed, alone": lambda folder: gpu.bucketed("cpu", folder, LENGTH, torch.float32, LENGTH, as_it_is),
    "packed": lambda folder: gpu.packed("cpu", folder, LENGTH, torch.float32, as_it_is, TOKENS),
    "packed, alone": lambda folder: gpu.packed("cpu", folder, LENGTH, torch.float32, as_it_is, LENGTH),
    "packed, at once": lambda folder: gpu.packed("cpu", folder, LENGTH, torch.float32, as_it_is, 2048),
}


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize("name", WAYS)
def test_labels_are_those_of_transformers_in_the_order_of_the_texts(folder, name):
    way, labels = WAYS[name](folder), expected(BertForSequenceClassification, folder)
    assert way(TEXTS) == labels
    assert way(TEXTS[::-1]) == labels[::-1]
    assert [way([text]) for text in TEXTS[:16]] == [[label] for label in labels[:16]]
    assert way([]) == []


@pytest.mark.parametrize("name", WAYS)
def test_another_architecture(roberta, name):
    assert WAYS[name](roberta)(TEXTS) == expected(RobertaForSequenceClassification, roberta)


def test_texts_of_many_chunks(folder, monkeypatch):
    monkeypatch.setattr(gpu, "CHUNK", 7)
    labels = expected(BertForSequenceClassification, folder)
    for name in ("padded", "bucketed", "packed"):
        assert WAYS[name](folder)(TEXTS) == labels


@pytest.mark.parametrize("make", [
    lambda folder, compiler: gpu.bucketed("cpu", folder, LENGTH, torch.float32, TOKENS, compiler),
    lambda folder, compiler: gpu.packed("cpu", folder, LENGTH, torch.float32, compiler, TOKENS),
])
def test_every_shape_is_compiled_beforehand_and_as_one_graph(folder, make):
    shapes = []

    def noting(module):
        run = one_graph(module)

        def noted(*given):
            shapes.append(tuple(tuple(part.shape) for part in given))
            return run(*given)
        return noted

    way = make(folder, noting)
    beforehand = set(shapes)
    assert all(shapes.count(shape) == 3 for shape in beforehand)
    assert way(TEXTS) == expected(BertForSequenceClassification, folder)
    way(TEXTS[:1])
    assert set(shapes) == beforehand


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("way", [gpu.bucketed, gpu.packed])
def test_in_half_precision(folder, way, dtype):
    found = way("cpu", folder, LENGTH, dtype, tokens=TOKENS, compiler=as_it_is)(TEXTS)
    assert np.mean(np.array(found) == expected(BertForSequenceClassification, folder)) > 0.8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("way", [gpu.bucketed, gpu.packed])
def test_on_a_gpu(folder, way, dtype):
    """Batches are many, and graphs of several shapes take turns: a label from another batch would show."""
    ready, labels = way("cuda", folder, LENGTH, dtype, tokens=TOKENS), expected(BertForSequenceClassification, folder)
    for _ in range(2):
        assert np.mean(np.array(ready(TEXTS * 20)) == labels * 20) > 0.9
    assert peers.pipeline(folder, LENGTH, 4, "cuda")(TEXTS) == labels


def test_an_error_while_tokenising_reaches_the_caller(folder):
    with pytest.raises(TypeError):
        WAYS["packed"](folder)([*HEADLINES, None])


@given(st.integers(3, 600))
@settings(max_examples=50)
def test_buckets_end_with_the_longest_and_waste_a_third_at_most(longest):
    found = gpu.buckets(longest)
    assert found == sorted(set(found)) and found[-1] == longest and all(size % 8 == 0 for size in found[:-1])
    assert len(found) < 14
    for before, after in pairwise(found):
        assert after <= 2 * before and (before < 16 or after <= 1.5 * before)


@pytest.mark.parametrize("way", [gpu.bucketed, gpu.packed])
def test_a_batch_must_hold_a_text(folder, way):
    with pytest.raises(LaghuError, match="tokens 23 of a batch must be at least max_length, 24"):
        way("cpu", folder, LENGTH, torch.float32, tokens=LENGTH - 1, compiler=as_it_is)


@pytest.mark.parametrize("name", WAYS)
def test_what_is_no_model(tmp_path, name):
    with pytest.raises(LaghuError, match=r"no config\.json"):
        WAYS[name](tmp_path)


def test_batches_of_nothing(folder):
    with pytest.raises(LaghuError, match="batch_size 0"):
        peers.pipeline(folder, LENGTH, 0, "cpu")
    with pytest.raises(LaghuError, match="batch 0"):
        gpu.padded("cpu", folder, LENGTH, torch.float32, 0)


# ------------------------------------------------------------------------------------------------ operations


@pytest.mark.parametrize("lengths", [[1], [7], [3, 11, 3], [16, 2]])
def test_operations_are_those_that_pytorch_counts(lengths):
    model = random_model(kind=BertForSequenceClassification, hidden_size=24, intermediate_size=20, num_hidden_layers=3)
    model.set_attn_implementation("eager")  # the counter doesn't know every fused kernel of a CPU
    counted = 0
    for length in lengths:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.bert.encoder(torch.randn(1, length, 24))
        counted += counter.get_total_flops()
    assert gpu.flops(model.config, lengths) == counted


def test_known_peaks():
    for name in ("NVIDIA H100 80GB HBM3", "NVIDIA H200"):
        assert gpu.peak(name, torch.bfloat16) == gpu.peak(name, torch.float16) == pytest.approx(989e12, rel=1e-3)
    assert gpu.peak("NVIDIA H100 PCIe", torch.bfloat16) == 756e12
    assert gpu.peak("NVIDIA GeForce GTX 1080", torch.bfloat16) is None
    assert gpu.peak("NVIDIA H200", torch.int8) is None


def test_fp32_is_taken_as_it_is_multiplied():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        assert gpu.peak("NVIDIA H200", torch.float32) == pytest.approx(67e12, rel=1e-2)
        torch.set_float32_matmul_precision("high")
        assert gpu.peak("NVIDIA H200", torch.float32) == pytest.approx(495e12, rel=1e-3)
    finally:
        torch.set_float32_matmul_precision(before)


def test_what_a_model_reaches_is_its_operations_over_the_time(tiny_bert, monkeypatch):
    runs = []

    def three(run, device, repeats):
        runs.append(run().shape)
        assert device.type == "cpu" and repeats == 3
        return [0.5, 2.0, 0.25]

    monkeypatch.setattr(gpu, "_seconds", three)
    model, lengths = tiny_bert(), [8, 3, 8]
    found = gpu.achieved(model, lengths, 3, as_it_is)
    assert runs == [(3, 3)]
    assert found == (gpu.flops(model.config, lengths) / 0.5, None, (0.5, 0.375, 1.25))


def test_a_model_is_run_for_every_repeat(tiny_bert):
    calls = []

    def noting(module):
        return lambda *given: calls.append([tuple(part.shape) for part in given]) or module(*given)

    found = gpu.achieved(tiny_bert(), [4] * 5, 6, noting)
    assert set(map(tuple, calls)) == {((20,), (20,), (6,))} and len(calls) == 3 + 1 + 6
    assert found.flops_per_second > 0 and found.share_of_peak is None
    with pytest.raises(LaghuError, match="texts 0"):
        gpu.achieved(tiny_bert(), [], 1, as_it_is)
    with pytest.raises(LaghuError, match="repeats 0"):
        gpu.achieved(tiny_bert(), [4], 0, as_it_is)


# ------------------------------------------------------------------------------------------------ all together


SETTINGS = {"max_length": LENGTH, "dtype": torch.float32, "compiler": as_it_is, "batch": 4, "tokens": TOKENS,
            "lengths": [8] * 4, "repeats": 2, "window": 0.01}
SHAPE = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(throughput, "SHARE", 0.01)


def test_the_steps_side_by_side(folder, short):
    names = expected(BertForSequenceClassification, folder)
    labels = [LABELS.index(name) for name in names]
    labels[0] = (labels[0] + 1) % 3
    views = {"published": np.ones(len(TEXTS), dtype=bool), "clean": np.arange(len(TEXTS)) > 0}
    found = gpu.measure(folder, SHAPE, TEXTS, labels, views, "cpu", 3, documents=3 * len(TEXTS), **SETTINGS)
    assert list(found["steps"]) == ["pipeline", "padded, fp32", "padded", "bucketed", "packed"]
    assert found["steps"][gpu.REFERENCE]["ratio"] == {"median": 1, "low": 1, "high": 1}
    for step in found["steps"].values():
        assert len(step["documents_per_second"]["turns"]) == 3
        assert step["accuracy"] == {"published": 1 - 1 / len(TEXTS), "clean": 1}
        assert step["agreement"] == 1 and step["precision"] == "fp32" and step["share_of_peak"] is None
        assert step["kwh_per_1000_documents"] >= 0 and set(step["energy_source"]) == {"cpu", "gpu", "ram"}
    reached = found["achieved"]
    assert (reached["texts"], reached["tokens"], reached["share_of_peak"]) == (4, 32, None)
    assert found["settings"]["documents"] == 3 * len(TEXTS) and found["hardware"]["cpu"]


def test_texts_labels_and_views_must_fit(folder):
    with pytest.raises(LaghuError, match="2 texts, 1 labels and views of 2"):
        gpu.measure(folder, SHAPE, ["a", "b"], [0], {"clean": np.ones(2, dtype=bool)}, "cpu", 1, **SETTINGS)
    with pytest.raises(LaghuError, match="2 texts, 2 labels and views of 3"):
        gpu.measure(folder, SHAPE, ["a", "b"], [0, 1], {"clean": np.ones(3, dtype=bool)}, "cpu", 1, **SETTINGS)
