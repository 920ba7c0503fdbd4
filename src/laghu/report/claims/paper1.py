"""Mirashi et al. 2024 (arXiv 2409.14162): Table I and what the text says of it."""

import math
from collections.abc import Mapping

import pandas as pd

from laghu import sample  # its labels are those of MahaNews
from laghu.report import calculator
from laghu.report.calculator import Shape
from laghu.report.claims import arithmetic
from laghu.report.claims.claim import Claim, Verdict
from laghu.report.claims.evidence import NOT_RUN, NOTHING_TO_MEASURE, Evidence, evidence
from laghu.report.claims.papers import Papers
from laghu.spec import PaperShape

LEVELS = (25, 50, 75)
# Tokens: a headline, the usual choice, the most that the model takes.
LENGTHS = (32, 128, 512)
_SHAPE = PaperShape()
_FFN = _SHAPE.intermediate_size
# Rows that the paper takes for as accurate as the baseline, and rows that it does not.
_KEEPING = ("pruning-25-after", "pruning-25", "pruning-50")
_LOSING = ("pruning-75", "pruning-75-after")
# Around the stated size of the test set, where another is looked for.
_NEARBY = 150

Studies = Mapping[str, pd.DataFrame]


def claims(
    papers: Papers, studies: Studies, comparison: pd.DataFrame | None, cost: pd.DataFrame | None
) -> list[Claim]:
    """All claims of the paper, in the order of its table's columns."""
    rows = [row for row in papers.table_one.index if row != "baseline"]
    return [
        *(_size(papers, level, studies) for level in LEVELS),
        *(_speed_up(papers, row, studies, cost) for row in rows),
        _headline(papers),
        _other_rows_agree(papers),
        *(_distillation_and_time(papers, level, studies) for level in LEVELS),
        _order_of_speed(papers, studies, cost),
        _best(papers, studies),
        *(_keeps_accuracy(papers, row, studies, comparison) for row in _KEEPING),
        *(_costs_accuracy(papers, row, studies, comparison) for row in _LOSING),
        _distillation_and_accuracy(papers, studies),
        _test_size(papers, studies),
        _carbon_against_time(papers, studies),
        _carbon_at_equal_shape(papers, studies),
        _what_carbon_counts(papers, studies),
        _mixed_precision(papers, studies),
    ]


# ------------------------------------------------------------------------------------------------ size


def _size(papers: Papers, level: int, studies: Studies) -> Claim:
    lines = papers.table_one.loc[[f"pruning-{level}", f"pruning-{level}-after"]]
    total, full = exact_parameters(_width(level)), exact_parameters(_FFN)
    removed = 100 * (1 - total / full)
    fits = all(arithmetic.agrees(total / 1e6, line.params_million)
               and arithmetic.agrees(removed, line.params_reduction_pct) for line in lines.itertuples())
    fits &= arithmetic.agrees(full / 1e6, papers.table_one.loc["baseline", "params_million"])
    first = lines.iloc[0]
    ours = evidence(studies, f"pruning-{level}")
    return Claim(
        1, f"Pruned by {level} %, the model has {first['params_million']} M parameters, "
        f"{first['params_reduction_pct']} % fewer.", _where(lines),
        f"{_width(level):,} of {_FFN:,} FFN neurons left in each layer: {total:,} parameters of {full:,}, "
        f"{removed:.2f} % fewer.",
        f"{100 * ours.mean(f'pruning-{level}', 'reduction'):.1f} % fewer, where the embeddings are another share of "
        f"the model ({ours.name})." if ours else NOT_RUN,
        Verdict.CONFIRMED if fits else Verdict.CONTRADICTED,
        f"The counts follow to the printed digit if {level} % of the FFN neurons go and nothing else."
        if fits else f"Taking {level} % of the FFN neurons does not give the printed counts.",
    )


def exact_parameters(width: int) -> int:
    """Parameters of the paper's classifier with FFN layers of this width."""
    return calculator.parameters(_exact(width))


# ------------------------------------------------------------------------------------------------ time


def bounds(level: int) -> dict[str, float]:
    """What speed-up the paper's shape could have at `level` % of the FFN neurons removed, by what takes the time.

    "32", "128", "512": the encoder's matrix products at that many tokens. "weights": reading its matrices from memory.
    "cap": the FFN layers alone.
    """

    def ratio(length: int) -> float:
        return exact_work(_FFN, length) / exact_work(_width(level), length)

    # The products of attention have no weights, and none are left at length 0.
    return {**{str(length): ratio(length) for length in LENGTHS}, "weights": ratio(0), "cap": _FFN / _width(level)}


def _speed_up(papers: Papers, row: str, studies: Studies, cost: pd.DataFrame | None) -> Claim:
    line, level = papers.table_one.loc[row], _level(row)
    printed, limits = float(line["speedup_x"]), bounds(level)
    beyond_cap = printed > limits["cap"]
    ceiling = max(limit for name, limit in limits.items() if name != "cap")
    products = ", ".join(f"{limits[str(length)]:.2f}× at {length}" for length in LENGTHS)
    ours = evidence(studies, row)
    timed = _timed(cost, level)
    if timed is not None:
        measured = f"The paper's shape, {_range(timed['speed_up'], '×')}: {_conditions(timed)}."
        best = timed.loc[timed["speed_up"].idxmax()]
        if printed > best["speed_up"]:
            verdict = Verdict.CONTRADICTED
            reason = (f"Under equal conditions the paper's shape gives {best['speed_up']:.2f}× at best (quartiles "
                      f"{best['low']:.2f}× to {best['high']:.2f}×; {best['precision']}, {best['sequence_length']} "
                      f"tokens, batches of {best['batch_size']}).")
        elif printed < timed["speed_up"].min():
            verdict, reason = Verdict.CONTRADICTED, "Under equal conditions the paper's shape gives more."
        else:
            verdict, reason = Verdict.CONFIRMED, "The printed number lies within what this shape was timed at."
    else:
        measured = _of_small_encoder(ours, row) if ours else NOT_RUN
        excess = ours.mean(row, "speed_up.median") / ours.mean(row, "flop_bound") if ours else 0.0
        if printed <= ceiling + arithmetic.half_unit(line["speedup_x"]):
            verdict = Verdict.NOT_TESTABLE
            reason = "Within what the arithmetic allows; the paper's shape has to be timed under equal conditions."
        elif excess >= printed / ceiling:
            verdict = Verdict.NOT_TESTABLE
            reason = ("Our own encoder exceeds its bound by as much, so the bound does not decide; the paper's shape "
                      "has to be timed.")
        else:
            verdict = Verdict.CONTRADICTED
            reason = ("At equal precision, batch and hardware, time that follows the work or the weights allows at "
                      f"most {ceiling:.2f}×")
            reason += f", and FFN layers that take all the time {limits['cap']:.2f}×." if beyond_cap else "."
    return Claim(
        1, f"{line['optimization']} is {line['speedup_x']}× as fast as the baseline.", _where_row(line),
        f"Bounds: matrix products {products} tokens; weight traffic {limits['weights']:.2f}×; if the FFN layers took "
        f"all the time {limits['cap']:.2f}×.", measured, verdict, reason,
    )


def _headline(papers: Papers) -> Claim:
    rows = papers.table_one.drop("baseline")
    line = rows.loc[rows["speedup_x"].astype(float).idxmax()]
    low, high = arithmetic.speed_ups(line["inference_time_decrease_pct"])
    fits, implied = _agrees_with_itself(line), 100 * (1 - 1 / float(line["speedup_x"]))
    return Claim(
        1, f"The largest speed-up, {line['speedup_x']}× ({line['optimization']}), saves "
        f"{line['inference_time_decrease_pct']} % of the time.", f"{_where_row(line)}; abstract",
        f"{line['inference_time_decrease_pct']} % less time is {(low + high) / 2:.2f}×; {line['speedup_x']}× is "
        f"{implied:.2f} % less.", NOTHING_TO_MEASURE,
        Verdict.CONFIRMED if fits else Verdict.INCONSISTENT,
        "The two cells say the same." if fits else "The two cells of the row that is the headline do not say the same.",
    )


def _other_rows_agree(papers: Papers) -> Claim:
    rows = papers.table_one.drop("baseline")
    rows = rows.drop(rows["speedup_x"].astype(float).idxmax())
    wrong = [line["optimization"] for _, line in rows.iterrows() if not _agrees_with_itself(line)]
    implied = ", ".join(f"{line['inference_time_decrease_pct']} % is {1 / (1 - _decrease(line)):.3f}× "
                        f"({line['speedup_x']}×)" for _, line in rows.iterrows())
    return Claim(
        1, "In the other rows, decrease of time and speed-up say the same.", _where(rows), f"{implied}.",
        NOTHING_TO_MEASURE, Verdict.INCONSISTENT if wrong else Verdict.CONFIRMED,
        f"They differ in: {', '.join(wrong)}." if wrong else f"All {len(rows)} agree to the printed digit.",
    )


def _distillation_and_time(papers: Papers, level: int, studies: Studies) -> Claim:
    alone, distilled = f"pruning-{level}", f"pruning-{level}-after"
    before, after = papers.table_one.loc[alone], papers.table_one.loc[distilled]
    same_shape = before["params_million"] == after["params_million"]
    printed = float(after["speedup_x"]) / float(before["speedup_x"])
    ours = evidence(studies, alone, distilled)
    ratio = _ratio(ours, distilled, alone, "speed_up.median") if ours else None
    if not same_shape:
        verdict, reason = Verdict.NOT_TESTABLE, "The two rows differ in size, so something else than training changed."
    elif printed == 1:
        verdict, reason = Verdict.CONFIRMED, "Equal shapes take equal time."
    elif ratio is not None and math.log(ratio) / math.log(printed) >= 0.5:
        verdict = Verdict.CONFIRMED
        reason = "Our runs show most of the change as well, which their shape does not explain."
    else:
        verdict = Verdict.CONTRADICTED
        reason = ("Distillation changes what the weights are, not how many; the conditions of the two timings must "
                  "differ.")
    changes = "does not change" if printed == 1 else "changes"
    return Claim(
        1, f"Distillation {changes} the speed-up at {level} %: {before['speedup_x']}× without, {after['speedup_x']}× "
        "with.",
        _where(papers.table_one.loc[[alone, distilled]]),
        f"{before['params_million']} M parameters without, {after['params_million']} M with: "
        + ("the same shape, so the same work, 1.00×" if same_shape else "not the same shape")
        + f"; printed {printed:.2f}×.",
        f"With distillation {ratio:.2f}× as fast as without ({ours.name})." if ours else NOT_RUN, verdict, reason,
    )


def _order_of_speed(papers: Papers, studies: Studies, cost: pd.DataFrame | None) -> Claim:
    larger, smaller = "pruning-25-after", "pruning-75-after"
    printed = {row: float(papers.table_one.loc[row, "speedup_x"]) for row in (larger, smaller)}
    work = {row: exact_work(_width(_level(row))) for row in (larger, smaller)}
    timed = {row: _timed(cost, _level(row)) for row in (larger, smaller)}
    ours = evidence(studies, larger, smaller)
    if all(frame is not None for frame in timed.values()):
        here = {row: float(frame["speed_up"].median()) for row, frame in timed.items()}
        source = f"the paper's shape, median over conditions, {_machines(timed[larger])}"
    elif ours:
        here, source = {row: ours.mean(row, "speed_up.median") for row in (larger, smaller)}, ours.name
    else:
        here, source = {}, ""
    in_order = printed[larger] <= printed[smaller]
    as_here = bool(here) and here[larger] > here[smaller]
    return Claim(
        1, f"With distillation, the model pruned by 25 % ({printed[larger]:g}×) is faster than the one pruned by 75 % "
        f"({printed[smaller]:g}×)." if not in_order else "With distillation, the smaller model is at least as fast.",
        _where(papers.table_one.loc[[larger, smaller]]),
        f"At 128 tokens, {work[larger] / 1e6:.1f} against {work[smaller] / 1e6:.1f} MFLOP per token: the first does "
        f"{work[larger] / work[smaller]:.2f}× the work.",
        f"{here[larger]:.2f}× and {here[smaller]:.2f}× ({source})." if here else NOT_RUN,
        Verdict.CONFIRMED if in_order or as_here else Verdict.CONTRADICTED,
        "The order of the times is that of the work." if in_order
        else "Our timings have the same order, against the order of the work." if as_here
        else "The model with more work cannot be the faster one under equal conditions.",
    )


def _best(papers: Papers, studies: Studies) -> Claim:
    rows = papers.table_one.drop("baseline")
    name = rows["speedup_x"].astype(float).idxmax()
    line, accuracy = rows.loc[name], float(rows.loc[name, "accuracy_pct"])
    peers = rows[(rows["params_million"] == line["params_million"]) & (rows.index != name)]
    better = peers[peers["accuracy_pct"].astype(float) >= accuracy]
    alone, distilled = f"pruning-{_level(name)}", f"pruning-{_level(name)}-after"
    ours = evidence(studies, alone, distilled)
    gain = _gain(ours, distilled, alone) if ours else None
    if better.empty:
        verdict = Verdict.NOT_TESTABLE
        reason = ("No other row of its size is as accurate; which is best depends on the weight of time against "
                  "accuracy.")
    elif gain is not None and (gain > 0).all():
        verdict = Verdict.NOT_TESTABLE
        reason = ("As printed, another row of its size is as accurate; in our runs it is the more accurate on every "
                  "seed.")
    else:
        verdict = Verdict.CONTRADICTED
        test = _Drop(papers, name, studies, against=better.index[0])
        reason = (f"{better.iloc[0]['optimization']} has the same size, and so the same time, and prints an accuracy "
                  f"at least as high, by {test.lost} answers (p = {_p(test.p)}). Nothing printed speaks for the second "
                  "training.")
    return Claim(
        1, f"{line['optimization']} is the best configuration.", f"{_where_row(line)}; abstract",
        f"Same size, {line['params_million']} M: " + "; ".join(
            f"{peer['optimization']}, {peer['accuracy_pct']} % against {line['accuracy_pct']} %"
            for _, peer in peers.iterrows()) + ".",
        f"Distilled after pruning minus pruned alone: {_points(gain)} ({ours.name})." if ours else NOT_RUN,
        verdict, reason,
    )


def exact_work(width: int, length: int = 128) -> int:
    """Encoder FLOPs per token of the paper's shape with FFN layers of this width."""
    return calculator.flops_per_token(_exact(width), length)


def _exact(width: int) -> Shape:
    return Shape(
        _SHAPE.vocab_size, _SHAPE.hidden_size, _SHAPE.num_hidden_layers, _SHAPE.num_attention_heads, width,
        length=max(LENGTHS), positions=_SHAPE.max_position_embeddings, labels=len(sample.LABELS),
    )


# ------------------------------------------------------------------------------------------------ accuracy


def _keeps_accuracy(papers: Papers, row: str, studies: Studies, comparison: pd.DataFrame | None) -> Claim:
    """The row is as accurate as the baseline: refuted by a printed drop beyond chance, shown by non-inferiority."""
    line, base = papers.table_one.loc[row], papers.table_one.loc["baseline"]
    test, ours = _Drop(papers, row, studies), evidence(studies, row)
    found = _compared(comparison, row)
    if test.p < arithmetic.LEVEL and test.lost > 0:
        verdict, reason = Verdict.CONTRADICTED, "The printed drop is beyond chance."
    elif found is None or found["verdict"] == "open":
        verdict = Verdict.NOT_TESTABLE
        reason = ("The printed difference is within chance, and so is no evidence of equality either; that takes "
                  "several seeds and an interval within a stated margin.")
    elif found["verdict"] == "worse":
        verdict, reason = Verdict.CONTRADICTED, "Our own runs of this row, on our encoder, lose more than the margin."
    else:
        verdict = Verdict.CONFIRMED
        reason = ("The printed difference is within chance, and our own runs of this row, on our encoder, lose no more "
                  "than the margin.")
    return Claim(
        1, f"{line['optimization']} keeps the accuracy of the baseline ({base['accuracy_pct']} % to "
        f"{line['accuracy_pct']} %).",
        _where_row(line) + ("; abstract" if row == "pruning-25-after" else ""), test.text,
        _accuracy_here(found, ours, row), verdict, reason,
    )


def _costs_accuracy(papers: Papers, row: str, studies: Studies, comparison: pd.DataFrame | None) -> Claim:
    """The row is less accurate than the baseline, by the stated drop where the text states one."""
    line, base = papers.table_one.loc[row], papers.table_one.loc["baseline"]
    test, ours = _Drop(papers, row, studies), evidence(studies, row)
    points = float(base["accuracy_pct"]) - float(line["accuracy_pct"])
    said = papers.said(1, "drop_75_distilled_pct") if row == "pruning-75-after" else None
    stated = f"a {said.value} % drop" if said else f"a drop of {points:.2f} points"
    if said and not arithmetic.agrees(points, said.value):
        verdict, reason = Verdict.INCONSISTENT, f"The table has {points:.2f} points."
    elif test.p < arithmetic.LEVEL and test.lost > 0:
        verdict = Verdict.CONFIRMED
        reason = "The printed drop is beyond chance" + (", and rounds to the stated one." if said else ".")
    else:
        verdict = Verdict.NOT_TESTABLE
        reason = "A drop of this size in one run is within chance; it takes several seeds."
    return Claim(
        1, f"{line['optimization']}: {stated} in accuracy.", _where_row(line) + (f"; {said.where}" if said else ""),
        f"{points:.2f} points, {100 * points / float(base['accuracy_pct']):.2f} % of the baseline's: " + test.text,
        _accuracy_here(_compared(comparison, row), ours, row), verdict, reason,
    )


def _distillation_and_accuracy(papers: Papers, studies: Studies) -> Claim:
    tests = {level: _Drop(papers, f"pruning-{level}-after", studies, against=f"pruning-{level}") for level in LEVELS}
    gains = {level: -test.lost for level, test in tests.items()}
    beyond = {level: gains[level] for level, test in tests.items() if test.p < arithmetic.LEVEL}
    rows = [f"pruning-{level}{end}" for level in LEVELS for end in ("", "-after")]
    ours = evidence(studies, *rows)
    here = {level: _gain(ours, f"pruning-{level}-after", f"pruning-{level}") for level in LEVELS} if ours else {}
    if any(gain < 0 for gain in beyond.values()):
        verdict, reason = Verdict.CONTRADICTED, "At one level at least, the table shows a loss beyond chance."
    elif len(beyond) == len(LEVELS):
        verdict, reason = Verdict.CONFIRMED, "The table shows a gain beyond chance at every level."
    elif here and all((gain > 0).all() for gain in here.values()):
        verdict = Verdict.CONFIRMED
        reason = "The table does not decide, but our runs gain at every level and on every seed."
    elif here and all((gain < 0).all() for gain in here.values()):
        verdict = Verdict.CONTRADICTED
        reason = "The table does not decide; our runs lose at every level and on every seed."
    else:
        verdict = Verdict.NOT_TESTABLE
        reason = (f"The table gains at {sum(gain > 0 for gain in gains.values())} of {len(LEVELS)} levels, beyond "
                  f"chance at {len(beyond)}. It takes several seeds of both rows at each level.")
    return Claim(
        1, "Distillation after pruning makes the pruned model more accurate.", _where(papers.table_one.loc[rows]),
        "Right answers against pruning alone: " + ", ".join(
            f"{gains[level]:+d} at {level} % (p = {test.p:.2f})" for level, test in tests.items())
        + f", of {tests[25].rows:,}, {tests[25].assumption}.",
        "; ".join(f"{_points(gain)} at {level} %" for level, gain in here.items()) + f" ({ours.name})." if ours
        else NOT_RUN,
        verdict, reason,
    )


class _Drop:
    """Net loss of right answers between two rows of Table I, and whether it can be told from chance."""

    def __init__(self, papers: Papers, row: str, studies: Studies, against: str = "baseline") -> None:
        shares = [float(papers.table_one.loc[name, "accuracy_pct"]) / 100 for name in (against, row)]
        self.rows = _rows_of_test(papers)
        self.lost = round(shares[0] * self.rows) - round(shares[1] * self.rows)
        share, self.assumption = _differing(studies, row, *shares)
        self.p = arithmetic.mcnemar_p(self.lost, round(share * self.rows))
        most = arithmetic.most_differing(self.lost, self.rows)
        at_most = "at no number of differing answers" if most is None else f"only if at most {most:,} answers differ"
        error = 100 * arithmetic.standard_error(shares[0], self.rows)
        self.text = (f"{self.lost} of {self.rows:,} answers; the standard error of one accuracy is {error:.2f} points. "
                     f"Beyond chance (McNemar, p < {arithmetic.LEVEL}) {at_most}; p = {_p(self.p)} {self.assumption}.")


def _differing(studies: Studies, row: str, first: float, second: float) -> tuple[float, str]:
    """Share of answers on which exactly one model is right, and where it is from: a paper prints no such number."""
    ours = evidence(studies, row)
    fields = [f"mcnemar.only_{which}_right" for which in ("baseline", "run")]
    if ours and set(fields) <= set(ours.frame):
        shares = sum(ours.by_seed(row, field) for field in fields) / ours.by_seed(row, "rows.clean")
        if shares.notna().any():
            return float(shares.mean()), f"if {100 * shares.mean():.1f} % differ, as in our study {ours.study}"
    share = arithmetic.independent_share(first, second)
    return share, f"if {100 * share:.1f} % differ, as for independent errors"


def _test_size(papers: Papers, studies: Studies) -> Claim:
    said, accuracies = papers.said(1, "test_rows"), list(papers.table_one["accuracy_pct"])
    stated = int(said.value)
    sizes = _fitting(papers)
    matching = sum(arithmetic.correct_answers(accuracy, stated) is not None for accuracy in accuracies)
    ours = evidence(studies, "baseline")
    if stated in sizes:
        verdict, reason = Verdict.CONFIRMED, "All printed accuracies are whole numbers of right answers out of it."
    elif sizes:
        verdict, reason = Verdict.INCONSISTENT, (f"The accuracies were not computed on {stated:,} headlines, but fit "
                                                 f"{_listed(sizes)}: a misprint, most likely.")
    else:
        verdict, reason = Verdict.INCONSISTENT, "No size nearby fits all printed accuracies, the stated one included."
    return Claim(
        1, f"The test set has {stated:,} headlines.", said.where,
        f"Of {len(accuracies)} accuracies, {matching} are a whole number of {stated:,} answers; of all sizes from "
        f"{stated - _NEARBY:,} to {stated + _NEARBY:,}, all fit {_listed(sizes) or 'none'}.",
        f"The test file has {ours.mean('baseline', 'rows.published'):,.0f} headlines (study {ours.study})." if ours
        else NOT_RUN, verdict, reason,
    )


# ------------------------------------------------------------------------------------------------ carbon


def _carbon_against_time(papers: Papers, studies: Studies) -> Claim:
    rows = papers.table_one
    time = pd.Series({name: 1.0 if name == "baseline" else 1 - _decrease(line) for name, line in rows.iterrows()})
    carbon = rows["estimated_carbon_kg_co2eq"].astype(float)
    pairs = arithmetic.disordered(-time, carbon)
    power = carbon / carbon["baseline"] / time
    ours = evidence(studies, *rows.index)
    here = pd.Series(dtype=float)
    if ours:
        use = pd.Series({row: ours.mean(row, "inference_energy.co2e_kg_per_1000_documents") for row in rows.index})
        speed = pd.Series({row: ours.mean(row, "speed_up.median") for row in rows.index})
        here = (use / use["baseline"] * speed / speed["baseline"]).dropna()
    if not pairs:
        verdict, reason = Verdict.CONFIRMED, "Faster rows emit less."
    elif len(here) and here.max() / here.min() >= power.max() / power.min():
        verdict, reason = Verdict.NOT_TESTABLE, "Our own power varies as much over the rows, so time does not decide."
    else:
        verdict = Verdict.INCONSISTENT
        reason = ("On one machine, emissions of use are time times power, and the power of one GPU should not vary so "
                  "much over these rows. Either column may be right; not both, if they are of the same runs.")
    return Claim(
        1, "The CO₂ is that of running the model, so the faster row emits less.", "Table I, last column; results",
        f"{len(pairs)} pairs of rows where the faster one emits more. CO₂ over time, the power, goes from "
        f"{power.min():.2f} to {power.max():.2f} of the baseline's.",
        f"Power of inference from {here.min():.2f} to {here.max():.2f} of the baseline's ({ours.name})." if len(here)
        else NOT_RUN, verdict, reason,
    )


def _carbon_at_equal_shape(papers: Papers, studies: Studies) -> Claim:
    rows = papers.table_one
    carbon = rows["estimated_carbon_kg_co2eq"].astype(float)
    more = {level: carbon[f"pruning-{level}-after"] / carbon[f"pruning-{level}"] - 1 for level in LEVELS}
    same_time = [level for level in LEVELS if rows.loc[f"pruning-{level}", "inference_time_decrease_pct"]
                 == rows.loc[f"pruning-{level}-after", "inference_time_decrease_pct"]]
    clash = [level for level in same_time if more[level]]
    names = [f"pruning-{level}{end}" for level in LEVELS for end in ("", "-after")]
    ours = evidence(studies, *names)
    measured = NOT_RUN
    if ours:
        use, training = (
            ", ".join(f"{round(100 * _ratio(ours, f'pruning-{level}-after', f'pruning-{level}', field)) - 100:+d} %"
                      for level in LEVELS)
            for field in ("inference_energy.co2e_kg_per_1000_documents", "co2e_kg"))
        measured = f"CO₂e of inference {use}; of training {training} ({ours.name})."
    if clash:
        verdict = Verdict.INCONSISTENT
        reason = (f"At {_listed(clash)} % both rows print the same time, and yet not the same CO₂. That fits training, "
                  "of which distillation is more, not running the model.")
    elif any(more.values()):
        verdict, reason = Verdict.NOT_TESTABLE, "It depends on what the CO₂ counts: training or use."
    else:
        verdict, reason = Verdict.CONFIRMED, "Equal shapes emit the same."
    return Claim(
        1, "A distilled model and a pruned one of the same shape differ in CO₂.", _where(rows.loc[names]),
        "CO₂ with distillation against without: " + ", ".join(f"{100 * share:+.0f} % at {level} %"
                                                              for level, share in more.items()) + ".",
        measured, verdict, reason,
    )


def _what_carbon_counts(papers: Papers, studies: Studies) -> Claim:
    first, second = papers.said(1, "carbon_in_introduction"), papers.said(1, "carbon_in_results")
    kilograms = float(papers.table_one.loc["baseline", "estimated_carbon_kg_co2eq"])
    ours = evidence(studies, "baseline")
    measured = NOT_RUN
    if ours:
        grid = ours.mean("baseline", "grid_g_per_kwh")
        measured = (f"At the {grid:.0f} g/kWh of our records, that is {1e6 * kilograms / grid:.1f} Wh (study "
                    f"{ours.study}).")
    fits = first.value == second.value
    return Claim(
        1, f"The CO₂ is that of {first.value}.", f"{first.where}; {second.where}",
        f"The {first.where} says “{first.value}”, the {second.where} “{second.value}”. The baseline prints "
        f"{1000 * kilograms:.1f} g.", measured, Verdict.CONFIRMED if fits else Verdict.INCONSISTENT,
        "Both places say the same." if fits else "The text says two things, and the table does not say which; the "
        "baseline, whose training the text does not describe, has a value as well.",
    )


def _mixed_precision(papers: Papers, studies: Studies) -> Claim:
    named = papers.table_one["optimization"].str.contains("precision|fp16|half", case=False)
    row = "mixed-precision-bf16"
    ours = evidence(studies, row)
    return Claim(
        1, "Mixed precision was applied on its own and in combination.", "abstract; Table I",
        f"{named.sum()} of {len(named)} rows of Table I name a precision.",
        f"bf16 alone {ours.mean(row, 'speed_up.median'):.2f}× ({ours.name})." if ours else NOT_RUN,
        Verdict.CONFIRMED if named.any() else Verdict.NOT_TESTABLE,
        "Table I has rows for it." if named.any() else "Nothing is printed that could be tested; it would take a row "
        "of its own, and the precision in which each row was timed.",
    )


# ------------------------------------------------------------------------------------------------ parts of these


def _level(row: str) -> int:
    return int(row.split("-")[1])


def _width(level: int) -> int:
    return _FFN * (100 - level) // 100


def _decrease(line: pd.Series) -> float:
    return float(line["inference_time_decrease_pct"]) / 100


def _agrees_with_itself(line: pd.Series) -> bool:
    low, high = arithmetic.speed_ups(line["inference_time_decrease_pct"])
    half = arithmetic.half_unit(line["speedup_x"])
    return low - half <= float(line["speedup_x"]) <= high + half


def _fitting(papers: Papers) -> list[int]:
    stated = int(papers.said(1, "test_rows").value)
    sizes = range(stated - _NEARBY, stated + _NEARBY + 1)
    return arithmetic.fitting_sizes(list(papers.table_one["accuracy_pct"]), sizes)


def _rows_of_test(papers: Papers) -> int:
    """The stated size of the test set if the accuracies fit it, or else the nearest that they fit."""
    stated = int(papers.said(1, "test_rows").value)
    return min(_fitting(papers), key=lambda rows: abs(rows - stated), default=stated)


def _timed(cost: pd.DataFrame | None, level: int) -> pd.DataFrame | None:
    """Timings of the shape at that level; distillation leaves it as it is."""
    if cost is None:
        return None
    rows = cost[cost["row"].isin({f"pruning-{level}", f"pruning-{level}-after"})].dropna(subset=["speed_up"])
    return None if rows.empty else rows


def _conditions(timed: pd.DataFrame) -> str:
    return (f"{_range(timed['sequence_length'])} tokens, batches of {_range(timed['batch_size'])}, "
            f"{', '.join(dict.fromkeys(timed['precision']))}, {_machines(timed)}")


def _machines(timed: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(timed["machine"]))


def _range(values: pd.Series, symbol: str = "") -> str:
    low, high = (f"{value:.2f}" if symbol else f"{value:g}" for value in (values.min(), values.max()))
    return f"{low}{symbol}" if low == high else f"{low}{symbol} to {high}{symbol}"


def _of_small_encoder(ours: Evidence, row: str) -> str:
    return (f"Our encoder, {ours.mean(row, 'speed_up.median'):.2f}× where its own matrix products allow "
            f"{ours.mean(row, 'flop_bound'):.2f}× ({ours.name}).")


def _compared(comparison: pd.DataFrame | None, row: str) -> pd.Series | None:
    return None if comparison is None or row not in comparison.index else comparison.loc[row]


def _accuracy_here(found: pd.Series | None, ours: Evidence | None, row: str) -> str:
    source = f" ({ours.name})" if ours else ""
    if found is not None:
        return (f"{100 * found['difference']:+.2f} points, 95 % interval {100 * found['low']:+.2f} to "
                f"{100 * found['high']:+.2f}, non-inferiority {found['verdict']}{source}.")
    return f"{_points(ours.by_seed(row, 'difference'))}{source}." if ours else NOT_RUN


def _gain(ours: Evidence, row: str, against: str) -> pd.Series:
    """Accuracy of one row minus another's, by seed; a fraction of the clean view."""
    return (ours.by_seed(row, "accuracy.clean.value") - ours.by_seed(against, "accuracy.clean.value")).dropna()


def _ratio(ours: Evidence, row: str, against: str, field: str) -> float:
    return ours.mean(row, field) / ours.mean(against, field)


def _points(values: pd.Series) -> str:
    spread = f" ± {100 * values.std():.1f}" if len(values) > 1 else ""
    return f"{100 * values.mean():+.1f}{spread} points"


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else f"{value:.1g}"


def _where(lines: pd.DataFrame) -> str:
    return f"Table I, rows {_listed(sorted(int(row) for row in lines['row']))}"


def _where_row(line: pd.Series) -> str:
    return f"Table I, row {line['row']}"


def _listed(numbers: list[int]) -> str:
    texts = [f"{number:,}" for number in numbers]
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
