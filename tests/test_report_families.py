import pytest
from fake_records import fake_record, fake_study

from laghu.errors import LaghuError
from laghu.report import families, statistics
from laghu.report.rows import row_of
from laghu.spec import OneShot, RunSpec

OTHERS = ["one-shot-random-75", "minitron-75", "from-scratch-75", "vocabulary-trimming-4000tokens-75-joint",
          "two-step-moderate", "ensemble-distillation-75", "quantization-int8-weights",
          "quantization-int4-weights-of-pruning-75-joint"]


def test_rows_of_the_first_paper_are_those_of_its_study():
    rows = {row_of(record.run) for record in fake_study()}
    assert set(families.of_paper_1([*OTHERS, *rows])) == rows
    assert set(families.of_paper_1(OTHERS)) == set(OTHERS)  # a study of other techniques alone is not left empty


def test_another_technique_in_the_study_changes_no_corrected_p_of_the_family():
    study = fake_study()
    more = [fake_record(RunSpec(study="cpu", technique="one_shot", pruning_level=0.75, seed=seed,
                                one_shot=OneShot(criterion="random"))) for seed in (1, 2, 3)]
    family = [record for record in [*study, *more] if row_of(record.run) in families.of_paper_1(
        row_of(record.run) for record in [*study, *more])]
    assert statistics.compare(family, "clean").equals(statistics.compare(study, "clean"))
    assert not statistics.compare([*study, *more], "clean").equals(statistics.compare(study, "clean"))


def test_patterns_name_rows_in_the_order_of_tables():
    rows = ["pruning-75", "one-shot-random-75", "pruning-25", "baseline"]
    assert families.chosen(rows, ["pruning-*", "baseline"]) == ["baseline", "pruning-25", "pruning-75"]
    with pytest.raises(LaghuError, match="'minitron-\\*' names no row of the study; it has baseline, pruning-25"):
        families.chosen(rows, ["pruning-*", "minitron-*"])
