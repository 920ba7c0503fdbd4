import random
from dataclasses import asdict, replace

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from laghu import measurement, paths, records
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import calculator, tables
from laghu.report.calculator import INPUTS, Shape

SMALL = Shape(vocabulary=90, width=12, layers=2, heads=3, ffn=7, length=5, positions=9, labels=4)
HIGHEST = Shape(**{given.key: given.high for given in INPUTS})
published = pytest.mark.skipif(not (paths.root() / "results" / "cpu" / "baseline-seed1.json").is_file(),
                               reason="the CPU study has not been run in this checkout")


def any_shape(seed):
    rng = random.Random(seed)
    heads = rng.randint(1, 16)
    positions = rng.randint(1, 600)
    return Shape(vocabulary=rng.randint(1, 300_000), width=heads * rng.randint(1, 64), layers=rng.randint(1, 6),
                 heads=heads, ffn=rng.randint(1, 4_000), length=rng.randint(1, positions), positions=positions,
                 labels=rng.randint(1, 20))


def bert(shape):
    config = BertConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.width, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=shape.ffn, max_position_embeddings=shape.positions,
        num_labels=shape.labels,
    )
    with torch.device("meta"):
        return BertForSequenceClassification(config)


@pytest.mark.parametrize("shape", [SMALL, *map(any_shape, range(12))])
def test_counts_are_those_of_a_model_of_that_shape(shape):
    model = bert(shape)
    counted, found = measurement.count_parameters(model), calculator.numbers(shape, shape)
    assert (found["embeddings"], found["encoder"], found["total"]) == (
        counted.embeddings, counted.encoder, counted.total)
    assert found["embeddings"] + found["encoder"] + found["head"] == found["total"]
    assert found["flops_per_token"] == measurement.encoder_flops_per_token(model.config, shape.length)
    assert found["flops_per_text"] == shape.length * found["flops_per_token"]
    assert found["fp32"] == measurement.weight_bytes(model)
    assert (found["bf16"], found["int8"]) == (found["fp32"] / 2, found["fp32"] / 4)


def test_the_bound_compares_at_the_length_of_the_shape():
    reference = replace(SMALL, ffn=50, length=9)
    of = measurement.encoder_flops_per_token
    expected = of(bert(reference).config, SMALL.length) / of(bert(SMALL).config, SMALL.length)
    assert calculator.numbers(SMALL, reference)["bound"] == expected > 1
    assert calculator.numbers(SMALL, SMALL)["bound"] == 1


def test_every_number_of_the_largest_shape_is_exact_in_javascript():
    assert max(calculator.numbers(HIGHEST, HIGHEST).values()) < 2**53


@pytest.mark.parametrize(("changes", "key", "message"), [
    ({"layers": 0}, "layers", "Layers: give 1 or more."),
    ({"vocabulary": -3}, "vocabulary", "Vocabulary: give 1 or more."),
    ({"width": 10**9}, "width", "Width: this page counts up to 8,192."),
    ({"ffn": 1.5}, "ffn", "FFN neurons: give a whole number."),
    ({"labels": True}, "labels", "Classes: give a whole number."),
    ({"positions": None}, "positions", "Positions: give a whole number."),
    ({"width": 100}, "heads", "3 heads can't share a width of 100 evenly; 2 or 4 can."),
    ({"width": 2}, "heads", "3 heads can't share a width of 2 evenly; 2 can."),
    ({"length": 10}, "length", "10 tokens are more than the 9 positions that the model has."),
])
def test_what_is_wrong_is_said_where_it_is(changes, key, message):
    assert calculator.problems(asdict(SMALL) | changes) == {key: message}
    with pytest.raises(LaghuError) as error:
        Shape(**asdict(SMALL) | changes)
    assert str(error.value) == message


def test_all_that_is_wrong_is_said_at_once():
    assert set(calculator.problems({given.key: 0 for given in INPUTS})) == {given.key for given in INPUTS}
    assert set(calculator.problems({})) == {given.key for given in INPUTS}
    assert calculator.problems(asdict(SMALL)) == {}


@published
def test_shapes_of_records_have_the_counts_of_records():
    study = tables.listed("cpu")
    found = {record.run: calculator.of_record(record) for record in study}
    for record in study:
        if shape := found[record.run]:
            counted = calculator.numbers(shape, shape)
            assert counted["total"] == record.parameters.total
            assert counted["embeddings"] == record.parameters.embeddings
            assert counted["encoder"] == record.parameters.encoder
            assert counted["flops_per_token"] == record.flops_per_token
    known = {run for run, shape in found.items() if shape}
    assert {"baseline-seed1", "pruning-75-joint-seed1", "student-words-seed1"} <= known
    # Cut in other ways than their settings say, or no encoder at all.
    assert not {"classical-seed1", "minitron-2layers-50-seed1", "vocabulary-trimming-4000tokens-seed1",
                "two-step-maximum-seed1"} & known


@published
def test_known_shapes_begin_with_the_teacher_and_end_with_the_paper():
    found = calculator.known(tables.listed("cpu"), records.load_costs("cpu"))
    teacher = RunRecord.load(paths.results("cpu") / "baseline-seed1.json")
    assert next(iter(found)) == "Baseline"
    assert found["Baseline"].labels == 12
    assert calculator.numbers(*[found["Baseline"]] * 2)["total"] == teacher.parameters.total
    assert list(found)[-1] == "The paper's encoder"
    assert (found["The paper's encoder"].vocabulary, found["The paper's encoder"].width) == (197_285, 768)
    assert len(set(found.values())) == len(found)


@published
def test_a_record_whose_counts_are_not_those_of_its_settings_has_no_shape():
    record = RunRecord.load(paths.results("cpu") / "baseline-seed1.json")
    off_by_one = record.parameters.model_copy(update={"total": record.parameters.total + 1})
    assert calculator.of_record(record.model_copy(update={"parameters": off_by_one})) is None
    assert calculator.of_record(record.model_copy(update={"flops_per_token": 1})) is None
