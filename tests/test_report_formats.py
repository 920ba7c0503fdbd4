import math
from datetime import UTC, datetime

import pytest

from laghu.errors import LaghuError
from laghu.report.formats import Unit, show, show_spread, unit

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(("field", "value", "text"), [
    ("accuracy.clean.value", 0.92429, "92.4 %"),
    ("macro_f1.published.low", 1.0, "100.0 %"),
    ("parameters.total", 237_565_452, "238 M"),
    ("parameters.total", 5_309_452, "5.31 M"),
    ("difference", -0.00481, "-0.5 points"),
    ("comparison.difference", -0.00481, "-0.48 points"),
    ("weight_bytes", 4 * 237_565_452, "906 MiB"),
    ("weight_bytes", 2_372_993, "2.26 MiB"),
    ("size", 0.1117, "11.2 %"),
    ("speed_up.median", 1.4288, "1.43×"),
    ("flops_per_token", 171_049_000, "171 MFLOP"),
    ("latency_ms.p50", 3.14159, "3.14 ms"),
    ("energy_kwh", 0.0086, "8.60 Wh"),
    ("inference_energy.kwh_per_1000_documents", 1.2e-5, "12.0 mWh"),
    ("co2e_kg", 0.006135, "6.13 g"),
    ("co2e_kg", 0.0, "0.00 g"),
    ("train_seconds", 95.0, "95.0 s"),
    ("train_seconds", 600.0, "10.0 min"),
    ("train_seconds", 9000.0, "2.5 h"),
    ("grid_g_per_kwh", 713.4, "713 g/kWh"),
    ("rows.published", 2761, "2,761"),
    ("mcnemar.p_value", 0.0000012, "< 0.001"),
    ("surgery_error", 1.23e-6, "1.2e-06"),
    ("seed", 2409, "2409"),
    ("commit", "0123456789abcdef+modified", "0123456+modified"),
    ("hardware.cpu", "Some CPU", "Some CPU"),
    ("started", datetime(2026, 11, 20, 23, 59, tzinfo=UTC), "2026-11-20"),
])
def test_values_in_prose(field, value, text):
    assert show(field, value).replace(NBSP, " ") == text


@pytest.mark.parametrize("value", [None, math.nan, {"a": 1}, [1]])
def test_what_is_no_value_is_an_error(value):
    with pytest.raises(LaghuError, match="agreement"):
        show("agreement", value)


def test_mean_and_deviation_share_scale_and_decimals():
    assert show_spread("accuracy.clean.value", 0.8466, 0.0123).replace(NBSP, " ") == "84.7 ± 1.2 %"
    assert show_spread("energy_kwh", 1.2e-3, 6e-5).replace(NBSP, " ") == "1.20 ± 0.06 Wh"


@pytest.mark.parametrize("deviation", [math.nan, 0.0, 2e-16])
def test_no_deviation_is_written_where_there_is_none(deviation):
    assert show_spread("flop_bound", 1.4839, deviation) == "1.48×"


def test_small_is_not_written_as_zero():
    assert Unit(1, "", 2).number(0.0004) == "0.0004"
    assert Unit(1, "", 2).number(0.0) == "0.00"
    assert Unit(100, "", 1).number(0.1 + 0.2 - 0.3) == "0.0"


def test_a_unit_holds_for_a_whole_column():
    scale = unit("energy_kwh", 0.0086)
    assert [scale.number(value) for value in (0.0086, 0.086, math.nan)] == ["8.60", "86.00", "–"]
