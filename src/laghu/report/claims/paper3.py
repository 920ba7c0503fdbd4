"""Wallace et al. 2025 (arXiv 2502.00046): the extra tables of its first set of models, and its equation."""

import pandas as pd

from laghu.report.claims import arithmetic
from laghu.report.claims.claim import Claim, Verdict
from laghu.report.claims.evidence import NOT_RUN, NOTHING_TO_MEASURE
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


def claims(papers: Papers) -> list[Claim]:
    """All claims of the paper: its arithmetic, quantisation, heads, and the equation."""
    table = numbers(papers)
    return [
        _changes_recompute(papers, table),
        _means(papers, table),
        _saving(table, bits=4),
        _saving(table, bits=8),
        _same_precision(table),
        _perplexity_at_8_bits(table),
        _heads(table),
        _equation(papers, table),
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


def _saving(table: pd.DataFrame, bits: int) -> Claim:
    rows = _quantised_bases(table, bits)
    means = rows.groupby("model_family", sort=False)[["runtime_s.change", "energy_kwh.change"]].mean()
    power = rows.groupby("model_family", sort=False)["power"].mean()
    base = rows.groupby("model_family", sort=False)[["energy_kwh.base", "runtime_s.base"]].apply(
        lambda group: arithmetic.mean_power(group["energy_kwh.base"], group["runtime_s.base"]).mean())
    longer = means["runtime_s.change"] > 0
    if not (means["energy_kwh.change"] < 0).all():
        verdict, reason = Verdict.INCONSISTENT, "The tables do not show a saving for every model."
    elif confounded(table):
        verdict = Verdict.NOT_TESTABLE
        reason = ("The tables say so, but by their digits the unquantised models ran in another precision, so that the "
                  "saving of quantisation alone is not known. It takes an fp16 baseline on the same GPU")
        reason += (", and the power of GPU and machine apart: a processor that waits saves power only where nothing "
                   "else is counted." if longer.all() else ".")
    else:
        verdict, reason = Verdict.CONFIRMED, "All models were run in the same precision, and the tables say so."
    return Claim(
        3, f"{bits}-bit quantisation saves energy: " + ", ".join(
            f"{family} {change:.0f} %" for family, change in means["energy_kwh.change"].items()) + ".",
        _TABLES,
        "Time " + ", ".join(f"{family} {change:+.0f} %" for family, change in means["runtime_s.change"].items())
        + ". Power, as energy over time: " + ", ".join(f"{family} {base[family]:.0f} W to {power[family]:.0f} W"
                                                       for family in means.index) + ".",
        NOT_RUN, verdict, reason,
    )


def confounded(table: pd.DataFrame) -> bool:
    """Were quantised models run in half precision and the others not?

    So it is if all perplexities of the former, and none of the latter, are numbers of half precision.
    """
    known = table.dropna(subset=["on_grid"])
    on_grid, quantised = known["on_grid"].astype(bool), known["bits"].notna()
    return bool(on_grid[quantised].all() and not on_grid[~quantised].any())


def _same_precision(table: pd.DataFrame) -> Claim:
    known = table.dropna(subset=["on_grid"])
    on_grid, quantised = known["on_grid"].astype(bool), known["bits"].notna()
    by_chance = (2 * known["perplexity.half"] / known["step"]).max()
    apart = confounded(table)
    return Claim(
        3, "Quantised and unquantised models are compared under the same conditions.", _TABLES,
        f"{on_grid[quantised].sum()} of {quantised.sum()} quantised perplexities are numbers of half precision (fp16), "
        f"and {on_grid[~quantised].sum()} of {(~quantised).sum()} others; by chance it would be {100 * by_chance:.2g} "
        "% at most.",
        NOT_RUN, Verdict.CONTRADICTED if apart else Verdict.NOT_TESTABLE,
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
        f"The changes are {steps.min():.1f} to {steps.max():.1f} steps of half precision at that size.", NOT_RUN,
        Verdict.NOT_TESTABLE if within else Verdict.CONFIRMED,
        "They are of the size of the rounding of the numbers themselves: no difference is shown, for better or worse."
        if within else "They are larger than the rounding of the numbers.",
    )


def _heads(table: pd.DataFrame) -> Claim:
    rows = table[table["variant"] == "AH90"]
    means = rows.groupby("model_family", sort=False)[[f"{quantity}.change" for quantity in _QUANTITIES]].mean()
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


def _equation(papers: Papers, table: pd.DataFrame) -> Claim:
    said = papers.said(3, "exponent")
    variants = table[table["variant"] != "Base"].groupby(["model_family", "variant"], sort=False)
    changes = variants[[f"{quantity}.change" for quantity in _QUANTITIES]].mean().dropna()
    undefined = int((changes["perplexity.change"] < 0).sum())
    better = int((scores(changes, float(said.value)) < 1).sum())
    return Claim(
        3, f"Score = P^{said.value} (α T + β E) ranks the variants.", said.where,
        f"P, T and E read as percent changes: the baseline scores 0, and {undefined} of {len(changes)} variants have "
        "no score, a root of a negative number. Read as ratios to the baseline with α = β = ½: the baseline scores 1, "
        f"and {better} variants score below.", NOT_RUN, Verdict.NOT_TESTABLE,
        "Only ratios give every variant a score. It takes the paper's definition of the symbols and its weights, "
        "which were not seen.",
    )


def scores(changes: pd.DataFrame, exponent: float) -> pd.Series:
    """The equation with ratios to the baseline and equal weights of time and energy; lower is better."""
    perplexity, time, energy = (1 + changes[f"{quantity}.change"] / 100 for quantity in _QUANTITIES)
    return perplexity**exponent * (time + energy) / 2


def _of(table: pd.DataFrame, family: str, variant: str) -> pd.DataFrame:
    return table[(table["model_family"] == family) & (table["variant"] == variant)]


def _quantised_bases(table: pd.DataFrame, bits: int) -> pd.DataFrame:
    """Rows that are quantised and nothing else."""
    return table[table["variant"].isin([f"Base{bits}b", f"{bits}b"])]
