"""Tables of token classifiers, from their records (`laghu.token_assessment`), and what their template shows.

A table is of one corpus: entities and words are scored differently, and no score of one stands beside one of the other.
"""

from collections.abc import Callable, Sequence
from html import escape
from operator import attrgetter

import numpy as np
import pandas as pd
from IPython.display import HTML

from laghu import sequence_labels
from laghu.errors import LaghuError
from laghu.records import Estimate, TokenRecord
from laghu.report import formats, tables
from laghu.report.rows import Row, in_order, row_of
from laghu.spec import Study

# Of each task, the score that stands for it, and what else is said of the clean view.
HEADLINE = {"ner": "f1", "pos": "accuracy"}
_BESIDE = {"ner": ("precision", "recall", "strict_f1"), "pos": ("macro_f1",)}
# The headline as a function of counts, (..., 3): of all kinds together.
_OF_COUNTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ner": lambda counts: sequence_labels.micro_f1(counts[..., None, :]),
    "pos": lambda counts: sequence_labels.recall(counts[..., None, :]),
}
_SCORED = {"ner": "entities", "pos": "words"}

_NAMES = {
    "f1": "F1", "precision": "Precision", "recall": "Recall", "strict_f1": "F1, strict reading",
    "strict_precision": "Precision, strict reading", "strict_recall": "Recall, strict reading",
    "accuracy": "Accuracy", "macro_f1": "Macro-F1",
}  # fmt: skip
_VIEWS = {"published": "as published", "deduplicated": "first occurrences", "clean": "clean"}
_COMPARED = {"agreement": "Agreement with the teacher", "difference": "Difference to the baseline"}
_COST = {
    "parameters.total": "Parameters",
    "reduction": "Removed",
    "flop_bound": "FLOP bound",
    "speed_up.median": "Speed-up",
    "train_seconds": "Training time",
    "energy_kwh": "Training energy",
    "co2e_kg": "Training CO₂e",
}
_SUMMARY = {
    "parameters.total": "Parameters",
    "documents_per_second": "Throughput",
    "latency_ms.p50": "Latency, one sentence",
    "speed_up.median": "Speed-up over the baseline",
    "agreement": _COMPARED["agreement"],
    "train_seconds": _COST["train_seconds"],
    "energy_kwh": _COST["energy_kwh"],
    "co2e_kg": _COST["co2e_kg"],
    "surgery_error": "Largest logit change at surgery",
}
TABLES = ("scores", "details", "views", "kinds", "cost")


# ------------------------------------------------------------------------------------------------ numbers


def listed(study: str, corpus: str) -> list[TokenRecord]:
    """Records on that corpus of the runs that the study's file lists, by run name; without a file all there are.

    Raises:
        LaghuError: the study lists none, or there is neither a study of that name nor a record.
    """
    found = [record for record in tables.listed_tokens(study) if record.corpus == corpus]
    if not found and corpus not in {run.corpus for run in Study.load(study).tokens}:
        raise LaghuError(f"study {study!r} lists no token classifiers on {corpus}")
    return found


def row(record: TokenRecord) -> str:
    """The run's name without corpus and seed, e.g. `pruning-50-joint`: a row as in `laghu.report.rows`."""
    return row_of(record.run.removeprefix(f"{record.corpus}-"))


def frame(records: Sequence[TokenRecord]) -> pd.DataFrame:
    """One line per record, by run, one column per number; nested names are joined with dots, as in the JSON.

    Beside them `row`, and against the baseline of the same seed `reduction`, the fraction of the parameters that went,
    and `flop_bound`, the baseline's FLOPs over the run's.

    Raises:
        LaghuError: no records, or records of several corpora.
    """
    if len(corpora := sorted({record.corpus for record in records})) != 1:
        raise LaghuError(f"{len(records)} records of token classifiers on {len(corpora)} corpora "
                         f"({', '.join(corpora)}); give those of one, and at least one")
    left_out = {"right", "true", "predicted", "sentence_views", "settings", "stages", "kinds"}
    table = pd.json_normalize([record.model_dump(exclude=left_out) for record in records])
    table = table.assign(row=[row(record) for record in records]).set_index("run", drop=False)
    baseline = table[table["row"] == "baseline"].set_index("seed")
    parameters, flops = (table["seed"].map(baseline[field]) for field in ("parameters.total", "flops_per_token"))
    return table.assign(
        reduction=1 - table["parameters.total"] / parameters, flop_bound=flops / table["flops_per_token"]
    )


def differences(records: Sequence[TokenRecord], resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """The headline score minus that of the baseline of the same seed, on the clean view, by row.

    The 95 % interval resamples seeds and sentences, each with replacement and independently, the same sentences for all
    seeds and for both sides (Owen 2007, the pigeonhole bootstrap, as `laghu.report.statistics`). A single seed is not
    resampled.

    Returns:
        One line per row but the baseline, in the order of every table: `seeds`, `difference`, `low`, `high`, fractions.

    Raises:
        LaghuError: runs on different test sentences.
    """
    first = records[0]
    for record in records:
        if (record.corpus, record.true, record.sentence_views) != (first.corpus, first.true, first.sentence_views):
            raise LaghuError(f"{record.run} and {first.run} are not on the same test sentences; run the study again")
    score, clean = _OF_COUNTS[first.task], first.clean
    ordered = sorted(records, key=lambda record: record.seed)
    baselines = {record.seed: record for record in records if row(record) == "baseline"}
    lines = {}
    for name in in_order(sorted({row(record) for record in records} - {"baseline"})):
        own = [record for record in ordered if row(record) == name and record.seed in baselines]
        if not own:
            continue
        # (2, seeds, sentences, 3): the runs and their baselines
        counts = np.array([[run.counts[clean] for run in side] for side in (own, [baselines[r.seed] for r in own])])
        rng = np.random.default_rng(seed)
        of_sentences, of_seeds = (_drawn(rng, size, resamples) for size in (counts.shape[2], counts.shape[1]))
        ours, theirs = score(np.einsum("rn,bsnc->bsrc", of_sentences, counts, optimize=True))
        means = ((ours - theirs).T * of_seeds).sum(axis=1) / len(own)
        low, high = np.quantile(means, [0.025, 0.975])
        ours, theirs = score(counts.sum(axis=2))
        lines[name] = {"seeds": len(own), "difference": (ours - theirs).mean(), "low": low, "high": high}
    table = pd.DataFrame.from_dict(lines, orient="index", columns=["seeds", "difference", "low", "high"])
    return table.rename_axis("row")


def _drawn(rng: np.random.Generator, size: int, resamples: int) -> np.ndarray:
    """How often each of `size` things is drawn in `size` draws with replacement, (resamples, size)."""
    return rng.multinomial(size, np.full(size, 1 / size), size=resamples).astype(float)


def numbers(records: Sequence[TokenRecord], name: str) -> pd.DataFrame:
    """The numbers behind one of `TABLES`; columns are (quantity, "mean" | "std" | "low" | "high" | "true").

    Lines are rows in the order of every table; of "kinds", they are the kinds and the quantities are the rows.

    Raises:
        LaghuError: no such table; as `frame` and `differences`.
    """
    table = frame(records)
    task = records[0].task
    match name:
        case "scores":
            headline = f"scores.{HEADLINE[task]}.clean.value"
            means = _over_seeds(table, [headline])
            limits = table.groupby("row")[[f"scores.{HEADLINE[task]}.clean.{end}" for end in ("low", "high")]].mean()
            for end in ("low", "high"):
                means[headline, end] = limits[f"scores.{HEADLINE[task]}.clean.{end}"]
            compared = differences(records)
            for source, target in (("difference", "mean"), ("low", "low"), ("high", "high")):
                means["difference", target] = compared[source]
            return means
        case "details":
            return _over_seeds(table, [*(f"scores.{score}.clean.value" for score in _BESIDE[task]), "agreement"])
        case "views":
            return _over_seeds(table, [f"scores.{HEADLINE[task]}.{view}.value" for view in _VIEWS])
        case "kinds":
            return _by_kind(records)
        case "cost":
            return _over_seeds(table, list(_COST))
    raise LaghuError(f"no table {name!r} of token classifiers; there are {', '.join(TABLES)}")


def _over_seeds(table: pd.DataFrame, fields: list[str]) -> pd.DataFrame:
    values = table[fields].apply(pd.to_numeric).assign(row=table["row"])
    over = values.groupby("row").agg(["mean", "std"])
    return over.loc[in_order(list(over.index))]


def _by_kind(records: Sequence[TokenRecord]) -> pd.DataFrame:
    """F1 on the clean view by kind (lines) and row, in descending order of how many there are."""
    lines = [
        {"kind": kind, "row": row(record), "true": counts.true,
         "f1": 2 * counts.right / max(counts.true + counts.predicted, 1)}
        for record in records for kind, counts in record.kinds.items()
    ]
    long = pd.DataFrame(lines)
    there = long.groupby("kind")["true"].first()
    there = there[there > 0].sort_values(ascending=False, kind="stable")
    over = long.groupby(["kind", "row"])["f1"].agg(["mean", "std"]).unstack("row").swaplevel(axis=1)
    over = over[[(name, how) for name in in_order(sorted(set(long["row"]))) for how in ("mean", "std")]]
    over.insert(0, ("true", "mean"), there)
    return over.loc[there.index]


# ------------------------------------------------------------------------------------------------ text


def rendered(records: Sequence[TokenRecord], name: str) -> pd.DataFrame:
    """One of `TABLES` as text, by row label or kind; the unit is in the heading."""
    return as_text(numbers(records, name), name, records[0].task)


def as_text(table: pd.DataFrame, name: str, task: str) -> pd.DataFrame:
    """`rendered` of what `numbers` gave."""
    if name == "kinds":
        return _rendered_kinds(table, _SCORED[task])
    text = pd.DataFrame(index=[Row.parse(name).label for name in table.index])
    for quantity in dict.fromkeys(table.columns.get_level_values(0)):
        cells = table[quantity]
        if cells["mean"].isna().all():
            continue
        text[_heading(quantity, cells)] = _spreads(quantity, cells)
        if "low" in cells:
            of = "difference" if quantity == "difference" else "score"
            text[f"95 % interval of the {of} ({_unit(quantity, cells).symbol})"] = _intervals(quantity, cells)
    return text


def terminal(study: str) -> list[str]:
    """The scores of a study as plain text, one for each corpus with a record, with what they are taken over."""
    corpora = dict.fromkeys(run.corpus for run in Study.load(study).tokens)
    return [_terminal(loaded) for corpus in corpora if (loaded := listed(study, corpus))]


def _terminal(records: Sequence[TokenRecord]) -> str:
    lines = [rendered(records, "scores").to_string(), f"{records[0].corpus}, "
             f"{tables.over_seeds(frame(records), tables.SPREAD)}"]
    if records[0].synthetic:
        lines.append("The corpus is invented: these scores say nothing about Marathi.")
    return "\n".join(lines)


def _rendered_kinds(table: pd.DataFrame, scored: str) -> pd.DataFrame:
    text = pd.DataFrame({scored.capitalize(): table["true", "mean"].map("{:,.0f}".format)}, index=table.index)
    for name in dict.fromkeys(table.columns.get_level_values(0).drop("true")):
        text[f"{Row.parse(name).label} (%)"] = _spreads("scores", table[name])
    return text.rename_axis(None)


def _intervals(quantity: str, cells: pd.DataFrame) -> list[str]:
    """Limits with "to" between them: a dash would pass for a sign."""
    scale = _unit(quantity, cells)
    return ["–" if pd.isna(low) else f"{scale.number(low)} to {scale.number(high)}"
            for low, high in zip(cells["low"], cells["high"], strict=True)]


def _spreads(quantity: str, cells: pd.DataFrame) -> list[str]:
    scale = _unit(quantity, cells)
    deviations = cells["std"] if "std" in cells else [float("nan")] * len(cells)
    return [scale.spread(mean, deviation) for mean, deviation in zip(cells["mean"], deviations, strict=True)]


def _heading(quantity: str, cells: pd.DataFrame) -> str:
    names = {f"scores.{score}.{view}.value": f"{name}, {shown}"
             for score, name in _NAMES.items() for view, shown in _VIEWS.items()}
    name, symbol = (names | _COMPARED | _COST)[quantity], _unit(quantity, cells).symbol
    return f"{name} ({symbol})" if symbol else name


def _unit(quantity: str, cells: pd.DataFrame) -> formats.Unit:
    return unit(quantity, cells["mean"].median())


def unit(field: str, typical: float) -> formats.Unit:
    """As `formats.unit`, for the fields of `frame`."""
    return formats.unit("accuracy" if field.startswith("scores") else field, typical)


def caption(records: Sequence[TokenRecord], name: str) -> str:
    """Caption of `rendered`."""
    table, first = frame(records), records[0]
    over = tables.over_seeds(table, tables.SPREAD)
    scored = _SCORED[first.task]
    about = {
        "scores": f"Scores of {scored} on the clean view of the test split of {first.corpus}, {over}. Interval of the "
                  "score: 95 % bootstrap over sentences, mean over seeds of the lower and of the upper limit. "
                  "Difference: percentage points against the baseline of the same seed on the same sentences, 95 % "
                  "bootstrap that resamples seeds and sentences (sentences alone where there is one seed). "
                  f"{_unread(records)}",
        "details": f"Further scores of {scored} on the clean view of the test split of {first.corpus}, {over}. "
                   "Agreement: share of the words read that baseline and row give the same label.",
        "views": f"{_NAMES[HEADLINE[first.task]]} of {scored} on the three views of the test split of {first.corpus} "
                 f"({_sentences(first)} sentences), {over}.",
        "kinds": f"F1 of each kind on the clean view of the test split of {first.corpus}, {over}.",
        "cost": f"Size, work, speed and training of the classifiers on {first.corpus}, {over}. Speed-up: baseline's "
                "time over the row's, in turns. Training is that of a row's own stages.",
    }[name]
    invented = " The corpus is invented." if first.synthetic else ""
    return f"{about}{invented} Machine: {tables.machines(table)}."


def _unread(records: Sequence[TokenRecord]) -> str:
    counts = sorted({record.unread_words.clean for record in records})
    count = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    counted = {"ner": "count as outside of any entity", "pos": "count as mistakes"}[records[0].task]
    return f"Of {records[0].words.clean:,} words, {count} were not read and {counted}."


def _sentences(record: TokenRecord) -> str:
    return ", ".join(f"{count:,} {_VIEWS[view]}" for view, count in record.sentences.model_dump().items())


# ------------------------------------------------------------------------------------------------ the template


def summary(record: TokenRecord) -> HTML:
    """The main numbers of a record; fields without a value in this run are left out."""
    headline = HEADLINE[record.task]
    lines = [
        (f"{_NAMES[headline]}, {_VIEWS[view]} ({count:,} sentences)", _estimate(getattr(record.scores[headline], view)))
        for view, count in record.sentences.model_dump().items()
    ]
    lines += [(f"{_NAMES[score]}, clean", _estimate(record.scores[score].clean)) for score in _BESIDE[record.task]]
    lines.append(("Words not read, clean", f"{record.unread_words.clean:,} of {record.words.clean:,}"))
    lines += [(name, formats.show(field, value)) for field, name in _SUMMARY.items()
              if (value := attrgetter(field)(record)) is not None]
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in lines)
    processor = escape(f"{record.run}: {record.hardware.get('gpu') or record.hardware.get('cpu')}")
    return HTML(f'<table class="dataframe laghu-summary"><caption>{processor}</caption><tbody>{body}</tbody></table>')


def _estimate(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def sentence(words: Sequence[str], tags: Sequence[str], predictions: Sequence[str] | None = None) -> HTML:
    """A table of the words of a Marathi sentence with their tags and, if given, the predicted ones."""
    headings = ["Word", "Tag"] + (["Predicted"] if predictions is not None else [])
    lines = zip(words, tags, *([predictions] if predictions is not None else []), strict=True)
    body = "".join(
        f'<tr><td lang="mr">{escape(word)}</td>' + "".join(f"<td>{escape(tag)}</td>" for tag in rest) + "</tr>"
        for word, *rest in lines
    )
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    return HTML(f'<table class="dataframe laghu-texts"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')
