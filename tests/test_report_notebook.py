from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from fake_records import fake_record
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from laghu.errors import LaghuError
from laghu.report import notebook as show
from laghu.spec import RunSpec

ATTACK = "<script>alert('&')</script>"


def test_headlines_are_escaped_and_marked_as_marathi():
    html = show.headlines([f"{ATTACK} क्षेत्र", "क्षेत्रात"], ["a<b", "b"]).data
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in html
    assert "a&lt;b" in html
    assert html.count('<td lang="mr">') == 2
    assert "Predicted" not in html


def test_headlines_of_other_corpora_have_their_own_language_or_the_page_s():
    html = show.headlines(["ক্ষেত্র", "A headline"], ["a", "b"]).data
    assert html.count("lang=") == 1
    assert '<td lang="bn">ক্ষেত্র</td>' in html


def test_predictions_are_a_third_column():
    html = show.headlines(["क"], ["auto"], ["crime"]).data
    assert '<td lang="mr">क</td><td>auto</td><td>crime</td>' in html


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        show.headlines(["क", "ख"], ["auto"])


def test_summary_shows_what_the_run_has():
    record = fake_record(RunSpec(technique="pruning", pruning_level=0.5, seed=1))
    html = show.summary(record).data.replace("\N{NO-BREAK SPACE}", " ")
    clean = record.accuracy.clean
    assert f"{100 * clean.value:.1f} % [{100 * clean.low:.1f}, {100 * clean.high:.1f}]" in html
    assert f"{record.speed_up.median:.2f}×" in html
    assert "2,011 rows" in html


def test_summary_leaves_out_what_the_run_has_not():
    html = show.summary(fake_record(RunSpec(technique="classical", seed=1))).data
    assert "Speed-up" not in html
    assert "None" not in html


def test_summary_is_escaped():
    record = fake_record(RunSpec(technique="classical", seed=1))
    hostile = record.model_copy(update={"hardware": {"cpu": ATTACK}})
    assert "<script" not in show.summary(hostile).data


def test_confusion_counts_rows_by_columns():
    plot = show.confusion([0, 0, 0, 1, 2], [0, 0, 2, 1, 1], ["x", "y", "z"])
    axes = plot.figure.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    # (column, row): (predicted, true)
    assert written == {(0, 0): "2", (2, 0): "1", (1, 1): "1", (1, 2): "1"}
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert plot.data.to_csv(index=False).splitlines() == ["true,x,y,z", "x,2,0,1", "y,0,1,0", "z,0,1,0"]


def test_loss_curve_draws_the_log():
    log = [{"step": 10 * n, "loss": 2 / n, "learning_rate": 1e-4 * n} for n in (1, 2, 3)]
    plot = show.loss_curve({"steps": 30, "log": log})
    loss, rate = plot.figure.axes
    assert loss.lines[0].get_xydata().tolist() == [[10, 2], [20, 1], [30, pytest.approx(2 / 3)]]
    assert rate.lines[0].get_ydata().tolist() == pytest.approx([1e-4, 2e-4, 3e-4])
    assert plot.data.to_dict("records") == log


def test_loss_curve_needs_a_log():
    with pytest.raises(LaghuError, match="0 entries"):
        show.loss_curve({"steps": 1, "log": []})


def test_a_stage_that_trained_nothing_has_no_curve():
    assert show.loss_curve({"steps": 0, "log": []}) == "Nothing was trained in this stage."


def test_neurons_are_split_into_those_that_stay_and_go():
    scores = [np.arange(8.0).tolist(), np.arange(8.0)[::-1].tolist()]
    plot = show.neurons({"scores": scores, "kept": [[5, 6, 7], [0, 1]]})
    assert [axes.texts[0].get_text() for axes in plot.figure.axes] == ["3 of 8 stay", "2 of 8 stay"]
    for layer, axes in enumerate(plot.figure.axes, start=1):
        data = plot.data[plot.data["layer"] == layer]
        for bars, name in zip(axes.containers, ("stays", "goes"), strict=True):
            assert [bar.get_height() for bar in bars] == data[name].tolist()
        assert [bar.get_x() for bar in axes.containers[0]] == pytest.approx(data["from"].tolist())
    assert plot.data.groupby("layer")[["stays", "goes"]].sum().to_numpy().tolist() == [[3, 5], [2, 6]]


def test_schedule_is_in_percent():
    plot = show.schedule([1.0, 0.75, 0.5])
    assert plot.figure.axes[0].lines[0].get_xydata().tolist() == [[0, 100], [1, 75], [2, 50]]
    assert plot.data.to_csv(index=False).splitlines() == ["step,density", "0,1.0", "1,0.75", "2,0.5"]


def test_a_cell_puts_out_the_figure_and_its_numbers():
    shell = InteractiveShell()
    data, _ = shell.display_formatter.format(show.schedule([1.0, 1 / 3]))
    assert data["text/csv"] == "step,density\n0,1\n1,0.333333\n"
    image = Image.open(BytesIO(b64decode(data["image/png"])))
    assert image.format == "PNG" and image.width > 300
