"""How a long table's lines are sorted in the page, run by Node. Oracle: the values that `formats` wrote cells from."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from laghu.report import formats

SCRIPT = Path(__file__).parents[1] / "book" / "_static" / "tables.js"
_RUNNER = """
const { number, order } = require(process.argv[1]);
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const read = given.texts.map((text) => number(text) ?? (number(text) === null ? "missing" : "text"));
console.log(JSON.stringify({ read, rising: order(given.texts, false), falling: order(given.texts, true) }));
"""
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
# Fields of records: values from and to, and what turns one into the unit without a prefix.
FIELDS = {
    "accuracy.clean.value": (0.01, 1, 100), "speed_up.median": (0.5, 400, 1), "parameters.total": (1e3, 3e8, 1),
    "flops_per_token": (1e3, 1e9, 1), "weight_bytes": (1e3, 1e9, 1), "energy_kwh": (1e-8, 1, 1e3),
    "co2e_kg": (1e-8, 1, 1e3), "train_seconds": (1, 20_000, 1), "latency_ms.p50": (0.1, 5_000, 1e-3),
    "documents_per_second": (1, 100_000, 1),
}


def answer(texts: list[str]) -> dict:
    done = subprocess.run(["node", "-e", _RUNNER, str(SCRIPT)], input=json.dumps({"texts": texts}), capture_output=True,
                          text=True, check=True, encoding="utf-8")
    return json.loads(done.stdout)


@pytest.mark.parametrize("field", FIELDS)
def test_cells_sort_as_the_values_that_they_show(field):
    """Each cell in a unit of its own, as where a column mixes minutes and hours; two digits are there at least."""
    low, high, factor = FIELDS[field]
    values = np.exp(np.random.default_rng(0).uniform(np.log(low), np.log(high), 40))
    found = answer([formats.show(field, value) for value in values])
    assert found["read"] == pytest.approx(values * factor, rel=0.06)
    read = np.array(found["read"])
    assert read[found["rising"]].tolist() == sorted(read)
    assert read[found["falling"]].tolist() == sorted(read, reverse=True)


@pytest.mark.parametrize(("text", "value"), [
    ("78.8 ± 0.8\N{NO-BREAK SPACE}%", 78.8), ("−2.6", -2.6), ("+1.5 [0.3, 3.0]", 1.5), ("1,234", 1234),
    ("0.40\N{NO-BREAK SPACE}MiB", 0.4 * 2**20), ("12 of 40", 12), ("1.2 to 3.4", 1.2), ("<0.001", 0.001),
    ("3e-05", 3e-5),
    ("2026-11-22 10:30", 1_795_343_400_000), ("2.5\N{NO-BREAK SPACE}min", 150), ("–", "missing"), ("", "missing"),
    ("Pruning 75 %", "text"), ("seed 1", "text"), ("12 apples", "text"),
])
def test_what_a_cell_is_read_as(text, value):
    assert answer([text])["read"] == [pytest.approx(value) if not isinstance(value, str) else value]


def test_what_is_missing_comes_last_either_way_and_equal_cells_keep_their_order():
    found = answer(["–", "2", "1", "", "2"])
    assert found["rising"] == [2, 1, 4, 0, 3]
    assert found["falling"] == [1, 4, 2, 0, 3]


def test_words_sort_as_readers_expect():
    assert answer(["pruning-75", "baseline", "pruning-100", "Apple"])["rising"] == [3, 1, 0, 2]
