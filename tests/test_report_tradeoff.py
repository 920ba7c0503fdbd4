import csv
import itertools
import json
import math
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_records import fake_record, fake_study
from html_pages import Parts, plain
from sphinx_pages import render, rendered

from laghu import records
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import statistics, tradeoff
from laghu.report.claims import paper3
from laghu.report.claims.papers import Papers
from laghu.report.tradeoff import Comparison, crossing, front, ranking, score, winners
from laghu.spec import RunSpec

REPOSITORY = Path(__file__).parents[1]
SCRIPT = REPOSITORY / "book" / "_static" / "tradeoff.js"
PRINTED = REPOSITORY / "book" / "data" / "paper3_set1_extra_tables_1_to_8.csv"
NODE = shutil.which("node")
STUDY = {record.run: record for record in fake_study()}
NBSP = "\N{NO-BREAK SPACE}"
NASTY = '<img src=x onerror="alert(1)">&'
# Two rows that no third beats, one that is beaten, and the baseline: all by hand.
FEW = pd.DataFrame({"p": [1.0, 1.0, 4.0, 4.0], "t": [1.0, 0.5, 0.05, 0.06], "e": [1.0, 0.9, 0.05, 0.06]},
                   index=["base", "lean", "tiny", "clumsy"])


def invented(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(np.exp(rng.normal(0, 0.5, (rows, 3))), [f"row{place}" for place in range(rows)], list("pte"))


def frame_of(changed=(), without=()):
    by_run = STUDY | {record.run: record for record in changed}
    return records.frame(record for run, record in by_run.items() if run not in without)


def record(run):
    return STUDY[run]


def printed_lines():
    with PRINTED.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


# ------------------------------------------------------------------------------------------- the equation


@pytest.mark.parametrize(("p", "t", "e", "alpha", "beta", "expected"), [
    (1, 1, 1, 0.5, 0.5, 1),
    (4, 0.5, 0.25, 0.5, 0.5, 3),  # 4^1.5 = 8
    (0.25, 3, 1, 0.2, 0.8, 0.175),  # 0.25^1.5 = 1/8
    (2.25, 0.4, 7, 1, 0, 1.35),  # 2.25^1.5 = 27/8
    (2.25, 7, 0.4, 0, 2, 2.7),
    (0, 5, 5, 1, 1, 0),
])
def test_the_equation_by_hand(p, t, e, alpha, beta, expected):
    assert score(p, t, e, alpha, beta) == pytest.approx(expected, rel=1e-15)


def test_the_exponent_is_the_one_that_was_quoted():
    assert str(tradeoff.EXPONENT) == Papers.load().said(3, "exponent").value


@pytest.mark.parametrize("factor", [1e-3, 0.5, 2, 7.3])
def test_a_common_factor_of_the_weights_changes_no_ranking(factor):
    ratios = invented(12, seed=3)
    given, scaled = (score(ratios["p"], ratios["t"], ratios["e"], k * 0.3, k * 1.1) for k in (1, factor))
    np.testing.assert_allclose(scaled, factor * given, rtol=1e-14)
    assert list(scaled.sort_values().index) == list(ranking(ratios, 0.3 / 1.4).index)


@pytest.mark.parametrize("raised", "pte")
def test_more_of_anything_scores_higher(raised):
    for line in invented(20, seed=4).to_dict("records"):
        assert score(**line | {raised: 1.01 * line[raised]}, alpha=0.4, beta=0.6) > score(**line, alpha=0.4, beta=0.6)


@pytest.mark.parametrize(("arguments", "named"), [
    ((1.1, -0.5, 0.4, 0.5, 0.5), "t=-0.5"),
    ((-3.0, 0.5, 0.4, 0.5, 0.5), "p=-3"),
    ((1.1, 0.5, math.nan, 0.5, 0.5), "e=nan"),
    ((1, 1, 1, 0, 0), "alpha=0, beta=0"),
    ((1, 1, 1, -0.5, 1.5), "alpha=-0.5"),
    ((1, 1, 1, math.inf, 1), "alpha=inf"),
])
def test_what_is_no_ratio_or_no_weight_is_refused(arguments, named):
    with pytest.raises(LaghuError, match=re.escape(named)):
        score(*arguments)


@pytest.mark.parametrize("cost", [0.1, 0.5, 0.9, 1, 3])
def test_the_exchange_leaves_the_score_where_it_is(cost):
    errors = tradeoff.exchange(cost)
    assert score(errors, cost, cost, 0.3, 0.7) == pytest.approx(1)
    assert errors**3 * cost**2 == pytest.approx(1)


def test_half_the_cost_pays_for_the_cube_root_of_four():
    assert tradeoff.exchange(0.5) == pytest.approx(4 ** (1 / 3))


# ------------------------------------------------------------------------------------------ several rows


def test_a_ranking_by_hand():
    table = ranking(FEW)
    assert list(table.index) == ["tiny", "clumsy", "lean", "base"]
    assert table["score"].tolist() == pytest.approx([0.4, 0.48, 0.7, 1])
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["front"].tolist() == [True, False, True, False]
    assert table["above"].tolist() == [0, 1, 0, 0]  # clumsy is beaten by tiny and comes before lean


def test_equal_scores_share_a_rank_in_table_order():
    table = ranking(FEW.loc[["base", "lean", "lean"]].set_axis(["base", "one", "two"]))
    assert list(table.index) == ["one", "two", "base"]
    assert table["rank"].tolist() == [1, 1, 3]
    assert table["front"].tolist() == [True, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_change_places_where_a_fine_grid_says(seed):
    ratios = invented(9, seed)
    grid = np.linspace(0, 1, 2001)
    scores = {row: np.sqrt(line.p**3) * (grid * line.t + (1 - grid) * line.e) for row, line in ratios.iterrows()}
    found = {(line.one, line.other): line.share for line in tradeoff.breakpoints(ratios).itertuples()}
    for pair in itertools.combinations(ratios.index, 2):
        signs = np.sign(scores[pair[0]] - scores[pair[1]])
        places = np.flatnonzero(np.diff(signs))
        assert len(places) == (pair in found)
        for place in places:
            assert grid[place] <= found[pair] <= grid[place + 1]


@pytest.mark.parametrize("seed", range(5))
def test_winners_are_those_of_a_fine_grid(seed):
    ratios = invented(15, seed + 10)
    spans = winners(ratios)
    assert [span.high for span in spans[:-1]] == [span.low for span in spans[1:]]
    assert (spans[0].low, spans[-1].high) == (0, 1)
    assert all(one.row != other.row for one, other in itertools.pairwise(spans))
    for share in np.random.default_rng(seed).uniform(0, 1, 200):
        best = min(ratios.index, key=lambda row: score(*ratios.loc[row], share, 1 - share))
        assert next(span.row for span in spans if span.low <= share <= span.high) == best


def test_a_crossing_by_hand():
    # 1 against 8 (0.2 a + 0.05 (1 - a)): equal at a = 0.5
    assert crossing((1, 1, 1), (4, 0.2, 0.05)) == pytest.approx(0.5)
    assert crossing((4, 0.2, 0.05), (1, 1, 1)) == pytest.approx(0.5)


@pytest.mark.parametrize("other", [(1, 1, 1), (1, 0.5, 0.5), (1, 0.5, 0.9), (4, 0.2, 0.125)])
def test_rows_that_keep_their_order_do_not_cross(other):
    assert crossing((1, 1, 1), other) is None


def test_the_front_by_brute_force():
    ratios = invented(40, seed=5)
    points = dict(zip(ratios.index, ratios.itertuples(index=False, name=None), strict=True))
    expected = {
        row for row, own in points.items()
        if not any(other != own and all(x <= y for x, y in zip(other, own, strict=True)) for other in points.values())
    }
    assert set(ratios.index[front(ratios)]) == expected
    assert 0 < len(expected) < 40


def test_with_one_cost_it_is_the_front_of_the_figures():
    ratios = invented(40, seed=6).round(1)  # with ties
    ratios["e"] = ratios["t"]
    assert front(ratios).tolist() == statistics.pareto(ratios["t"], -ratios["p"]).tolist()


def test_a_row_may_be_on_the_front_of_three_and_on_neither_of_two():
    ratios = pd.DataFrame({"p": [1.0] * 3, "t": [0.5, 1, 0.6], "e": [1, 0.5, 0.6]}, index=["fast", "frugal", "both"])
    assert front(ratios).all()
    assert not statistics.pareto(ratios["t"], -ratios["p"])[2]
    assert not statistics.pareto(ratios["e"], -ratios["p"])[2]
    assert winners(ratios)[1].row == "both"


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 1])
def test_no_row_comes_before_one_that_beats_it(share):
    ratios = invented(30, seed=7)
    order, beats = list(ranking(ratios, share).index), tradeoff.dominates(ratios)
    for one, other in itertools.permutations(order, 2):
        if beats.loc[one, other]:
            assert order.index(one) < order.index(other)


# ------------------------------------------------------------------------------------------------ a study


def test_ratios_of_a_study_are_paired_by_seed():
    comparison = tradeoff.of_study(frame_of())
    for row, seed in [("pruning-50", 1), ("pruning-75-after", 2), ("mixed-precision-bf16", 3)]:
        own, base = record(f"{row}-seed{seed}"), record(f"baseline-seed{seed}")
        clean = [view == "2" for view in own.row_views]
        wrong = [sum(sign == "0" for sign, kept in zip(run.right, clean, strict=True) if kept) for run in (own, base)]
        p, t, e = comparison.samples.loc[(row, seed)]
        assert p == pytest.approx(wrong[0] / wrong[1])
        assert t * own.speed_up.median == pytest.approx(1)
        assert e == pytest.approx(own.inference_energy.kwh_per_1000_documents
                                  / base.inference_energy.kwh_per_1000_documents)
    one_by_one = [comparison.samples.loc[("pruning-25", seed), "p"] for seed in (1, 2, 3)]
    assert comparison.ratios.loc["pruning-25", "p"] == pytest.approx(sum(one_by_one) / 3)
    assert comparison.ratios.loc["baseline"].tolist() == [1, 1, 1]


def quantised(scheme: str, kwh: float, speed_up: float = 1.0, lost: int = 0) -> RunRecord:
    """A run in another engine, with the baseline's answers but for some that it lost."""
    own = fake_record(RunSpec(study="cpu", technique="quantization", seed=1, quantization={"scheme": scheme}))
    base = record("baseline-seed1")
    clean = base.accuracy.clean.model_copy(update={"value": base.accuracy.clean.value - lost / base.rows.clean})
    return own.model_copy(update={
        "accuracy": base.accuracy.model_copy(update={"clean": clean}),
        "inference_energy": own.inference_energy.model_copy(update={"kwh_per_1000_documents": kwh}),
        "timing": own.timing.model_copy(update={"engine": "ONNX Runtime, invented"}),
        "speed_up": {"median": speed_up, "low": speed_up, "high": speed_up},
    })


def frame_with(*changed: RunRecord) -> pd.DataFrame:
    return frame_of([RunRecord.model_validate(own.model_dump(warnings=False)) for own in changed])


ENGINE = quantised("fp32", 8e-6, speed_up=1.01), quantised("int8-weights", 2e-6, speed_up=0.8, lost=20)


def test_a_row_of_another_engine_is_held_to_the_baseline_in_that_engine():
    comparison = tradeoff.of_study(frame_with(*ENGINE), "quantization-fp32")
    wrong = 1 - record("baseline-seed1").accuracy.clean.value
    assert comparison.baseline == "quantization-fp32"
    assert comparison.samples.loc[("quantization-int8-weights", 1)].tolist() == pytest.approx(
        [(wrong + 20 / record("baseline-seed1").rows.clean) / wrong, 1.25, 0.25])
    # Timed, the control took 1 / 1.01; by definition it is what the others are held to.
    assert comparison.samples.loc[("quantization-fp32", 1)].tolist() == [1, 1, 1]


def test_every_engine_has_a_front_of_its_own():
    one, other = (tradeoff.of_study(frame_with(*ENGINE), control) for control in tradeoff.CONTROLS)
    assert list(other.labels) == ["quantization-fp32", "quantization-int8-weights"]
    assert set(one.labels) == set(tradeoff.of_study(frame_of()).labels)
    pd.testing.assert_frame_equal(one.ratios, tradeoff.of_study(frame_of()).ratios)
    assert one.unscored == ("TF-IDF + linear SVM",)
    # The control counts as no row that does better or worse.
    assert "Better than the baseline at α = β: 1 of 1 rows" in " ".join(tradeoff.statements(other))


def test_a_row_without_a_control_in_its_engine_has_no_score():
    assert "8-bit weights" in tradeoff.of_study(frame_with(ENGINE[1])).unscored
    with pytest.raises(LaghuError, match="beside those of quantization-fp32"):
        tradeoff.of_study(frame_with(ENGINE[1]), "quantization-fp32")
    with pytest.raises(LaghuError, match="'pruning-25' is no control of an engine; there are baseline, quantization-f"):
        tradeoff.of_study(frame_of(), "pruning-25")


def test_integers_are_not_the_baseline_s_work():
    notes = " ".join(tradeoff.of_study(frame_with(*ENGINE), "quantization-fp32").notes)
    assert "8-bit" not in notes and "do the same work" not in notes


def test_the_classical_row_has_no_score():
    comparison = tradeoff.of_study(frame_of())
    assert comparison.unscored == ("TF-IDF + linear SVM",)
    assert "classical" not in comparison.labels


def test_a_run_without_energy_is_left_out():
    changed = [record(f"pruning-25-seed{seed}").model_copy(update={"inference_energy": None}) for seed in (1, 2, 3)]
    comparison = tradeoff.of_study(frame_of(changed))
    assert comparison.unscored == ("TF-IDF + linear SVM", "Pruning 25 %")
    one_missing = tradeoff.of_study(frame_of(changed[:1]))
    assert len(one_missing.samples.loc["pruning-25"]) == 2


def test_runs_of_another_machine_are_refused():
    own = record("pruning-50-seed2")
    moved = own.model_copy(update={"hardware": own.hardware | {"cpu": "Faster CPU"}})
    with pytest.raises(LaghuError, match="pruning-50-seed2 was measured on Faster CPU"):
        tradeoff.of_study(frame_of([moved]))


@pytest.mark.parametrize("field", ["sequence_length", "throughput_batch_size"])
def test_runs_of_other_work_are_refused(field):
    own = record("pruning-50-seed2")
    other = own.model_copy(update={"timing": own.timing.model_copy(update={field: 64})})
    with pytest.raises(LaghuError, match=f"pruning-50-seed2 has timing.{field} 64, its baseline 32"):
        tradeoff.of_study(frame_of([other]))


def test_a_study_without_baseline_or_errors_is_refused():
    with pytest.raises(LaghuError, match="beside those of baseline"):
        tradeoff.of_study(frame_of(without={f"baseline-seed{seed}" for seed in (1, 2, 3)}))
    base = record("baseline-seed1")
    perfect = base.accuracy.model_copy(update={"clean": base.accuracy.clean.model_copy(update={"value": 1.0})})
    with pytest.raises(LaghuError, match="makes no error"):
        tradeoff.of_study(frame_of([base.model_copy(update={"accuracy": perfect})]))


def test_notes_of_a_study_follow_from_its_records():
    notes = " ".join(tradeoff.of_study(frame_of()).notes)
    errors = np.mean([1 - record(f"baseline-seed{seed}").accuracy.clean.value for seed in (1, 2, 3)])
    assert f"wrong on {100 * errors:.1f}{NBSP}% of the clean" in notes
    assert f"may be wrong on {100 * errors * 4 ** (1 / 3):.1f}{NBSP}%" in notes
    kept = (errors / (errors + 0.01)) ** 1.5
    assert f"one point of accuracy is worth {100 * (1 - kept):.1f}{NBSP}% of the cost" in notes
    trained_on = tradeoff.of_study(frame_of()).ratios.loc["continued"]
    assert f"Trained on: time {trained_on['t']:.3f}, energy {trained_on['e']:.3f}" in notes
    assert "Mixed precision" not in notes  # another precision is other work
    assert "estimated" not in notes


def test_an_estimated_energy_is_said_to_be_one():
    own = record("pruning-50-seed1")
    source = {"cpu": "estimated", "gpu": "absent", "ram": "estimated"}
    energy = own.inference_energy.model_copy(update={"source": source})
    notes = tradeoff.of_study(frame_of([own.model_copy(update={"inference_energy": energy})])).notes
    assert notes[-1].startswith("The energy of CPU and RAM is estimated from time")


# -------------------------------------------------------------------------------------- the published tables


def half_unit(lines, table, column):
    """Half a unit of the last place that a table prints of a quantity; trailing zeros may be missing."""
    return 0.5 / 10 ** max(len(line[column].partition(".")[2]) for line in lines if line["table"] == table)


@pytest.mark.parametrize("family", ["GPT2", "GPT2-L", "GPT2-XL", "OPT-125m"])
def test_published_ratios_are_the_printed_changes(family):
    comparison, beyond, everything = tradeoff.of_paper(Papers.load(), family), [], printed_lines()
    lines = [line for line in everything if line["model_family"] == family]
    bases = {line["table"]: line for line in lines if line["variant"] == "Base"}
    assert len(lines) == len(comparison.samples)
    for line in lines:
        ratios = comparison.samples.loc[(line["variant"], line["dataset"])]
        for name, column in (("p", "perplexity"), ("t", "runtime_s"), ("e", "energy_kwh")):
            change = float(line[f"{column.partition('_')[0]}_change_pct"] or 0)
            half = half_unit(everything, line["table"], column)
            rounding = ratios[name] * sum(half / float(one[column]) for one in (line, bases[line["table"]]))
            if abs(ratios[name] - 1 - change / 100) > 1.01 * rounding + 0.5e-5:
                beyond.append((line["variant"], line["dataset"], name))
    # The one cell that repeats the next table's value.
    assert beyond == ([("8b", "Wikitext-2", "p")] if family == "GPT2-XL" else [])


def test_published_scores_are_those_of_the_audit():
    papers = Papers.load()
    table = paper3.numbers(papers)
    changes = table.groupby(["model_family", "variant"])[[f"{name}.change" for name in
                                                          ("perplexity", "runtime_s", "energy_kwh")]].mean()
    audited = paper3.scores(changes, 1.5)
    for family in ("GPT2", "GPT2-L", "GPT2-XL", "OPT-125m"):
        ours = ranking(tradeoff.of_paper(papers, family).ratios)["score"]
        assert ours.to_dict() == pytest.approx(audited[family].to_dict())


def test_a_published_row_by_hand():
    # GPT2, Distil4b: mean changes +49.918, -40.808 and -70.869 %
    expected = 1.49918**1.5 * (0.59192 + 0.29131) / 2
    assert ranking(tradeoff.of_paper(Papers.load(), "GPT2").ratios).loc["Distil4b", "score"] == pytest.approx(
        expected, rel=1e-4)


def test_an_unknown_family_is_refused():
    with pytest.raises(LaghuError, match="no family 'GPT3'; there are GPT2, OPT-125m"):
        tradeoff.of_paper(Papers.load(), "GPT3")


# ------------------------------------------------------------------------------------------- what it says


def few(ratios=FEW, seeds=1):
    samples = pd.concat({seed: ratios for seed in range(seeds)}).swaplevel().rename_axis(["row", "sample"])
    return Comparison(samples, "base", {row: row.upper() for row in ratios.index}, "seed", "errors", notes=("Last.",))


def test_statements_by_hand():
    assert tradeoff.statements(few()) == [
        "First at α = β: TINY, score 0.400, of one seed.",
        "TINY stays first from all energy to all time. Pairs that change places on the way: 0 of 6.",
        "On the Pareto front of errors, time and energy: 2 of 4 rows. Of these, first at no weights: LEAN.",
        ("Off the front, but before a row of it at α = β: 1 of 2 rows. The first of them is CLUMSY, before 1 of the "
         "front and beaten by TINY."),
        "What decides: errors multiply the score by 1.00 to 8.00, the cost by 0.05 to 1.00.",
        "Better than the baseline at α = β: 3 of 3 rows; with more errors than it: 2 of these.",
        f"The exponent 1.5 is a rate of exchange: half the time and energy pays for 58.7{NBSP}% more errors, a tenth "
        f"less of both for 7.3{NBSP}% more.",
        "Last.",
    ]


def test_statements_where_the_winner_changes():
    ratios = pd.DataFrame({"p": [1.0, 1, 1], "t": [1.0, 0.5, 0.9], "e": [1.0, 0.9, 0.3]}, ["base", "fast", "frugal"])
    said = tradeoff.statements(few(ratios))
    # 0.3 + 0.6 a = 0.9 - 0.4 a at a = 0.6
    assert said[1] == ("As the share of time, α / (α + β), goes from 0 to 1, first comes FRUGAL up to 0.60, then FAST. "
                       "Pairs that change places on the way: 1 of 3.")
    assert said[2].endswith("2 of 3 rows. Each is first somewhere.")
    assert said[3] == "Off the front, but before a row of it at α = β: none."


def test_it_is_said_how_often_the_first_row_is_first():
    comparison = few(seeds=3)
    comparison.samples.loc[("tiny", 1), ["t", "e"]] = 0.08
    assert tradeoff.statements(comparison)[0].endswith("it is first in 2 of 3 seeds.")


def test_the_table_writes_means_and_deviations():
    comparison = few(seeds=2)
    comparison.samples.loc[("lean", 0), "t"] = 0.4
    comparison.samples.loc[("lean", 1), "t"] = 0.6
    line = tradeoff.rendered(comparison).loc["LEAN"]
    assert line["Time, ratio"] == "0.500 ± 0.141"
    assert line["Errors, ratio"] == "1.000"
    assert tradeoff.rendered(comparison)["Pareto front"].tolist() == ["on it", "off, before 1", "on it", "off"]


def test_the_figure_draws_lines_of_equal_scores():
    drawing = tradeoff.against_front(few())
    lines = [line for line in drawing.figure.axes[0].lines if line.get_linestyle() in {"--", ":"}]
    for line, level in zip(lines, (1, 0.4), strict=True):
        cost, errors = map(np.asarray, line.get_data())
        np.testing.assert_allclose(np.sqrt(errors**3) * cost, level)
    assert drawing.data["cost"].to_dict() == pytest.approx({"tiny": 0.05, "clumsy": 0.06, "lean": 0.7, "base": 1})
    assert "1, TINY, on the front: errors 4.00, cost 0.05" in drawing.alt


def test_a_row_without_errors_is_not_drawn():
    perfect = FEW.copy()
    perfect.loc["tiny", "p"] = 0
    with pytest.raises(LaghuError, match="TINY makes no error"):
        tradeoff.against_front(few(perfect))


# --------------------------------------------------------------------------------------------- on a page


PAGES = {
    "index": "(study-cpu)=\n# Page\n\nNo table.\n\n```{toctree}\nours\ntheirs\nengine\nwrong\n```\n",
    "ours": "# Ours\n\nSee {numref}`mine`.\n\n```{tradeoff-table} study\n:study: cpu\n:name: mine\n```\n\n"
            "```{tradeoff-statements} study\n:study: cpu\n```\n\n"
            "```{tradeoff-table} study\n:study: gpu\n```\n",
    "theirs": f"# Theirs\n\n```{{tradeoff-table}} paper3\n:family: {NASTY}\n```\n\n```{{tradeoff-statements}} paper3\n"
              f":family: {NASTY}\n```\n\n```{{tradeoff-figure}} paper3\n:family: {NASTY}\n```\n\n"
              "```{tradeoff-table} paper3\n:family: GPT2\n```\n",
    "engine": "# Engine\n\n```{tradeoff-table} study\n:study: cpu\n```\n\n```{tradeoff-table} study\n:study: cpu\n"
              ":control: quantization-fp32\n```\n",
    "wrong": "# Wrong\n\n```{tradeoff-table} nothing\n```\n\n```{tradeoff-table} study\n```\n\n"
             "```{tradeoff-table} paper3\n```\n\n```{tradeoff-figure} paper3\n:family: GPT3\n```\n",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """HTML by page, and the warnings; paper 3's GPT2-L and one of its variants have names that want to be markup."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(REPOSITORY / "book" / "data", folder / "book" / "data")
    shutil.copytree(REPOSITORY / "book" / "_static", folder / "static", ignore=shutil.ignore_patterns("lib", "fonts"))
    file = folder / "book" / "data" / PRINTED.name
    quoted = '"' + NASTY.replace('"', '""') + '"'
    file.write_text(re.sub("Distil4b|GPT2-L(?=,)", lambda found: quoted, file.read_text(encoding="utf-8")), "utf-8")
    (folder / "studies").mkdir()
    (folder / "studies" / "gpu.yaml").write_text("title: never run\nseeds: [1]\ncommon: {}\nruns: []\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAGHU_HOME", str(folder))
        for run in [*STUDY.values(), *ENGINE]:
            RunRecord.model_validate(run.model_dump(warnings=False)).save()
        _, warnings = render(
            folder, PAGES["index"], "laghu.report.tradeoff_ext", numfig=True, nitpicky=True, smartquotes=False,
            files={f"{name}.md": text for name, text in PAGES.items()}, html_static_path=["static"],
        )
    return {name: rendered(folder, name) for name in PAGES}, warnings


def elements(html):
    """Tags and attributes of a page's content, as a browser reads them."""
    return Parts(re.search(r'role="main">(.*)<div class="sphinxsidebar"', html, re.S)[1]).elements


def test_the_page_holds_the_ranking_without_a_script(site):
    html = site[0]["ours"]
    comparison = tradeoff.of_study(frame_of())
    expected = ranking(comparison.ratios)
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.S)[1]
    lines = re.findall(r"<tr ([^>]*)>(.*?)</tr>", body, re.S)
    assert len(lines) == len(expected)
    for (attributes, cells), line in zip(lines, expected.itertuples(), strict=True):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        assert [float(given[f"data-{name}"]) for name in "pte"] == [line.p, line.t, line.e]
        assert given["data-front"] == ("yes" if line.front else "no")
        assert ("laghu-reference" in given.get("class", "")) == (line.Index == "baseline")
        texts = [plain(cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", cells, re.S)]
        assert texts[:3] == [comparison.labels[line.Index], str(line.rank), f"{line.score:.3f}"]
    assert "See Table 1." in plain(html)
    assert "study cpu in invented, mean ± standard deviation over 3 seeds. Machine: Invented CPU, 2 threads." in plain(
        html)
    assert "of an energy: TF-IDF + linear SVM." in plain(html)
    assert "laghu study gpu runs it" in plain(html)


def test_tables_of_two_engines_are_told_apart(site):
    html = site[0]["engine"]
    assert re.findall(r'aria-label="(Weights: [^"]*)"', html) == [
        "Weights: study cpu in invented", "Weights: study cpu in ONNX Runtime"]
    bodies = re.findall(r"<tbody>(.*?)</tbody>", html, re.S)
    rows = [[plain(name) for name in re.findall(r"<tr.*?<t[hd].*?>(.*?)</t[hd]>", body, re.S)] for body in bodies]
    assert sorted(rows[1]) == ["8-bit weights", "ONNX Runtime, fp32"] and not set(rows[0]) & set(rows[1])
    references = [re.findall(r'<tr class="[^"]*laghu-reference[^"]*".*?<p>(.*?)</p>', body, re.S) for body in bodies]
    assert references == [["Baseline"], ["ONNX Runtime, fp32"]]
    data = re.findall(r'href="(_downloads/[^"]*\.csv)"', html)
    assert len(set(data)) == 2


def test_weights_are_labelled_and_hidden_until_a_script_runs(site):
    weights = re.search(r'<div class="laghu-weights".*?</p>', site[0]["ours"], re.S)[0]
    assert re.match(r'<div class="laghu-weights" role="group" aria-label="[^"]+" hidden>', weights)
    inputs = re.findall(r'<input type="range" id="([^"]+)" min="0" max="1" step="0.05" value="0.5"', weights)
    assert re.findall(r'<label for="([^"]+)">', weights) == re.findall(r'<output for="([^"]+)">', weights) == inputs
    assert len(set(inputs)) == 2
    assert '<p role="status" aria-live="polite"></p>' in weights
    page = re.findall(r'<input type="range" id="([^"]+)"', site[0]["theirs"])
    assert len(page) == len(set(page)) == 4


def test_the_script_is_a_file_of_pages_that_need_it(site):
    for page, needed in (("ours", True), ("theirs", True), ("engine", True), ("index", False), ("wrong", False)):
        assert bool(re.search(r'<script defer="defer" src="_static/tradeoff\.js[^"]*"></script>', site[0][page])
                    ) == ("tradeoff.css" in site[0][page]) == needed
        assert not [tag for tag, attributes in elements(site[0][page]) if tag == "script" or any(
            name.startswith("on") for name in attributes)]


def test_names_that_want_to_be_markup_stay_text(site):
    html = site[0]["theirs"]
    found = elements(html)
    images = [attributes for tag, attributes in found if tag == "img"]
    assert [image["src"].startswith("_images/") for image in images] == [True]
    assert NASTY in images[0]["alt"]
    groups = [attributes["aria-label"] for _, attributes in found if "aria-label" in attributes]
    assert groups == [f"Weights: {NASTY}", "Weights: GPT2"]
    assert unescape(re.search(r"<tbody>.*?<p>([^<]*onerror[^<]*)</p>", html, re.S)[1]) == NASTY


def test_what_does_not_exist_is_a_warning_at_its_line(site):
    lines = site[1].splitlines()
    assert len(lines) == 4
    for line, place, reason in zip(lines, (3, 6, 9, 12), (
            "there are study and paper3", "needs the option :study:", "needs the option :family:",
            "no family 'GPT3'"), strict=True):
        assert f"wrong.md:{place}" in line
        assert reason in line


# ------------------------------------------------------------------------------------------- the script


def node(program: str, **given) -> object:
    """What a program prints as JSON; `script` is the page's script, and `given` what it is given."""
    code = f"const script = require({json.dumps(str(SCRIPT))});\nconst given = {json.dumps(given)};\n{program}"
    done = subprocess.run([NODE, "-e", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_script_asks_nobody_and_writes_text_alone():
    script = SCRIPT.read_text(encoding="utf-8")
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "fetch", "XMLHttp", "import",
                 "http:", "https:", "localStorage", "cookie"):
        assert word not in script, word


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_the_script_ranks_as_python_does():
    assert subprocess.run([NODE, "--check", str(SCRIPT)], check=False).returncode == 0
    for seed, (alpha, beta) in enumerate([(0.5, 0.5), (1, 0), (0, 0.35), (0.2, 0.9), (1, 1)]):
        ratios = invented(20, seed + 20)
        ratios.iloc[4] = ratios.iloc[11]  # a tie
        best = front(ratios)
        rows = [line | {"front": bool(best[row])} for row, line in ratios.to_dict("index").items()]
        given = node("console.log(JSON.stringify(script.ranking(given.rows, given.alpha, given.beta, 1.5)"
                     ".map((row) => ({ ...row, standing: script.standing(row) }))))",
                     rows=rows, alpha=alpha, beta=beta)
        expected = ranking(ratios, alpha / (alpha + beta))
        assert [ratios.index[row["index"]] for row in given] == list(expected.index)
        assert [row["score"] for row in given] == pytest.approx(expected["score"].tolist(), rel=1e-12)
        assert [row["rank"] for row in given] == expected["rank"].tolist()
        assert [row["standing"] for row in given] == [
            tradeoff.standing(line.front, line.above) for line in expected.itertuples()]


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_moving_a_weight_sorts_the_lines_and_says_who_is_first():
    # Elements with no more than the script may use.
    states = node("""
const cell = (text) => { const p = { textContent: text }; return { querySelector: () => p,
  get textContent() { return p.textContent; } }; };
const line = ([name, p, t, e, front]) => ({ dataset: { p, t, e, front },
  cells: [name, "", "", "", "", "", ""].map(cell) });
const rows = given.rows.map(line);
const body = { rows, order: [...rows], append(row) { this.order = [...this.order.filter((r) => r !== row), row]; } };
const input = () => ({ value: "0.5", nextElementSibling: {},
  addEventListener(type, run) { this[type] = run; } });
const [alpha, beta, status] = [input(), input(), {}];
const weights = { hidden: true, querySelectorAll: () => [alpha, beta], querySelector: () => status };
const calculator = { dataset: { exponent: "1.5" },
  querySelector: (name) => ({ ".laghu-weights": weights, "tbody": body })[name] };
script.connect(calculator);
const state = () => ({ hidden: weights.hidden, status: status.textContent, shown: alpha.nextElementSibling.textContent,
  order: body.order.map((row) => [0, 1, 2, 6].map((place) => row.cells[place].textContent)) });
const states = [state()];
for (const [a, b] of [["1", "0"], ["0", "0"]]) { alpha.value = a; beta.value = b; alpha.input(); states.push(state()); }
console.log(JSON.stringify(states));
""", rows=[["Base", "1", "1", "1", "no"], ["Frugal", "1", "0.9", "0.3", "yes"], ["Fast", "1", "0.5", "0.8", "yes"]])
    at_first, all_time, nothing = states
    assert at_first["hidden"] is False
    assert at_first["order"] == [["Frugal", "1", "0.600", "on it"], ["Fast", "2", "0.650", "on it"],
                                 ["Base", "3", "1.000", "off"]]
    assert at_first["status"] == f"First: Frugal, score 0.600. Time counts for 50{NBSP}%, energy for 50{NBSP}%."
    assert [line[0] for line in all_time["order"]] == ["Fast", "Frugal", "Base"]
    assert all_time["status"] == f"First: Fast, score 0.500. Time counts for 100{NBSP}%, energy for 0{NBSP}%."
    assert all_time["shown"] == "1.00"
    assert nothing["order"] == all_time["order"]
    assert nothing["status"].startswith("With both weights at 0 nothing counts")
