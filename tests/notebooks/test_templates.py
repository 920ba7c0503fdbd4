"""Every template runs end to end by hand, on a tiny configuration, from a directory that is not the repository."""

import json

import nbformat
import pytest
from checkout import REPOSITORY, TINY

from laghu.records import RunRecord

RUNS = {
    "baseline": ({}, "baseline-seed0"),
    "continued": ({}, "continued-seed0"),
    "classical": ({}, "classical-seed0"),
    "pruning": ({"pruning_level": 0.5}, "pruning-50-seed0"),
    "pruning_distillation": ({"pruning_level": 0.25, "distillation": "after"}, "pruning-25-after-seed0"),
    "ensemble_distillation": ({"pruning_level": 0.5}, "ensemble-distillation-50-seed0"),
    "one_shot": ({"pruning_level": 0.5, "one_shot": {"epochs": 0}}, "one-shot-magnitude-50-untrained-seed0"),
    "minitron": ({"pruning_level": 0.5, "minitron": {"epochs": 1}}, "minitron-50-seed0"),
    "from_scratch": ({"pruning_level": 0.5}, "from-scratch-50-seed0"),
    "vocabulary_trimming": ({"vocabulary": {"size": 250}}, "vocabulary-trimming-250tokens-seed0"),
    "two_step_distillation": ({"two_step": {"intermediate_size": 32, "hidden_size": 16, "vocab_size": 250, "steps": 4}},
                              "two-step-small-seed0"),
    "student": ({"student": {"vocab_size": 400, "intermediate_size": 32}, "ensemble": {"texts": 40, "epochs": 1}},
                "student-words-seed0"),
    "quantization": ({"quantization": {"scheme": "int8-dynamic", "of": "pruning_distillation"}, "pruning_level": 0.5,
                      "distillation": "joint"}, "quantization-int8-dynamic-of-pruning-50-joint-seed0"),
    "mixed_precision": ({"precision": "bf16", "pruning_level": 0.75, "distillation": "joint"},
                        "mixed-precision-75-joint-bf16-seed0"),
}


def _settings(technique: str) -> dict:
    cells = nbformat.read(str(REPOSITORY / "notebooks" / f"{technique}.ipynb"), as_version=4).cells
    parameters = next(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))
    return {name: value for name, value in TINY.items() if f"\n{name} = " in f"\n{parameters}"}


def test_there_is_a_run_for_every_template():
    there = {path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")}
    # Those are run in tests/test_cost.py, tests/test_token_classification.py and tests/own; the last is none:
    # tests/test_lab.py.
    assert there == {*RUNS, "cost", "token_classification", "compress", "tweak"}


@pytest.mark.parametrize("technique", RUNS)
def test_template_runs_and_writes_its_record(checkout, technique):
    parameters, run = RUNS[technique]
    result = checkout.papermill(technique, {**_settings(technique), **parameters})
    assert result.returncode == 0, result.stderr
    record = RunRecord.load(checkout.folder / "results" / "manual" / f"{run}.json")
    assert record.run == run and record.synthetic
    assert record.rows.published == len(record.predictions) == 240
    own = {**parameters.get("two_step", {}), **parameters.get("student", {})}
    neurons = own.get("intermediate_size", 64 * (1 - parameters.get("pruning_level", 0)))
    assert record.pruning_level == (0.0 if technique in ("classical", "student") else 1 - neurons / 64)
    assert record.settings["measuring"]["bootstrap"] == TINY["measuring"]["bootstrap"]
    if record.surgery_error is not None:
        assert record.surgery_error < 1e-5
    if technique != "classical":
        assert record.parameters.total > record.parameters.encoder > 0
        assert record.intermediate_size == neurons
    page = nbformat.read(str(checkout.folder / "elsewhere" / "out.ipynb"), as_version=4)
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    assert outputs and not [output for output in outputs if output.output_type == "error"]


@pytest.mark.parametrize("technique", RUNS)
def test_templates_are_stored_without_outputs_and_with_one_parameters_cell(technique):
    notebook = json.loads((REPOSITORY / "notebooks" / f"{technique}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in cells) == 1
    assert notebook["cells"][0]["source"][0].startswith("# ")
