"""The page that Sphinx makes of an executed notebook and its record."""

import base64
import io
import re
from pathlib import Path

import nbformat
import pytest
from fake_records import fake_record
from html_pages import Parts
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from sphinx_pages import render, rendered

from laghu.records import RunRecord
from laghu.spec import RunSpec

CSV = "step,loss\n1,0.5\n2,<script>\n"
FIGURE = {"mystnb": {"figure": {"caption": "Training loss."}, "image": {"alt": "Loss against step"}}}


def png(shade: int) -> str:
    file = io.BytesIO()
    Image.new("L", (8, 8), shade).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def cell(*outputs: dict[str, str], **metadata):
    return new_code_cell("show()", metadata=metadata, outputs=[
        new_output("execute_result", data={"text/plain": "<Plot>", **data}, execution_count=1) for data in outputs])


def build(folder: Path, record: RunRecord | None, *cells) -> Path:
    """Render a book of one notebook; no warning is let pass. Returns the folder of its pages."""
    executed = folder / "results" / "manual" / "pruning-50-seed1.ipynb"
    executed.parent.mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(cells=[new_markdown_cell("# Pruning 50 %\n\nWhat it does."), *cells],
                            metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}})
    if record:
        record.save()
    nbformat.write(notebook, str(executed))
    _, warnings = render(
        folder, "# Book\n\n```{toctree}\nresults/manual/pruning-50-seed1\nprovenance\n```\n",
        files={"provenance.md": "# Provenance\n\n```{run-table} manual\n```\n"},
        extensions=["myst_nb", "laghu.report.sphinx_ext", "laghu.report.notebook_ext"], nb_execution_mode="off",
        # Said here, or MyST-NB's would become Sphinx's defaults for tests that follow.
        source_suffix={".md": "myst-nb", ".ipynb": "myst-nb"}, numfig=True, nitpicky=True,
        suppress_warnings=["mystnb.unknown_mime_type"], exclude_patterns=["notebooks"],
    )
    assert warnings == ""
    return folder / "html"


@pytest.fixture
def record(home) -> RunRecord:
    return fake_record(RunSpec(study="manual", technique="pruning", pruning_level=0.5, seed=1))


def page_of(html: Path) -> str:
    return rendered(html.parent, "results/manual/pruning-50-seed1")


def test_the_page_opens_with_its_question_result_and_record_and_ends_with_limits_and_command(home, record):
    html = page_of(build(home, record, cell({})))
    parts = ["Pruning 50 %", "How good, how fast", "In one line:", "Record<", "record (JSON)", "Machine<", "Commit<",
             "What it does", "show", "Limits", "Run it again", "papermill notebooks/pruning.ipynb"]
    body = html[html.index('<div class="body"'):]
    places = [body.index(part) for part in parts]
    assert places == sorted(places)
    assert re.search(r'href="../../provenance\.html#run-manual-pruning-50-seed1"', body)


def test_a_figure_says_whose_it_is_and_offers_its_numbers(home, record):
    html = build(home, record, cell({"image/png": png(0), "text/csv": CSV}, **FIGURE))
    page = page_of(html)
    caption = re.search(r"<figcaption>.*?</figcaption>", page, re.DOTALL)[0]
    assert "Training loss." in caption and "pruning-50-seed1, study manual, Invented CPU, 2 threads." in caption
    (link,) = re.findall(r'href="([^"]+\.csv)"', page)
    assert (html / "results" / "manual" / link).resolve().read_text(encoding="utf-8") == CSV
    (image,) = [given for tag, given in Parts(page).elements if tag == "img"]
    assert image["alt"] == "Loss against step"
    assert image["src"].endswith("/results-manual-pruning-50-seed1-1.png")


def test_each_figure_has_its_own_numbers_and_one_without_offers_none(home, record):
    html = build(
        home, record, cell({"image/png": png(0), "text/csv": "a\n1\n"}, **FIGURE),
        cell({"image/png": png(90)}, **FIGURE), cell({"image/png": png(200), "text/csv": "a\n3\n"}, **FIGURE),
    )
    figures = re.findall(r"<figure.*?</figure>", page_of(html), re.DOTALL)
    offered = [re.findall(r'href="([^"]+\.csv)"', figure) for figure in figures]
    assert [len(links) for links in offered] == [1, 0, 1]
    read = [(html / "results" / "manual" / links[0]).resolve().read_text() for links in offered if links]
    assert read == ["a\n1\n", "a\n3\n"]


def test_a_cell_that_shows_no_image_is_no_figure(home, record):
    page = page_of(build(home, record, cell({}, **FIGURE)))
    assert "<figure" not in page and "Training loss." not in page


def test_a_page_without_a_record_is_left_alone(home, record):
    other = record.model_copy(update={"run": "pruning-50-seed2"})  # of the study, so that it has a table
    page = page_of(build(home, other, cell({"image/png": png(0)}, **FIGURE)))
    assert "In one line" not in page and "Run it again" not in page
    assert "Training loss." in page
