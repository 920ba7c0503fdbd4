"""Wallace et al. 2025 (arXiv 2502.00046): the extra tables of its first set of models, its equation, and our runs.

Where the paper has perplexity, a classifier has errors: that is our extension, as in `laghu.report.tradeoff`.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from laghu.records import RunRecord
from laghu.report import statistics, tradeoff
from laghu.report.claims import arithmetic, paired
from laghu.report.claims.claim import Claim, Verdict
from laghu.report.claims.evidence import NOT_RUN, NOTHING_TO_MEASURE, ONE_SEED, OWN_ROW, TAKES_RUNS
from laghu.report.claims.paired import Ratio, Runs, runs
from laghu.report.claims.papers import Papers

# What is printed, and the column of its change.
_QUANTITIES = {
    "perplexity": "perplexity_change_pct", "runtime_s": "runtime_change_pct", "energy_kwh": "energy_change_pct",
}
_NAMES = {"perplexity": "perplexity", "runtime_s": "time", "energy_kwh": "energy"}
_TABLES = "extra tables 1 to 8"
# A perplexity's last printed place has to be this much finer than half precision to tell whether it lies on its grid.
_FINER = 100
# Steps of half precision within which a change of perplexity may be rounding: one for each of two numbers.
_STEPS = 2
# Our rows: integers of 8 or 4 bits, and the same engine without them.
_KERNELS = {"quantization-int8-weights": "with weights alone in 8 bits",
            "quantization-int8-dynamic": "with 8-bit products"}
_QUANTISED = {8: tuple(_KERNELS), 4: ("quantization-int4-weights",)}
_CONTROL = "quantization-fp32"
_HALF_PRECISION = "mixed-precision-bf16"
_TIMES, _ENERGY = "speed_up.median", "inference_energy.kwh_per_1000_documents"

Records = Mapping[str, Sequence[RunRecord]]


def claims(papers: Papers, studies: Mapping[str, pd.DataFrame], records: Records) -> list[Claim]:
    """All claims of the paper: its arithmetic, quantisation, heads, the equation; then those our own runs are held to.

    Args:
        studies: frames of `tables.study`, the preferred first.
        records: of the same studies.
    """
    table = numbers(papers)
    return [
        _changes_recompute(papers, table),
        _means(papers, table),
        _saving(table, 4, records),
        _saving(table, 8, records),
        _same_precision(table, records),
        _perplexity_at_8_bits(table),
        _heads(table),
        _equation(papers, table, studies),
        _slower_at_8_bits(table, records),
        _keeps_at_8_bits(table, records),
        _more_at_4_bits(table, records),
        _price(
            table, "Distil", "A distilled model", "minitron-2layers-50", "Ours keeps 2 of 4 layers and half of its FFN "
            "neurons, and is distilled on logits; the shape of theirs was not seen.", records),
        _price(
            table, "Pruned", "Pruning a finished model", "one-shot-magnitude-75-untrained", "Ours loses 75 % of its "
            "FFN neurons by magnitude and is not trained after; how much of theirs went was not seen.", records),
    ]


def numbers(papers: Papers) -> pd.DataFrame:
    """The tables as numbers, one line per variant, with what follows from them.

    For each quantity: its `.base`, the printed value of the unquantised, unpruned model of the same table and family;
    its `.half`, half a unit of the last place that this table prints of it; and the `.change` that follows, in percent.
    `power` is in watts, `step` the distance to the next perplexity in half precision, and `on_grid` says whether the
    printed one lies there, None where the table prints too few places to tell.
    """
    printed = papers.quantisation
    table = printed.astype({name: float for pair in _QUANTITIES.items() for name in pair}).assign(
        bits=printed["variant"].str.extract(r"(\d)b$")[0].astype(float))
    bases = table[table["variant"] == "Base"].set_index(["table", "model_family"])
    keys = pd.MultiIndex.from_frame(table[["table", "model_family"]])
    for quantity in _QUANTITIES:
        table[f"{quantity}.base"] = bases[quantity].reindex(keys).to_numpy()
        table[f"{quantity}.half"] = printed.groupby("table")[quantity].transform(
            lambda column: min(map(arithmetic.half_unit, column)))
        table[f"{quantity}.change"] = 100 * (table[quantity] / table[f"{quantity}.base"] - 1)
    table["power"] = arithmetic.mean_power(table["energy_kwh"], table["runtime_s"])
    table["step"] = 2 * table["perplexity"].map(arithmetic.half_step)
    table["on_grid"] = [
        arithmetic.on_half_grid(value, half) if _FINER * half < step else None
        for value, half, step in zip(table["perplexity"], table["perplexity.half"], table["step"], strict=True)
    ]
    return table


def misprints(papers: Papers, table: pd.DataFrame) -> list[str]:
    """Printed changes that the printed values can't give, whatever was rounded."""
    found = []
    for quantity, change in _QUANTITIES.items():
        printed = papers.quantisation[change].dropna()
        rows = table.loc[printed.index]
        low, high = arithmetic.change_range(rows[f"{quantity}.base"], rows[quantity], rows[f"{quantity}.half"])
        half = printed.map(arithmetic.half_unit)
        wrong = ~printed.astype(float).between(low - half, high + half)
        found += [f"table {line['table']}, {line['model_family']} {line['variant']}, {_NAMES[quantity]}: "
                  f"{printed[place]} % printed, {line[f'{quantity}.change']:+.3f} % computed"
                  for place, line in rows[wrong].iterrows()]
    return found


def _changes_recompute(papers: Papers, table: pd.DataFrame) -> Claim:
    wrong = misprints(papers, table)
    total = papers.quantisation[list(_QUANTITIES.values())].notna().sum().sum()
    return Claim(
        3, "The printed changes follow from the printed values.", _TABLES,
        f"{total - len(wrong)} of {total} do. " + "; ".join(wrong), NOTHING_TO_MEASURE,
        Verdict.INCONSISTENT if wrong else Verdict.CONFIRMED,
        f"{len(wrong)} misprint{'s' if len(wrong) > 1 else ''}; the rest of the tables recompute." if wrong
        else "All recompute within rounding.",
    )


def _means(papers: Papers, table: pd.DataFrame) -> Claim:
    wrong, checked = [], 0
    for _, quoted in papers.headline_means.iterrows():
        rows = _of(table, quoted["model_family"], quoted["variant"])
        for quantity, change in _QUANTITIES.items():
            if isinstance(quoted[change], str):
                checked += 1
                if not arithmetic.agrees(mean := rows[change].mean(), quoted[change]):
                    wrong.append(f"{quoted['model_family']} {quoted['variant']}, {_NAMES[quantity]}: {quoted[change]} "
                                 f"% quoted, {mean:.2f} % computed")
    return Claim(
        3, "The average changes in the text follow from the tables.", f"text, as quoted by a third party; {_TABLES}",
        f"{checked - len(wrong)} of {checked} quoted averages are the unweighted mean of the printed changes over the "
        "data sets" + (": not " + "; ".join(wrong) if wrong else "") + ".", NOTHING_TO_MEASURE,
        Verdict.INCONSISTENT if wrong else Verdict.CONFIRMED,
        "Quoted averages and tables do not agree." if wrong else "They are unweighted: each data set counts the same, "
        "however long it runs.",
    )


def _saving(table: pd.DataFrame, bits: int, records: Records) -> Claim:
    rows = _quantised_bases(table, bits)
    means = rows.groupby("model_family", sort=False)[["runtime_s.change", "energy_kwh.change"]].mean()
    power = rows.groupby("model_family", sort=False)["power"].mean()
    base = rows.groupby("model_family", sort=False)[["energy_kwh.base", "runtime_s.base"]].apply(
        lambda group: arithmetic.mean_power(group["energy_kwh.base"], group["runtime_s.base"]).mean())
    longer = means["runtime_s.change"] > 0
    ours = runs(records, _CONTROL, *_QUANTISED[bits])
    energies = _against_control(ours, bits, _ENERGY)
    signs = set(paired.off_one(list(energies.values())))
    metered = ours is not None and _metered(ours)
    if not (means["energy_kwh.change"] < 0).all():
        verdict, reason = Verdict.INCONSISTENT, "The tables do not show a saving for every model."
    elif confounded(table) and metered and signs in ({1}, {-1}):
        verdict = Verdict.CONFIRMED if signs == {-1} else Verdict.CONTRADICTED
        reason = ("By the tables' digits the unquantised models ran in another precision. In one precision and engine, "
                  f"ours take {'less' if signs == {-1} else 'more'} energy for each text. {_scale(ours)}")
    elif confounded(table):
        verdict = Verdict.NOT_TESTABLE
        reason = ("The tables say so, but by their digits the unquantised models ran in another precision, so that the "
                  "saving of quantisation alone is not known. It takes an fp16 baseline on the same GPU")
        reason += (", and the power of GPU and machine apart: a processor that waits saves power only where nothing "
                   "else is counted." if longer.all() else ".")
        if ours and not metered:
            reason += " The energy of ours is estimated from time and says no more than it."
    else:
        verdict, reason = Verdict.CONFIRMED, "All models were run in the same precision, and the tables say so."
    return Claim(
        3, f"{bits}-bit quantisation saves energy: " + ", ".join(
            f"{family} {change:.0f} %" for family, change in means["energy_kwh.change"].items()) + ".",
        _TABLES,
        "Time " + ", ".join(f"{family} {change:+.0f} %" for family, change in means["runtime_s.change"].items())
        + ". Power, as energy over time: " + ", ".join(f"{family} {base[family]:.0f} W to {power[family]:.0f} W"
                                                       for family in means.index) + ".",
        "Against the same engine in fp32, " + "; ".join(
            f"{_short(row)}: energy {energy.text}, time {time.text}" for (row, energy), time in
            zip(energies.items(), _against_control(ours, bits, _TIMES).values(), strict=True)) + f" ({ours.name})."
        if ours else NOT_RUN, verdict, reason,
    )


def confounded(table: pd.DataFrame) -> bool:
    """Were quantised models run in half precision and the others not?

    So it is if all perplexities of the former, and none of the latter, are numbers of half precision.
    """
    known = table.dropna(subset=["on_grid"])
    on_grid, quantised = known["on_grid"].astype(bool), known["bits"].notna()
    return bool(on_grid[quantised].all() and not on_grid[~quantised].any())


def _same_precision(table: pd.DataFrame, records: Records) -> Claim:
    known = table.dropna(subset=["on_grid"])
    on_grid, quantised = known["on_grid"].astype(bool), known["bits"].notna()
    by_chance = (2 * known["perplexity.half"] / known["step"]).max()
    apart = confounded(table)
    ours = runs(records, _HALF_PRECISION)
    return Claim(
        3, "Quantised and unquantised models are compared under the same conditions.", _TABLES,
        f"{on_grid[quantised].sum()} of {quantised.sum()} quantised perplexities are numbers of half precision (fp16), "
        f"and {on_grid[~quantised].sum()} of {(~quantised).sum()} others; by chance it would be {100 * by_chance:.2g} "
        "% at most.",
        f"Half precision (bf16) alone: time {_times(ours, _HALF_PRECISION, 'baseline').text}, energy "
        f"{ours.ratio(_HALF_PRECISION, 'baseline', _ENERGY).text} ({ours.name})"
        + ("." if _metered(ours) else "; energy is estimated from time.") if ours else NOT_RUN,
        Verdict.CONTRADICTED if apart else Verdict.NOT_TESTABLE,
        "By their digits, quantised models were evaluated in fp16 and the others in a finer precision, so part of what "
        "is called quantisation may be fp16 against fp32." if apart
        else "The digits do not tell the precision; it takes the authors' settings.",
    )


def _perplexity_at_8_bits(table: pd.DataFrame) -> Claim:
    rows = _of(table, "GPT2-L", "Base8b")
    steps = (rows["perplexity"] - rows["perplexity.base"]).abs() / rows["step"]
    change = rows["perplexity.change"].mean()
    within = bool((steps <= _STEPS).all())
    return Claim(
        3, f"8-bit quantisation changes the perplexity of GPT2-L by {change:.2f} %.", _TABLES,
        f"The changes are {steps.min():.1f} to {steps.max():.1f} steps of half precision at that size.", OWN_ROW,
        Verdict.NOT_TESTABLE if within else Verdict.CONFIRMED,
        "They are of the size of the rounding of the numbers themselves: no difference is shown, for better or worse."
        if within else "They are larger than the rounding of the numbers.",
    )


def _heads(table: pd.DataFrame) -> Claim:
    rows = table[table["variant"] == "AH90"]
    means = _family_means(rows)
    saves = bool((means["energy_kwh.change"] < 0).all())
    gap = (means["energy_kwh.change"] - means["runtime_s.change"]).abs().max()
    return Claim(
        3, "Pruning 10 % of the attention heads saves energy.", _TABLES,
        "; ".join(f"{family}: energy {line['energy_kwh.change']:+.1f} %, time {line['runtime_s.change']:+.1f} %, "
                  f"perplexity {line['perplexity.change']:+.1f} %" for family, line in means.iterrows()) + ".",
        NOT_RUN, Verdict.CONFIRMED if saves else Verdict.INCONSISTENT,
        f"Energy and time fall by shares that are up to {gap:.0f} points apart, so the gain is mostly one of time; it "
        "has a price in perplexity." if saves
        else "The tables do not show a saving for every model.",
    )


def _equation(papers: Papers, table: pd.DataFrame, studies: Mapping[str, pd.DataFrame]) -> Claim:
    said = papers.said(3, "exponent")
    variants = table[table["variant"] != "Base"].groupby(["model_family", "variant"], sort=False)
    changes = variants[[f"{quantity}.change" for quantity in _QUANTITIES]].mean().dropna()
    undefined = int((changes["perplexity.change"] < 0).sum())
    better = int((scores(changes, float(said.value)) < 1).sum())
    return Claim(
        3, f"Score = P^{said.value} (α T + β E) ranks the variants.", said.where,
        f"P, T and E read as percent changes: the baseline scores 0, and {undefined} of {len(changes)} variants have "
        "no score, a root of a negative number. Read as ratios to the baseline with α = β = ½: the baseline scores 1, "
        f"and {better} variants score below.", _scores_here(studies), Verdict.NOT_TESTABLE,
        "Only ratios give every variant a score. It takes the paper's definition of the symbols and its weights, "
        "which were not seen.",
    )


def scores(changes: pd.DataFrame, exponent: float) -> pd.Series:
    """The equation with ratios to the baseline and equal weights of time and energy; lower is better."""
    perplexity, time, energy = (1 + changes[f"{quantity}.change"] / 100 for quantity in _QUANTITIES)
    return perplexity**exponent * (time + energy) / 2


def _scores_here(studies: Mapping[str, pd.DataFrame]) -> str:
    """How many rows of the first study that has any score below the control of their engine, errors for perplexity."""
    for study, frame in studies.items():
        if not frame.empty and "baseline" in set(frame["row"]):
            own = [tradeoff.of_study(frame, control) for control in tradeoff.CONTROLS if control in set(frame["row"])]
            ranked = pd.concat([tradeoff.ranking(each.ratios).drop(each.baseline) for each in own])
            return (f"With errors in the place of perplexity, our extension, {(ranked['score'] < 1).sum()} of "
                    f"{len(ranked)} rows score below the baseline in their engine (study {study}).")
    return NOT_RUN


# ------------------------------------------------------------------------------------------------ on our own runs


def _slower_at_8_bits(table: pd.DataFrame, records: Records) -> Claim:
    """Each of our 8-bit rows against the control of the same engine, corrected together; one alone refutes nothing."""
    ours = runs(records, _CONTROL, *_QUANTISED[8])
    times = _against_control(ours, 8, _TIMES)
    signs = dict(zip(times, paired.off_one(list(times.values())), strict=True))
    verdict = Verdict.NOT_TESTABLE
    if ours and set(signs.values()) == {-1}:
        verdict = Verdict.CONTRADICTED
        reason = f"With other kernels on another machine, all of ours are faster. {_scale(ours)}"
    elif ours and set(signs.values()) == {1}:
        verdict = Verdict.CONFIRMED
        reason = f"So are all of ours, with other kernels on another machine. {_scale(ours)}"
    elif ours and {1, -1} <= set(signs.values()):
        slower, faster = (" and ".join(_KERNELS[row] for row in signs if signs[row] == sign) for sign in (1, -1))
        reason = (f"It depends on the kernels: ours are slower {slower} and faster {faster}. Which of the two theirs "
                  f"resemble was not seen. {_scale(ours)}")
    else:
        reason = _why_open(ours, "Not all of our times differ beyond chance.", *times)
    return Claim(
        3, "8-bit quantisation makes a model slower (our classifier).", _TABLES,
        "Time of theirs in 8 bits: " + _percent(_mean_changes(table, 8, "runtime_s")) + ".",
        "Against the same engine in fp32, " + "; ".join(f"{_short(row)}: time {time.text}" for row, time in
                                                        times.items()) + f" ({ours.name})." if ours else NOT_RUN,
        verdict, reason,
    )


def _keeps_at_8_bits(table: pd.DataFrame, records: Records) -> Claim:
    ours = runs(records, _CONTROL, *_QUANTISED[8])
    gains = {row: ours.gain(row, _CONTROL) for row in _QUANTISED[8]} if ours else {}
    lossy = [gain.high < -statistics.MARGIN and gain.sign < 0 for gain in gains.values()]
    if ours and all(gain.kept for gain in gains.values()):
        verdict, reason = Verdict.CONFIRMED, f"Ours lose no more than the margin. {_scale(ours)} {_EXTENSION}"
    elif ours and all(lossy):
        verdict = Verdict.CONTRADICTED
        reason = f"All of ours lose more than the margin. {_scale(ours)} {_EXTENSION}"
    elif any(lossy):
        verdict = Verdict.NOT_TESTABLE
        reason = f"It depends on what is in 8 bits: one of ours loses more than the margin. {_scale(ours)} {_EXTENSION}"
    else:
        verdict = Verdict.NOT_TESTABLE
        reason = _why_open(ours, "An interval of our differences includes the margin.", _CONTROL, *gains)
    return Claim(
        3, "8-bit quantisation keeps the quality (our classifier).", _TABLES,
        "Perplexity of theirs in 8 bits: " + _percent(_mean_changes(table, 8, "perplexity")) + ".",
        "Against the same engine in fp32, " + "; ".join(
            f"{_short(row)}: {gain.text}, errors {_errors(ours, row, _CONTROL):.2f}×" for row, gain in
            gains.items()) + f" ({ours.name})." if ours else NOT_RUN, verdict, reason,
    )


def _more_at_4_bits(table: pd.DataFrame, records: Records) -> Claim:
    """Weights of 4 bits against weights of 8."""
    four, eight = _QUANTISED[4][0], _QUANTISED[8][0]
    ours = runs(records, _CONTROL, four, eight)
    gain = ours.gain(four, eight) if ours else None
    match gain and gain.sign:
        case -1:
            verdict, reason = Verdict.CONFIRMED, f"So it does in ours, beyond chance. {_scale(ours)} {_EXTENSION}"
        case 1:
            verdict = Verdict.CONTRADICTED
            reason = f"In ours it gains, beyond chance. {_scale(ours)} {_EXTENSION}"
        case _:
            verdict = Verdict.NOT_TESTABLE
            reason = _why_open(ours, "Ours do not differ beyond chance.", four, eight)
    return Claim(
        3, "4-bit quantisation costs more quality than 8-bit (our classifier).", _TABLES,
        "Perplexity of theirs in 4 bits: " + _percent(_mean_changes(table, 4, "perplexity")) + "; in 8 bits: "
        + _percent(_mean_changes(table, 8, "perplexity")) + ".",
        f"4-bit against 8-bit weights: {gain.text}; errors {_errors(ours, four, _CONTROL):.2f}× and "
        f"{_errors(ours, eight, _CONTROL):.2f}× those of fp32 ({ours.name})." if ours else NOT_RUN,
        verdict, reason,
    )


def _price(table: pd.DataFrame, variant: str, what: str, row: str, differs: str, records: Records) -> Claim:
    """A way to a smaller model costs quality: refuted if our row loses no more than the margin."""
    means = _family_means(table[table["variant"] == variant])
    ours = runs(records, row)
    gain = ours.gain(row, "baseline") if ours else None
    if gain and gain.sign < 0:
        verdict, reason = Verdict.CONFIRMED, f"So it does ours, beyond chance. {differs} {_scale(ours)} {_EXTENSION}"
    elif gain and gain.kept:
        verdict = Verdict.CONTRADICTED
        reason = f"Ours loses no more than the margin. {differs} {_scale(ours)} {_EXTENSION}"
    else:
        verdict = Verdict.NOT_TESTABLE
        reason = _why_open(ours, f"Ours loses nothing beyond chance. {differs}", row, "baseline")
    return Claim(
        3, f"{what} costs quality (our classifier).", _TABLES,
        "; ".join(f"{family}: perplexity {line['perplexity.change']:+.1f} %, time {line['runtime_s.change']:+.1f} %, "
                  f"energy {line['energy_kwh.change']:+.1f} %" for family, line in means.iterrows()) + ".",
        f"{gain.text}; errors {_errors(ours, row, 'baseline'):.2f}×, time "
        f"{_times(ours, row, 'baseline').text} ({ours.name})." if ours else NOT_RUN, verdict, reason,
    )


_EXTENSION = "Errors in the place of perplexity are our extension."


def _scale(ours: Runs) -> str:
    return f"Ours is {ours.scale}; theirs are generative models on a GPU."


def _why_open(ours: Runs | None, undecided: str, *rows: str) -> str:
    if ours is None:
        return TAKES_RUNS
    return ONE_SEED if ours.seeds(*rows) < statistics.FEWEST_SEEDS else f"{undecided} {_scale(ours)}"


def _against_control(ours: Runs | None, bits: int, field: str) -> dict[str, Ratio]:
    """Time or energy for each text over that of the same engine in fp32, by row."""
    if ours is None:
        return {}
    return {row: _times(ours, row, _CONTROL) if field == _TIMES else ours.ratio(row, _CONTROL, field)
            for row in _QUANTISED[bits]}


def _times(ours: Runs, row: str, against: str) -> Ratio:
    """Ratio of times. Each speed-up was timed in turns with the baseline, which cancels out."""
    return ours.ratio(against, row, _TIMES)


def _metered(ours: Runs) -> bool:
    """Was no part of the energy estimated?"""
    sources = ours.evidence.frame.filter(like="inference_energy.source.")
    return not (sources == "estimated").to_numpy().any()


def _errors(ours: Runs, row: str, against: str) -> float:
    """Ratio of errors on the clean view, of means over seeds."""
    one, other = (1 - ours.evidence.mean(name, "accuracy.clean.value") for name in (row, against))
    return one / other


def _short(row: str) -> str:
    return row.removeprefix("quantization-")


def _percent(changes: pd.Series) -> str:
    return ", ".join(f"{family} {change:+.2f} %" for family, change in changes.items())


# ------------------------------------------------------------------------------------------------ parts of these


def _mean_changes(table: pd.DataFrame, bits: int, quantity: str) -> pd.Series:
    """Mean change in percent over the data sets of rows that are quantised and nothing else, by family."""
    return _family_means(_quantised_bases(table, bits))[f"{quantity}.change"]


def _family_means(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby("model_family", sort=False)[[f"{quantity}.change" for quantity in _QUANTITIES]].mean()


def _of(table: pd.DataFrame, family: str, variant: str) -> pd.DataFrame:
    return table[(table["model_family"] == family) & (table["variant"] == variant)]


def _quantised_bases(table: pd.DataFrame, bits: int) -> pd.DataFrame:
    """Rows that are quantised and nothing else."""
    return table[table["variant"].isin([f"Base{bits}b", f"{bits}b"])]
