import dataclasses
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import REPOSITORY
from fake_records import ROW_VIEWS, fake_record, fake_study
from html_pages import plain
from sphinx_pages import render
from statsmodels.stats.contingency_tables import mcnemar
from transformers import BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

from laghu import records, spreadsheets
from laghu.errors import LaghuError
from laghu.records import CostRecord, RunRecord, TokenRecord
from laghu.report import claims_ext, statistics, tables
from laghu.report.claims import arithmetic, audit, paired, paper1, paper2, paper3
from laghu.report.claims.claim import Claim, Verdict
from laghu.report.claims.evidence import NOT_RUN
from laghu.report.claims.papers import Papers
from laghu.report.rows import row_of
from laghu.spec import RunSpec, TokenRun

PAPERS = Papers.load()
FRAME = tables.derived(records.frame(fake_study()))
PRINTED = audit.claims(PAPERS, {})
SMALLER = ("pruning-25", "pruning-50", "pruning-75", "pruning-25-after", "pruning-50-after", "pruning-75-after")
CONFIRMED, CONTRADICTED, INCONSISTENT, NOT_TESTABLE = Verdict


def verdict(claim: str, papers: Papers = PAPERS, **given) -> Verdict:
    return one(claim, papers, **given).verdict


def one(claim: str, papers: Papers = PAPERS, studies=None, comparison=None, cost=None, runs=(), words=()) -> Claim:
    """The one claim that says this; papers are audited one after the other until it is found."""
    audits = [lambda: paper1.claims(papers, studies or {}, comparison, cost),
              lambda: paper2.claims(papers, {"cpu": runs}, {"cpu": words}),
              lambda: paper3.claims(papers, studies or {}, {"cpu": runs})]
    if runs or words:
        audits = audits[1:]  # paper 1 takes neither
    elif papers is PAPERS and studies is comparison is cost is None:
        audits = [lambda: PRINTED]
    found = next((found for each in audits if (found := [one for one in each() if claim in one.claim])), [])
    assert len(found) == 1, [each.claim for each in found]
    return found[0]


def printed(row: str, column: str, value: str) -> Papers:
    """The papers with another cell in Table I."""
    table = PAPERS.table_one.copy()
    table.loc[row, column] = value
    return dataclasses.replace(PAPERS, table_one=table)


def said(paper: int, statement: str, value: str) -> Papers:
    table = PAPERS.statements.copy()
    table.loc[(str(paper), statement), "value"] = value
    return dataclasses.replace(PAPERS, statements=table)


def measured(row: str, field: str, change) -> dict[str, pd.DataFrame]:
    """The invented study with another value in one row's runs."""
    frame = FRAME.copy()
    own = frame["row"] == row
    frame.loc[own, field] = change(frame.loc[own, field].astype(float))
    return {"cpu": frame}


def quantised(line: pd.Series, column: str, value: str) -> Papers:
    table = PAPERS.quantisation.copy()
    table.loc[line, column] = value
    return dataclasses.replace(PAPERS, quantisation=table)


# ------------------------------------------------------------------------------------------------ arithmetic


@pytest.mark.parametrize(("value", "text", "agree"), [
    (5.963, "5.96", True), (5.9651, "5.96", False), (11.925, "12", True), (11.4, "12", False), (55.64, "55.6", True),
])
def test_a_value_agrees_with_what_it_rounds_to(value, text, agree):
    assert arithmetic.agrees(value, text) is agree


def test_a_decrease_of_time_stands_for_the_speed_ups_that_print_it():
    low, high = arithmetic.speed_ups("59.06")
    assert low < 1 / (1 - 0.5906) < high
    assert [f"{100 * (1 - 1 / end):.3f}" for end in (low, high)] == ["59.055", "59.065"]


def test_correct_answers_are_found_as_by_trying_all():
    for accuracy in PAPERS.table_one["accuracy_pct"]:
        for rows in (2751, 2761):
            tried = [k for k in range(rows + 1) if f"{100 * k / rows:.2f}" == accuracy]
            assert arithmetic.correct_answers(accuracy, rows) == (tried[0] if tried else None)


@pytest.mark.parametrize(("net", "differing"), [(7, 161), (-7, 161), (0, 10), (3, 3), (64, 386)])
def test_mcnemar_of_a_net_difference_is_that_of_the_counts(net, differing):
    more, less = (differing + abs(net)) // 2, (differing - abs(net)) // 2
    expected = mcnemar([[0, more], [less, 0]], exact=True).pvalue
    assert arithmetic.mcnemar_p(net, differing) == pytest.approx(min(1, expected))


def test_mcnemar_takes_the_next_possible_number_of_differing_answers():
    assert arithmetic.mcnemar_p(7, 160) == arithmetic.mcnemar_p(7, 161)
    assert arithmetic.mcnemar_p(7, 2) == pytest.approx(2 * 0.5**7)
    assert arithmetic.mcnemar_p(0, 0) == 1


@pytest.mark.parametrize("net", [4, 7, 17])
def test_most_differing_is_the_last_number_below_the_level(net):
    most = arithmetic.most_differing(net, 300)
    below = [n for n in range(net, 301, 2) if arithmetic.mcnemar_p(net, n) < 0.05]
    assert most == (max(below) if below else None)


def test_half_precision_is_that_of_all_its_numbers():
    grid = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(float)
    grid = np.unique(grid[np.isfinite(grid) & (grid > 0)])
    for value in (31.02443, 24.95313, 69.0, 15.92):
        nearest = np.abs(grid - value).min()
        assert arithmetic.on_half_grid(value, 0.5e-5) is bool(nearest <= 0.5e-5 + 1e-9)
        place = np.searchsorted(grid, value, side="right")
        assert 2 * arithmetic.half_step(value) == grid[place] - grid[place - 1]


@pytest.mark.parametrize(("model", "config", "kind"), [
    ("mBERT", BertConfig, BertForMaskedLM), ("XLM-R", XLMRobertaConfig, XLMRobertaForMaskedLM),
])
@pytest.mark.parametrize("small", [False, True])
def test_parameters_are_those_of_the_library_s_model(model, config, kind, small):
    change = {"hidden": 24, "layers": 3, "ffn": 40, "vocabulary": 90} if small else {}
    shape = PAPERS.shapes.loc[model].to_dict() | change
    with torch.device("meta"):
        library = kind(config(
            vocab_size=shape["vocabulary"], hidden_size=shape["hidden"], num_hidden_layers=shape["layers"],
            intermediate_size=shape["ffn"], max_position_embeddings=shape["positions"], type_vocab_size=shape["types"]))
    assert arithmetic.encoder_parameters(**shape)["total"] == sum(p.numel() for p in library.parameters())


def test_counts_and_bounds_of_the_paper_s_shape():
    """Closed forms by hand: 4 h² + 2 h f weights and 2 n h more products per layer; f of 3,072 neurons left."""
    assert [paper1.exact_parameters(width) for width in (3072, 2304)] == [237_565_452, 223_400_460]
    hidden = 768
    for level, width in ((25, 2304), (50, 1536), (75, 768)):
        found = paper1.bounds(level)
        for length in (32, 128, 512):
            work = [4 * hidden + 2 * ffn + 2 * length for ffn in (3072, width)]
            assert found[str(length)] == pytest.approx(work[0] / work[1])
        assert found["cap"] == 3072 / width
    assert [round(paper1.bounds(level)["weights"], 6) for level in (25, 50, 75)] == [1.2, 1.5, 2.0]


# ------------------------------------------------------------------------------------------------ paper 1


def test_every_claim_says_something_in_every_column():
    found = audit.claims(PAPERS, {"cpu": FRAME}, runs={"cpu": every_run()}, labelled_words={"cpu": every_word()})
    assert len(found) >= 25 and {claim.paper for claim in found} == {1, 2, 3}
    assert len({claim.claim for claim in found}) == len(found)
    for claim in found:
        assert all(dataclasses.astuple(claim)), claim
        assert "nan" not in f"{claim.arithmetic} {claim.measured} {claim.reason}", claim


@pytest.mark.parametrize(("level", "column", "value"), [
    (25, "params_million", "220"), (50, "params_reduction_pct", "13"), (75, "params_million", "194"),
])
def test_size_is_confirmed_by_the_exact_counts_alone(level, column, value):
    assert verdict(f"Pruned by {level} %") is CONFIRMED
    assert verdict(f"Pruned by {level} %", printed(f"pruning-{level}-after", column, value)) is CONTRADICTED


@pytest.mark.parametrize("row", SMALLER)
def test_each_speed_up_is_beyond_its_bound_as_printed_and_within_it_if_smaller(row):
    name, best = PAPERS.table_one.loc[row, ["optimization", "speedup_x"]]
    assert verdict(f"{name} is {best}×") is CONTRADICTED
    assert verdict(f"{name} is 1.15×", printed(row, "speedup_x", "1.15")) is NOT_TESTABLE


def test_a_speed_up_beyond_our_own_bound_takes_the_bound_s_word_away():
    text = "75% pruning is 2.25×"
    assert verdict(text, studies={"cpu": FRAME}) is CONTRADICTED
    twice = measured("pruning-75", "speed_up.median", lambda speed: 2 * speed)
    assert verdict(text, studies=twice) is NOT_TESTABLE


def timed(row: str, *speed_ups: float) -> pd.DataFrame:
    return pd.DataFrame([{
        "row": row, "precision": "fp32", "sequence_length": 32, "batch_size": 2**place, "speed_up": speed_up,
        "low": speed_up - 0.4, "high": speed_up + 0.5, "bound": 2.0, "machine": "Invented GPU",
    } for place, speed_up in enumerate(speed_ups)])


def test_timings_of_the_paper_s_shape_decide_before_bound_and_small_encoder():
    text = "75% pruning is 2.25×"
    slow = one(text, studies={"cpu": FRAME}, cost=timed("pruning-75", 1.1, 1.9))
    assert slow.verdict is CONTRADICTED and "1.90× at best (quartiles 1.50× to 2.40×; fp32, 32 tokens, b" in slow.reason
    assert "1.10× to 1.90×: 32 tokens, batches of 1 to 2, fp32, Invented GPU" in slow.measured
    assert verdict(text, cost=timed("pruning-75", 1.1, 2.3)) is CONFIRMED
    assert verdict(text, cost=timed("pruning-75", 2.4, 2.5)) is CONTRADICTED
    # A distilled model has the shape of the pruned one, and another level has not.
    assert verdict("75% pruning + knowledge distillation is 2.25×", cost=timed("pruning-75", 2.2, 2.3)) is CONFIRMED
    assert "Invented GPU" not in one(text, cost=timed("pruning-50", 2.2, 2.3)).measured


def test_the_headline_contradicts_its_own_row():
    assert verdict("The largest speed-up") is INCONSISTENT
    other = printed("pruning-25-after", "inference_time_decrease_pct", "60.94")
    assert verdict("The largest speed-up", other) is CONFIRMED


def test_the_other_rows_agree_with_themselves():
    assert verdict("In the other rows") is CONFIRMED
    assert verdict("In the other rows", printed("pruning-50", "speedup_x", "1.66")) is INCONSISTENT


@pytest.mark.parametrize(("level", "expected"), [(25, CONTRADICTED), (50, CONTRADICTED), (75, CONFIRMED)])
def test_distillation_does_not_change_the_time_of_a_shape(level, expected):
    text = f"the speed-up at {level} %"
    assert verdict(text) is verdict(text, studies={"cpu": FRAME}) is expected
    assert verdict(text, printed(f"pruning-{level}-after", "params_million", "150")) is NOT_TESTABLE
    other = CONTRADICTED if expected is CONFIRMED else CONFIRMED
    speed = "2.5" if expected is CONFIRMED else PAPERS.table_one.loc[f"pruning-{level}", "speedup_x"]
    assert verdict(text, printed(f"pruning-{level}-after", "speedup_x", speed)) is other


def test_runs_that_distillation_did_speed_up_would_confirm_it():
    faster = measured("pruning-25-after", "speed_up.median", lambda speed: 1.7 * speed)
    assert verdict("the speed-up at 25 %", studies=faster) is CONFIRMED
    slower = measured("pruning-25-after", "speed_up.median", lambda speed: 0.6 * speed)
    assert verdict("the speed-up at 25 %", studies=slower) is CONTRADICTED


def test_order_of_speed_is_that_of_the_work():
    text = "With distillation, the"
    assert verdict(text) is verdict(text, studies={"cpu": FRAME}) is CONTRADICTED
    assert verdict(text, printed("pruning-25-after", "speedup_x", "1.19")) is CONFIRMED
    assert verdict(text, studies=measured("pruning-25-after", "speed_up.median", lambda speed: 3 * speed)) is CONFIRMED
    assert verdict(text, cost=pd.concat([timed("pruning-25", 2.0), timed("pruning-75", 1.9)])) is CONFIRMED
    assert verdict(text, cost=pd.concat([timed("pruning-25", 1.2), timed("pruning-75", 1.9)])) is CONTRADICTED


def test_the_best_configuration_has_no_better_one_of_its_shape():
    assert verdict("is the best configuration") is CONTRADICTED
    assert verdict("is the best configuration", printed("pruning-25-after", "accuracy_pct", "92.40")) is NOT_TESTABLE
    better = measured("pruning-25-after", "accuracy.clean.value", lambda accuracy: accuracy + 0.1)
    assert verdict("is the best configuration", studies=better) is NOT_TESTABLE
    worse = measured("pruning-25-after", "accuracy.clean.value", lambda accuracy: accuracy - 0.1)
    assert verdict("is the best configuration", studies=worse) is CONTRADICTED


def compared(row: str, verdict: str) -> pd.DataFrame:
    return pd.DataFrame({"difference": -0.001, "low": -0.004, "high": 0.002, "verdict": verdict}, index=[row])


@pytest.mark.parametrize(("row", "text"), [
    ("pruning-25-after", "25% pruning + knowledge distillation keeps"), ("pruning-25", "25% pruning keeps"),
    ("pruning-50", "50% pruning keeps"),
])
def test_accuracy_is_kept_if_non_inferiority_is_shown(row, text):
    assert verdict(text) is verdict(text, comparison=compared(row, "open")) is NOT_TESTABLE
    assert verdict(text, comparison=compared(row, "shown")) is CONFIRMED
    assert verdict(text, comparison=compared(row, "worse")) is CONTRADICTED
    assert verdict(text, comparison=compared("pruning-75", "shown")) is NOT_TESTABLE
    assert verdict(text, printed(row, "accuracy_pct", "89.93"), comparison=compared(row, "shown")) is CONTRADICTED
    assert "-0.40 to +0.20" in one(text, comparison=compared(row, "open")).measured


@pytest.mark.parametrize(("row", "text"), [
    ("pruning-75", "75% pruning: a drop"), ("pruning-75-after", "75% pruning + knowledge distillation: a 2 %")])
def test_a_drop_is_confirmed_beyond_chance_and_as_stated(row, text):
    assert verdict(text) is verdict(text, studies={"cpu": FRAME}) is CONFIRMED
    many = measured(row, "mcnemar.only_run_right", lambda count: count + 1500)
    assert verdict(text, studies=many) is NOT_TESTABLE  # where so many answers differ, so does chance
    assert verdict("75% pruning: a drop", printed("pruning-75", "accuracy_pct", "92.36")) is NOT_TESTABLE
    assert verdict("distillation: a 3 %", said(1, "drop_75_distilled_pct", "3")) is INCONSISTENT


def test_distillation_makes_more_accurate_if_table_or_runs_say_so():
    text = "makes the pruned model more accurate"
    assert verdict(text) is NOT_TESTABLE
    assert "-3 at 25 %" in one(text).arithmetic and "+12 at 75 %" in one(text).arithmetic
    assert verdict(text, printed("pruning-50-after", "accuracy_pct", "85.00")) is CONTRADICTED
    for shift, expected in ((0.1, CONFIRMED), (-0.1, CONTRADICTED)):
        frame = FRAME.copy()
        frame.loc[frame["row"].str.endswith("-after"), "accuracy.clean.value"] += shift
        assert verdict(text, studies={"cpu": frame}) is expected


def test_the_test_set_is_the_one_that_the_accuracies_fit():
    assert verdict("The test set") is INCONSISTENT
    assert "all fit 2,761" in one("The test set").arithmetic and "5 are a whole" in one("The test set").arithmetic
    assert verdict("The test set", said(1, "test_rows", "2761")) is CONFIRMED
    assert verdict("The test set", printed("pruning-25", "accuracy_pct", "92.31")) is INCONSISTENT


def test_carbon_of_use_follows_time():
    text = "The CO₂ is that of running the model"
    assert verdict(text) is verdict(text, studies={"cpu": FRAME}) is INCONSISTENT
    table = PAPERS.table_one.copy()
    share = 1 - table["inference_time_decrease_pct"].astype(float).fillna(0) / 100
    table["estimated_carbon_kg_co2eq"] = (0.006 * share).map("{:.6f}".format)
    assert verdict(text, dataclasses.replace(PAPERS, table_one=table)) is CONFIRMED
    field = "inference_energy.co2e_kg_per_1000_documents"
    assert verdict(text, studies=measured("pruning-75", field, lambda energy: 5 * energy)) is NOT_TESTABLE


def test_carbon_at_equal_shape_and_time_is_equal():
    text = "of the same shape differ in CO₂"
    assert verdict(text) is INCONSISTENT
    assert "+27 % at 25 %, +24 % at 50 %, +179 % at 75 %" in one(text).arithmetic
    assert verdict(text, printed("pruning-75-after", "estimated_carbon_kg_co2eq", "0.001335")) is NOT_TESTABLE


def test_what_carbon_counts_is_said_once():
    assert verdict("The CO₂ is that of training") is INCONSISTENT
    same = said(1, "carbon_in_introduction", "running the model")
    assert verdict("The CO₂ is that of running the model.", same) is CONFIRMED


def test_mixed_precision_has_no_row():
    assert verdict("Mixed precision was") is NOT_TESTABLE
    assert verdict("Mixed precision was", printed("pruning-50", "optimization", "Mixed precision")) is CONFIRMED


def test_the_first_study_with_the_rows_is_the_one_that_counts():
    gpu = FRAME[FRAME["row"].isin(["baseline", "pruning-75"])].assign(**{"hardware.gpu": "Invented GPU"})
    given = {"gpu": gpu, "cpu": FRAME}
    assert "study gpu, Invented GPU, 3 seeds" in one("75% pruning is", studies=given).measured
    assert "study cpu, Invented CPU, 3 seeds" in one("50% pruning is", studies=given).measured
    assert "study cpu" in one("75% pruning is", studies={"gpu": gpu.iloc[:0], "cpu": FRAME}).measured
    assert one("75% pruning is").measured == "not run yet"


# ------------------------------------------------------------------------------------------------ paper 2


def test_compression_is_that_of_the_shapes():
    sizes = paper2.steps(PAPERS, "XLM-R")["total"] / 1e6
    assert sizes.round(2).tolist() == [278.30, 235.77, 226.32, 88.54, 22.81]
    assert verdict("up to 92 % smaller") is CONFIRMED
    assert verdict("up to 92 % smaller", said(2, "layers", "12")) is CONTRADICTED
    assert verdict("up to 95 % smaller", said(2, "compression_pct", "95")) is CONTRADICTED


def test_each_step_contributes():
    assert verdict("all contribute") is CONFIRMED
    assert verdict("all contribute", said(2, "ffn", "3072")) is CONTRADICTED


def f1(language: str, size: str, value: float) -> Papers:
    table = PAPERS.vocabulary.copy()
    table.loc[(table["language"] == language) & (table["vocabulary_size"] == size), "f1"] = value
    return dataclasses.replace(PAPERS, vocabulary=table)


def test_a_vocabulary_is_harmless_within_the_noise_and_too_small_beyond_it():
    assert verdict("40,000 tokens is harmless") is CONFIRMED
    assert verdict("40,000 tokens is harmless", f1("Swahili", "40000", 0.76)) is CONTRADICTED
    assert verdict("5,000 tokens is too small") is CONFIRMED
    assert verdict("5,000 tokens is too small", f1("Maltese", "5000", 0.71)) is NOT_TESTABLE


def topic_f1(model: str, width: int, value: float) -> Papers:
    table = PAPERS.adapters.copy()
    own = (table["base_model"] == model) & (table["variant"] == f"hidden {width}") & (table["reduction_factor"] == 16)
    table.loc[own, "topic_classification_f1"] = value
    return dataclasses.replace(PAPERS, adapters=table)


@pytest.mark.parametrize(("width", "given", "inside"), [
    (564, PAPERS, 2), (564, topic_f1("mBERT", 564, 70.0), 1), (456, PAPERS, 1), (456, topic_f1("XLM-R", 456, 80.0), 2),
])
def test_one_cell_decides_no_average(width, given, inside):
    found = one(f"hidden width {width}", given)
    assert found.verdict is NOT_TESTABLE and "either side of its average" in found.reason
    assert f"{inside} of 2 base models lie in the range" in found.reason


def test_one_cell_breaks_a_limit_and_proves_none():
    assert verdict("costs at most 10 %") is CONTRADICTED
    assert verdict("costs at most 25 %", said(2, "drop_high_pct", "25")) is NOT_TESTABLE


def loss(language: str, value: float) -> Papers:
    table = PAPERS.languages.copy()
    table.loc[language, "drop_pct"] = value
    return dataclasses.replace(PAPERS, languages=table)


def test_quoted_losses_by_language():
    assert verdict("costs 8 to 13 % on average") is CONFIRMED
    assert verdict("costs 8 to 13 % on average", loss("Maltese", 40.0)) is INCONSISTENT
    ordered = one("The more text")
    # Slovak, Swahili and Maltese stand in one of 3 x 2 x 1 orders.
    assert ordered.verdict is NOT_TESTABLE and "by chance once in 6;" in ordered.reason
    assert verdict("The more text", loss("Slovak", 6.0)) is CONTRADICTED


# ------------------------------------------------------------------------------------------------ paper 3


def line(table: str, variant: str) -> int:
    printed = PAPERS.quantisation
    return printed.index[(printed["table"] == table) & (printed["variant"] == variant)][0]


def test_one_printed_change_does_not_follow_and_the_others_do():
    assert paper3.misprints(PAPERS, paper3.numbers(PAPERS)) == [
        "table 7, GPT2-XL 8b, perplexity: -0.051 % printed, +0.063 % computed"]
    assert verdict("printed changes follow") is INCONSISTENT
    assert verdict("printed changes follow", quantised(line("7", "8b"), "perplexity_change_pct", "0.063")) is CONFIRMED


def test_means_are_those_of_the_tables():
    assert verdict("average changes") is CONFIRMED
    assert verdict("average changes", quantised(line("1", "Base8b"), "energy_change_pct", "-50.000")) is INCONSISTENT


def test_savings_and_conditions_depend_on_the_precision_of_the_baselines():
    assert verdict("4-bit quantisation saves") is verdict("8-bit quantisation saves") is NOT_TESTABLE
    assert verdict("under the same conditions") is CONTRADICTED
    assert "72 of 72" in one("under the same conditions").arithmetic
    assert "0 of 42 others" in one("under the same conditions").arithmetic
    same = quantised(line("1", "AH90"), "perplexity", "49.59375")
    assert verdict("4-bit quantisation saves", same) is verdict("8-bit quantisation saves", same) is CONFIRMED
    assert verdict("under the same conditions", same) is NOT_TESTABLE
    dear = PAPERS.quantisation.copy()
    dear.loc[dear["variant"] == "4b", "energy_kwh"] = "0.2"
    assert verdict("4-bit quantisation saves", dataclasses.replace(PAPERS, quantisation=dear)) is INCONSISTENT


def test_power_is_energy_over_time():
    """0.020780 kWh in 191 s are 391.7 W."""
    assert paper3.numbers(PAPERS)["power"].iloc[0] == pytest.approx(0.02078 * 1000 * 3600 / 191)
    assert "GPT2 395 W to 57 W" in one("8-bit quantisation saves").arithmetic


def test_a_change_of_perplexity_has_to_exceed_rounding():
    assert verdict("the perplexity of GPT2-L") is NOT_TESTABLE
    assert verdict("the perplexity of GPT2-L", quantised(line("4", "Base8b"), "perplexity", "25.5")) is CONFIRMED


def test_heads_save_energy_if_the_tables_say_so():
    assert verdict("attention heads") is CONFIRMED
    assert verdict("attention heads", quantised(line("7", "AH90"), "energy_kwh", "0.2")) is INCONSISTENT


def test_the_equation_gives_the_baseline_one_and_is_read_as_ratios():
    changes = pd.DataFrame({"perplexity.change": [0, 300], "runtime_s.change": [0, -50], "energy_kwh.change": [0, 0]})
    assert paper3.scores(changes, 1.5).tolist() == pytest.approx([1, 4**1.5 * 0.75])
    assert verdict("Score = P^1.5") is NOT_TESTABLE
    assert "1 of 43 variants have no score" in one("Score = P^1.5").arithmetic
    # GPT2-L in 8 bits is the one whose perplexity fell
    worse = quantised([line("4", "Base8b"), line("5", "Base8b"), line("6", "Base8b")], "perplexity", "40.0")
    assert "0 of 43 variants have no score" in one("Score = P^1.5", worse).arithmetic


# ------------------------------------------------------------------------------------------------ our own runs

TWO_STEP = ("moderate", "maximum", "random", "alpha20", "alpha100", "svd", "aligned")
HOW = {
    **{f"two-step-{name}": {"technique": "two_step_distillation", "two_step": {"name": name}} for name in TWO_STEP},
    **{f"vocabulary-trimming-{size}tokens": {"technique": "vocabulary_trimming", "vocabulary": {"size": size}}
       for size in (4000, 6000)},
    **{f"quantization-{scheme}": {"technique": "quantization", "quantization": {"scheme": scheme}}
       for scheme in ("fp32", "int8-weights", "int8-dynamic", "int4-weights")},
    "one-shot-magnitude-75-untrained": {
        "technique": "one_shot", "pruning_level": 0.75, "one_shot": {"criterion": "magnitude", "epochs": 0}},
    "mixed-precision-bf16": {"technique": "mixed_precision", "precision": "bf16"},
    "minitron-2layers-50": {
        "technique": "minitron", "pruning_level": 0.5, "minitron": {"num_hidden_layers": 2, "epochs": 2}},
    "two-step-small": {"technique": "two_step_distillation", "two_step": {"name": "small"}},
    "baseline": {"technique": "baseline"},
}
# Clean rows are 2,011; the baseline is right on this many of them.
RIGHT, CLEAN = 1600, ROW_VIEWS.count("2")


def run(row: str, lost: int = 0, seed: int = 1, f1: float | None = None, **changes) -> RunRecord:
    """A run that has `lost` fewer right answers than the baseline, all of them among the baseline's own."""
    spec = RunSpec(study="cpu", seed=seed, architecture={"vocab_size": 8000}, **HOW[row])
    assert row_of(spec.run) == row
    record = fake_record(spec)
    clean = np.array(list(ROW_VIEWS)) == "2"
    right = np.zeros(len(clean), int)
    right[np.flatnonzero(clean)[:RIGHT - lost]] = 1
    value = (RIGHT - lost) / CLEAN
    estimates = {name: type(record.accuracy.clean)(value=level, low=level, high=level)
                 for name, level in (("accuracy", value), ("macro_f1", value if f1 is None else f1))}
    views = {name: getattr(record, name).model_copy(update={"clean": estimate}) for name, estimate in
             estimates.items()}
    return record.model_copy(update={"right": "".join(map(str, right)), **views, **changes})


def study_of(seeds=(1, 2, 3), **lost) -> list[RunRecord]:
    """Runs by row (underscores for dashes), each with that many answers lost, beside the baseline."""
    rows = {"baseline": 0, **{row.replace("_", "-"): count for row, count in lost.items()}}
    return [run(row, count, seed) for row, count in rows.items() for seed in seeds]


def students(records: list[RunRecord]) -> list[RunRecord]:
    """The same runs with a student of its own for every seed."""
    for record in records:
        record.settings["two_step"]["seed"] = record.seed
    return records


def every_run() -> list[RunRecord]:
    return [run(row, 3 * place, seed) for place, row in enumerate(HOW) for seed in (1, 2)]


def test_a_gain_is_the_paired_difference_with_mcnemar_s_own_p():
    found = paired.runs({"cpu": study_of(two_step_random=40)}, "two-step-random").gain("two-step-random", "baseline")
    assert found.difference == pytest.approx(-40 / CLEAN)
    assert found.low < found.difference < found.high < 0
    assert found.p_values == pytest.approx([mcnemar([[0, 40], [0, 0]], exact=True).pvalue] * 3)


def test_runs_are_those_of_the_first_study_that_has_all_rows_at_a_common_seed():
    there = study_of(two_step_svd=1)
    partly = [record for record in there if (record.seed == 1) == (row_of(record.run) == "baseline")]
    found = paired.runs({"gpu": partly, "cpu": there}, "two-step-svd")
    assert (found.study, found.seeds("two-step-svd", "baseline")) == ("cpu", 3)
    assert paired.runs({"gpu": partly}, "two-step-svd") is None
    assert paired.runs({"cpu": there}, "two-step-svd", "two-step-random") is None


@pytest.mark.parametrize(("low", "high", "p_values", "tests", "sign"), [
    (0.01, 0.03, (0.01, 0.01, 0.01), 3, 1),
    (-0.03, -0.01, (0.01, 0.01, 0.01), 3, -1),
    (-0.01, 0.03, (0.01, 0.01, 0.01), 3, 0),  # the interval reaches over 0
    (0.01, 0.03, (0.01, 0.01, 0.9), 3, 1),  # two seeds of three differ
    (0.01, 0.03, (0.01, 0.9, 0.9), 3, 0),  # and here one
    (0.01, 0.03, (0.01, 0.9), 3, 0),  # half is not most
    (0.01, 0.03, (0.01,), 3, 0),  # one seed says nothing of others
    (0.01, 0.03, (0.01, 0.01, 0.01), 5, 0),  # 5 x 0.01 is not below 0.05
    # As measured for neurons cut out by magnitude: one seed of three, by McNemar's p.
    (-0.0205, -0.0006, (0.18, 0.007, 0.23), 3, 0),
])
def test_beyond_chance_takes_an_interval_and_most_of_several_seeds(low, high, p_values, tests, sign):
    assert paired.Gain((low + high) / 2, low, high, p_values, tests).sign == sign


@pytest.mark.parametrize(("others", "differing", "sign"), [(0, 3, -1), (6, 3, 0), (30, 0, 0)])
def test_a_claim_says_no_more_than_the_table_of_its_whole_study(others, differing, sign):
    """Ten answers of ten are p = 0.002, beyond chance in a study of 9 runs; in larger ones the claim gives up first."""
    own = study_of(two_step_random=10, two_step_svd=60)
    beside = [record.model_copy(update={"run": f"pruning-{place}-seed{record.seed}"})
              for place in range(1, others + 1) for record in own if record.technique == "baseline"]
    table = statistics.compare([*own, *beside], "clean", resamples=200)
    assert table.loc["two-step-random", "seeds_differ"] == differing
    found = paired.runs({"cpu": [*own, *beside]}, "two-step-random", "two-step-svd")
    assert found.gain("two-step-random", "baseline").sign == sign
    assert found.gain("two-step-svd", "baseline").sign == -1


def timed_runs(row: str, speed_ups: list[float], **changes) -> list[RunRecord]:
    """Runs whose speed-ups over the baseline are these, one a seed."""
    return [run(row, seed=seed, speed_up={"median": speed, "low": speed, "high": speed}, **changes)
            for seed, speed in enumerate(speed_ups, start=1)]


def test_a_ratio_is_student_s_interval_of_logarithms_by_hand():
    own = [*study_of(), *timed_runs("quantization-fp32", [2.0, 2.0, 2.0]),
           *timed_runs("quantization-int4-weights", [1.0, 2.0, 4.0])]
    own = [RunRecord.model_validate(record.model_dump(warnings=False)) for record in own]
    found = paired.runs({"cpu": own}, "quantization-fp32", "quantization-int4-weights")
    ratio = found.ratio("quantization-int4-weights", "quantization-fp32", "speed_up.median")
    half = 4.302653 * np.log(2) / np.sqrt(3)  # Student's t at 97.5 % with 2 degrees of freedom
    assert (ratio.mean, ratio.low, ratio.high) == pytest.approx((1.0, np.exp(-half), np.exp(half)), rel=1e-5)
    assert paired.off_one([ratio]) == [0]
    sure, less = paired.Ratio(2, 1.9, 2.1, 0.02), paired.Ratio(0.5, 0.4, 0.6, 0.03)
    assert paired.off_one([sure, less]) == [1, -1]
    assert paired.off_one([sure, less, ratio]) == [0, 0, 0]


@pytest.mark.parametrize(("row", "text"), [
    ("moderate", "Moderate compression costs 2 to 10 % of the quality (our"),
    ("maximum", "The highest compression costs 8 to 13 % of the quality (our"),
])
@pytest.mark.parametrize("lost", [4, 100, 168, 400])  # of 1,600: 0.25 to 25 %
def test_a_range_of_averages_is_not_held_to_our_one_task(row, text, lost):
    assert one(text).measured == NOT_RUN and verdict(text) is NOT_TESTABLE
    found = one(text, runs=study_of(**{f"two_step_{row}": lost}))
    assert found.verdict is NOT_TESTABLE and "either side of its average" in found.reason
    assert f"Accuracy {100 * lost / RIGHT:.1f} % lower" in found.measured
    assert "M parameters on sample" in found.reason and "Invented CPU, 3 seeds" in found.measured


@pytest.mark.parametrize(("row", "text"), [
    ("vocabulary_trimming_4000tokens", "our small encoder, 4,000 tokens"),
    ("vocabulary_trimming_6000tokens", "our small encoder, 6,000 tokens"),
])
def test_a_trimmed_vocabulary_keeps_the_quality_within_the_margin(row, text):
    margin = round(statistics.MARGIN * CLEAN)
    assert one(text).measured == NOT_RUN
    for lost, expected in ((0, CONFIRMED), (margin, NOT_TESTABLE), (10 * margin, CONTRADICTED)):
        assert verdict(text, runs=study_of(**{row: lost})) is expected
    assert "of 8,000 tokens" in one(text, runs=study_of(**{row: 5})).measured
    assert verdict(text, runs=study_of(seeds=(1,), **{row: 0})) is NOT_TESTABLE


VARIANTS = [
    ("starts from its teacher's layers does better", "two_step_moderate", "two_step_random"),
    ("Teacher and labels together do better", "two_step_moderate", "two_step_alpha100"),
    ("Labels weighed by α = 0.2 do better than by 0.5", "two_step_alpha20", "two_step_moderate"),
]


@pytest.mark.parametrize(("text", "better", "worse"), VARIANTS)
def test_one_variant_is_better_than_another_beyond_chance(text, better, worse):
    assert one(text).measured == NOT_RUN and verdict(text) is NOT_TESTABLE
    assert verdict(text, runs=students(study_of(**{better: 10, worse: 60}))) is CONFIRMED
    assert verdict(text, runs=students(study_of(**{better: 60, worse: 10}))) is CONTRADICTED
    assert verdict(text, runs=students(study_of(**{better: 10, worse: 12}))) is NOT_TESTABLE
    assert verdict(text, runs=study_of(seeds=(1,), **{better: 10, worse: 60})) is NOT_TESTABLE


@pytest.mark.parametrize(("text", "better", "worse"), VARIANTS)
def test_one_student_for_all_seeds_shows_no_variant_better(text, better, worse):
    found = one(text, runs=study_of(**{better: 10, worse: 60}))
    assert found.verdict is NOT_TESTABLE and "One student each" in found.reason and "+2.49 points" in found.measured
    # One side with several students is not enough.
    mixed = [*study_of(**{better: 10}), *students(study_of(**{worse: 60}))[3:]]
    assert "One student each" in one(text, runs=mixed).reason


def test_the_weights_of_the_labels_are_those_stated():
    assert "α = 0.3 do better than by 0.5" in one("Labels weighed", said(2, "alpha_best", "0.3")).claim


def test_truncation_is_held_to_both_other_ways():
    text = "Truncation is as good a start"
    assert verdict(text) is NOT_TESTABLE
    for svd, aligned, expected in ((50, 50, CONFIRMED), (0, 50, CONTRADICTED), (50, 0, CONTRADICTED),
                                   (50, 43, NOT_TESTABLE)):
        own = study_of(two_step_moderate=50, two_step_svd=svd, two_step_aligned=aligned)
        found = one(text, runs=own)
        assert found.verdict is NOT_TESTABLE and "One student each" in found.reason
        assert verdict(text, runs=students(own)) is expected
    assert verdict(text, runs=study_of(two_step_moderate=50, two_step_svd=50)) is NOT_TESTABLE


def test_the_hidden_size_costs_most_if_the_figure_says_so():
    text = "the smaller hidden size costs most"
    assert verdict(text) is CONFIRMED
    # mBERT loses 84.91 - 81.51 = 3.40 up to width 564, and 81.51 - 71.47 = 10.04 from there to 312.
    assert "mBERT 10.0 points" in one(text).arithmetic and "mBERT 3.4" in one(text).arithmetic
    assert verdict(text, topic_f1("mBERT", 312, 79.0)) is NOT_TESTABLE
    assert verdict(text, f1("Slovak", "40000", 0.70)) is NOT_TESTABLE
    small = [run("two-step-maximum", 80, seed) for seed in (1, 2)]
    for record in small:
        record.settings["two_step"]["hidden_size"] = 32
    found = one(text, runs=[*study_of(two_step_moderate=20), *small])
    assert "(hidden_size 64 to 32) -2.98 points" in found.measured and "to moderate -0.99 points" in found.measured


SMALL = run("two-step-small").settings


def words(corpus: str, lost: int, row: str, seed: int = 1) -> TokenRecord:
    """Of 2,000 entities or words, a run that has `lost` fewer right than the 1,600 of its baseline."""
    spec = TokenRun(study="cpu", corpus=corpus, seed=seed)
    task = "ner" if corpus == "mahaner" else "pos"
    right = [16] * 100
    for place in range(lost):
        right[place % 100] -= 1
    estimate = {"value": sum(right) / 2000, "low": 0.0, "high": 1.0}
    views = {view: estimate for view in ("published", "deduplicated", "clean")}
    count, when = {"published": 100, "deduplicated": 100, "clean": 100}, "2026-11-21T12:00:00Z"
    return TokenRecord.model_validate({
        "study": "cpu", "run": spec.run.replace("baseline", row), "corpus": corpus, "task": task, "synthetic": True,
        "pruning_level": 0.0,
        "distillation": "none", "seed": seed, "parameters": {"total": 10}, "weight_bytes": 40, "flops_per_token": 7,
        "intermediate_size": 8, "scores": {"f1" if task == "ner" else "accuracy": views}, "kinds": {},
        "sentences": count, "words": count, "unread_words": count, "agreement": None,
        "latency_ms": {"p50": 1.0, "p95": 1.0}, "documents_per_second": 1.0,
        "speed_up": {"median": 1.0, "low": 1.0, "high": 1.0},
        "timing": {"engine": "invented", "precision": "fp32", "sequence_length": 32, "throughput_batch_size": 32,
                   "repeats": 3, "retaken": 0, "threads": 1, "fp32_products": "highest"},
        "peak_memory_bytes": 1, "peak_memory_source": "invented", "energy_kwh": 1.0, "co2e_kg": 1.0,
        "energy_components": {}, "energy_source": {}, "grid_g_per_kwh": 700.0, "inference_energy": {
            "kwh_per_1000_documents": 1.0, "co2e_kg_per_1000_documents": 1.0, "components": {}, "source": {},
            "window_seconds": 1.0},
        "train_seconds": 1.0, "stages": [], "surgery_error": None, "hardware": {"cpu": "Invented CPU", "gpu": None},
        "versions": {}, "commit": "0", "data_sha256": "0", "run_key": "0", "settings": SMALL, "started": when,
        "finished": when, "right": right, "true": [20] * 100, "predicted": [20] * 100, "sentence_views": "2" * 100,
    })


def every_word(entities: int = 300, parts: int = 50, seeds=(1, 2), row: str = "two-step-small") -> list[TokenRecord]:
    return [words(corpus, lost if name == row else 0, name, seed) for corpus, lost in (("mahaner", entities),
            ("ud-marathi", parts)) for name in ("baseline", row) for seed in seeds]


def test_tasks_are_in_the_order_of_their_intervals():
    text = "named entities suffer most"
    assert verdict(text) is NOT_TESTABLE and one(text).measured == NOT_RUN
    # 300 of 1,600 are 18.8 %, 50 are 3.1 %
    found = one(text, words=every_word())
    assert found.verdict is NOT_TESTABLE and "whole texts" in found.reason
    assert "entities 18.8 % lower" in found.measured and "speech 3.1 % lower" in found.measured
    # Topics at the same compression lie between, above, below, and where neither can be told.
    for lost, expected in ((150, CONFIRMED), (600, CONTRADICTED), (0, CONTRADICTED), (290, NOT_TESTABLE)):
        assert verdict(text, words=every_word(), runs=study_of(two_step_small=lost)) is expected
    between = study_of(two_step_small=150)
    assert f"accuracy on sample {100 * 150 / RIGHT:.1f} % lower" in one(text, words=every_word(), runs=between).measured
    assert verdict(text, words=every_word(50, 300), runs=between) is CONTRADICTED
    assert verdict(text, words=every_word(100, 100), runs=study_of(two_step_small=100)) is NOT_TESTABLE
    assert verdict(text, words=every_word(seeds=(1,)), runs=between) is NOT_TESTABLE
    assert verdict(text, words=every_word()[:4], runs=between) is NOT_TESTABLE


def test_another_small_encoder_says_nothing_of_these_tasks():
    others = study_of(two_step_small=600)
    for record in others:
        record.settings["two_step"]["hidden_size"] = 32
    found = one("named entities suffer most", words=every_word(), runs=others)
    assert found.verdict is NOT_TESTABLE and "whole texts" in found.reason


def test_pruned_neurons_tell_nothing_of_the_paper_s_four_steps():
    text = "named entities suffer most"
    for entities, parts in ((300, 50), (50, 300)):
        found = one(text, words=every_word(entities, parts, row="pruning-50-joint"))
        assert found.verdict is NOT_TESTABLE and "four steps" in found.reason
        assert f"entities {100 * entities / RIGHT:.1f} % lower" in found.measured
    # The two-step row counts beside them, wherever it stands, and else the hardest pruning.
    two_step = every_word(row="two-step-small")
    harder = [record for record in every_word(160, 300, row="pruning-75-joint") if "baseline" not in record.run]
    between = study_of(two_step_small=150)
    for both in ([*two_step, *harder], [*harder, *two_step]):
        assert verdict(text, words=both, runs=between) is CONFIRMED
    assert "entities 10.0 % lower" in one(text, words=[*every_word(80, 80, row="pruning-50"), *harder]).measured


def quantised_runs(speed_up: dict[str, float], energy: float = 1.0, source: str = "measured", **lost):
    """Quantised rows at a speed-up over the baseline each, spread over seeds, and an energy over the control's."""
    found = study_of()
    for row, speed in speed_up.items():
        for seed, noise in ((1, 0.99), (2, 1.0), (3, 1.01)):
            record = run(row, lost.get(row.split("-", 1)[1].replace("-", "_"), 0), seed)
            used = record.inference_energy.model_copy(update={
                "kwh_per_1000_documents": 1e-5 * (1.0 if row == "quantization-fp32" else energy * noise),
                "source": {"cpu": source}})
            times = record.speed_up.model_copy(update={
                "median": speed * (1.0 if row == "quantization-fp32" else noise)})
            found.append(record.model_copy(update={"speed_up": times, "inference_energy": used}))
    return found


SPEEDS = {"quantization-fp32": 2.0, "quantization-int8-weights": 1.0, "quantization-int8-dynamic": 1.0,
          "quantization-int4-weights": 1.0}


def test_8_bits_are_slower_if_every_way_is_and_the_control_is_of_the_same_engine():
    text = "8-bit quantisation makes a model slower"
    assert one(text).measured == NOT_RUN and verdict(text) is NOT_TESTABLE
    assert one(text, runs=quantised_runs(SPEEDS)).verdict is CONFIRMED
    assert "int8-weights: time 2.00×" in one(text, runs=quantised_runs(SPEEDS)).measured
    faster = {"quantization-int8-weights": 4.0, "quantization-int8-dynamic": 4.0}
    assert verdict(text, runs=quantised_runs(SPEEDS | faster)) is CONTRADICTED
    for row, reason in (("quantization-int8-dynamic", "slower with weights alone in 8 bits and faster with 8-bit prod"),
                        ("quantization-int8-weights", "slower with 8-bit products and faster with weights alone in 8")):
        split = one(text, runs=quantised_runs(SPEEDS | {row: 4.0}))
        assert split.verdict is NOT_TESTABLE and reason in split.reason
    same = SPEEDS | {"quantization-int8-dynamic": 2.0}
    assert verdict(text, runs=quantised_runs(same)) is NOT_TESTABLE
    uncontrolled = [record for record in quantised_runs(SPEEDS) if row_of(record.run) != "quantization-fp32"]
    assert one(text, runs=uncontrolled).measured == NOT_RUN


@pytest.mark.parametrize("bits", [4, 8])
def test_a_saving_is_decided_by_metered_energy_in_one_precision_alone(bits):
    text = f"{bits}-bit quantisation saves"
    assert verdict(text, runs=quantised_runs(SPEEDS, 0.5)) is CONFIRMED
    assert verdict(text, runs=quantised_runs(SPEEDS, 2.0)) is CONTRADICTED
    assert verdict(text, runs=quantised_runs(SPEEDS, 1.0)) is NOT_TESTABLE
    estimated = one(text, runs=quantised_runs(SPEEDS, 0.5, "estimated"))
    assert estimated.verdict is NOT_TESTABLE and "estimated from time" in estimated.reason
    assert "energy 0.50×" in estimated.measured


def test_8_bits_keep_the_quality_if_no_way_loses_more_than_the_margin():
    text = "8-bit quantisation keeps"
    assert verdict(text) is NOT_TESTABLE
    assert verdict(text, runs=quantised_runs(SPEEDS)) is CONFIRMED
    assert verdict(text, runs=quantised_runs(SPEEDS, int8_dynamic=100, int8_weights=100)) is CONTRADICTED
    lossy = one(text, runs=quantised_runs(SPEEDS, int8_dynamic=100))
    assert lossy.verdict is NOT_TESTABLE and "one of ours loses more" in lossy.reason
    errors = CLEAN - RIGHT
    assert "int8-weights: +0.00 points, 95 % interval +0.00 to +0.00, errors 1.00×" in lossy.measured
    assert f"errors {(errors + 100) / errors:.2f}×" in lossy.measured
    assert verdict(text, runs=quantised_runs(SPEEDS, int8_weights=10)) is NOT_TESTABLE


def test_4_bits_cost_more_than_8_if_ours_do():
    text = "4-bit quantisation costs more"
    assert verdict(text) is NOT_TESTABLE
    assert "GPT2 +3.79 %, GPT2-L +1.46 %" in one(text).arithmetic and "GPT2-L -0.04 %" in one(text).arithmetic
    assert verdict(text, runs=quantised_runs(SPEEDS, int4_weights=80)) is CONFIRMED
    assert verdict(text, runs=quantised_runs(SPEEDS, int8_weights=80)) is CONTRADICTED
    assert verdict(text, runs=quantised_runs(SPEEDS, int4_weights=1)) is NOT_TESTABLE


def test_half_precision_alone_is_shown_beside_the_conditions():
    text = "under the same conditions"
    assert one(text).measured == NOT_RUN
    own = study_of() + [run("mixed-precision-bf16", seed=seed) for seed in (1, 2, 3)]
    speeds = {record.run: record.speed_up.median for record in own}
    ratios = [speeds[f"baseline-seed{seed}"] / speeds[f"mixed-precision-bf16-seed{seed}"] for seed in (1, 2, 3)]
    found = one(text, runs=own)
    assert f"(bf16) alone: time {np.prod(ratios) ** (1 / 3):.2f}×" in found.measured


@pytest.mark.parametrize(("text", "row"), [
    ("A distilled model costs quality", "minitron_2layers_50"),
    ("Pruning a finished model costs quality", "one_shot_magnitude_75_untrained"),
])
def test_smaller_models_have_a_price_if_ours_do(text, row):
    assert one(text).measured == NOT_RUN and verdict(text) is NOT_TESTABLE
    for lost, expected in ((100, CONFIRMED), (0, CONTRADICTED), (6, NOT_TESTABLE)):
        # Six answers are within the margin, and their interval reaches beyond it.
        assert verdict(text, runs=study_of(**{row: lost})) is expected
    assert verdict(text, runs=study_of(seeds=(1,), **{row: 100})) is NOT_TESTABLE


def test_the_equation_is_taken_to_our_rows():
    assert one("Score = P^1.5").measured == NOT_RUN
    base = FRAME[FRAME["row"] == "baseline"].set_index("seed")
    below, scored = 0, 0
    for _, own in FRAME[~FRAME["row"].isin(["baseline", "classical"])].groupby("row"):
        own = own.set_index("seed")
        errors = ((1 - own["accuracy.clean.value"]) / (1 - base["accuracy.clean.value"])).mean()
        energy = (own["inference_energy.kwh_per_1000_documents"]
                  / base["inference_energy.kwh_per_1000_documents"]).mean()
        below += errors**1.5 * ((1 / own["speed_up.median"]).mean() + energy) / 2 < 1
        scored += 1
    found = one("Score = P^1.5", studies={"cpu": FRAME}).measured
    assert f"{below} of {scored} rows score below the baseline in their engine (study cpu)" in found


@pytest.mark.parametrize(("speed_up", "better"), [(2.0, 1), (0.5, 0)])
def test_the_equation_holds_a_row_of_another_engine_to_its_own_control(speed_up, better):
    """Two rows of that engine, of which one is the control: it is counted nowhere, however it was timed."""
    base = FRAME[FRAME["row"] == "baseline"]
    added = [base.assign(row=row, run=[f"{row}-seed{seed}" for seed in base["seed"]],
                         **{"timing.engine": "another", "speed_up.median": median})
             for row, median in (("quantization-fp32", 1.1), ("quantization-int8-weights", speed_up))]
    before, after = (one("Score = P^1.5", studies={"cpu": frame}).measured
                     for frame in (FRAME, tables.derived(pd.concat([FRAME, *added]))))
    (below, rows), (more_below, more_rows) = (map(int, re.search(r"(\d+) of (\d+) rows", text).groups())
                                              for text in (before, after))
    assert (more_below - below, more_rows - rows) == (better, 1)


# ------------------------------------------------------------------------------------------------ file and pages


def test_an_unknown_statement_is_named():
    with pytest.raises(LaghuError, match="no 'rows' of paper 1; it has test_rows"):
        PAPERS.said(1, "rows")


def test_the_committed_file_is_what_the_code_writes():
    expected = spreadsheets.write(audit.frame(audit.published()), index=False)
    assert audit.file().read_text(encoding="utf-8") == expected, "run python -m laghu.report.claims"


def cost_record(speed_up: float) -> CostRecord:
    cell = {"row": "pruning-75", "pruning_level": 0.75, "sequence_length": 32, "outcome": "measured", "parameters": 10,
            "weight_bytes": 40, "flops_per_token": 7, "flop_bound": 2.0}
    timed = {"batch_size": 8, "speed_up": {"median": speed_up, "low": speed_up - 0.1, "high": speed_up + 0.1}}
    lost = {"batch_size": 256, "outcome": "out of memory"}
    when = "2026-11-20T12:00:00Z"
    return CostRecord.model_validate({
        "study": "cpu", "precision": "fp32", "engine": "invented", "cells": [cell | timed, cell | lost], "settings": {},
        "grid_g_per_kwh": 700.0, "hardware": {"gpu": "Invented GPU"}, "versions": {}, "commit": "0", "run_key": "0",
        "started": when, "finished": when,
    })


def test_published_claims_are_held_to_the_records_that_are_there(home):
    shutil.copytree(REPOSITORY / "book" / "data", home / "book" / "data")
    text = "75% pruning is 2.25×"
    without = {claim.claim: claim for claim in audit.published()}
    assert without["75% pruning is 2.25× as fast as the baseline."].measured == "not run yet"
    for record in fake_study():
        record.save()
    cost_record(2.25).save()
    written = pd.read_csv(audit.write())
    assert list(written) == ["paper", "claim", "where", "arithmetic", "measured", "verdict", "reason"]
    lines = written.set_index("claim")
    speed = lines.loc[f"{text} as fast as the baseline."]
    assert speed["verdict"] == "confirmed" and "Invented GPU" in speed["measured"]
    kept = lines[lines.index.str.startswith("25% pruning keeps")].iloc[0]
    assert "95 % interval" in kept["measured"] and "study cpu, Invented CPU" in kept["measured"]


EXAMPLES = tuple(
    Claim(paper, f"Claim {number} of <100 %", "Table I", "1 + 1 = 2", "not run yet", verdict, "Because.")
    for number, (paper, verdict) in enumerate([(1, CONFIRMED), (1, CONTRADICTED), (2, CONTRADICTED)])
)


def test_counts_are_by_verdict_and_paper():
    texts = ("all", "1/all", "contradicted", "2/contradicted", "inconsistent in itself", "3/all")
    assert [claims_ext.count(text, EXAMPLES) for text in texts] == [3, 2, 2, 1, 0, 0]
    for wrong in ("refuted", "4/all", "1/", "/1"):
        with pytest.raises(LaghuError, match="no count of claims"):
            claims_ext.count(wrong, EXAMPLES)


def test_pages_show_counts_and_tables_and_warn_of_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(claims_ext, "published", lambda: EXAMPLES)
    monkeypatch.setattr(audit, "file", lambda: tmp_path / "claims.csv")
    (tmp_path / "claims.csv").write_text("paper\n1\n", encoding="utf-8")
    page, warnings = render(
        tmp_path, "(record-claims)=\n# Page\n\n"
        "There are {claim-count}`contradicted` of {claim-count}`all`; {claim-count}`refuted`.\n\n"
        "```{claims-table} 1\n```\n\n```{claims-table} 9\n```\n", "laghu.report.claims_ext")
    assert "There are 2 of 3; " in plain(page)
    assert re.findall(r'title="([^"]*)"><a[^>]*href="#record-claims"', page) == [
        "claims, contradicted; claims.csv", "claims, all; claims.csv"]
    assert page.count("<tr") == 3 and "Claim 1 of &lt;100\N{NO-BREAK SPACE}%" in page and "Claim 2" not in page
    assert "claims.csv" in page and "laghu-contradicted" in page
    assert [text in warnings for text in ("'refuted' is no count", "no paper '9'")] == [True, True]
    assert warnings.count("WARNING") == 2
