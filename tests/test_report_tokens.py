"""Oracles: sums by hand, resampled sentences written out, and what a page shows against what the records hold."""

import statistics

import numpy as np
import pytest
from fake_records import fake_token_record
from sphinx_pages import render

from laghu.errors import LaghuError
from laghu.records import TokenRecord
from laghu.report import tokens
from laghu.spec import TokenRun

HOW = {"baseline": {}, "pruning-50": {"pruning_level": 0.5},
       "pruning-50-joint": {"pruning_level": 0.5, "distillation": "joint"}}


def a_record(row: str, seed: int = 1, task: str = "ner", study: str = "tiny", **changes) -> TokenRecord:
    return fake_token_record(TokenRun(study=study, seed=seed, **HOW[row]), task, **changes)


STUDY = [a_record(row, seed) for row in ("pruning-50-joint", "baseline", "pruning-50") for seed in (2, 1, 3)]


def f1(counts) -> float:
    right, true, predicted = (sum(line[place] for line in counts) for place in range(3))
    return 2 * right / (true + predicted)


def clean_counts(record: TokenRecord) -> list[tuple[int, int, int]]:
    lines = zip(record.right, record.true, record.predicted, record.sentence_views, strict=True)
    return [(right, true, predicted) for right, true, predicted, view in lines if view == "2"]


# ------------------------------------------------------------------------------------------------ numbers


def test_scores_are_means_over_seeds_in_the_order_of_every_table():
    table, details = tokens.numbers(STUDY, "scores"), tokens.numbers(STUDY, "details")
    assert list(table.index) == ["baseline", "pruning-50", "pruning-50-joint"]
    for row in table.index:
        own = [record.scores["strict_f1"].clean.value for record in STUDY if tokens.row(record) == row]
        assert details.loc[row, ("scores.strict_f1.clean.value", "mean")] == pytest.approx(statistics.mean(own))
        assert details.loc[row, ("scores.strict_f1.clean.value", "std")] == pytest.approx(statistics.stdev(own))
        lows = [record.scores["f1"].clean.low for record in STUDY if tokens.row(record) == row]
        assert table.loc[row, ("scores.f1.clean.value", "low")] == pytest.approx(statistics.mean(lows))
    assert np.isnan(table.loc["baseline", ("difference", "mean")])


def test_differences_are_paired_by_seed_and_of_the_clean_view():
    by_run = {(tokens.row(record), record.seed): clean_counts(record) for record in STUDY}
    table = tokens.differences(STUDY)
    assert list(table.index) == ["pruning-50", "pruning-50-joint"]
    for row, line in table.iterrows():
        gaps = [f1(by_run[row, seed]) - f1(by_run["baseline", seed]) for seed in (1, 2, 3)]
        assert line["seeds"] == 3 and line["difference"] == pytest.approx(statistics.mean(gaps))
        assert line["low"] < line["difference"] < line["high"] < 0
    # A seed without its baseline has nothing to be paired with.
    fewer = [record for record in STUDY if (tokens.row(record), record.seed) != ("baseline", 3)]
    assert tokens.differences(fewer)["seeds"].tolist() == [2, 2]
    assert tokens.differences([record for record in STUDY if tokens.row(record) != "baseline"]).empty


def test_the_interval_is_over_the_same_resampled_sentences_on_both_sides():
    """Against a bootstrap that draws sentence after sentence."""
    run, base = a_record("pruning-50"), a_record("baseline")
    ours, theirs = clean_counts(run), clean_counts(base)
    rng = np.random.default_rng(9)
    gaps = []
    for _ in range(1500):
        drawn = rng.integers(len(ours), size=len(ours))
        gaps.append(f1([ours[place] for place in drawn]) - f1([theirs[place] for place in drawn]))
    line = tokens.differences([run, base], resamples=4000).loc["pruning-50"]
    assert (line["low"], line["high"]) == pytest.approx(tuple(np.quantile(gaps, [0.025, 0.975])), abs=0.012)
    # One and the same model differs from itself in no resample; unpaired, it would.
    twin = run.model_copy(update={"right": base.right, "predicted": base.predicted})
    assert tokens.differences([twin, base]).loc["pruning-50", ["difference", "low", "high"]].tolist() == [0, 0, 0]


def test_the_difference_of_a_tagger_is_one_of_accuracies():
    run, base = a_record("pruning-50", task="pos"), a_record("baseline", task="pos")
    ours, theirs = clean_counts(run), clean_counts(base)
    gap = sum(line[0] - other[0] for line, other in zip(ours, theirs, strict=True)) / sum(line[1] for line in ours)
    assert tokens.differences([run, base]).loc["pruning-50", "difference"] == pytest.approx(gap)
    assert {column[0] for column in tokens.numbers([run, base], "scores")} == {
        "scores.accuracy.clean.value", "difference"}
    assert {column[0] for column in tokens.numbers([run, base], "details")} == {
        "scores.macro_f1.clean.value", "agreement"}


def test_what_is_not_comparable_is_refused():
    elsewhere = a_record("baseline").model_copy(update={"sentence_views": "2" * 60})
    with pytest.raises(LaghuError, match="not on the same test sentences"):
        tokens.differences([a_record("pruning-50"), elsewhere])
    other = a_record("baseline").model_copy(update={"corpus": "mahaner"})
    with pytest.raises(LaghuError, match=r"2 corpora \(mahaner, token-sample\)"):
        tokens.frame([a_record("pruning-50"), other])
    with pytest.raises(LaghuError, match="0 records"):
        tokens.frame([])
    with pytest.raises(LaghuError, match="no table 'prices'"):
        tokens.numbers(STUDY, "prices")


def test_kinds_are_those_that_occur_the_most_frequent_first():
    table = tokens.numbers(STUDY, "kinds")
    assert list(table.index) == ["NEP", "NEL", "NEO"]
    own = [2 * (30 + seed) / (50 + 40) for seed in (1, 2, 3)]
    assert table.loc["NEL", ("pruning-50", "mean")] == pytest.approx(statistics.mean(own))
    assert table.loc["NEL", ("pruning-50", "std")] == pytest.approx(statistics.stdev(own))
    text = tokens.rendered(STUDY, "kinds")
    assert list(text.columns) == ["Entities", "Baseline (%)", "Pruning 50 % (%)", "Pruning 50 %, distilled jointly (%)"]
    assert list(text["Entities"]) == ["70", "50", "2"]


def test_text_rounds_and_names():
    text = tokens.rendered(STUDY, "scores")
    assert list(text.index) == ["Baseline", "Pruning 50 %", "Pruning 50 %, distilled jointly"]
    assert text.loc["Baseline", "F1, clean (%)"] == "82.0 ± 1.0"
    assert text.loc["Baseline", "95 % interval of the score (%)"] == "77.0 to 86.0"
    assert tokens.rendered(STUDY, "details").loc["Pruning 50 %", "Agreement with the teacher (%)"] == "93.0"
    assert text.loc["Baseline", "Difference to the baseline (points)"] == "–"
    assert list(tokens.rendered(STUDY, "views").columns) == [
        "F1, as published (%)", "F1, first occurrences (%)", "F1, clean (%)"]
    cost = tokens.rendered(STUDY, "cost")
    assert cost.loc["Pruning 50 %", ["Removed (%)", "FLOP bound (×)", "Speed-up (×)"]].tolist() == [
        "20.0", "1.50", "1.40"]
    fewer = a_record("baseline", task="pos", unread_words={"published": 9, "deduplicated": 8, "clean": 5})
    mixed = tokens.caption([fewer, a_record("pruning-50", task="pos")], "scores")
    assert "Of 512 words, 5 to 7 were not read and count as mistakes" in mixed and "one seed" in mixed
    caption = tokens.caption(STUDY, "scores")
    expected = (
        "Of 512 words, 7 were not read and count as outside", "3 seeds", "Invented CPU", "The corpus is invented.",
    )
    assert all(part in caption for part in expected)


# ------------------------------------------------------------------------------------------------ the template


def test_a_summary_leaves_out_what_a_run_has_not():
    base, pruned = (tokens.summary(a_record(row)).data for row in ("baseline", "pruning-50"))
    for text in (base, pruned):
        assert "7 of 512" in text and "F1, strict reading, clean" in text
    assert "81.0 % [76.0, 85.0]" in base
    assert "Agreement" not in base and "surgery" not in base and "93.0" in pruned and "1.0e-06" in pruned
    assert "<b>" not in tokens.summary(a_record("baseline").model_copy(update={"hardware": {"cpu": "<b>"}})).data


def test_a_sentence_is_shown_word_by_word_and_escaped():
    shown = tokens.sentence(["<गाव>", "आहे"], ["B-NEL", "O"], ["O", "–"]).data
    assert '<td lang="mr">&lt;गाव&gt;</td><td>B-NEL</td><td>O</td>' in shown and "Predicted" in shown
    assert "Predicted" not in tokens.sentence(["आहे"], ["O"]).data
    with pytest.raises(ValueError, match="shorter"):
        tokens.sentence(["आहे", "आहे"], ["O"])


# ------------------------------------------------------------------------------------------------ pages

PAGE = """# Page

```{token-table} scores
:study: tiny
:corpus: token-sample
:name: the-scores
```

```{token-table} details
:study: tiny
:corpus: token-sample
```

```{token-table} views
:study: tiny
:corpus: token-sample
```

```{token-table} kinds
:study: tiny
:corpus: token-sample
```

```{token-table} cost
:study: tiny
:corpus: token-sample
```

Here {token-mean}`tiny/token-sample-baseline#scores.f1.clean.value`,
{token-mean}`tiny/token-sample-pruning-50#parameters.total`,
{token-mean}`tiny/token-sample-pruning-50#reduction`; elsewhere {token-mean}`later/mahaner-baseline#seed`.

```{token-table} scores
:study: later
:corpus: mahaner
```
"""
WRONG = """# Page

```{token-table} prices
:study: tiny
:corpus: token-sample
```

```{token-table} scores
:study: tiny
:corpus: sample
```

```{token-table} scores
:study: later
:corpus: ud-marathi
```

{token-mean}`tiny/token-sample-baseline` and {token-mean}`tiny/token-sample-pruning-25#seed` and
{token-mean}`tiny/token-sample-baseline#colour` and {token-mean}`tiny/token-sample-baseline#agreement` and
{token-mean}`nosuch/token-sample-baseline#seed`
"""


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    for record in STUDY:
        record.save()
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "later.yaml").write_text(
        "{title: Later, seeds: [1], common: {}, runs: [], tokens: [{corpus: mahaner}]}", encoding="utf-8")

    return lambda text: render(tmp_path, text, "laghu.report.tokens_ext")


def test_tables_and_numbers_of_what_was_run(build, tmp_path):
    html, warnings = build(PAGE)
    assert warnings == ""
    plain = html.replace("\N{NO-BREAK SPACE}", " ").replace("&#160;", " ")
    for name in tokens.TABLES:
        for text in tokens.rendered(STUDY, name).to_numpy().ravel():
            assert text in plain
        data = tmp_path / "book" / "_generated" / "tiny" / f"tokens-token-sample-{name}.csv"
        assert len(data.read_text(encoding="utf-8").splitlines()) == 4
    assert "82.0 ± 1.0 %" in plain and "0.800 M" in plain and "20.0 %" in plain and 'id="the-scores"' in plain
    assert "not run yet" in plain and "laghu tokens later runs them" in plain


def test_what_does_not_exist_is_a_warning(build):
    _, warnings = build(WRONG)
    expected = ("no such table", ":corpus: is 'sample'", "'later' lists no token classifiers on ud-marathi",
                "not of the form", "no row 'pruning-25'", "no number 'colour'", "agreement has no value",
                "no study 'nosuch'")
    assert all(part in warnings for part in expected), warnings
    assert warnings.count("WARNING") == len(expected)
