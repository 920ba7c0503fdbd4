import statistics
from datetime import UTC, datetime

import pytest

from laghu.errors import LaghuError
from laghu.records import CostRecord
from laghu.report import cost as report
from laghu.spec import CostSpec

ROWS = {"baseline": 0.0} | {f"pruning-{level}{end}": level / 100 for end in ("", "-after") for level in (25, 50, 75)}
LENGTHS, SIZES = (32, 128), (1, 8)
LABELS = ["Baseline", "Pruning 25 %", "Pruning 50 %", "Pruning 75 %", "Pruning 25 %, distilled after",
          "Pruning 50 %, distilled after", "Pruning 75 %, distilled after"]


def factor(row: str, length: int) -> float:
    return 1 + (0.8 if "after" in row else 0.9) * ROWS[row] * (1 - length / 1000)


def cell(row: str, length: int, size: int, milliseconds: float, lost: bool) -> dict:
    work = 1000 + length - int(600 * ROWS[row])
    known = {"row": row, "pruning_level": ROWS[row], "sequence_length": length, "batch_size": size,
             "parameters": 237_565_452 - int(56_000_000 * ROWS[row]), "weight_bytes": 4 * 237_565_452,
             "flops_per_token": work, "flop_bound": (1000 + length) / work}
    if lost:
        return known | {"outcome": "out of memory"}
    speed = factor(row, length)
    median = milliseconds * size * length / 32 / speed
    return known | {
        "outcome": "measured", "documents_per_second": 1000 * size / median, "retaken": 1 if row == "baseline" else 0,
        "latency_ms": {"p50": median, "p95": 1.2 * median, "low": 0.9 * median, "high": 1.1 * median},
        "speed_up": {"median": speed, "low": speed - 0.05 * ROWS[row], "high": speed + 0.07 * ROWS[row]},
        "energy": {"kwh_per_1000_documents": 0.012 / speed, "co2e_kg_per_1000_documents": 0.0008 / speed,
                   "components": {"cpu": 0.010 / speed, "gpu": 0.0, "ram": 0.002 / speed}, "window_seconds": 5.1,
                   "source": {"cpu": "estimated", "gpu": "absent", "ram": "estimated"}} if size == 8 else None,
    }


def record(precision: str, milliseconds: float, lost: tuple = (), **hardware) -> CostRecord:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    return CostRecord.model_validate({
        "study": "cpu", "precision": precision, "engine": "PyTorch eager",
        "cells": [cell(row, length, size, milliseconds, (length, size) in lost)
                  for length in LENGTHS for size in SIZES for row in ROWS],
        "settings": CostSpec().model_dump(mode="json", exclude={"precisions"}), "grid_g_per_kwh": 700.0,
        "hardware": {"cpu": "Invented CPU", "threads": 1, "gpu": None} | hardware, "versions": {}, "commit": "0",
        "run_key": "0", "started": now, "finished": now,
    })


COSTS = [record("fp32", 80.0), record("bf16", 50.0)]


def test_a_combination_has_its_seven_rows_in_order():
    table = report.combination(COSTS, "bf16", 128, 8)
    assert list(table.index) == list(ROWS)
    assert table["latency_ms.p50"].to_dict() == pytest.approx(
        {row: 50 * 8 * 4 / factor(row, 128) for row in ROWS})


def test_a_combination_that_was_not_measured_names_those_that_were():
    with pytest.raises(LaghuError, match=r"no cost in fp32 at 64 tokens and batches of 8; there are fp32, bf16 at 32, "
                                         r"128 tokens and batches of 1, 8"):
        report.combination(COSTS, "fp32", 64, 8)
    with pytest.raises(LaghuError, match="0 cost records"):
        report.combination([], "fp32", 32, 8)


def test_speed_is_written_with_bound_and_quartiles():
    text = report.rendered(report.combination(COSTS, "fp32", 128, 8), report.SPEED)
    assert list(text.index) == LABELS
    assert list(text) == ["Parameters (M)", "Encoder work per token (MFLOP)", "FLOP bound (×)", "Speed-up (×)"]
    speed = 1 + 0.9 * 0.5 * 0.872
    assert text.loc["Pruning 50 %", ["FLOP bound (×)", "Speed-up (×)"]].tolist() == [
        f"{1128 / 828:.2f}", f"{speed:.2f} ({speed - 0.025:.2f}–{speed + 0.035:.2f})"]
    assert text.loc["Baseline", ["Parameters (M)", "Speed-up (×)"]].tolist() == ["238", "1.00"]
    caption = report.speed_caption(COSTS, "fp32", 128, 8)
    for said in ("in fp32, 128 tokens, batches of 8", "Invented CPU, 1 thread", "12 layers, 768 wide", "197,285",
                 "the same precision and engine", "15 turns (1 retaken because"):
        assert said in caption


def test_use_leaves_out_what_a_cpu_has_not_and_says_how_energy_is_known():
    text = report.rendered(report.combination(COSTS, "fp32", 32, 8), report.USE)
    assert not any("Peak memory" in heading for heading in text)
    assert text.loc["Baseline", "Energy per 1,000 texts (Wh)"] == "12.00"
    assert text.loc["Baseline", "Weights (MiB)"] == f"{4 * 237_565_452 / 2**20:.0f}"
    caption = report.use_caption(COSTS, "fp32", 32, 8)
    assert "Energy: CPU estimated, RAM estimated, over windows of 5 s" in caption and "GPU" not in caption
    single = report.rendered(report.combination(COSTS, "fp32", 32, 1), report.USE)
    assert not any("Energy" in heading for heading in single)
    assert "Energy was only read in batches of 8" in report.use_caption(COSTS, "fp32", 32, 1)


def test_precisions_are_compared_row_by_row_and_not_called_pruning():
    table = report.across_precisions(COSTS, 128, 8)
    assert list(table) == ["bf16"] and list(table.index) == list(ROWS)
    assert table["bf16"].tolist() == pytest.approx([80 / 50] * 7)
    text = report.rendered_across_precisions(table)
    assert text.loc["Pruning 75 %, distilled after", "bf16 (×)"] == "1.60"
    caption = report.across_precisions_caption(COSTS, 128, 8)
    assert caption.startswith("What precision gives, not pruning: ") and "Invented CPU" in caption
    with pytest.raises(LaghuError, match="no cost in fp32"):
        report.across_precisions(COSTS[1:], 128, 8)


def test_records_of_two_machines_are_not_compared():
    mixed = [COSTS[0], record("bf16", 50.0, gpu="Invented GPU")]
    for ask in (lambda: report.across_precisions(mixed, 32, 8), lambda: report.speed_bound(mixed)):
        with pytest.raises(LaghuError, match=r"2 machines \(Invented CPU, 1 thread; Invented GPU\)"):
            ask()
    assert report.machine(mixed[1:]) == "Invented GPU"
    assert report.machine([record("fp32", 80.0, threads=4)]) == "Invented CPU, 4 threads"


def test_the_figure_has_a_panel_for_each_precision_and_length():
    drawing = report.speed_bound(COSTS)
    panels = [axes for axes in drawing.figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "fp32, 32 tokens", "fp32, 128 tokens", "bf16, 32 tokens", "bf16, 128 tokens"]
    for axes, length in zip(panels, 2 * LENGTHS, strict=True):
        bound, *points = axes.lines
        assert bound.get_ydata().tolist() == pytest.approx(
            [(1000 + length) / (1000 + length - 600 * level) for level in (0, 0.25, 0.5, 0.75)])
        drawn = sorted(y for line in points for y in line.get_ydata())
        expected = sorted(2 * [factor(row, length) for row in ROWS if row != "baseline"])
        assert drawn == pytest.approx(expected)
    factors = [factor(row, 32) for row in ("pruning-50-after", "pruning-50")]
    assert f"fp32, 32 tokens, 50 %: bound {1032 / 732:.2f}×, measured {factors[0]:.2f}× to {factors[1]:.2f}×" in (
        drawing.alt)
    assert len(drawing.data) == 2 * 2 * 2 * 7
    assert "Invented CPU, 1 thread" in drawing.caption and "did not fit" not in drawing.caption


def test_what_did_not_fit_has_no_point_and_is_counted():
    costs = [record("fp32", 80.0, lost=((128, 8), (128, 1)))]
    drawing = report.speed_bound(costs)
    drawing.figure.draw_without_rendering()
    assert "12 of 24 points did not fit" in drawing.caption
    assert "fp32, 128 tokens, 75 %: bound 1.66×, out of memory" in drawing.alt
    table = report.combination(costs, "fp32", 128, 8)
    assert list(report.rendered(table, report.SPEED)) == [
        "Parameters (M)", "Encoder work per token (MFLOP)", "FLOP bound (×)"]
    everything = [record("fp32", 80.0, lost=tuple((length, size) for length in LENGTHS for size in SIZES))]
    assert "24 of 24" in report.speed_bound(everything).caption
    assert statistics.mean(report.combination(everything, "fp32", 32, 1)["flop_bound"]) > 1


def test_more_batch_sizes_than_colours_is_said():
    many = record("fp32", 80.0)
    cells = [cell.model_copy(update={"batch_size": size}) for size in (1, 2, 4, 8, 16) for cell in many.cells]
    with pytest.raises(LaghuError, match="5 batch sizes; the figure tells 4 apart"):
        report.speed_bound([many.model_copy(update={"cells": cells})])
