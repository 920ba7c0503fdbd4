import re

import matplotlib.pyplot as plt
import pytest
from fake_benchmark import benchmark
from sphinx_pages import render

from laghu.benchmark.record import GpuRecord
from laghu.errors import LaghuError
from laghu.report import speed
from laghu.report.speed_ext import shown

PAGE = """# Page

```{speed-figure} waterfall
:study: quick
:name: a-figure
```

""" + "\n".join(f"```{{speed-table}} {name}\n:study: quick\n```\n" for name in speed.TABLES) + """
{speed}`quick/engine#ratio.median`, {speed}`quick/last#size_mb`, {speed}`quick#latency_ms.p50`,
{speed}`quick#tokenising.prepared`, elsewhere {speed}`cpu/engine#ratio.median`.
"""
WRONG = """# Page

```{speed-table} prices
:study: quick
```

```{speed-figure} tower
:study: quick
```

```{speed-table} path
:study: gpu
```

```{speed-table} gpu
:study: quick
```

{speed}`quick/nobody#ratio.median` and {speed}`quick/engine#colour` and {speed}`quick/engine#step` and {speed}`quick`
"""


def test_the_path_is_told_step_by_step():
    table = speed.path(benchmark())
    assert list(table.index) == ["step pipeline", "step engine", "step last"]
    engine = table.loc["step engine"]
    assert engine["Documents/s"] == "500" and engine["Times the pipeline (×)"] == "2.5 (2.0–2.8)"
    assert engine["This step (×)"] == "2.50 (2.25–2.75)" and engine["At best (×)"] == "2.50"
    assert table.loc["step pipeline", "This step (×)"] == table.loc["step pipeline", "At best (×)"] == "–"
    # 1e-3 kWh over 400 documents a second: 2.5 mWh
    assert table.loc["step last"].filter(like="Energy").item() == "2.50" and "mWh" in "".join(table.columns)
    assert "CPU estimated" in speed.path_caption(benchmark()) and "GPU" not in speed.path_caption(benchmark())


def test_other_ways_stand_apart_and_lack_what_they_lack():
    table = speed.others(benchmark())
    assert list(table.index) == ["TF-IDF", "untrained"]
    assert table.loc["untrained", "Clean accuracy (%)"] == table.loc["TF-IDF", "Weights (MB)"] == "–"


def test_seeds_streams_and_shapes():
    assert list(speed.seeds(benchmark())["clean", "Difference"]) == ["-1.0", "+3.0"]
    assert list(speed.seeds(benchmark())["published", "Deployed (%)"]) == ["59.0", "61.0"]
    assert list(speed.growth(benchmark())["Documents/s"]) == ["10,000", "10,000", "20,000", "20,000"]
    assert speed.shapes(benchmark())["Of it (%)"].item() == "95"
    assert [*speed.tokenising(benchmark()).iloc[:, 0]] == ["40.0", "35.0", "15.0"]
    assert "A headline takes 2500 microseconds" in speed.tokenising_caption(benchmark())


def test_bars_end_where_the_speeds_are():
    drawing = speed.waterfall(benchmark())
    bars = drawing.figure.axes[0].patches
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert ends == [pytest.approx((100, 200)), pytest.approx((200, 500)), pytest.approx((400, 500))]
    assert len({bar.get_facecolor() for bar in bars}) == 3, "reference, faster and slower are told apart"
    assert drawing.alt.endswith("step pipeline: 200; step engine: 500; step last: 400.")
    plt.close(drawing.figure)


@pytest.mark.parametrize(("field", "value", "text"), [
    ("ratio.median", 234.4, "234×"), ("factor.median", 1.234, "1.23×"), ("accuracy.clean", 0.8472, "84.7 %"),
    ("latency_ms.p50", 0.2345, "0.23 ms"), ("size_mb", 2.135, "2.1 MB"), ("tokenising.prepared", 32.6, "33 µs"),
    ("documents_per_second.median", 51234.5, "51,234"),
    ("headlines", 2761, "2,761"),
])
def test_numbers_in_prose(field, value, text):
    assert shown(field, value) == text.replace(" ", "\N{NO-BREAK SPACE}")


def test_what_is_no_number_is_refused():
    with pytest.raises(LaghuError, match="'step' is no number"):
        shown("step", "engine")


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    benchmark().save()

    return lambda text: render(tmp_path, text, "laghu.report.speed_ext")


def test_a_page_has_figure_tables_and_numbers(build):
    html, warnings = build(PAGE)
    assert warnings == ""
    plain = html.replace("\N{NO-BREAK SPACE}", " ").replace("&#160;", " ")
    for text in ("step engine", ".svg", "2.50×", "2.0 MB", "0.25 ms", "15 µs", "not run yet", "1,000,000"):
        assert text in plain
    assert plain.count("<table") == len(speed.TABLES)


def test_what_does_not_exist_is_a_warning_and_what_was_not_measured_says_so(build):
    html, warnings = build(WRONG)
    for part in ("no speed table 'prices'", "no speed figure 'tower'", "no contender 'nobody'", "no field 'colour'",
                 "'step' is no number", "not of the form"):
        assert part in warnings
    assert warnings.count("WARNING") == 6
    assert "laghu bench gpu runs it" in html and "laghu bench quick --gpu" in re.sub("<[^>]+>", "", html)


def test_steps_on_a_gpu(build):
    step = {"precision": "bf16", "documents_per_second": {"turns": [3.0], "median": 1234.0, "low": 1.0, "high": 2.0},
            "ratio": {"median": 25.04, "low": 25.0, "high": 26.0}, "accuracy": {"clean": 0.788},
            "share_of_peak": 0.0512}
    fields = benchmark().model_dump(include={
        "study", "corpus", "synthetic", "seed", "settings", "versions", "commit", "data_sha256", "started", "finished"})
    GpuRecord(**fields, steps={"packed": step}, hardware={"cpu": "x", "threads": 1, "gpu": "Invented GPU"}, achieved={
        "texts": 512, "tokens": 65_536, "precision": "bf16", "flops_per_second": 4.2e14, "share_of_peak": None}).save()
    html, warnings = build("# Page\n\n```{speed-table} gpu\n:study: quick\n```\n")
    assert warnings == ""
    for text in ("1,234", "25.0 (25.0–26.0)", "78.8", "5.1", "Invented GPU", "420.0 TFLOP/s", "65,536"):
        assert text in html
