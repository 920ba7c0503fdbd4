import socket
import statistics
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForSequenceClassification

from laghu import measurement, quiet
from laghu.errors import LaghuError
from laghu.measurement import Timing, count_parameters, encoder_flops_per_token, speed_up, time_in_turns


def paper_config(ffn: int) -> BertConfig:
    """The model of paper 1 (arXiv 2409.14162): BERT-base with the vocabulary of marathi-bert-v2 and 12 labels."""
    return BertConfig(vocab_size=197_285, intermediate_size=ffn, num_labels=12)


def small_model(**changes) -> BertForSequenceClassification:
    config = {
        "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 40,
        "max_position_embeddings": 12, "num_labels": 4,
    }
    return BertForSequenceClassification(BertConfig(**config | changes))


@pytest.mark.parametrize(
    ("ffn", "total", "megaflops"),
    [
        (3072, 237_565_452, 174.588),
        (2304, 223_400_460, 146.276),
        (1536, 209_235_468, 117.965),
        (768, 195_070_476, 89.653),
    ],
)
def test_sizes_of_the_paper(ffn, total, megaflops):
    with torch.device("meta"):
        model = BertForSequenceClassification(paper_config(ffn))
    parameters = count_parameters(model)
    assert parameters.total == total
    # Vocabulary, positions, token types and one normalisation (weight and bias), each 768 wide.
    assert parameters.embeddings == 768 * (197_285 + 512 + 2 + 2)
    # Left beside embeddings and encoder: the pooler and the head with 12 labels.
    assert parameters.total - parameters.embeddings - parameters.encoder == 768 * 769 + 12 * 769
    assert round(encoder_flops_per_token(model.config, 128) / 1e6, 3) == megaflops


def test_flops_agree_with_pytorchs_own_count():
    model = small_model(attn_implementation="eager").eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(5, 12, dtype=torch.long))
    counted = sum(counter.get_flop_counts()["BertForSequenceClassification.bert.encoder"].values())
    assert encoder_flops_per_token(model.config, 12) * 5 * 12 == counted


def test_shared_parameters_count_once():
    model = small_model()
    one_layer = sum(p.numel() for p in model.bert.encoder.layer[0].parameters())
    before = count_parameters(model)
    model.bert.encoder.layer[2] = model.bert.encoder.layer[0]
    after = count_parameters(model)
    assert before.total - after.total == before.encoder - after.encoder == one_layer
    assert before.encoder == 3 * one_layer


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(LaghuError, match="Linear"):
        model = nn.Linear(2, 2)
        model.base_model = model
        count_parameters(model)


class Clock:
    """Time that passes only when a model says so."""

    wall = cpu = 0.0


class Contender(nn.Module):
    """A model that takes a given time, of which it gets the CPU for a given share; one entry per call."""

    def __init__(self, name: str, clock: Clock, log: list, milliseconds: list, shares: list, vocabulary: int = 9):
        super().__init__()
        self.config = SimpleNamespace(vocab_size=vocabulary, max_position_embeddings=8)
        self.device = torch.device("cpu")
        self.name, self.clock, self.log = name, clock, log
        self.times = iter(zip(milliseconds, shares, strict=True))

    def forward(self, input_ids, attention_mask):
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.log.append((self.name, input_ids, attention_mask))
        milliseconds, share = next(self.times)
        self.clock.wall += milliseconds / 1000
        self.clock.cpu += share * milliseconds / 1000


@pytest.fixture
def clock(monkeypatch, tmp_path):
    monkeypatch.setattr(measurement, "perf_counter", lambda: Clock.wall)
    monkeypatch.setattr(measurement, "thread_time", lambda: Clock.cpu)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where the quiet locks lie
    return Clock


def test_contenders_take_turns_on_the_same_input(clock):
    log = []
    models = {
        "a": Contender("a", clock, log, [90, 1, 2, 3], [1] * 4, vocabulary=7),
        "b": Contender("b", clock, log, [90, 4, 5, 6], [1] * 4, vocabulary=5),
        "c": Contender("c", clock, log, [90, 7, 8, 9], [1] * 4, vocabulary=9),
    }
    timings = time_in_turns(models, batch_size=16, sequence_length=8, repeats=3, warm_up=1)
    assert "".join(name for name, *_ in log) == "abc" + "abc" + "bca" + "cab"
    for name, samples in {"a": (1, 2, 3), "b": (4, 5, 6), "c": (7, 8, 9)}.items():
        assert timings[name].samples_ms == pytest.approx(samples)
        assert timings[name].retaken == 0
    _, first_ids, _ = log[0]
    assert first_ids.shape == (16, 8)
    assert set(first_ids.unique().tolist()) == set(range(5))  # ids that the smallest vocabulary has
    assert all(torch.equal(ids, first_ids) and mask.all() for _, ids, mask in log)
    assert all(model.training for model in models.values())


def test_samples_without_the_cpu_are_retaken_at_once(clock):
    log = []
    models = {
        "a": Contender("a", clock, log, [10, 99, 98, 11], [1, 0.1, 0.79, 0.81]),
        "b": Contender("b", clock, log, [20, 21], [1, 2]),
    }
    timings = time_in_turns(models, batch_size=1, sequence_length=2, repeats=2, warm_up=0)
    assert "".join(name for name, *_ in log) == "ab" + "b" + "aaa"
    assert timings["a"].samples_ms == pytest.approx((10, 11))
    assert (timings["a"].retaken, timings["b"].retaken) == (2, 0)


def test_retaking_ends_after_as_many_as_there_are_repeats(clock):
    model = Contender("a", clock, [], list(range(1, 7)), [0.1] * 6)
    timing = time_in_turns({"a": model}, batch_size=1, sequence_length=2, repeats=3, warm_up=0)["a"]
    assert timing.samples_ms == pytest.approx((4, 5, 6))
    assert timing.retaken == 3


def test_real_models_are_timed(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    models = {"wide": small_model(), "narrow": small_model(intermediate_size=8, vocab_size=30)}
    timings = time_in_turns(models, batch_size=2, sequence_length=12, repeats=4, warm_up=1)
    assert list(timings) == ["wide", "narrow"]
    assert all(len(t.samples_ms) == 4 and min(t.samples_ms) > 0 for t in timings.values())


def test_timing_keeps_training_out(clock):
    with quiet.working(), pytest.raises(LaghuError, match="training step"):
        time_in_turns({"a": Contender("a", clock, [], [1], [1])}, 1, 2, 1, 0)


@pytest.mark.parametrize(
    ("models", "length", "repeats", "message"),
    [({}, 4, 3, "0 models"), ({"a": 12}, 4, 0, "0 repeats"), ({"a": 12}, 13, 3, "a: sequence_length 13 .* 12 pos")],
)
def test_what_cannot_be_timed_is_refused(models, length, repeats, message):
    models = {name: small_model(max_position_embeddings=positions) for name, positions in models.items()}
    with pytest.raises(LaghuError, match=message):
        time_in_turns(models, 1, length, repeats, 0)


def test_summaries_of_a_timing():
    samples = tuple(np.random.default_rng(0).gamma(9, size=21))
    timing = Timing(samples)
    quarters = statistics.quantiles(samples, n=4, method="inclusive")
    assert timing.p50 == pytest.approx(statistics.median(samples))
    assert timing.quartiles == pytest.approx((quarters[0], quarters[2]))
    assert timing.p95 == pytest.approx(statistics.quantiles(samples, n=20, method="inclusive")[18])
    assert measurement.documents_per_second(Timing((250.0, 500.0, 800.0)), batch_size=32) == 64


def test_speed_up_compares_turn_by_turn():
    # A slow third turn hits both alike: the ratio of medians would say 10 / 4.
    assert speed_up(Timing((10.0, 9.0, 40.0)), Timing((4.0, 3.0, 20.0))) == pytest.approx((2.5, 2.25, 2.75))
    assert speed_up(Timing((6.0,)), Timing((3.0,))) == (2, 2, 2)
    with pytest.raises(LaghuError, match="2 samples against 1"):
        speed_up(Timing((1.0, 2.0)), Timing((1.0,)))


def test_peak_memory_outlives_what_caused_it():
    block = np.ones(2**24)  # 128 MiB, every page touched
    resident = psutil.Process().memory_info().rss
    del block
    peak, source = measurement.peak_memory_bytes()
    assert peak >= 0.99 * resident  # the kernel's counters are a few pages apart
    assert peak < psutil.virtual_memory().total
    assert "process" in source


def test_peak_memory_on_a_gpu_is_the_allocators(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 123)
    peak, source = measurement.peak_memory_bytes()
    assert peak == 123
    assert "CUDA" in source


def test_hardware_says_what_counts_and_names_nobody():
    machine = measurement.hardware()
    assert machine["ram_gib"] == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
    assert machine["logical_cores"] == psutil.cpu_count()
    assert machine["threads"] == torch.get_num_threads()
    assert machine["cpu"]
    assert (machine["gpu"] is None) == (machine["gpu_memory_gib"] is None) == (not torch.cuda.is_available())
    text = " ".join(map(str, machine.values()))
    assert socket.gethostname() not in text
    assert "/" not in machine["platform"]


@pytest.mark.parametrize(
    ("precision", "device", "cuda", "bf16", "says"),
    [
        ("fp32", "cpu", False, False, None),
        ("bf16", "cpu", False, False, None),
        ("fp16", "cpu", True, True, "fp16 needs a CUDA GPU"),
        ("fp32", "cuda", False, False, "no CUDA GPU"),
        ("fp32", "cuda", True, False, None),
        ("fp16", "cuda:0", True, False, None),
        ("bf16", "cuda", True, False, "Old GPU has no bf16"),
        ("bf16", "cuda", True, True, None),
        ("fp32", "mps", False, False, "'mps'"),
        ("int8", "cpu", False, False, "'int8'"),
    ],
)
def test_supported_precisions(monkeypatch, precision, device, cuda, bf16, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    answer = measurement.supports(precision, device)
    assert (answer is None) if says is None else (says in answer and "\n" not in answer)
