from datetime import UTC, datetime

import pytest
from sphinx_pages import render
from test_report_cost import COSTS

from laghu.records import PretrainingRecord

PAGE = """# Page

```{cost-table} speed
:study: cpu
:precision: bf16
:length: 128
:batch: 8
```

```{cost-table} precisions
:study: cpu
:length: 32
:batch: 1
```

```{cost-figure} speed-bound
:study: cpu
```

Pace {pretraining}`cpu#tokens_per_second`, share {pretraining}`cpu#model_flops_utilisation`,
text {pretraining}`cpu#text`, loss {pretraining}`cpu#final_loss`, elsewhere {pretraining}`gpu#tokens`.
"""
WRONG = """# Page

```{cost-table} speed
:study: cpu
:length: 999
:batch: 8
```

```{cost-table} prices
:study: cpu
:length: 32
:batch: 1
```

```{cost-table} use
:study: gpu
:length: 32
:batch: 1
```

{pretraining}`cpu#colour` and {pretraining}`cpu`
"""


def pretraining() -> PretrainingRecord:
    return PretrainingRecord.model_validate({
        "study": "cpu", "text": "a <b>source</b>", "synthetic": True, "parameters": 1000, "steps": 4, "tokens": 512,
        "tokens_per_second": 612_345.6, "flops_per_token": 5.5e8, "peak_flops_per_second": 989.4e12,
        "model_flops_utilisation": 0.3456, "loss": [{"step": 2, "loss": 9.0}, {"step": 4, "loss": 2.25}],
        "train_seconds": 3.0, "resumed_at_step": 0, "energy_kwh": 0.1, "co2e_kg": 0.1, "energy_components": {},
        "energy_source": {}, "grid_g_per_kwh": 700.0, "hardware": {"gpu": "Invented GPU", "cpu": "x", "threads": 1},
        "versions": {}, "commit": "0123456789", "data_sha256": "0", "stage_key": "0", "settings": {},
        "recorded": datetime(2026, 11, 21, tzinfo=UTC),
    })


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    for record in [*COSTS, pretraining()]:
        record.save()

    return lambda text: render(tmp_path, text, "laghu.report.cost_ext")


def test_tables_figure_and_numbers_of_what_was_measured(build):
    html, warnings = build(PAGE)
    assert warnings == ""
    for cell in next(cost for cost in COSTS if cost.precision == "bf16").cells:
        if (cell.sequence_length, cell.batch_size) == (128, 8):
            assert f"{cell.speed_up.median:.2f}" in html and f"{cell.flop_bound:.2f}" in html
    assert "<svg" in html or ".svg" in html
    plain = html.replace("\N{NO-BREAK SPACE}", " ").replace("&#160;", " ")
    assert "612 ktokens/s" in plain and "34.6 %" in plain and "2.25" in plain and "not run yet" in plain
    assert "a &lt;b&gt;source&lt;/b&gt;" in plain and "Invented GPU" in plain


def test_what_does_not_exist_is_a_warning_and_what_was_not_measured_says_so(build):
    html, warnings = build(WRONG)
    for part in ("999 tokens", "no cost table 'prices'", "no field 'colour'", "not of the form gpu#tokens_per_second"):
        assert part in warnings
    assert warnings.count("WARNING") == 4
    assert "laghu cost gpu measures it" in html
