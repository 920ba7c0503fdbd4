"""The controls of `notebooks/tweak.ipynb`: what they offer, what they refuse and what they run."""

import json
from pathlib import Path

import nbformat
import pytest
from checkout import TINY, Checkout
from nbclient import NotebookClient

from laghu import lab, provenance
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.spec import RunSpec

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "tweak.ipynb"


@pytest.fixture
def controls() -> lab.Lab:
    return lab.Lab()


def test_it_starts_from_the_quick_study_and_needs_no_corpus(controls):
    assert (controls.run.corpus, controls.run.study, controls.run.seed) == ("sample", "manual", 0)
    assert controls.run.pruning.epochs == 3 and controls.run.distilling.epochs == 2  # as studies/quick.yaml has it
    assert not controls.button.disabled and controls.records == []


def test_the_slider_ends_where_a_run_would_be_refused(controls):
    slider = controls.pruning_level
    assert (slider.min, slider.max) == (0.0, 0.95)
    for level in (slider.min - slider.step, slider.max + slider.step):
        with pytest.raises(LaghuError, match="pruning_level"):
            lab.changed(controls.run, level, "joint", 1.0, "fp32")


def test_the_choices_are_those_of_a_run(controls):
    assert set(controls.distillation.options) == {"none", "joint", "after"}
    assert set(controls.precision.options) == {"fp32", "fp16", "bf16"}


@pytest.mark.parametrize(("level", "distillation", "precision", "technique", "run"), [
    (0.0, "none", "fp32", "baseline", "baseline-seed0"),
    (0.25, "none", "fp32", "pruning", "pruning-25-seed0"),
    (0.95, "after", "fp32", "pruning_distillation", "pruning-95-after-seed0"),
    (0.0, "none", "bf16", "mixed_precision", "mixed-precision-bf16-seed0"),
    (0.75, "joint", "fp16", "mixed_precision", "mixed-precision-75-joint-fp16-seed0"),
])
def test_what_the_controls_say_is_the_run(controls, level, distillation, precision, technique, run):
    controls.pruning_level.value, controls.distillation.value = level, distillation
    controls.precision.value, controls.temperature.value = precision, 3.5
    spec = controls.run
    assert (spec.technique, spec.pruning_level, spec.distillation, spec.precision, spec.distilling.temperature) == (
        technique, level, distillation, precision, 3.5)
    assert spec.run == run and run in controls.message.value and not controls.button.disabled
    assert controls.temperature.disabled == (distillation == "none")


def test_what_does_not_go_together_is_said_and_cannot_be_run(controls):
    controls.pruning_level.value = 0.0
    assert controls.button.disabled
    assert "Not possible" in controls.message.value and "pruning_level above 0" in controls.message.value
    controls.pruning_level.value = 0.5
    assert not controls.button.disabled and "Not possible" not in controls.message.value
    controls.temperature.value = -1
    assert controls.button.disabled and "temperature" in controls.message.value


def test_an_error_is_text(controls, monkeypatch):
    def fail(run, begin, tell):
        begin("Teacher")
        tell("<b>Corpus</b>")
        assert controls.progress.value == "&lt;b&gt;Corpus&lt;/b&gt;"
        # The bar is moved by steps alone, whatever a training has to say.
        tell("Measurement")
        assert controls.bar.value == 2
        raise LaghuError("no <script>alert(1)</script> & no corpus")

    monkeypatch.setattr(lab, "make", fail)
    controls.button.click()
    assert controls.message.value.endswith(" no &lt;script&gt;alert(1)&lt;/script&gt; &amp; no corpus")
    assert not controls.button.disabled and controls.records == [] and controls.bar.value == 0


def test_a_run_leaves_the_record_that_its_template_would(tmp_path, monkeypatch):
    by_hand = Checkout(tmp_path)
    settings = TINY | {"pruning_level": 0.5, "distillation": "joint", "distilling": {"epochs": 0.5, "temperature": 3.0}}
    done = by_hand.papermill("pruning_distillation", settings)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "results" / "manual" / "pruning-50-joint-seed0.json"
    expected = RunRecord.load(file)
    trained = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    file.unlink()

    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    monkeypatch.delenv("LAGHU_DATA_DIR", raising=False)
    provenance.pins.cache_clear()
    controls = lab.Lab(RunSpec(technique="baseline", **TINY))
    controls.temperature.value = 3.0
    steps: list[int] = []
    controls.bar.observe(lambda change: steps.append(change.new), "value")
    controls.button.click()
    provenance.pins.cache_clear()

    assert "Done" in controls.message.value, (controls.message.value, controls.log.outputs)
    assert [record.run for record in controls.records] == ["baseline-seed0", "pruning-50-joint-seed0"]
    record = RunRecord.load(file)
    assert record.run_key == expected.run_key and record.predictions == expected.predictions
    # Nothing was trained again.
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == trained
    assert steps == [1, 2, 3, 4, 1, 2, 3, 4, 0]
    assert controls.table.value.count("<tr>") == 3 and "baseline-seed0" in controls.table.value


def test_the_notebook_shows_the_controls_and_is_stored_without_outputs(tmp_path):
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert not any(cell["outputs"] or cell["execution_count"] for cell in stored["cells"] if "outputs" in cell)
    notebook = nbformat.read(str(NOTEBOOK), as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    assert "Press Run above" in shown[1]["text/plain"]
    widgets = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    described = {widget["state"].get("description") for widget in widgets}
    assert {"Pruning level", "Distillation", "Temperature", "Precision", "Run"} <= described
