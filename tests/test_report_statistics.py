import random
from itertools import combinations
from math import comb, sqrt

import numpy as np
import pytest
from fake_records import fake_record, fake_study

from laghu.errors import LaghuError
from laghu.report.rows import row_of
from laghu.report.statistics import against, compare, holm, pareto, pigeonhole
from laghu.spec import RunSpec

STUDY = fake_study()
LEVELS = {"published": "012", "deduplicated": "12", "clean": "2"}


def run(name):
    return next(record for record in STUDY if record.run == name)


def with_right(record, right):
    return record.model_copy(update={"right": right})


def beside(base, only_baseline, only_run):
    """A pruned run that agrees with the baseline but for so many clean rows that only one of the two has right."""
    right = list(base.right)
    clean = [place for place, kind in enumerate(base.row_views) if kind == "2"]
    for value, count in (("1", only_baseline), ("0", only_run)):
        for place in [place for place in clean if base.right[place] == value][:count]:
            right[place] = "10"[int(value)]
    pruned = fake_record(RunSpec(study="cpu", technique="pruning", pruning_level=0.5, seed=base.seed))
    return with_right(pruned, "".join(right))


def exact_mcnemar(only_a, only_b):
    """Two-sided: all splits of the discordant rows that are at most as likely as this one."""
    n = only_a + only_b
    return sum(comb(n, k) for k in range(n + 1) if comb(n, k) <= comb(n, only_a)) / 2**n


def closed_testing(p_values):
    """Holm's adjusted p by the closure principle: the largest Bonferroni p of all families that hold the hypothesis."""
    families = [family for size in range(1, len(p_values) + 1) for family in combinations(range(len(p_values)), size)]
    return [max(min(1, len(family) * min(p_values[j] for j in family)) for family in families if i in family)
            for i in range(len(p_values))]


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_closed_testing_with_bonferroni(seed):
    rng = random.Random(seed)
    p_values = [rng.choice([rng.random(), 0.01 * rng.random(), 0.02]) for _ in range(7)]
    assert holm(p_values) == pytest.approx(closed_testing(p_values), abs=1e-12)


def test_holm_on_an_example_by_hand():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which must not fall below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(5))
def test_pareto_is_the_front_by_definition(seed):
    rng = random.Random(seed)
    points = [(rng.randrange(6), rng.randrange(6)) for _ in range(15)]  # coarse, so that there are ties and copies
    front = [
        not any(c <= cost and a >= accuracy and (c < cost or a > accuracy) for c, a in points)
        for cost, accuracy in points
    ]
    assert pareto(*zip(*points, strict=True)).tolist() == front


def test_equal_points_are_both_on_the_front():
    assert pareto([1, 1, 2], [0.9, 0.9, 0.9]).tolist() == [True, True, False]


def pigeonhole_variance(gains):
    """Of the resampled mean, in closed form: E[w_s w_t] = 1 - 1/S + [s = t] for multinomial counts, rows alike."""
    seeds, rows = gains.shape
    total = gains.sum()
    second = ((1 - 1 / seeds) * (1 - 1 / rows) * total**2 + (1 - 1 / rows) * (gains.sum(axis=1) ** 2).sum()
              + (1 - 1 / seeds) * (gains.sum(axis=0) ** 2).sum() + (gains**2).sum())
    return (second - total**2) / gains.size**2


@pytest.mark.parametrize(("seeds", "shift"), [(1, 0.0), (3, 0.0), (8, 0.08), (40, 0.3)])
def test_width_of_the_interval_follows_from_the_variance_of_the_pigeonhole_bootstrap(seeds, shift):
    rng = np.random.default_rng(seeds)
    # rows that are hard for all, cells of their own and seeds that shift all rows
    latent = rng.normal(size=(1, 900)) + rng.normal(size=(seeds, 900)) + shift * rng.normal(size=(seeds, 1))
    gains = (latent > 1.3).astype(int) - (latent < -1.5).astype(int)
    low, high = pigeonhole(gains, resamples=20_000)
    assert high - low == pytest.approx(2 * 1.96 * sqrt(pigeonhole_variance(gains)), rel=0.04)
    assert (low + high) / 2 == pytest.approx(gains.mean(), abs=0.05 * (high - low))


def test_rows_that_seeds_share_are_drawn_together():
    """Copies of one seed tell nothing new: the interval is that of the single seed, not narrower."""
    gains = np.random.default_rng(0).choice([-1, 0, 1], p=[0.04, 0.93, 0.03], size=(1, 2000))
    one, copies = pigeonhole(gains, 8000), pigeonhole(np.repeat(gains, 5, axis=0), 8000)
    assert copies == pytest.approx(one, abs=0.0006)


@pytest.mark.parametrize("view", LEVELS)
def test_differences_and_p_values_are_those_counted_by_hand(view):
    table = compare(STUDY, view)
    kept = [place for place, kind in enumerate(run("baseline-seed1").row_views) if kind in LEVELS[view]]
    p_values = {}
    for record in STUDY:
        if row_of(record.run) != "baseline":
            pairs = [(record.right[place], run(f"baseline-seed{record.seed}").right[place]) for place in kept]
            p_values[record.run] = exact_mcnemar(pairs.count(("1", "0")), pairs.count(("0", "1")))
    adjusted = dict(zip(p_values, step_down(list(p_values.values())), strict=True))
    for row, line in table.iterrows():
        runs = [name for name in p_values if row_of(name) == row]
        gains = [
            sum(int(run(name).right[place]) - int(run(f"baseline-seed{run(name).seed}").right[place]) for place in kept)
            for name in runs
        ]
        assert line["difference"] == pytest.approx(sum(gains) / len(kept) / 3, abs=1e-12)
        assert line["low"] < line["difference"] < line["high"]
        for end, of in (("lowest", min), ("highest", max)):
            assert line[f"p_{end}"] == pytest.approx(of(p_values[name] for name in runs), rel=1e-9)
            assert line[f"holm_{end}"] == pytest.approx(of(adjusted[name] for name in runs), rel=1e-9)
        assert line["seeds_differ"] == sum(adjusted[name] < 0.05 for name in runs)
        assert line["seeds"] == 3
    assert table.loc["classical", "seeds_differ"] == 3  # the invented one is far behind, on every seed
    assert table["seeds_differ"].min() == 0


def step_down(p_values):
    """Smallest level at which Holm's procedure, run as he states it, rejects each hypothesis; 1 if none does."""
    levels = sorted({min(1, m * p) for p in p_values for m in range(1, len(p_values) + 1)} | {1})
    found = {}
    for level in levels:
        left = sorted(range(len(p_values)), key=lambda i: p_values[i])
        while left and p_values[left[0]] * len(left) <= level:
            found.setdefault(left.pop(0), level)
    return [found.get(i, 1) for i in range(len(p_values))]


def test_rows_are_in_the_order_of_tables_without_the_baseline():
    rows = list(compare(STUDY, "clean").index)
    assert rows[:4] == ["classical", "continued", "pruning-25", "pruning-50"]
    assert len(rows) == len({row_of(record.run) for record in STUDY}) - 1


def test_the_same_records_give_the_same_table_in_any_order():
    assert compare(STUDY, "clean").equals(compare(STUDY[::-1], "clean"))


@pytest.mark.parametrize(("only_baseline", "only_run", "verdict"), [
    (1, 3, "shown"),  # the lower limit is at about -0.1 points
    (25, 20, "open"),
    (90, 10, "worse"),
    (30, 110, "shown"),  # better than the baseline is not worse
])
def test_verdict_on_non_inferiority(only_baseline, only_run, verdict):
    base = run("baseline-seed1")
    line = compare([base, beside(base, only_baseline, only_run)], "clean").loc["pruning-50"]
    assert line["difference"] == pytest.approx((only_run - only_baseline) / 2011)
    assert line["verdict"] == verdict
    # one seed: rows alone are resampled, and the gains are -1, 0 and 1
    deviation = sqrt((only_run + only_baseline) / 2011 - line["difference"] ** 2) / sqrt(2011)
    assert line["high"] - line["low"] == pytest.approx(2 * 1.96 * deviation, rel=0.15)


def test_the_margin_decides():
    base = run("baseline-seed1")
    pair = [base, beside(base, 25, 20)]
    assert [compare(pair, "clean", margin)["verdict"].item() for margin in (0.001, 0.02)] == ["open", "shown"]


def test_a_run_that_answers_as_the_baseline_does_is_no_different():
    base = run("baseline-seed1")
    line = compare([base, beside(base, 0, 0)], "clean").loc["pruning-50"]
    assert line[["difference", "low", "high", "p_lowest", "holm_highest"]].tolist() == [0, 0, 0, 1, 1]


def test_runs_without_a_baseline_of_their_seed_are_left_out():
    fewer = [record for record in STUDY if record.run not in {"baseline-seed2", "pruning-50-seed3"}]
    table = compare(fewer, "clean")
    assert table.loc["pruning-50", "seeds"] == 1
    assert table.loc["pruning-25", "seeds"] == 2
    with pytest.raises(LaghuError, match="no run has a baseline of its seed"):
        compare([run("baseline-seed1"), run("pruning-50-seed2")], "clean")


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(LaghuError, match="no view 'cleen' of the test rows; there are published"):
        compare(STUDY, "cleen")
    with pytest.raises(LaghuError, match=r"margin 0 is not a fraction above 0; half a percentage point is 0.005"):
        compare(STUDY, "clean", margin=0)
    other = run("pruning-50-seed1").model_copy(update={"corpus": "mahanews-clean"})
    with pytest.raises(LaghuError, match="pruning-50-seed1 and baseline-seed1 are not on the same test rows"):
        compare([run("baseline-seed1"), other], "clean")


def test_against_the_baseline_is_what_compare_says():
    """Two ways to the same pairs: all rows against the baseline, and the baseline named as their reference."""
    rows = {row_of(record.run) for record in STUDY} - {"baseline"}
    columns = ["seeds", "difference", "low", "high", "p_lowest", "holm_highest", "seeds_differ"]
    assert against(STUDY, dict.fromkeys(rows, "baseline"), "clean")[columns].equals(compare(STUDY, "clean")[columns])


def test_against_another_row_is_counted_by_hand_and_corrected_for_its_own_tests_only():
    references = {"pruning-75": "pruning-75-joint", "pruning-75-after": "pruning-75-joint"}
    table = against(STUDY, references, "clean")
    kept = [place for place, kind in enumerate(run("baseline-seed1").row_views) if kind == "2"]
    pairs = {(row, seed): [(run(f"{row}-seed{seed}").right[place], run(f"{of}-seed{seed}").right[place])
                           for place in kept] for row, of in references.items() for seed in (1, 2, 3)}
    p_values = {key: exact_mcnemar(pair.count(("1", "0")), pair.count(("0", "1"))) for key, pair in pairs.items()}
    adjusted = dict(zip(p_values, closed_testing(list(p_values.values())), strict=True))
    for row, line in table.iterrows():
        gains = [pairs[row, seed].count(("1", "0")) - pairs[row, seed].count(("0", "1")) for seed in (1, 2, 3)]
        assert line["difference"] == pytest.approx(sum(gains) / 3 / len(kept), abs=1e-12)
        assert line["p_lowest"] == pytest.approx(min(p_values[row, seed] for seed in (1, 2, 3)), rel=1e-9)
        assert line["holm_lowest"] == pytest.approx(min(adjusted[row, seed] for seed in (1, 2, 3)), rel=1e-9)
        assert line["holm_highest"] == pytest.approx(max(adjusted[row, seed] for seed in (1, 2, 3)), rel=1e-9)


@pytest.mark.parametrize(("only_baseline", "only_run", "verdict"), [
    (90, 10, "worse"), (10, 90, "better"), (25, 20, "none"), (0, 4, "none"),
])
def test_a_verdict_takes_an_interval_and_a_test(only_baseline, only_run, verdict):
    """Four rows to none keep an interval of three alike seeds off 0, but no test rejects: p is 1/8."""
    bases = [run(f"baseline-seed{seed}") for seed in (1, 2, 3)]
    several = [*bases, *(beside(base, only_baseline, only_run) for base in bases)]
    assert against(several, {"pruning-50": "baseline"}, "clean")["verdict"].item() == verdict
    mirrored = {"worse": "better", "better": "worse"}.get(verdict, verdict)
    assert against(several, {"baseline": "pruning-50"}, "clean")["verdict"].item() == mirrored


def test_one_seed_gives_no_verdict_on_a_technique():
    base = run("baseline-seed1")
    assert against([base, beside(base, 90, 10)], {"pruning-50": "baseline"}, "clean")["verdict"].item() == "one seed"


def test_a_row_without_its_reference_is_refused():
    with pytest.raises(LaghuError, match="pruning-50 has no run at a seed of its reference one-shot-random-75"):
        against(STUDY, {"pruning-50": "one-shot-random-75"}, "clean")
    with pytest.raises(LaghuError, match="pruning-50 has no run at a seed of its reference baseline"):
        against([run("baseline-seed1"), run("pruning-50-seed2")], {"pruning-50": "baseline"}, "clean")
