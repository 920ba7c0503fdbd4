import pytest

from laghu.errors import LaghuError
from laghu.report.rows import Row, in_order, row_of
from laghu.spec import RunSpec

SPECS = [
    RunSpec(technique="classical"),
    RunSpec(technique="baseline"),
    RunSpec(technique="continued"),
    RunSpec(technique="pruning", pruning_level=0.125),
    RunSpec(technique="pruning", pruning_level=0.5),
    RunSpec(technique="pruning_distillation", pruning_level=0.75, distillation="joint"),
    RunSpec(technique="pruning_distillation", pruning_level=0.25, distillation="after"),
    RunSpec(technique="ensemble_distillation"),
    RunSpec(technique="ensemble_distillation", pruning_level=0.75),
    RunSpec(technique="one_shot", pruning_level=0.5, one_shot={"criterion": "first_order"}),
    RunSpec(technique="one_shot", pruning_level=0.5),
    RunSpec(technique="one_shot", pruning_level=0.5, distillation="after"),
    RunSpec(technique="one_shot", pruning_level=0.75, one_shot={"epochs": 0}),
    RunSpec(technique="minitron", pruning_level=0.5),
    RunSpec(technique="minitron", minitron={"num_attention_heads": 1, "epochs": 0}, precision="bf16"),
    RunSpec(technique="minitron", pruning_level=0.5, minitron={"num_attention_heads": 1}),
    RunSpec(technique="minitron", pruning_level=0.5, minitron={"num_hidden_layers": 1}),
    RunSpec(technique="minitron", pruning_level=0.5, minitron={"num_hidden_layers": 2, "num_attention_heads": 1}),
    RunSpec(technique="from_scratch", pruning_level=0.75),
    RunSpec(technique="vocabulary_trimming", vocabulary={"size": 900}),
    RunSpec(technique="vocabulary_trimming", vocabulary={"size": 1500}),
    RunSpec(technique="two_step_distillation"),
    RunSpec(technique="student"),
    RunSpec(technique="quantization", quantization={"scheme": "fp32"}),
    RunSpec(technique="quantization"),
    RunSpec(technique="quantization", quantization={"scheme": "int4-weights"}),
    RunSpec(technique="quantization", quantization={"scheme": "int8-dynamic"}),
    RunSpec(technique="quantization", quantization={"of": "pruning_distillation"}, pruning_level=0.75,
            distillation="joint"),
    RunSpec(technique="quantization", quantization={"of": "vocabulary_trimming"}, pruning_level=0.75,
            distillation="joint"),
    RunSpec(technique="quantization", quantization={"of": "two_step_distillation", "scheme": "int8-dynamic"}),
    RunSpec(technique="mixed_precision", precision="bf16"),
    RunSpec(technique="mixed_precision", precision="fp16", pruning_level=0.5),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.run)
def test_reads_every_name_that_a_run_can_have(spec):
    row = Row.parse(row_of(spec.run))
    assert row.level == 100 * spec.pruning_level
    assert row.precision == spec.precision
    assert (row.distillation or "none") == spec.distillation
    assert row.untrained == (spec.run.count("untrained") == 1)


def test_order_is_that_of_the_tables_whatever_comes_in():
    wanted = [row_of(spec.run) for spec in SPECS]
    assert in_order(wanted[::-1]) == wanted


def test_levels_are_ordered_by_number_not_by_letter():
    assert in_order(["pruning-100", "pruning-25", "pruning-7p5"]) == ["pruning-7p5", "pruning-25", "pruning-100"]


def test_layers_and_heads_are_ordered_by_number_not_by_letter():
    names = ["minitron-12layers-2heads", "minitron-6layers-12heads", "minitron-6layers-2heads", "minitron-6layers"]
    assert in_order(names) == names[::-1]


@pytest.mark.parametrize(("name", "label"), [
    ("baseline", "Baseline"),
    ("continued", "Trained on"),
    ("ensemble-distillation", "Ensemble distilled"),
    ("ensemble-distillation-75", "Ensemble distilled, pruning 75 %"),
    ("one-shot-magnitude-75", "One shot by magnitude, pruning 75 %"),
    ("one-shot-random-75-joint", "One shot at random, pruning 75 %, distilled jointly"),
    ("one-shot-first-order-50-untrained", "One shot by first-order importance, pruning 50 %, not trained after"),
    ("minitron-2layers-50", "Minitron to 2 layers, pruning 50 %"),
    ("minitron-1layers", "Minitron to 1 layer"),
    ("minitron-2heads-50", "Minitron to 2 heads, pruning 50 %"),
    ("minitron-12layers-1heads", "Minitron to 12 layers and 1 head"),
    ("from-scratch-75", "From scratch, pruning 75 %"),
    ("quantization-int8-weights", "8-bit weights"),
    ("quantization-int4-weights-of-pruning-75-joint", "4-bit weights, of: pruning 75 %, distilled jointly"),
    ("vocabulary-trimming-40000tokens", "Vocabulary trimmed to 40,000 tokens"),
    ("two-step-small", "Two-step distillation (small)"),
    ("student-words", "Student of its own (words)"),
    ("pruning-50", "Pruning 50 %"),
    ("pruning-25-joint", "Pruning 25 %, distilled jointly"),
    ("mixed-precision-bf16", "Mixed precision, bf16"),
    ("mixed-precision-50-bf16", "Mixed precision, bf16, pruning 50 %"),
])
def test_labels(name, label):
    assert Row.parse(name).label == label


def test_a_run_with_its_seed_is_not_a_row():
    with pytest.raises(LaghuError, match="pruning-50-seed1"):
        Row.parse("pruning-50-seed1")
