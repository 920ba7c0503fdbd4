import statistics

import pandas as pd
import pytest
from fake_records import ROWS, fake_record, fake_study

from laghu import records
from laghu.errors import LaghuError
from laghu.records import StageReport
from laghu.report import tables
from laghu.report.rows import row_of
from laghu.spec import RunSpec

STUDY = fake_study()
FRAME = records.frame(STUDY)
ORDER = [
    "classical", "baseline", "continued", "pruning-25", "pruning-50", "pruning-75", "pruning-25-joint",
    "pruning-50-joint", "pruning-75-joint", "pruning-25-after", "pruning-50-after", "pruning-75-after",
    "ensemble-distillation", "mixed-precision-bf16", "mixed-precision-50-bf16",
]


def of(row):
    return [record for record in STUDY if row_of(record.run) == row]


def test_summary_has_every_row_once_in_order():
    assert list(tables.summary(FRAME).index) == ORDER
    assert len(ORDER) == len(ROWS)


@pytest.mark.parametrize("row", ORDER)
def test_mean_and_deviation_are_those_of_the_records(row):
    table = tables.summary(FRAME).loc[row]
    accuracies = [record.accuracy.clean.value for record in of(row)]
    assert table["accuracy.clean.value", "mean"] == pytest.approx(statistics.mean(accuracies), abs=1e-12)
    assert table["accuracy.clean.value", "std"] == pytest.approx(statistics.stdev(accuracies), abs=1e-12)
    assert table["accuracy.clean.value", "count"] == 3
    energies = [record.energy_kwh for record in of(row)]
    assert table["energy_kwh", "mean"] == pytest.approx(statistics.mean(energies), rel=1e-12)


def test_what_a_row_does_not_have_stays_empty():
    table = tables.summary(FRAME)
    assert table.loc["classical", ("speed_up.median", "count")] == 0
    assert tables.rendered(table, ["speed_up.median"]).iloc[0, 0] == "–"


def test_reduction_and_bound_follow_from_the_definitions():
    frame = tables.derived(FRAME)
    base = next(record for record in of("baseline") if record.seed == 2)
    half = next(record for record in of("pruning-50") if record.seed == 2)
    assert frame.loc[half.run, "reduction"] == pytest.approx(
        (base.parameters.total - half.parameters.total) / base.parameters.total)
    assert frame.loc[half.run, "flop_bound"] == pytest.approx(base.flops_per_token / half.flops_per_token)
    assert frame.loc[base.run, ["reduction", "flop_bound"]].tolist() == [0, 1]


def test_no_bound_is_given_for_another_precision_and_none_of_either_for_the_classical_row():
    frame = tables.derived(FRAME)
    assert pd.isna(frame.loc["mixed-precision-50-bf16-seed1", "flop_bound"])
    assert frame.loc["classical-seed1", ["reduction", "flop_bound"]].isna().all()


def test_rendered_says_mean_deviation_and_unit():
    text = tables.rendered(tables.summary(FRAME), ["accuracy.clean.value"])
    values = [record.accuracy.clean.value for record in of("pruning-75")]
    assert text.loc["Pruning 75 %", "Accuracy, clean (%)"] == (
        f"{100 * statistics.mean(values):.1f} ± {100 * statistics.stdev(values):.1f}")


def test_one_seed_has_no_deviation():
    text = tables.rendered(tables.summary(records.frame(fake_study(seeds=(4,)))), ["accuracy.clean.value"])
    assert not text.iloc[:, 0].str.contains("±").any()


def test_table_one_sets_the_printed_numbers_beside_the_same_rows():
    table = tables.table_one(FRAME, tables.paper_table())
    assert list(table.index) == ["baseline", *ORDER[3:12]]
    assert table["Accuracy", "paper"].dropna().mul(100).round(2).to_dict() == {
        "baseline": 92.43, "pruning-25": 92.29, "pruning-50": 91.81, "pruning-75": 90.11, "pruning-25-after": 92.18,
        "pruning-50-after": 91.49, "pruning-75-after": 90.55,
    }
    assert table["Speed-up", "paper"].dropna().tolist() == [1.43, 1.67, 2.25, 2.56, 2.32, 2.25]
    published = statistics.mean(record.accuracy.published.value for record in of("pruning-50-after"))
    assert table.loc["pruning-50-after", ("Accuracy", "here, published view")] == pytest.approx(published)


def test_table_one_is_rendered_with_the_digits_of_the_paper():
    text = tables.rendered_table_one(tables.table_one(FRAME, tables.paper_table()))
    assert text.loc["Pruning 50 %", ("Removed", "paper (%)")] == "12"
    assert text.loc["Baseline", ("CO₂e", "paper (g)")] == "6.135"
    assert text.loc["Baseline", ("Speed-up", "paper (×)")] == "–"


def test_table_one_says_which_accuracy_and_carbon_are_ours():
    headings = set(tables.rendered_table_one(tables.table_one(FRAME, tables.paper_table())))
    assert {("Accuracy", "here, clean view (%)"), ("Accuracy", "here, published view (%)"),
            ("CO₂e", "here, training (g)")} <= {(top, bottom.replace("(mg)", "(g)")) for top, bottom in headings}


def test_table_one_needs_a_baseline():
    with pytest.raises(LaghuError, match="baseline"):
        tables.table_one(records.frame(of("pruning-50")), tables.paper_table())


def test_runs_name_what_each_came_from():
    table = tables.runs(FRAME)
    assert len(table) == len(STUDY)
    assert list(table["row"].drop_duplicates()) == ORDER
    for record in STUDY[:5]:
        line = table.loc[record.run]
        assert line["run_key"] == record.run_key
        assert line["seconds"] == pytest.approx((record.finished - record.started).total_seconds())
        assert "Invented CPU" in line["hardware"]
        assert line["versions"] == "torch 0.0.0, transformers 0.0.0"


def test_terminal_table_fits_a_terminal_and_admits_an_invented_corpus():
    lines = tables.terminal(FRAME).splitlines()
    assert max(map(len, lines)) <= 120
    assert [line.split()[0] for line in lines[1:1 + len(ORDER)]] == ORDER
    assert "invented" in lines[-1]
    assert lines[-2] == "mean ± standard deviation over 3 seeds"
    assert "FLOP bound" in lines[0] and "Throughput" not in lines[0]


def by_seed(row):
    return {record.seed: record for record in of(row)}


@pytest.mark.parametrize("row", ORDER)
def test_significance_is_that_of_the_records_paired_by_seed(row):
    line = tables.significance(FRAME).loc[row]
    ours, base = by_seed(row), by_seed("baseline")
    accuracies = [record.accuracy.clean.value for record in ours.values()]
    assert line["accuracy.clean.value", "std"] == pytest.approx(statistics.stdev(accuracies), abs=1e-12)
    for end in ("low", "high"):
        limits = [getattr(record.accuracy.clean, end) for record in ours.values()]
        assert line[f"accuracy.clean.{end}", "mean"] == pytest.approx(sum(limits) / 3)
    if row == "baseline":
        assert line[["difference", "mcnemar.p_value", "agreement"]].isna().all()
        return
    paired = [ours[seed].accuracy.clean.value - base[seed].accuracy.clean.value for seed in (3, 1, 2)]
    assert line["difference", "mean"] == pytest.approx(statistics.mean(paired), abs=1e-12)
    assert line["difference", "std"] == pytest.approx(statistics.stdev(paired), abs=1e-12)
    if row == "classical":
        assert line[["mcnemar.p_value", "agreement"]].isna().all()
        return
    p_values = sorted(record.mcnemar.p_value for record in ours.values())
    assert line["mcnemar.p_value"].tolist() == [p_values[0], p_values[-1]]
    assert line["agreement", "mean"] == pytest.approx(statistics.mean(record.agreement for record in ours.values()))


def test_significance_is_written_with_interval_points_and_range():
    text = tables.rendered_significance(tables.significance(FRAME))
    assert list(text) == [
        "Accuracy, clean (%)", "95 % interval (%)", "Difference to the baseline (points)", "McNemar's exact p",
        "Agreement with the teacher (%)",
    ]
    line, ours, base = text.loc["Pruning 75 %"], by_seed("pruning-75"), by_seed("baseline")
    low, high = (100 * statistics.mean(getattr(record.accuracy.clean, end) for record in ours.values())
                 for end in ("low", "high"))
    paired = [100 * (ours[seed].accuracy.clean.value - base[seed].accuracy.clean.value) for seed in ours]
    p_values = [record.mcnemar.p_value for record in ours.values()]
    assert line.tolist()[1:4] == [
        f"{low:.1f}–{high:.1f}", f"{statistics.mean(paired):.1f} ± {statistics.stdev(paired):.1f}",
        f"{min(p_values):.3f}–{max(p_values):.3f}",
    ]
    assert text.loc["Baseline"].tolist()[2:] == ["–", "–", "–"]
    assert text.loc["TF-IDF + linear SVM"].tolist()[3:] == ["–", "–"]


def test_one_seed_and_tiny_p_values_need_no_range():
    small = [record.model_copy(update={"mcnemar": record.mcnemar.model_copy(update={"p_value": 1e-9 * record.seed})})
             for record in of("pruning-50")]
    text = tables.rendered_significance(tables.significance(records.frame([*of("baseline"), *small])))
    assert text.loc["Pruning 50 %", "McNemar's exact p"] == "< 0.001"


def test_a_row_is_charged_for_the_baseline_that_it_starts_from():
    frame, base = tables.derived(FRAME), by_seed("baseline")
    for record in STUDY:
        from_baseline = record.pruning_level or record.technique in ("continued", "ensemble_distillation")
        started_from = base[record.seed].co2e_kg if from_baseline else 0
        assert frame.loc[record.run, "co2e_kg_with_teacher"] == pytest.approx(record.co2e_kg + started_from)
    text = tables.rendered(tables.summary(FRAME), tables.SUMMARIES["energy"])
    assert any(heading.startswith("Training CO₂e with its teacher") for heading in text)


@pytest.mark.parametrize(("spec", "charged"), [
    ({"technique": "from_scratch", "pruning_level": 0.75}, False),
    ({"technique": "student"}, False),
    ({"technique": "two_step_distillation"}, False),
    ({"technique": "minitron", "pruning_level": 0.75}, True),
    ({"technique": "vocabulary_trimming"}, True),
    ({"technique": "quantization"}, True),
    ({"technique": "quantization", "quantization": {"of": "two_step_distillation"}}, False),
])
def test_who_starts_from_the_baseline_is_told_by_the_technique(spec, charged):
    run = fake_record(RunSpec.model_validate({"study": "cpu", "seed": 1, **spec}))
    frame, base = tables.derived(records.frame([*of("baseline"), run])), by_seed("baseline")[1]
    assert frame.loc[run.run, "co2e_kg_with_teacher"] == pytest.approx(run.co2e_kg + charged * base.co2e_kg)


def test_the_ensemble_that_teaches_has_the_baseline_in_it():
    taught = fake_record(RunSpec.model_validate({"study": "cpu", "seed": 1, "technique": "two_step_distillation"}))
    stage = StageReport(
        name="ensemble", key="0", steps=9, seconds=1.0, resumed_at_step=0, energy_kwh=1e-4, co2e_kg=1e-4)
    taught = taught.model_copy(update={"stages": [stage]})
    frame = tables.derived(records.frame([*of("baseline"), taught]))
    assert frame.loc[taught.run, "co2e_kg_with_teacher"] == taught.co2e_kg + by_seed("baseline")[1].co2e_kg


def test_size_is_in_shares_of_the_baseline_and_integers_have_no_bound():
    run = fake_record(RunSpec(study="cpu", seed=1, technique="quantization")).model_copy(
        update={"weight_bytes": 1_000_000})
    line = tables.derived(records.frame([*of("baseline"), run])).loc[run.run]
    assert line["size"] == 0.25
    assert pd.isna(line["flop_bound"])


def test_a_pruned_row_without_its_baseline_has_no_difference_and_no_shared_carbon():
    frame = tables.derived(records.frame(of("pruning-50")))
    assert frame[["difference", "co2e_kg_with_teacher"]].isna().all(axis=None)


def test_a_study_keeps_the_runs_that_its_file_lists(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    for record in STUDY:
        record.save()
    assert len(tables.study("cpu")) == len(STUDY)  # no file, so all
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "cpu.yaml").write_text(
        "title: fewer\nseeds: [1, 3]\ncommon: {}\nruns:\n  - {technique: baseline}\n"
        "  - {technique: pruning, pruning_level: 0.5}\n")
    assert set(tables.study("cpu").index) == {"baseline-seed1", "baseline-seed3", "pruning-50-seed1",
                                              "pruning-50-seed3"}


def elsewhere(record, **hardware):
    return record.model_copy(update={"hardware": record.hardware | hardware})


def test_machines_are_named_and_several_are_counted():
    assert tables.machines(FRAME) == "Invented CPU, 2 threads"
    one = [elsewhere(record, threads=1, gpu="Invented GPU") for record in of("classical")[:1]]
    assert tables.machines(records.frame(one)) == "Invented GPU, Invented CPU, 1 thread"
    assert tables.machines(records.frame([*of("baseline"), *one])) == (
        "Invented CPU, 2 threads (3 runs); Invented GPU, Invented CPU, 1 thread (1 run)")


@pytest.mark.parametrize("other", [{"cpu": "Other CPU"}, {"gpu": "Invented GPU"}, {"threads": 1}])
def test_times_of_two_machines_do_not_stand_side_by_side(other):
    moved = [elsewhere(record, **other) if record.run == "pruning-50-seed2" else record for record in STUDY]
    with pytest.raises(LaghuError, match=r"pruning-50-seed2 was measured on .*, its baseline on Invented CPU, 2 thr"):
        tables.derived(records.frame(moved))


def test_seeds_and_the_classical_row_may_each_have_a_machine():
    moved = [elsewhere(record, threads=1) if record.seed == 2 or record.technique == "classical" else record
             for record in STUDY]
    assert len(tables.derived(records.frame(moved))) == len(STUDY)


def test_comparison_is_written_in_points_with_limits_range_and_verdict():
    numbers = tables.comparison(STUDY)
    text = tables.rendered_comparison(numbers)
    assert list(text) == ["Difference (points)", "95 % interval (points)", "Holm-adjusted p", "Seeds that differ",
                          "Not worse by 0.5 points"]
    line = numbers["clean"].loc["pruning-75"]
    base = by_seed("baseline")
    paired = [record.accuracy.clean.value - base[record.seed].accuracy.clean.value for record in of("pruning-75")]
    assert text.loc["Pruning 75 %"].tolist() == [
        f"{100 * statistics.mean(paired):.2f}", f"{100 * line['low']:.2f} to {100 * line['high']:.2f}",
        "–".join("< 0.001" if p < 0.001 else f"{p:.3f}" for p in (line["holm_lowest"], line["holm_highest"])),
        f"{line['seeds_differ']} of 3", {"worse": "worse by more"}.get(line["verdict"], line["verdict"]),
    ]
    assert "Trained on" in text.index
    assert "Baseline" not in text.index


def test_comparison_by_view_has_each_views_own_difference():
    numbers = tables.comparison_views(STUDY)
    base = by_seed("baseline")
    for view in ("published", "deduplicated", "clean"):
        paired = [getattr(record.accuracy, view).value - getattr(base[record.seed].accuracy, view).value
                  for record in of("pruning-50-joint")]
        found = numbers.loc["pruning-50-joint", (view, "difference")]
        assert found == pytest.approx(statistics.mean(paired), abs=1e-12)
    text = tables.rendered_comparison_views(numbers)
    low, high = (100 * numbers.loc["pruning-50", ("published", end)] for end in ("low", "high"))
    assert text.loc["Pruning 50 %", ("As published", "95 % interval (points)")] == f"{low:.2f} to {high:.2f}"


def test_seeds_are_counted_by_row():
    assert tables.seeds(FRAME) == "3 seeds"
    assert tables.seeds(records.frame([*of("baseline"), *of("pruning-50")[:1]])) == "1 to 3 seeds"
    assert tables.seeds(records.frame(fake_study(seeds=(4,)))) == "one seed"


def test_no_records_is_an_error_in_words():
    with pytest.raises(LaghuError, match="run the study first"):
        tables.terminal(pd.DataFrame())
