"""Oracles: transformers on the same checkpoint, one text at a time; arithmetic on its weights; workers of few lines."""

import math
import os
import sys

import numpy as np
import pytest
import torch
from headlines import HEADLINES
from torch import nn
from torch.ao.nn.quantized import dynamic
from transformers import AutoTokenizer, BertForSequenceClassification

from laghu import classical
from laghu.benchmark import peers
from laghu.errors import LaghuError

LABELS = ["Auto", "खेळ", "State"]
TEXTS = [*HEADLINES, "", " ", "a", "🙂" * 3, "पाऊस " * 300, *HEADLINES[::-2]]
LENGTH = 24
ENCODER = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
           "intermediate.dense", "output.dense"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer, tiny_bert):
    """A random classifier whose labels differ from text to text."""
    made = tmp_path_factory.mktemp("peers") / "checkpoint"
    model = tiny_bert(3, id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)})
    tokenizer.save_pretrained(made)
    with torch.no_grad():
        model.classifier.bias.sub_(logits(model, made).mean(dim=0))
    model.save_pretrained(made)
    return made


def loaded(folder):
    return BertForSequenceClassification.from_pretrained(folder).eval()


def logits(model, folder, texts=TEXTS):
    """(texts, labels), one text at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return torch.cat([
            model(**tokenizer(text, truncation=True, max_length=LENGTH, return_tensors="pt")).logits for text in texts
        ])


def likeliest(model, folder):
    labels = [LABELS[best] for best in logits(model, folder).argmax(dim=-1).tolist()]
    assert len(set(labels)) > 1
    return labels


def encoder_weights(model):
    """The linear weights of both layers, by name."""
    return {name: parameter for name, parameter in model.named_parameters()
            if name.startswith("bert.encoder") and name.removesuffix(".weight").endswith(tuple(ENCODER))
            and parameter.ndim == 2}


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("way", [peers.pipeline, peers.sorted_batches])
def test_labels_are_those_of_transformers_in_the_order_of_the_texts(folder, way, size):
    assert way(folder, LENGTH, size)(TEXTS) == likeliest(loaded(folder), folder)


@pytest.mark.parametrize("way", [
    lambda folder: peers.pipeline(folder, LENGTH, 4), lambda folder: peers.sorted_batches(folder, LENGTH, 64),
    lambda folder: peers.tfidf(HEADLINES, LABELS * 2 + LABELS[:2], 0),
])
def test_no_texts_have_no_labels(folder, way):
    assert list(way(folder)([])) == []


@pytest.mark.parametrize("way", [peers.pipeline, peers.sorted_batches])
def test_what_is_beyond_the_length_is_not_read(folder, way):
    start = "पाऊस " * LENGTH
    first, second = way(folder, LENGTH, 8)([start + "अ " * 50, start + "z " * 7])
    assert first == second


@pytest.mark.parametrize("before", [None, "true", "false"])
def test_a_pipeline_leaves_the_threads_of_other_tokenizers_alone(folder, monkeypatch, before):
    """transformers sets the variable for the whole process when it is not set."""
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    if before is not None:
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", before)
    peers.pipeline(folder, LENGTH, 2)(TEXTS)
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before


# ------------------------------------------------------------------------------------------------ eight bits


def test_every_linear_layer_is_quantised_and_no_weight_is_off_by_more_than_half_a_step(folder):
    model = loaded(folder)
    quantised = dict(peers.dynamic_int8(model).named_modules())
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert len(linear) == 2 * len(ENCODER) + 2
    for name, module in linear.items():
        assert isinstance(quantised[name], dynamic.Linear)
        weight = quantised[name].weight()
        assert weight.dtype == torch.qint8
        assert (weight.dequantize() - module.weight).abs().max() <= 0.51 * weight.q_scale()
    assert not any(type(module) is nn.Linear for module in quantised.values())


def test_eight_bits_change_logits_far_less_than_another_text_does(folder):
    model = loaded(folder)
    expected = logits(model, folder)
    found = logits(peers.dynamic_int8(model), folder)
    assert not torch.equal(found, expected)
    assert (found - expected).norm() < 0.3 * (expected - expected.mean(dim=0)).norm()


def test_labels_in_eight_bits_are_those_of_the_quantised_model(folder):
    """A text to a batch: what is beside it would change its activations' scale."""
    way = peers.torch_dynamic_int8(folder, LENGTH, tokens=1)
    assert way(TEXTS) == likeliest(peers.dynamic_int8(loaded(folder)), folder)


# ------------------------------------------------------------------------------------------------ zeros


@pytest.mark.parametrize("sparsity", [0, 0.5, 0.9])
def test_the_smallest_weights_of_the_encoder_are_zero_and_nothing_else_is_changed(folder, tmp_path, sparsity):
    before = loaded(folder)
    peers.save_magnitude_pruned(folder, tmp_path / "pruned", sparsity)
    after = loaded(tmp_path / "pruned")
    weights = encoder_weights(before)
    assert len(weights) == 2 * len(ENCODER)
    sizes = np.sort(np.concatenate([weight.detach().abs().numpy().ravel() for weight in weights.values()]))
    count = round(sparsity * len(sizes))
    bound = sizes[count]
    for name, parameter in after.named_parameters():
        expected = dict(before.named_parameters())[name]
        if name in weights:
            expected = torch.where(expected.abs() < bound, 0, expected)
        assert torch.equal(parameter, expected), name
    assert sum(int((weight == 0).sum()) for weight in encoder_weights(after).values()) == count


def test_labels_of_a_pruned_model_are_those_of_its_checkpoint(folder, tmp_path):
    peers.save_magnitude_pruned(folder, tmp_path / "pruned", 0.6)
    expected = likeliest(loaded(tmp_path / "pruned"), folder)
    assert peers.sorted_batches(tmp_path / "pruned", LENGTH, 64)(TEXTS) == expected


# ------------------------------------------------------------------------------------------------ fewer neurons


@pytest.mark.parametrize(("level", "width"), [(0, 12), (0.25, 9), (0.5, 6), (0.9, 1)])
def test_a_narrower_checkpoint_answers_like_one_whose_smallest_neurons_are_zero(folder, tmp_path, level, width):
    pytest.importorskip("torch_pruning")
    peers.torch_pruning(folder, tmp_path / "narrow", level)
    narrow, zeroed = loaded(tmp_path / "narrow"), loaded(folder)
    assert narrow.config.intermediate_size == width
    with torch.no_grad():
        for layer in zeroed.bert.encoder.layer:
            up, down = layer.intermediate.dense, layer.output.dense
            sizes = up.weight.square().sum(dim=1) + down.weight.square().sum(dim=0)
            removed = sizes.argsort()[: 12 - width]
            up.weight[removed], up.bias[removed], down.weight[:, removed] = 0, 0, 0
    assert [layer.intermediate.dense.out_features for layer in narrow.bert.encoder.layer] == [width] * 2
    torch.testing.assert_close(logits(narrow, tmp_path / "narrow"), logits(zeroed, folder))


def test_torch_pruning_has_to_be_there(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(LaghuError, match=r"laghu\[peers\]"):
        peers.torch_pruning(folder, tmp_path / "narrow", 0.5)


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(("call", "message"), [
    (lambda folder: peers.pipeline(folder, LENGTH, 0), "batch_size 0 must"),
    (lambda folder: peers.pipeline(folder, 65, 1), "max_length 65 must be from 3 to 64"),
    (lambda folder: peers.sorted_batches(folder, LENGTH, 0), "tokens 0 must"),
    (lambda folder: peers.sorted_batches(folder / "none", LENGTH, 1), "no config.json"),
    (lambda folder: peers.save_magnitude_pruned(folder, folder / "pruned", 1), "sparsity 1 must"),
    (lambda folder: peers.save_magnitude_pruned(folder, folder / "pruned", math.nan), "sparsity nan must"),
    (lambda folder: peers.save_magnitude_pruned(folder, folder, 0.5), "give another folder"),
    (lambda folder: peers.optimum_onnx(folder, LENGTH, 1, sys.executable, threads=0), "threads 0 must"),
    (lambda folder: peers.optimum_onnx(folder, LENGTH, 1, folder / "python"), r"python can't be run \(No such file"),
])
def test_what_can_not_be_measured_is_refused(folder, call, message):
    with pytest.raises(LaghuError, match=message):
        call(folder)


@pytest.mark.parametrize(("level", "message"), [(1.0, "level 1.0 must"), (0.95, "leaves none of 12 neurons")])
def test_some_neurons_have_to_stay(folder, tmp_path, level, message):
    pytest.importorskip("torch_pruning")
    with pytest.raises(LaghuError, match=message):
        peers.torch_pruning(folder, tmp_path / "narrow", level)
    assert not (tmp_path / "narrow").exists()


# ------------------------------------------------------------------------------------------------ no encoder


def test_tfidf_gives_names():
    names = [LABELS[place % 3] for place in range(len(HEADLINES))]
    numbers = [sorted(LABELS).index(name) for name in names]
    expected = classical.fit(HEADLINES, numbers, seed=1).predict(TEXTS)
    assert peers.tfidf(HEADLINES, names, 1)(TEXTS) == [sorted(LABELS)[number] for number in expected]


# ------------------------------------------------------------------------------------------------ another environment


@pytest.fixture
def elsewhere(folder, tmp_path):
    """A way through a worker of these lines; `asked` is what it was started with."""

    def make(program, **settings):
        worker = tmp_path / "worker.py"
        worker.write_text(f"import json, sys\nasked = sys.argv[1:]\n{program}", encoding="utf-8")
        return peers.optimum_onnx(folder, LENGTH, 5, sys.executable, worker=worker, **settings)

    return make


BACKWARDS = """
print(json.dumps({"asked": asked}), flush=True)
for line in sys.stdin:
    print(json.dumps([text[::-1] for text in json.loads(line)]), flush=True)
"""


def test_texts_and_labels_go_through_pipes_unchanged(elsewhere):
    way = elsewhere(BACKWARDS)
    for texts in (TEXTS, [], ["\n", "\r", "\u2028", '"', "\x00"], ["पाऊस " * 100_000]):
        assert way(texts) == [text[::-1] for text in texts]


@pytest.mark.parametrize(("settings", "more"), [({}, []), ({"threads": 2}, ["2"])])
def test_a_worker_is_told_what_to_do(elsewhere, folder, settings, more):
    assert elsewhere(BACKWARDS, **settings).versions == {"asked": [str(folder), str(LENGTH), "5", *more]}


def test_a_worker_sees_nothing_of_this_environment(elsewhere, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/of/this/environment")
    way = elsewhere("import os; print(json.dumps([sys.path, os.environ['HF_HUB_OFFLINE']]), flush=True)")
    path, offline = way.versions
    assert "/of/this/environment" not in path and offline == "1"


def test_a_worker_that_does_not_start_is_an_error_with_its_last_words(elsewhere):
    with pytest.raises(LaghuError, match=r"exit code 1 \(ModuleNotFoundError: No module named 'no_such_module'\)"):
        elsewhere("import no_such_module")


def test_a_worker_that_dies_is_an_error_again_and_again(elsewhere):
    way = elsewhere("""
print("{}", flush=True)
sys.stdin.readline()
print("first", "last words", "", sep="\\n", file=sys.stderr)
sys.exit(3)
""")
    for _ in range(2):
        with pytest.raises(LaghuError, match=r"worker.py ended with exit code 3 \(last words\)"):
            way(["पाऊस " * 100_000])


def test_a_worker_that_died_before_it_was_asked_is_an_error(elsewhere):
    way = elsewhere('print("{}")')
    way._process.wait()
    with pytest.raises(LaghuError, match=r"exit code 0 \(it said nothing\)"):
        way(["पाऊस " * 100_000])


def test_an_answer_that_is_no_json_is_an_error(elsewhere):
    with pytest.raises(LaghuError, match="said 'hello'"):
        elsewhere('print("hello")')


def test_a_talkative_worker_does_not_block(elsewhere):
    way = elsewhere("print('notes ' * 100_000, file=sys.stderr)" + BACKWARDS)
    assert way(["ab"]) == ["ba"]


def test_a_worker_ends_with_its_way(elsewhere):
    way = elsewhere(BACKWARDS)
    process = way._process
    assert process.poll() is None
    del way
    assert process.returncode == 0
