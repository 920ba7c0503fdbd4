"""Tables, figures and numbers of a study's time, from records made by hand."""

import html
import re
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from sphinx_pages import render

from laghu import paths
from laghu.report import scaling
from laghu.scaling.record import Observed, ScalingRecord, Trial
from laghu.scaling.slurm import Job, SlurmRecord
from laghu.spec import Study

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HARDWARE = {"cpu": "A processor", "logical_cores": 2, "threads": 1, "ram_gib": 4.0, "gpu": None,
            "gpu_memory_gib": None, "platform": "Linux x86_64"}
# As sacct prints it, with a shorter day.
SACCT = """\
1|rule_backbone|COMPLETED|0:0|2|3000M|{}T10:00:00|{}T10:00:01|{}T10:01:01
2|rule_seed0_wildcards_pruning-50-seed0|REQUEUED|0:0|1|1500M|{}T10:01:05|{}T10:01:06|{}T10:02:00
2|rule_seed0_wildcards_pruning-50-seed0|COMPLETED|0:0|1|1500M|{}T10:02:00|{}T10:02:06|{}T10:03:00
3|rule_seed0_wildcards_baseline-seed0|CANCELLED by 0|0:0|1|1500M|{}T10:01:05|{}T10:01:06|{}T10:02:00
""".replace("{}", "2026-01-02")


def scaling_record() -> ScalingRecord:
    """Quick's runs of 10 s each, 4 of which are timing; a backbone of 100 s; 20 s that belong to no run."""
    study = Study.load("quick")
    runs = [Observed(name="backbone", seconds=100, training=90, timing=0, waiting=0)]
    names = [run.run for run in (*study.runs, *study.tokens)]
    runs += [Observed(name=name, seconds=10, training=3, timing=4, waiting=0) for name in names]
    alone = sum(run.seconds for run in runs) + 20
    trials = [Trial(workers=1, seconds=alone, runs=runs), Trial(workers=2, seconds=alone / 2, runs=runs)]
    return ScalingRecord(study="quick", trials=trials, hardware=HARDWARE, versions={}, commit="c" * 40, started=NOW,
                         finished=NOW)


def slurm_record() -> SlurmRecord:
    jobs = [Job.of_sacct(line) for line in SACCT.splitlines()]
    return SlurmRecord(study="tiny", node="node", slurm="22.05.8", versions={"snakemake": "9.1"}, jobs=jobs, records=6,
                       equal=["accuracy"], commit="d" * 40, hardware=HARDWARE, recorded=NOW)


def test_one_worker_is_predicted_as_it_was_measured():
    record = scaling_record()
    assert scaling.predicted(record, 1) == pytest.approx(record.mean(1))
    assert scaling.error(record, 1) == pytest.approx(0)


def test_no_worker_is_faster_than_the_timings_on_one_machine():
    """Backbone and overhead, then 4 s of every run one after the other."""
    record = scaling_record()
    runs = len(record.trials[0].runs) - 1
    assert scaling.predicted(record, 64) >= 100 + 20 + 4 * runs
    assert scaling.share_of_timing(record) == pytest.approx(4 * runs / (100 + 10 * runs))


def test_the_measured_table_sets_the_simulation_beside_the_trials():
    record = scaling_record()
    table = scaling.measured(record)
    assert list(table.index) == ["1", "2", "4", "8", "16"]
    assert table.loc["1", "Difference"] == "+0.0%" and table.loc["4", "Difference"] == "–"
    assert table.loc["2", "Measured (min)"] == f"{record.mean(2) / 60:.1f}"
    assert float(table.loc["16", "Times as fast"]) >= float(table.loc["2", "Times as fast"]) > 1


def test_every_start_of_a_job_has_its_line():
    table = scaling.jobs(slurm_record())
    assert list(table.index) == ["1", "2", "2", "3"]
    assert list(table["State"]) == ["COMPLETED", "REQUEUED", "COMPLETED", "CANCELLED"]
    assert list(table["Run"]) == ["backbone", "pruning-50-seed0", "pruning-50-seed0", "baseline-seed0"]
    assert list(table["Ended (s)"]) == ["61", "120", "180", "120"]
    assert [job.run for job in slurm_record().started_anew] == ["pruning-50-seed0", "baseline-seed0"]


def test_the_published_rehearsal_ended_well():
    record = SlurmRecord.load(paths.root() / "results" / "slurm.json")
    last = {job.run: job.state for job in sorted(record.jobs, key=lambda job: job.started)}
    assert set(last.values()) == {"COMPLETED"} and len(last) == record.records + 1
    assert {job.state for job in record.started_anew} == {"REQUEUED", "CANCELLED"}
    # Another start of the same job, where it was requeued; another job, where it was cancelled.
    for gone in record.started_anew:
        numbers = {job.number for job in record.jobs if job.run == gone.run}
        assert len(numbers) == (1 if gone.state == "REQUEUED" else 2)


def test_curves_fall_with_workers_and_rise_with_seeds():
    table = scaling.frame()
    for _, points in table.groupby("seeds"):
        assert points.sort_values("workers")["seconds"].is_monotonic_decreasing
    for _, points in table.groupby("workers"):
        assert points.sort_values("seeds")["seconds"].is_monotonic_increasing
    assert (table["least"] <= table["seconds"]).all() and (table["seconds"] <= table["most"]).all()


@pytest.mark.parametrize("draw", [scaling.workers_figure, scaling.seeds_figure])
def test_a_figure_says_what_it_shows(draw):
    drawing = draw()
    lines = [line for line in drawing.figure.axes[0].lines if line.get_marker() not in ("", "None", None)]
    assert len(lines) >= 3
    for line in lines:
        assert line.get_label() in drawing.alt
        assert f"{line.get_ydata()[0]:,.1f} h at {line.get_xdata()[0]}" in drawing.alt
    plt.close(drawing.figure)


PAGE = """# Page

```{scaling-table} measured
```

```{scaling-table} jobs
```

{scaling}`minutes 2`, {scaling}`error 1`, {scaling}`records`, {scaling}`bound 4`
"""
WRONG = """# Page

```{scaling-table} prices
```

```{scaling-figure} tower
```

{scaling}`colour` and {scaling}`hours 30 2` and {scaling}`2` and {scaling}`hours 20`
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "studies").symlink_to(paths.studies())
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    return tmp_path


def test_a_page_shows_the_records_and_says_what_is_not_there(home: Path):
    text, warnings = render(home, PAGE, "laghu.report.scaling_ext")
    shown = words(text)
    assert not warnings and "python -m laghu.scaling.measure does it" in shown and "make slurm-test does it" in shown
    assert "not run yet, not run yet, not run yet, 1.75×" in shown
    scaling_record().save()
    slurm_record().save()
    text, warnings = render(home, PAGE, "laghu.report.scaling_ext")
    assert not warnings and "REQUEUED" in text and "Record (JSON)" in text
    assert f"{scaling_record().mean(2) / 60:.1f} min, +0.0 %, 6, 1.75×" in words(text)


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def test_what_is_not_there_to_be_shown_is_a_warning(home: Path):
    _, warnings = render(home, WRONG, "laghu.report.scaling_ext")
    for name in ("prices", "tower", "colour", "30 runs", "not of the form", "1 values"):
        assert name in warnings
