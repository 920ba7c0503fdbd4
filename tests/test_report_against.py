import statistics

import pandas as pd
import pytest
from fake_records import fake_record, fake_study

from laghu.errors import LaghuError
from laghu.report import against
from laghu.spec import Quantization, RunSpec, TwoStep

SEEDS = (1, 2, 3)
CONTROL = "ONNX Runtime on the CPU, token ids to logits"


def runs(**spec):
    return [fake_record(RunSpec(study="cpu", seed=seed, **spec)) for seed in SEEDS]


def two_step(**settings):
    return runs(technique="two_step_distillation", two_step=TwoStep(**settings))


def quantized(scheme, weight_bytes, **of):
    engine = {"engine": CONTROL}
    return [record.model_copy(update={"weight_bytes": weight_bytes,
                                      "timing": record.timing.model_copy(update=engine)})
            for record in runs(technique="quantization", quantization=Quantization(scheme=scheme, **of))]


STUDY = [
    *fake_study(), *two_step(name="moderate"), *two_step(name="alpha0", alpha=0.0),
    *two_step(name="first", order=("vocabulary", "depth", "width"), steps=2400),
    *quantized("fp32", 4_000_000), *quantized("int4-weights", 600_000),
]


def accuracy(row, seed):
    return next(record.accuracy.clean.value for record in STUDY if record.run == f"{row}-seed{seed}")


def test_rows_stand_below_their_reference_with_paired_differences():
    numbers = against.table(STUDY, "pruning-75-joint", ["pruning-75", "pruning-75-after", "pruning-75-joint"])
    assert list(numbers.index) == ["pruning-75-joint", "pruning-75", "pruning-75-after"]
    paired = [accuracy("pruning-75", seed) - accuracy("pruning-75-joint", seed) for seed in SEEDS]
    assert numbers.loc["pruning-75", ("comparison", "difference")] == pytest.approx(statistics.mean(paired), abs=1e-12)
    text = against.rendered(numbers)
    assert text.iloc[0].tolist()[1:] == ["–"] * 5
    assert text.loc["Pruning 75 %", "Difference (points)"] == f"{100 * statistics.mean(paired):.2f}"
    assert text.loc["Pruning 75 %", "Seeds that differ"].endswith(" of 3")


@pytest.mark.parametrize(("reference", "rows", "message"), [
    ("minitron-75", ["pruning-75"], "the study has no row 'minitron-75'; it has classical"),
    ("pruning-75", ["pruning-75"], "no row to compare with pruning-75"),
])
def test_what_cannot_be_compared_is_refused(reference, rows, message):
    with pytest.raises(LaghuError, match=message):
        against.table(STUDY, reference, rows)


def test_an_ablation_says_what_differs_from_its_reference():
    numbers = against.ablation(STUDY, "two-step-moderate")
    assert numbers[against.DIFFERS].to_dict() == {
        "two-step-moderate": "", "two-step-alpha0": "alpha 0 instead of 0.5",
        "two-step-first": "order vocabulary, depth, width instead of depth, width, vocabulary; "
                          "steps 2,400 instead of 250",
    }
    text = against.rendered_ablation(numbers)
    assert list(text.index[:2]) == ["moderate: the reference", "alpha0: alpha 0 instead of 0.5"]
    assert "Removed (%)" in text


def test_a_setting_that_an_older_record_lacks_had_its_default():
    older = [record.model_copy(update={"settings": record.settings | {"two_step": {
        name: value for name, value in record.settings["two_step"].items() if name != "taught_by"}}})
        if "alpha0" in record.run else record for record in STUDY]
    assert against.ablation(older, "two-step-moderate").loc["two-step-alpha0", against.DIFFERS] == (
        "alpha 0 instead of 0.5")


def test_an_ablation_needs_rows_of_two_step_distillation():
    with pytest.raises(LaghuError, match="'pruning-75' is no row of two-step distillation; there are two-step-alpha0"):
        against.ablation(STUDY, "pruning-75")
    with pytest.raises(LaghuError, match="no other row of two-step distillation than two-step-moderate"):
        against.ablation([*fake_study(), *two_step(name="moderate")], "two-step-moderate")


def test_quantised_rows_stand_below_what_they_were_made_of():
    pruned = runs(technique="quantization", quantization=Quantization(scheme="int8-dynamic", of="pruning_distillation"),
                  pruning_level=0.75, distillation="joint")
    numbers = against.quantization([*STUDY, *pruned])
    assert list(numbers.index) == ["baseline", "quantization-fp32", "quantization-int4-weights", "pruning-75-joint",
                                   "quantization-int8-dynamic-of-pruning-75-joint"]
    assert numbers["size", "mean"].tolist()[:3] == pytest.approx([1, 1, 0.15])
    assert numbers[against.ENGINE].tolist()[:2] == ["invented", CONTROL.partition(",")[0]]
    own = next(record for record in pruned if record.seed == 2)
    paired = [record.accuracy.clean.value - accuracy("pruning-75-joint", record.seed) for record in pruned]
    line = numbers.loc["quantization-int8-dynamic-of-pruning-75-joint"]
    assert own.settings["quantization"]["of"] == "pruning_distillation"
    assert line["comparison", "difference"] == pytest.approx(statistics.mean(paired), abs=1e-12)
    assert pd.isna(numbers.loc["pruning-75-joint", against.SAME])
    shares = []
    for record in pruned:
        source = next(other for other in STUDY if other.run == f"pruning-75-joint-seed{record.seed}")
        clean = [place for place, kind in enumerate(record.row_views) if kind == "2"]
        shares.append(sum(record.predictions[place] == source.predictions[place] for place in clean) / len(clean))
    assert line[against.SAME] == pytest.approx(statistics.mean(shares))
    assert against.rendered_quantization(numbers).loc["4-bit weights", "Size over the baseline's in fp32 (%)"] == "15.0"


def test_quantised_rows_need_what_they_were_made_of():
    with pytest.raises(LaghuError, match="has no quantised row"):
        against.quantization(fake_study())
    alone = [record for record in STUDY if record.technique == "quantization"]
    with pytest.raises(LaghuError, match="quantization-fp32 was made of a row that the study does not have: Baseline"):
        against.quantization(alone)
