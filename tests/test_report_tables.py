import statistics

import pandas as pd
import pytest
from fake_records import ROWS, fake_study

from laghu import records
from laghu.errors import LaghuError
from laghu.report import tables
from laghu.report.rows import row_of

STUDY = fake_study()
FRAME = records.frame(STUDY)
ORDER = [
    "classical", "baseline", "pruning-25", "pruning-50", "pruning-75", "pruning-25-joint", "pruning-50-joint",
    "pruning-75-joint", "pruning-25-after", "pruning-50-after", "pruning-75-after", "mixed-precision-bf16",
    "mixed-precision-50-bf16",
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
    assert frame.loc["mixed-precision-50-bf16-seed1", "flop_bound":].isna().all()
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
    assert list(table.index) == ORDER[1:11]
    assert table["Accuracy", "paper"].dropna().mul(100).round(2).to_dict() == {
        "baseline": 92.43, "pruning-25": 92.29, "pruning-50": 91.81, "pruning-75": 90.11, "pruning-25-after": 92.18,
        "pruning-50-after": 91.49, "pruning-75-after": 90.55,
    }
    assert table["Speed-up", "paper"].dropna().tolist() == [1.43, 1.67, 2.25, 2.56, 2.32, 2.25]
    published = statistics.mean(record.accuracy.published.value for record in of("pruning-50-after"))
    assert table.loc["pruning-50-after", ("Accuracy", "here, published")] == pytest.approx(published)


def test_table_one_is_rendered_with_the_digits_of_the_paper():
    text = tables.rendered_table_one(tables.table_one(FRAME, tables.paper_table()))
    assert text.loc["Pruning 50 %", ("Removed", "paper (%)")] == "12"
    assert text.loc["Baseline", ("CO₂e", "paper (g)")] == "6.135"
    assert text.loc["Baseline", ("Speed-up", "paper (×)")] == "–"


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


def test_no_records_is_an_error_in_words():
    with pytest.raises(LaghuError, match="run the study first"):
        tables.terminal(pd.DataFrame())
