"""The live page as it is written; `tests/browser/test_live.py` uses it."""

import hashlib
import re
from pathlib import Path

import pytest
from html_pages import Parts
from shipped_model import LABELS, make
from sphinx_pages import render

from laghu import paths, sample
from laghu.records import RunRecord
from laghu.report import live
from laghu.shipping import card, manifest
from laghu.spec import Study

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

REPOSITORY = Path(__file__).parents[1]
PAGE = """# Page

{shipped}`small#bytes`, {shipped}`small#accuracy.clean.value`, {shipped}`#max_length`, {shipped}`#made`,
{shipped}`teacher#shape.vocab_size`.

```{live-model}
```

## Card

```{model-card}
```

## Behind
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkout's `book/_static` with a model."""
    static = tmp_path_factory.mktemp("home") / "book" / "_static"
    static.mkdir(parents=True)
    for name in ("lib", "live"):
        (static / name).symlink_to(REPOSITORY / "book" / "_static" / name)
    make(static / "model")
    return static


@pytest.fixture
def shipped(folder, monkeypatch) -> manifest.Manifest:
    monkeypatch.setenv("LAGHU_HOME", str(folder.parents[1]))
    return manifest.load()


def test_page_and_card_of_a_shipped_model(shipped, folder, tmp_path):
    page, warnings = render(tmp_path, PAGE, "laghu.report.live_ext")
    assert not warnings
    read = Parts(page)
    assert f"{live.megabytes(shipped.small.bytes)}".replace("\xa0", " ") in read.text
    assert f"62.5 %, 24, 2026-11-01, {shipped.teacher.shape.vocab_size}" in read.text
    assert "under CC0-1.0, which has the most conditions" in read.text and f"{shipped.small.parameters:,}" in read.text
    headings = re.findall(r"<h(\d)>(.*?)<a class=\"headerlink\"", page)
    assert headings[:2] == [("1", "Page"), ("2", "Card")] and headings[-1] == ("2", "Behind")
    assert {level for level, _ in headings[2:-1]} == {"3"} and ("3", "What it must not be used for") in headings
    # The card's introduction stands before its sections.
    assert read.text.index("Word pieces known") < read.text.index("What it is for")
    scripts = [given.get("src", "") for tag, given in read.elements if tag == "script"]
    assert "_static/live/live.js" in "".join(scripts) and "live/live.css" in page


def test_text_of_sources_stays_text(shipped, tmp_path):
    page, _ = render(tmp_path, PAGE, "laghu.report.live_ext")
    assert "Laghu <script>alert(1)</script>" in Parts(page).text
    assert "<script>alert" not in page


def test_labels_and_file_names_are_escaped(shipped, folder):
    odd = shipped.model_copy(update={"labels": ["<b>Auto", *LABELS[1:]]})
    assert "&lt;b&gt;Auto" in live.skeleton(odd, folder) and "<b>" not in live.skeleton(odd, folder)


def test_a_button_says_the_size_of_what_it_loads(shipped, folder):
    page = live.skeleton(shipped, folder)
    runtime = sum((folder / name).stat().st_size for name in live.RUNTIME)
    assert f'data-bytes="{runtime + shipped.small.bytes}"' in page
    assert f"({(runtime + shipped.small.bytes) / 1e6:.1f}\xa0MB)" in page
    assert f'data-bytes="{shipped.teacher.bytes}"' in page
    # A second version of a file has another address.
    assert f"small.onnx.gz?v={shipped.small.weights.sha256[:8]}" in page


def test_without_a_teacher_there_is_one_button(shipped, folder):
    page = live.skeleton(shipped.model_copy(update={"teacher": None}), folder)
    assert len(re.findall("<button[^>]*laghu-live-load", page)) == 1


def test_every_topic_has_its_row_in_the_order_of_the_scores(shipped, folder):
    rows = re.findall(r'<tr><th scope="row">(\w+)', live.skeleton(shipped, folder))
    assert rows == shipped.labels


def test_a_page_without_the_model_loads_nothing_of_it(shipped, tmp_path):
    page, _ = render(tmp_path, "# Page\n\n{shipped}`small#bytes`\n", "laghu.report.live_ext")
    assert "live.js" not in page and "live.css" not in page


def test_where_no_model_is_shipped_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    page, warnings = render(tmp_path, PAGE, "laghu.report.live_ext")
    read = Parts(page)
    assert not warnings
    assert read.text.count("No model is shipped in this checkout") == 2 and "not shipped yet" in read.text
    assert "live.js" not in page and "laghu-live-load" not in page


@pytest.mark.parametrize(("role", "warning"), [
    ("{shipped}`large#bytes`", "is not of the form"), ("{shipped}`small`", "is not of the form"),
    ("{shipped}`small#colour`", "no field 'colour'"), ("{shipped}`small#shape`", "not a single value"),
])
def test_a_number_that_is_not_there_is_a_warning(shipped, tmp_path, role, warning):
    _, warnings = render(tmp_path, f"# Page\n\n{role}\n", "laghu.report.live_ext")
    assert warning in warnings


def test_headlines_to_pick_are_invented_and_one_of_each_topic():
    labels = {headline.text: headline.label for headline in sample.headlines()}
    assert sorted(labels[text] for text in live.EXAMPLES) == list(sample.LABELS)


def test_the_runtime_is_there_with_its_licence():
    library = REPOSITORY / "book" / "_static" / "lib" / "onnxruntime-web"
    assert "v1.30.0" in (library / "ort.wasm.bundle.min.js").read_text(encoding="utf-8")[:200]
    assert "MIT License" in (library / "LICENSE").read_text(encoding="utf-8")
    assert {name for name in live.RUNTIME if not (REPOSITORY / "book" / "_static" / name).is_file()} == set()


def test_the_books_own_model_is_whole():
    """What is committed: the files that the manifest names, as it names them, and small enough."""
    made = manifest.load(paths.shipped())
    if made is None:
        pytest.skip("no model is shipped in this checkout")
    for model in filter(None, (made.small, made.teacher)):
        assert model.bytes <= manifest.MODEL_LIMIT
        for file in model.files:
            assert hashlib.sha256((paths.shipped() / file.name).read_bytes()).hexdigest() == file.sha256
    assert not made.synthetic and "+modified" not in made.commit
    assert (paths.shipped() / manifest.CARD).read_text(encoding="utf-8") == card.text(made)


def test_the_books_own_model_is_the_one_of_its_published_run():
    made = manifest.load(paths.shipped())
    if made is None:
        pytest.skip("no model is shipped in this checkout")
    assert Study.load(made.study).ships == made.small.run
    for model in filter(None, (made.small, made.teacher)):
        record = RunRecord.load(paths.results(made.study) / f"{model.run}.json")
        assert record.stages[-1].key == model.stage
        assert record.parameters.total == model.parameters
        # Integers for floats: not the same answers, and about as many right.
        assert model.accuracy.clean.value == pytest.approx(record.accuracy.clean.value, abs=0.01)
    record = RunRecord.load(paths.results(made.study) / f"{made.small.run}.json")
    assert (made.run_key, made.settings, made.seed) == (record.run_key, record.settings, record.seed)
    assert (made.data_sha256, made.rows) == (record.data_sha256, record.rows)


def test_its_numbers_link_to_its_line_of_provenance(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    (tmp_path / "book" / "_static").mkdir(parents=True)
    (tmp_path / "book" / "_static" / "model").symlink_to(folder / "model")
    (tmp_path / "results" / "tiny").mkdir(parents=True)
    shown = "{shipped}`small#accuracy.clean.value`\n\n```{record-table} shipped\n```\n"
    page, warnings = render(tmp_path, f"# Page\n\n{shown}", "laghu.report.live_ext", "laghu.report.sphinx_ext",
                            exclude_patterns=["book"])
    assert not warnings
    assert re.search(r'<a [^>]*href="#shipped-tiny"[^>]*>.*?62\.5', page)
    assert 'id="shipped-tiny"' in page and "manifest.json" in page
