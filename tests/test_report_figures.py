import json
import re
import statistics
import warnings
from itertools import combinations
from pathlib import Path

import pytest
from fake_records import fake_record, fake_study
from matplotlib.text import Annotation

from laghu import paths, records
from laghu.errors import LaghuError
from laghu.report import figures, style, tables
from laghu.report.rows import row_of
from laghu.spec import RunSpec

REPOSITORY = Path(__file__).parents[1]
STUDY = fake_study()
FRAME = records.frame(STUDY)


@pytest.fixture(scope="module")
def drawings():
    return {name: draw(FRAME) for name, draw in figures.FIGURES.items()}


def mean(row, value):
    return statistics.mean(value(record) for record in STUDY if row_of(record.run) == row)


@pytest.mark.parametrize("name", figures.FIGURES)
def test_labels_stay_inside_and_off_each_other(drawings, name):
    figure = drawings[name].figure
    figure.draw_without_rendering()
    boxes = [
        text.get_window_extent() if not isinstance(text, Annotation) or text.arrow_patch is None
        else super(Annotation, text).get_window_extent()
        for text in figure.axes[0].texts
    ]
    for box, other in combinations(boxes, 2):
        assert not box.overlaps(other)
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1


def test_data_are_the_numbers_of_the_records(drawings):
    data = drawings["accuracy-speed"].data
    assert data.loc["pruning-50", "speed_up.median.mean"] == pytest.approx(
        mean("pruning-50", lambda record: record.speed_up.median))
    assert data.loc["pruning-50", "accuracy.clean.value.mean"] == pytest.approx(
        mean("pruning-50", lambda record: record.accuracy.clean.value))


def test_alt_and_caption_state_numbers_of_the_records(drawings):
    accuracy = 100 * mean("pruning-75-joint", lambda record: record.accuracy.clean.value)
    speed = mean("pruning-75-joint", lambda record: record.speed_up.median)
    assert f"Pruning 75 %, distilled jointly: {accuracy:.1f} % at {speed:.2f}×" in drawings["accuracy-speed"].alt
    classical = 100 * mean("classical", lambda record: record.accuracy.clean.value)
    assert f"{classical:.1f} %" in drawings["accuracy-parameters"].caption
    assert "invented" in drawings["accuracy-views"].caption


def test_points_above_the_bound_are_counted_against_this_encoder(drawings):
    # bounds of the invented encoder: 1.20, 1.48 and 1.96; all six printed factors exceed them
    assert "6 of 6 above" in drawings["speed-bound"].caption


@pytest.mark.parametrize(("low", "says"), [
    (0.9, "measured values above it are within the spread of the measurement"),
    (1.01, "3 of 27 runs have even their lower quartile above it"),
])
def test_what_was_measured_above_the_bound_is_judged_by_its_quartiles(low, says):
    bounds = {record.seed: record.flops_per_token for record in STUDY if row_of(record.run) == "baseline"}

    def raised(record):
        bound = bounds[record.seed] / record.flops_per_token
        speed_up = {"median": 1.02 * bound, "low": low * bound, "high": 1.1 * bound}
        return record.model_copy(update={"speed_up": type(record.speed_up)(**speed_up)})

    changed = [raised(record) if row_of(record.run) == "pruning-50" else record for record in STUDY]
    caption = figures.accuracy_speed(records.frame(changed)).caption
    assert says in caption
    assert "The bf16 rows differ in precision" in caption


def test_caption_says_what_the_bars_are(drawings):
    caption = drawings["accuracy-parameters"].caption
    assert "bars: 95 % bootstrap interval over test rows (mean of the seeds' limits)" in caption


def test_the_answer_has_the_rows_that_are_there_with_bound_and_printed_factor(drawings):
    drawing = drawings["answer"]
    assert set(drawing.data.index) == {"baseline", "pruning-25", "pruning-50", "pruning-75", "ensemble-distillation"}
    assert drawing.data.loc["pruning-75", "speed_up.median.mean"] == pytest.approx(
        mean("pruning-75", lambda record: record.speed_up.median))
    flops = {row: next(record.flops_per_token for record in STUDY if row_of(record.run) == row)
             for row in ("baseline", "pruning-75")}
    assert f"up to {flops['baseline'] / flops['pruning-75']:.2f}×" in drawing.caption
    assert "the factor of 2.56 that the paper prints" in drawing.caption
    texts = {text.get_text() for text in drawing.figure.axes[0].texts}
    assert texts == {"Baseline", "Pruning 25, 50, 75 %", "A better teacher", "TF-IDF + linear SVM",
                     "2.56×, as printed"}


def parts(svg):
    """What an SVG holds between its numbers, and the numbers; names that are digests of drawn numbers are left out."""
    text = re.sub(r"\b[a-z][0-9a-f]{10}\b", "name", svg)
    number = re.compile(r"-?\d+(?:\.\d+)?")
    return number.split(text), [float(each) for each in number.findall(text)]


def test_the_readme_shows_the_answer_as_the_published_records_give_it(tmp_path):
    drawing = figures.answer(tables.study("cpu"))
    readme = (paths.root() / "README.md").read_text(encoding="utf-8")
    alt, file = re.search(r"!\[(.*)\]\((.*)\)", readme).groups()
    assert alt == drawing.alt
    assert f"*{drawing.caption}*" in " ".join(readme.split())
    style.save(drawing.figure, tmp_path / "answer.svg")
    (text, numbers), (committed, drawn) = (
        parts(each.read_text(encoding="utf-8")) for each in (tmp_path / "answer.svg", paths.root() / file))
    assert text == committed, "stale: draw it anew with laghu.cli._draw_headline"
    assert numbers == pytest.approx(drawn, abs=0.01)


def test_the_answer_of_the_book_says_what_the_files_of_its_records_hold(monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(REPOSITORY))
    runs = [json.loads(file.read_bytes()) for file in (REPOSITORY / "results" / "cpu").glob("*.json")]
    of = {}
    for run in runs:
        of.setdefault(row_of(run["run"]), []).append(run)

    def over_seeds(row, value):
        return statistics.mean(value(run) for run in of[row])

    labels = {
        "baseline": "Baseline", "pruning-25": "Pruning 25 %", "pruning-50": "Pruning 50 %",
        "pruning-75": "Pruning 75 %", "ensemble-distillation": "Ensemble distilled",
        "ensemble-distillation-75": "Ensemble distilled, pruning 75 %",
        "two-step-moderate": "Two-step distillation (moderate)", "two-step-maximum": "Two-step distillation (maximum)",
        "two-step-taught": "Two-step distillation (taught)", "student-deep": "Student of its own (deep)",
        "student-shallow": "Student of its own (shallow)", "student-words": "Student of its own (words)",
    }
    drawing = figures.answer(tables.study("cpu"))
    assert set(drawing.data.index) == set(labels)
    said = drawing.alt.partition(". ")[2].rstrip(".").split("; ")
    expected = {}
    for row, label in labels.items():
        accuracy = over_seeds(row, lambda run: run["accuracy"]["clean"]["value"])
        speed = over_seeds(row, lambda run: run["speed_up"]["median"])
        expected[label] = f"{100 * accuracy:.1f} % at {speed:.2f}×"
        line = drawing.data.loc[row]
        assert (line["accuracy.clean.value.mean"], line["speed_up.median.mean"]) == pytest.approx((accuracy, speed))
        for end in ("low", "high"):
            assert line[f"accuracy.clean.{end}.mean"] == pytest.approx(
                over_seeds(row, lambda run, end=end: run["accuracy"]["clean"][end]))
    assert dict(text.split(": ") for text in said) == expected
    work = {row: of[row][0]["flops_per_token"] for row in ("baseline", "pruning-75")}
    classical = 100 * over_seeds("classical", lambda run: run["accuracy"]["clean"]["value"])
    assert re.findall(r"[\d.]+(?=×| that| %\.)", drawing.caption) == [
        f"{work['baseline'] / work['pruning-75']:.2f}", "2.56", f"{classical:.1f}"]


def test_a_study_of_one_seed_and_two_rows_is_drawn():
    few = [record for record in STUDY if record.run in {"baseline-seed1", "pruning-50-seed1"}]
    for draw in figures.FIGURES.values():
        assert draw(records.frame(few)).alt.endswith(".")


def on_the_front(data, cost):
    points = {row: (line[f"{cost}.mean"], line["accuracy.clean.value.mean"]) for row, line in data.iterrows()}
    return {
        row for row, (own, accuracy) in points.items()
        if not any(other <= own and better >= accuracy and (other, better) != (own, accuracy)
                   for other, better in points.values())
    }


@pytest.mark.parametrize(("name", "cost"), [
    ("pareto-latency", "latency_ms.p50"), ("pareto-energy", "inference_energy.kwh_per_1000_documents"),
])
def test_the_front_is_that_of_the_encoders_alone(drawings, name, cost):
    drawing = drawings[name]
    front = set(drawing.data.index[drawing.data["front"]])
    assert front == on_the_front(drawing.data, cost)
    assert 1 < len(front) < len(drawing.data)
    assert drawing.alt.count("on the front") == len(front)
    assert "classical" not in drawing.data.index  # the cheapest by far, but of another engine
    assert "Dashed: TF-IDF + linear SVM" in drawing.caption
    assert "marked bf16 are in that precision" in drawing.caption
    assert ("estimated" in drawing.caption) == (name == "pareto-energy")


def test_the_line_of_the_front_is_what_is_attainable_at_a_cost(drawings):
    drawing = drawings["pareto-latency"]
    line = next(line for line in drawing.figure.axes[0].lines if line.get_drawstyle() == "steps-post")
    cost, accuracy = line.get_data()
    data = drawing.data
    for at, best in zip(cost, accuracy, strict=True):
        affordable = data[data["latency_ms.p50.mean"] <= at + 1e-9]
        assert best == pytest.approx(100 * affordable["accuracy.clean.value.mean"].max())


def test_error_bars_of_a_front_are_deviation_and_mean_limits(drawings):
    drawing = drawings["pareto-latency"]
    place = list(drawing.data.index).index("pruning-50")
    across, upright = drawing.figure.axes[0].containers[place][2]
    latencies = [record.latency_ms.p50 for record in STUDY if row_of(record.run) == "pruning-50"]
    center, spread = statistics.mean(latencies), statistics.stdev(latencies)
    assert across.get_segments()[0][:, 0].tolist() == pytest.approx([center - spread, center + spread])
    limits = [100 * mean("pruning-50", lambda record, end=end: getattr(record.accuracy.clean, end))
              for end in ("low", "high")]
    assert upright.get_segments()[0][:, 1].tolist() == pytest.approx(limits)


def test_rows_of_other_conditions_are_not_on_the_front():
    moved = [record.model_copy(update={"timing": record.timing.model_copy(update={"engine": "other"})})
             if record.run == "pruning-75-joint-seed2" else record for record in STUDY]
    drawing = figures.pareto_latency(records.frame(moved))
    assert "pruning-75-joint" not in drawing.data.index
    assert "Left out, measured under other conditions: Pruning 75 %, distilled jointly." in drawing.caption


def with_others():
    """The study and two rows of other techniques, one of them far smaller and in another engine."""
    def of_size(record, weight_bytes, engine="invented"):
        timing = record.timing.model_copy(update={"engine": engine})
        return record.model_copy(update={"weight_bytes": weight_bytes, "timing": timing})

    specs = [({"technique": "minitron", "pruning_level": 0.75}, 3_000_000),
             ({"technique": "quantization", "quantization": {"scheme": "int4-weights"}}, 600_000, "other")]
    return [*STUDY, *(of_size(fake_record(RunSpec.model_validate({"study": "cpu", "seed": seed, **spec})), *rest)
                      for spec, *rest in specs for seed in (1, 2, 3))]


def test_the_map_by_size_holds_every_technique_and_engine():
    drawing = figures.size(records.frame(with_others()))
    front = set(drawing.data.index[drawing.data["front"]])
    assert front == on_the_front(drawing.data, "weight_bytes")
    assert "quantization-int4-weights" in front  # the smallest by far
    assert {"minitron-75", "pruning-25", "mixed-precision-bf16"} < set(drawing.data.index)
    assert "4-bit weights, on the front" in drawing.alt and "MiB" in drawing.alt
    assert drawing.figure.axes[0].get_xscale() == "log"
    named = {text.get_text() for text in drawing.figure.axes[0].texts}
    assert len(named - {"TF-IDF + linear SVM"}) == len(front)


def test_figures_of_the_first_paper_are_as_without_other_techniques():
    for name in ("accuracy-speed", "accuracy-parameters", "accuracy-inference-carbon", "accuracy-views", "speed-bound"):
        alone, among = figures.FIGURES[name](FRAME), figures.FIGURES[name](records.frame(with_others()))
        if name != "speed-bound":  # it draws movement pruning alone, and says what is drawn
            assert among.data.equals(alone.data)
            assert "Not shown: 2 rows of other techniques." in among.caption
            assert "Not shown" not in alone.caption
        assert among.alt == alone.alt


def test_a_map_needs_a_size():
    classical = [record for record in STUDY if record.technique == "classical"]
    with pytest.raises(LaghuError, match="no row has weight_bytes"):
        figures.size(records.frame(classical))


def test_a_front_needs_a_cost():
    classical = [record for record in STUDY if record.technique == "classical"]
    with pytest.raises(LaghuError, match=r"no row has latency_ms\.p50"):
        figures.pareto_latency(records.frame(classical))


def test_devanagari_has_glyphs(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, axes = style.canvas()
        axes.set_title("क्षेत्रात दुसऱ्या कसोटीत")
        style.save(figure, tmp_path / "title.svg")


def test_the_same_records_give_the_same_bytes(tmp_path):
    for name in ("one.svg", "two.svg"):
        style.save(figures.speed_bound(FRAME).figure, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_figures_stay_readable_on_a_dark_page(drawings):
    assert drawings["accuracy-speed"].figure.get_facecolor() == (1, 1, 1, 1)
