"""What can be known of a benchmark without a clock."""

import csv

import numpy as np
import pytest
import torch
from fake_benchmark import benchmark
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForSequenceClassification

from laghu import corpora, evaluation, paths
from laghu.benchmark import flops, record, regress, run
from laghu.benchmark.record import BenchmarkRecord, Quartiles
from laghu.errors import LaghuError
from laghu.first_token import FirstTokenClassifier
from laghu.spec import Study
from laghu.throughput import Spread

CONFIG = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=40,
                    max_position_embeddings=64, num_labels=3)


def counted(model: torch.nn.Module, length: int) -> int:
    """PyTorch's own count of one text's matrix products, without pooler and classifier."""
    ids = torch.full((1, length), 5)
    # The mathematical attention: fused ones are counted as one.
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return counter.get_total_flops() - 2 * (16 * 16 + 16 * 3)


@pytest.mark.parametrize("length", [1, 7, 40])
def test_operations_are_those_that_pytorch_counts(length):
    model = BertForSequenceClassification(CONFIG).eval()
    assert flops.of_document(CONFIG, length) == counted(model, length)
    assert flops.of_document(CONFIG, length, first_token=True) == counted(FirstTokenClassifier(model), length)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 9), st.integers(40, 200))
def test_padding_goes_to_the_longest_of_a_batch(lengths, batch_size, tokens):
    padded = flops.in_order(lengths, batch_size)
    assert padded == [max(lengths[i - i % batch_size:i - i % batch_size + batch_size]) for i in range(len(lengths))]
    by_length = flops.sorted_by_length(lengths, tokens, chunk=20)
    assert len(by_length) == len(lengths) and sum(by_length) >= sum(lengths)
    assert flops.sorted_by_length(lengths, 1, chunk=20).count(max(lengths)) == lengths.count(max(lengths))


def test_accuracy_is_that_of_the_views():
    corpus = corpora.load("sample")
    test = corpus.splits["test"]
    predicted = np.random.default_rng(0).integers(0, len(corpus.labels), len(test))
    found = run.accuracy([corpus.labels[label] for label in predicted], corpus)
    for view, rows in evaluation.views(test).items():
        assert found[view] == evaluation.accuracy(np.array(test["label"])[rows], predicted[rows])


def test_factors_are_taken_step_by_step_and_turn_by_turn():
    samples = {"a": [1, 10, 100], "b": [2, 20, 200], "c": [3, 30, 300]}
    assert regress.factors(["a", "b", "c"], samples) == {"b": (2, 2, 2), "c": pytest.approx((1.5, 1.5, 1.5))}


def test_only_what_fell_below_the_margin_is_a_regression():
    published = benchmark()  # engine 2.5x, last 0.8x
    fine = {"engine": Spread(1.8, 1.7, 1.9), "last": Spread(0.9, 0.8, 1.0), "new": Spread(0.1, 0.1, 0.1)}
    assert regress.regressed(fine, published, margin=0.25) == []
    lost = regress.regressed(fine | {"engine": Spread(1.8, 1.7, 1.87)}, published, margin=0.25)
    assert lost == ["engine: 1.80x (1.70 to 1.87), published 2.50x"]


def test_a_record_comes_back_as_it_was(tmp_path):
    made = benchmark()
    assert BenchmarkRecord.load(made.save(tmp_path)) == made
    assert [each.name for each in made.path] == ["pipeline", "engine", "last"]


def test_the_table_has_the_contenders_of_all_studies(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    for study in ("quick", "cpu"):
        benchmark(study=study).save()
    with record.write_table().open(encoding="utf-8") as handle:
        found = list(csv.DictReader(handle))
    assert [(row["study"], row["contender"]) for row in found] == [
        (study, name) for study in ("cpu", "quick") for name in ("pipeline", "engine", "last", "TF-IDF", "untrained")
    ]
    assert tuple(found[0]) == record.COLUMNS
    engine = found[1]
    assert engine["machine"] == "AMD EPYC, 2 threads"
    assert float(engine["documents_per_second"]) == 500 and float(engine["documents_per_second_high"]) == 550
    assert (engine["ratio"], engine["factor"], engine["accuracy_clean"]) == ("2.5", "2.5", "0.8")
    assert found[4]["accuracy_clean"] == found[4]["energy_kwh_per_1000_documents"] == ""


def test_the_printed_table_has_a_line_a_contender():
    text = run.summary(benchmark())
    assert [line.split()[0] for line in text.splitlines()] == [
        "contender", "pipeline", "engine", "last", "TF-IDF", "untrained", "one", "The"]
    assert "2.50x" in text.splitlines()[2] and "80.0" in text.splitlines()[2]
    assert "invented" not in run.summary(benchmark(synthetic=False))


def test_a_study_without_a_benchmark_is_refused_by_name():
    with pytest.raises(LaghuError, match=r"study .cpu-words. has no benchmark; give studies.cpu-words"):
        run.run(Study.load("cpu-words"))


def test_every_study_with_a_benchmark_names_runs_that_it_has():
    for file in paths.studies().glob("*.yaml"):
        study = Study.load(file.stem)
        for step in study.bench.path if study.bench else []:
            assert study.find(f"{step.run}-seed{study.bench.seed}").technique not in ("classical", "quantization")


def test_quartiles_are_those_of_a_spread():
    assert Quartiles.of(Spread(2.0, 1.0, 3.0)) == Quartiles(median=2.0, low=1.0, high=3.0)
