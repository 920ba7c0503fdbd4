"""What a notebook is told, and what is kept of an executed one."""

import base64
import io

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from papermill.translators import PythonTranslator
from PIL import Image

from laghu import paths, runner
from laghu.spec import RunSpec, Study


def pixels(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(int)


def a_figure() -> str:
    figure = Figure(figsize=(6, 4), dpi=150)
    axes = figure.subplots()
    axes.plot(np.random.default_rng(0).random((40, 3)))
    axes.set_title("A figure")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def test_figures_shrink_without_a_difference_that_shows():
    image = a_figure()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[
        nbformat.v4.new_output("display_data", {"image/png": image, "text/plain": "a figure"}),
        nbformat.v4.new_output("stream", text="4711"),
    ])])
    runner._strip(notebook)
    shown, printed = notebook.cells[0].outputs
    assert len(shown.data["image/png"]) < 0.6 * len(image)
    difference = np.abs(pixels(shown.data["image/png"]) - pixels(image))
    assert difference.mean() < 1 and (difference.max(axis=-1) > 40).mean() < 0.001
    assert (pixels(shown.data["image/png"])[0, 0] == 255).all()  # white stays white
    assert shown.data["text/plain"] == "a figure" and printed.text == "4711"


def test_notes_of_papermill_go_and_other_metadata_stays():
    cell = nbformat.v4.new_code_cell("1", metadata={"papermill": {"start_time": "now"}, "tags": ["parameters"],
                                                    "execution": {"iopub": "now"}})
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"input_path": "/somewhere"}})
    runner._strip(notebook)
    assert "papermill" not in notebook.metadata and notebook.cells[0].metadata == {"tags": ["parameters"]}


@pytest.mark.parametrize("study", sorted(file.stem for file in paths.studies().glob("*.yaml")))
def test_a_notebook_reads_its_parameters_as_they_were_meant(study):
    """They are written into it as Python, by papermill."""
    for spec in Study.load(study).runs:
        told: dict = {}
        exec(PythonTranslator.codify(runner.parameters(spec)), told)
        told.pop("__builtins__")
        assert RunSpec(technique=spec.technique, **told) == spec
