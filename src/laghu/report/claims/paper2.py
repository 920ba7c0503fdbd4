"""Gurgurov et al. 2025 (arXiv 2505.16956): sizes, the quality that its figures show, and the same on our encoder."""

from collections.abc import Mapping, Sequence
from math import factorial

import pandas as pd

from laghu.records import RunRecord, TokenRecord
from laghu.report import statistics, tables, tokens
from laghu.report.claims import arithmetic
from laghu.report.claims.claim import Claim, Verdict
from laghu.report.claims.evidence import NOT_RUN, NOTHING_PRINTED, NOTHING_TO_MEASURE, ONE_SEED, OWN_ROW, TAKES_RUNS
from laghu.report.claims.paired import Loss, Runs, runs
from laghu.report.claims.papers import Papers
from laghu.report.rows import Row, in_order, row_of

_VOCABULARY_FIGURE = "figure on vocabulary size; src/utils/plot_vocab.py"
# Vocabulary at which the paper's figure ends.
_SMALLEST = 5000
# Our rows: the paper's four steps at two sizes, and its vocabulary step alone.
_MODERATE, _MAXIMUM = "two-step-moderate", "two-step-maximum"
_TRIMMED = ("vocabulary-trimming-6000tokens", "vocabulary-trimming-4000tokens")
# What each of our corpora stands for.
_ENTITIES, _PARTS_OF_SPEECH = "mahaner", "ud-marathi"

Records = Mapping[str, Sequence[RunRecord]]
Tokens = Mapping[str, Sequence[TokenRecord]]


def claims(papers: Papers, records: Records, labelled_words: Tokens) -> list[Claim]:
    """All claims of the paper: size, vocabulary, quality; then those that our own runs are held to.

    Args:
        records, labelled_words: by study, the preferred first; runs on texts and on labelled words.
    """
    widths = [int(width) for width in papers.said(2, "hidden").value.split()]
    return [
        _compression(papers),
        _four_steps(papers),
        _vocabulary_harmless(papers),
        _vocabulary_too_small(papers),
        *(_moderate(papers, width) for width in widths if width != min(widths)),
        _first_version(papers, min(widths)),
        _maximum(papers),
        _more_text(papers),
        _width_costs_most(papers, widths, records),
        _range_here(papers, "Moderate compression", _MODERATE, "drop", records),
        _range_here(papers, "The highest compression", _MAXIMUM, "maximum_drop", records),
        *(_trimmed_here(papers, row, records) for row in _TRIMMED),
        _better(
            "A student that starts from its teacher's layers does better than one that starts at random.",
            "an older README", NOTHING_PRINTED, _MODERATE, "two-step-random", records),
        _better(
            "Teacher and labels together do better than labels alone.", "method", NOTHING_PRINTED, _MODERATE,
            "two-step-alpha100", records),
        _alpha(papers, records),
        _truncation(records),
        _tasks(records, labelled_words),
    ]


def steps(papers: Papers, model: str) -> pd.DataFrame:
    """Parameters of a masked language model after each step at the least hidden width: `total` and `embeddings`."""
    teacher = papers.shapes.loc[model].to_dict()
    said = {name: papers.said(2, name).value for name in ("layers", "ffn", "hidden", "vocabulary")}
    changes = {"teacher": {}, "layers": {"layers": int(said["layers"])}, "FFN": {"ffn": int(said["ffn"])},
               "hidden width": {"hidden": min(int(width) for width in said["hidden"].split())},
               "vocabulary": {"vocabulary": int(said["vocabulary"])}}
    shape, lines = teacher, {}
    for step, change in changes.items():
        shape = shape | change
        lines[step] = arithmetic.encoder_parameters(**shape)
    return pd.DataFrame.from_dict(lines, orient="index")


def _compression(papers: Papers) -> Claim:
    said = papers.said(2, "compression_pct")
    sizes = {model: steps(papers, model)["total"] for model in papers.shapes.index}
    removed = {model: 100 * (1 - total.iloc[-1] / total.iloc[0]) for model, total in sizes.items()}
    reached = [model for model, share in removed.items() if arithmetic.agrees(share, said.value)]
    largest = max(removed.values())
    if reached:
        verdict, reason = Verdict.CONFIRMED, f"Reached by {' and '.join(reached)}, at the least width and vocabulary."
    else:
        verdict, reason = Verdict.CONTRADICTED, f"The shapes give {largest:.1f} % at most."
    return Claim(
        2, f"Models become up to {said.value} % smaller.", said.where,
        "; ".join(f"{model}: {total.iloc[0] / 1e6:.2f} M to {total.iloc[-1] / 1e6:.2f} M parameters, "
                  f"{removed[model]:.1f} % fewer" for model, total in sizes.items()) + ".",
        NOTHING_TO_MEASURE, verdict, reason,
    )


def _four_steps(papers: Papers) -> Claim:
    model = papers.shapes["vocabulary"].idxmax()
    sizes = steps(papers, model)
    saved = -sizes["total"].diff().dropna()
    shares = 100 * saved / saved.sum()
    tokens = 100 * (sizes["embeddings"].iloc[0] - sizes["embeddings"].iloc[-1]) / saved.sum()
    useless = list(saved.index[saved <= 0])
    return Claim(
        2, "Fewer layers, narrower FFN and hidden layers and a smaller vocabulary all contribute to the compression.",
        "method", f"Of what {model} loses: " + ", ".join(f"{step} {share:.0f} %" for step, share in shares.items())
        + f". The table of token embeddings makes {tokens:.0f} % of the loss.", NOTHING_TO_MEASURE,
        Verdict.CONTRADICTED if useless else Verdict.CONFIRMED,
        f"Nothing is saved by: {', '.join(useless)}." if useless
        else f"Each step saves. {'Most' if tokens > 50 else 'Less than half'} of the saving is token embeddings, "
        "vocabulary times width, which cost memory and hardly any time.",
    )


def _vocabulary_harmless(papers: Papers) -> Claim:
    kept = int(papers.said(2, "vocabulary").value)
    drops, noise = _drops(papers, kept), _noise(papers)
    harmed = [language for language in drops.index if drops[language] > noise[language]]
    return Claim(
        2, f"Trimming the vocabulary to {kept:,} tokens is harmless.", _VOCABULARY_FIGURE,
        _changes(drops) + f". Where the figure rises with a smaller vocabulary, it does so by up to {noise.max():.2f} "
        "points: its noise.", OWN_ROW, Verdict.CONTRADICTED if harmed else Verdict.CONFIRMED,
        f"The drop exceeds the noise of the figure in {', '.join(harmed)}." if harmed
        else "No language drops by more than its own noise. Task and base model of the figure are not named.",
    )


def _vocabulary_too_small(papers: Papers) -> Claim:
    drops, noise = _drops(papers, _SMALLEST), _noise(papers)
    clear = [language for language in drops.index if drops[language] > noise[language]]
    everywhere = len(clear) == len(drops)
    return Claim(
        2, f"A vocabulary of {_SMALLEST:,} tokens is too small.", _VOCABULARY_FIGURE,
        _changes(drops) + ".", OWN_ROW, Verdict.CONFIRMED if everywhere else Verdict.NOT_TESTABLE,
        "Every language drops by more than the noise of the figure." if everywhere
        else f"The drop is beyond the noise of the figure in {len(clear)} of {len(drops)} languages; it takes several "
        "seeds.",
    )


def _moderate(papers: Papers, width: int) -> Claim:
    """An average over tasks and languages beside the one cell that a figure shows: neither can decide the other."""
    low, high = papers.said(2, "drop_low_pct"), papers.said(2, "drop_high_pct")
    drops = _adapter_drops(papers, width)
    inside = int(drops.between(float(low.value), float(high.value)).sum())
    return Claim(
        2, f"Moderate compression costs {low.value} to {high.value} % of the quality (hidden width {width}).",
        f"{low.where}; src/utils/plot_r.py", _relative(drops, width), OWN_ROW, Verdict.NOT_TESTABLE,
        f"{inside} of {len(drops)} base models lie in the range, for topics in the one language that the figure shows. "
        f"{_AN_AVERAGE} The tables of all of them were not seen.",
    )


def _first_version(papers: Papers, width: int) -> Claim:
    """A limit, where no average is spoken of: one cell can break it, and none can show that it holds."""
    high, size = papers.said(2, "drop_high_pct"), papers.said(2, "compression_pct")
    drops = _adapter_drops(papers, width)
    outside = drops[drops > float(high.value)]
    return Claim(
        2, f"Compression by up to {size.value} % costs at most {high.value} % of the quality.",
        f"{high.where}, first version; src/utils/plot_r.py",
        _relative(drops, width), OWN_ROW, Verdict.NOT_TESTABLE if outside.empty else Verdict.CONTRADICTED,
        "The authors' own figure stays within it, for topics in one language; the other tasks and languages were not "
        "seen." if outside.empty
        else f"The authors' own figure shows {outside.min():.1f} to {outside.max():.1f} % at this width, before the "
        "vocabulary is trimmed, and the first version's abstract speaks of no average. The second gives a higher range "
        "for the highest compression.",
    )


def _maximum(papers: Papers) -> Claim:
    low, high = papers.said(2, "maximum_drop_low_pct"), papers.said(2, "maximum_drop_high_pct")
    drops = papers.languages["drop_pct"]
    inside = float(low.value) <= drops.mean() <= float(high.value)
    return Claim(
        2, f"The highest compression costs {low.value} to {high.value} % on average.", low.where,
        f"Mean of {', '.join(f'{language} {drop:g} %' for language, drop in drops.items())}, as quoted by a third "
        f"party: {drops.mean():.1f} %.", OWN_ROW, Verdict.CONFIRMED if inside else Verdict.INCONSISTENT,
        f"The mean lies in the range; it hides that languages differ by {drops.max() - drops.min():.1f} points."
        if inside else "The mean of the quoted losses lies outside the range.",
    )


def _more_text(papers: Papers) -> Claim:
    ordered = papers.languages.sort_values("adaptation_mb", ascending=False)
    holds = ordered["drop_pct"].is_monotonic_increasing
    return Claim(
        2, "The more text a language has in the teacher, the less compression harms it.", "abstract",
        ", ".join(f"{language}: {line.adaptation_mb:,.0f} MB, {line.drop_pct:g} %" for language, line in
                  zip(ordered.index, ordered.itertuples(), strict=True)) + ", as quoted by a third party.",
        NOT_RUN, Verdict.NOT_TESTABLE if holds else Verdict.CONTRADICTED,
        f"The order holds, as it would by chance once in {factorial(len(ordered))}; and {len(ordered)} languages "
        "differ in more than their text. It takes more languages, or one language with more and less text." if holds
        else "The quoted losses are not in the order of the amount of text.",
    )


# ------------------------------------------------------------------------------------------------ on our own runs


def _range_here(papers: Papers, what: str, row: str, statement: str, records: Records) -> Claim:
    """A stated range of average losses beside the loss of our runs, which are of one task in one language."""
    low, high = (papers.said(2, f"{statement}_{end}_pct") for end in ("low", "high"))
    ours = runs(records, row)
    return Claim(
        2, f"{what} costs {low.value} to {high.value} % of the quality (our small encoder).", low.where,
        f"The range is of F1, an average over four tasks and three languages: {low.value} to {high.value} %.",
        f"Accuracy {ours.loss(row).text}; macro-F1 {ours.loss_of_f1(row):.1f} % lower ({ours.name})." if ours
        else NOT_RUN, Verdict.NOT_TESTABLE,
        f"{_AN_AVERAGE} {_scale(ours)}" if ours else _AN_AVERAGE,
    )


def _trimmed_here(papers: Papers, row: str, records: Records) -> Claim:
    kept, printed = int(row.split("-")[-1].removesuffix("tokens")), int(papers.said(2, "vocabulary").value)
    shares = ", ".join(f"{100 * printed / size:.0f} % of {model}'s" for model, size in
                       papers.shapes["vocabulary"].items())
    ours, measured = runs(records, row), NOT_RUN
    verdict, reason = Verdict.NOT_TESTABLE, TAKES_RUNS
    if ours:
        gain, f1 = ours.gain(row, "baseline"), ours.loss_of_f1(row)
        size = ours.records[0].settings["architecture"]["vocab_size"]
        measured = f"{kept:,} of {size:,} tokens: {gain.text}; macro-F1 {f1:.1f} % lower ({ours.name})."
        if ours.seeds(row, "baseline") < statistics.FEWEST_SEEDS:
            reason = ONE_SEED
        elif gain.kept:
            verdict, reason = Verdict.CONFIRMED, f"Our runs lose no more than the margin. {_scale(ours)}"
        elif gain.high < -statistics.MARGIN and gain.sign < 0:
            verdict = Verdict.CONTRADICTED
            reason = (f"Our runs lose more than the margin. {_scale(ours)} Its vocabulary is of one language, where "
                      "most tokens of theirs are of others and go unused; and nothing is trained after the cut.")
        else:
            reason = f"{_WITHIN_MARGIN_OPEN} {_scale(ours)}"
    return Claim(
        2, f"A vocabulary trimmed to a fraction keeps the quality (our small encoder, {kept:,} tokens).",
        _VOCABULARY_FIGURE, f"{printed:,} tokens are {shares}. " + _changes(_drops(papers, printed)) + ".",
        measured, verdict, reason,
    )


def _better(claim: str, where: str, arithmetic_: str, row: str, than: str, records: Records) -> Claim:
    """One of our rows of two-step distillation is more accurate than another."""
    ours = runs(records, row, than)
    gain = ours.gain(row, than) if ours else None
    verdict = Verdict.NOT_TESTABLE
    if obstacle := _too_few(ours, row, than):
        reason = obstacle
    elif gain.sign > 0:
        verdict, reason = Verdict.CONFIRMED, f"Our runs show a gain beyond chance. {_scale(ours)}"
    elif gain.sign < 0:
        verdict, reason = Verdict.CONTRADICTED, f"Our runs show a loss beyond chance. {_scale(ours)}"
    else:
        reason = f"Our runs show no difference beyond chance. {_scale(ours)}"
    return Claim(2, claim, where, arithmetic_, f"{gain.text} ({ours.name})." if gain else NOT_RUN, verdict, reason)


def _alpha(papers: Papers, records: Records) -> Claim:
    best, scripts = papers.said(2, "alpha_best"), papers.said(2, "alpha")
    return _better(
        f"Labels weighed by α = {best.value} do better than by {scripts.value}.", f"{best.where}; {scripts.where}",
        f"The {best.where} says {best.value} and the {scripts.where} say {scripts.value}; no number of either was "
        "seen.", "two-step-alpha20", _MODERATE, records,
    )


def _truncation(records: Records) -> Claim:
    """The plain cut is as good a start as each other way to narrow."""
    others = {"two-step-svd": "a projection by SVD", "two-step-aligned": "a cut within each head"}
    ours = runs(records, _MODERATE, *others)
    gains = [ours.gain(_MODERATE, other) for other in others] if ours else []
    verdict = Verdict.NOT_TESTABLE
    if obstacle := _too_few(ours, _MODERATE, *others):
        reason = obstacle
    elif any(gain.sign < 0 for gain in gains):
        verdict, reason = Verdict.CONTRADICTED, f"Another start is better beyond chance. {_scale(ours)}"
    elif all(gain.kept for gain in gains):
        verdict, reason = Verdict.CONFIRMED, f"Against either, it loses no more than the margin. {_scale(ours)}"
    else:
        reason = f"{_WITHIN_MARGIN_OPEN} {_scale(ours)}"
    return Claim(
        2, "Truncation is as good a start for a smaller hidden size as less crude ways.", "distillation scripts, where "
        "truncation is the choice and SVD an option", NOTHING_PRINTED,
        "Truncation against " + "; ".join(f"{name}: {gain.text}" for name, gain in
                                          zip(others.values(), gains, strict=True)) + f" ({ours.name})." if ours
        else NOT_RUN, verdict, reason,
    )


def _width_costs_most(papers: Papers, widths: list[int], records: Records) -> Claim:
    """The last narrowing alone, which a figure isolates, against all that comes before it, and the vocabulary."""
    first, last = max(widths), min(widths)
    before, whole = _points_lost(papers, first), _points_lost(papers, last)
    alone = whole - before
    trimming = _drops(papers, int(papers.said(2, "vocabulary").value))
    most = bool((alone > before).all() and alone.min() > trimming.max())
    ours = runs(records, _MODERATE, _MAXIMUM)
    return Claim(
        2, "Of the four steps, the smaller hidden size costs most.", "text, as quoted by a third party; "
        "src/utils/plot_r.py", f"Topic F1 lost from width {first} to {last}: "
        + ", ".join(f"{model} {points:.1f} points" for model, points in alone.items()) + f"; by all steps up to width "
        f"{first}: " + ", ".join(f"{model} {points:.1f}" for model, points in before.items())
        + f"; by the vocabulary, in another figure: {trimming.max():.1f} at most.",
        f"From moderate to maximum compression ({_changed(ours)}) {ours.gain(_MAXIMUM, _MODERATE).text}; from the "
        f"baseline to moderate {ours.gain(_MODERATE, 'baseline').text} ({ours.name})." if ours else NOT_RUN,
        Verdict.CONFIRMED if most else Verdict.NOT_TESTABLE,
        "The last narrowing costs more than all other steps and the first narrowing together, by the figures, for "
        "topics in one language." if most
        else "The figures do not tell; it takes a row for each step alone.",
    )


def _changed(ours: Runs) -> str:
    """What else than its name maximum compression changes, e.g. "hidden_size 128 to 64"."""
    moderate, maximum = (next(record.settings["two_step"] for record in ours.records if row_of(record.run) == row)
                         for row in (_MODERATE, _MAXIMUM))
    return ", ".join(f"{field} {value} to {maximum[field]}" for field, value in moderate.items()
                     if field != "name" and maximum[field] != value)


def _tasks(records: Records, labelled_words: Tokens) -> Claim:
    """Entities and parts of speech as the ends of all tasks, decided by a two-step row that tasks on texts have too."""
    verdict, measured, reason = Verdict.NOT_TESTABLE, NOT_RUN, "It takes the same compression on all these tasks."
    if common := _row_of_both(labelled_words):
        study, row = common
        own = {corpus: [record for record in labelled_words[study] if record.corpus == corpus]
               for corpus in (_ENTITIES, _PARTS_OF_SPEECH)}
        lines = {corpus: tokens.differences(loaded).loc[row] for corpus, loaded in own.items()}
        entities, parts = (Loss.of(line["difference"], line["low"], line["high"], _token_base(own[corpus]))
                           for corpus, line in lines.items())
        small = next(record for record in own[_ENTITIES] if tokens.row(record) == row)
        texts = _on_texts(records, row, small)
        measured = (f"F1 of entities {entities.text}; accuracy of parts of speech {parts.text}"
                    + "".join(f"; accuracy on {corpus} {loss.text}" for corpus, loss in texts.items())
                    + f" ({Row.parse(row).label}, {tables.seeds(tokens.frame(own[_ENTITIES]))}).")
        if Row.parse(row).technique != "two-step":
            reason = "Ours are pruned FFN neurons; it takes the paper's four steps on all these tasks."
        elif min(line["seeds"] for line in lines.values()) < statistics.FEWEST_SEEDS:
            reason = ONE_SEED
        elif not texts:
            reason = "It takes tasks on whole texts with the same small encoder."
        else:
            verdict, reason = _ends(entities, parts, list(texts.values()))
    return Claim(
        2, "Of the tasks, named entities suffer most from compression and parts of speech least.", "text, as quoted by "
        "a third party", NOTHING_PRINTED, measured, verdict, reason,
    )


def _ends(most: Loss, least: Loss, between: Sequence[Loss]) -> tuple[Verdict, str]:
    """Do all intervals lie between those of two losses? Contradicted if one lies beyond; open where they overlap."""
    if most.high < least.low or any(loss.low > most.high or loss.high < least.low for loss in between):
        return Verdict.CONTRADICTED, f"The intervals of our losses lie in another order. {_OWN_TASKS}"
    if all(least.high < loss.low and loss.high < most.low for loss in between):
        return Verdict.CONFIRMED, f"The intervals of our losses lie in this order. {_OWN_TASKS}"
    return Verdict.NOT_TESTABLE, f"The intervals of our losses overlap. {_OWN_TASKS}"


def _on_texts(records: Records, row: str, small: TokenRecord) -> dict[str, Loss]:
    """Losses of accuracy of that row, by corpus of whole texts, where it is fine-tuned from the same small encoder."""
    student = _student(small)
    losses = {}
    for study, loaded in records.items():
        ours = runs({study: [one for one in loaded if row_of(one.run) != row or _student(one) == student]}, row)
        if ours and ours.seeds(row, "baseline") >= statistics.FEWEST_SEEDS:
            losses.setdefault(ours.records[0].corpus, ours.loss(row))
    return losses


def _student(record: RunRecord | TokenRecord) -> list[object]:
    """What a small encoder comes of."""
    return [record.settings.get(group) for group in ("architecture", "pretraining", "two_step")]


def _row_of_both(labelled_words: Tokens) -> tuple[str, str] | None:
    """Study and row that compress both tasks as the paper does, or else prune both hardest, undistilled first."""
    found = [(study, row) for study, loaded in labelled_words.items() for row in _common_rows(loaded)]
    return max(found, key=lambda each: _closeness(Row.parse(each[1])), default=None)


def _common_rows(loaded: Sequence[TokenRecord]) -> list[str]:
    """Rows that both tasks have, if both have a baseline; in the order of every table, the baseline left out."""
    rows = [{tokens.row(record) for record in loaded if record.corpus == corpus}
            for corpus in (_ENTITIES, _PARTS_OF_SPEECH)]
    common = set.intersection(*rows)
    return in_order(list(common - {"baseline"})) if "baseline" in common else []


def _closeness(row: Row) -> tuple[bool, float, bool]:
    return row.technique == "two-step", row.level, row.distillation is None


_AN_AVERAGE = ("The range is of averages over four tasks and three languages, and one task in one language may lie on "
               "either side of its average.")
_ONE_STUDENT = "One student each, so that the luck of its distillation can't be told from the choice."
_OWN_TASKS = ("One student serves all tasks and seeds, on small corpora of one language. Each word has one part of "
              "speech, so that their accuracy is their micro-F1.")
_WITHIN_MARGIN_OPEN = "The interval of our difference includes the margin."


def _too_few(ours: Runs | None, *rows: str) -> str | None:
    """What rows of two-step distillation lack for a comparison, if anything: runs, seeds or students."""
    if ours is None:
        return TAKES_RUNS
    if ours.seeds(*rows) < statistics.FEWEST_SEEDS:
        return ONE_SEED
    return f"{_ONE_STUDENT} {_scale(ours)}" if min(map(ours.students, rows)) < statistics.FEWEST_SEEDS else None


def _scale(ours: Runs) -> str:
    return (f"Ours is {ours.scale}, fine-tuned whole; theirs are mBERT and XLM-R with adapters, on four tasks in three "
            "languages.")


def _token_base(own: Sequence[TokenRecord]) -> float:
    """Mean score of the baselines of one corpus on the clean view, of which `tokens.differences` are."""
    headline = tokens.HEADLINE[own[0].task]
    values = [record.scores[headline].clean.value for record in own if tokens.row(record) == "baseline"]
    return sum(values) / len(values)


# ------------------------------------------------------------------------------------------------ parts of these


def _points_lost(papers: Papers, width: int) -> pd.Series:
    """Loss of topic F1 against the original width in points, by base model."""
    table = _topic_f1(papers)
    return table["original"] - table[f"hidden {width}"]


def _topic_f1(papers: Papers) -> pd.DataFrame:
    """Topic F1 in points at the adapter size of the paper's tables, by base model and variant."""
    reduction = int(papers.said(2, "adapter_reduction").value)
    rows = papers.adapters[papers.adapters["reduction_factor"] == reduction]
    return rows.pivot(index="base_model", columns="variant", values="topic_classification_f1")


def _f1(papers: Papers) -> pd.DataFrame:
    """F1 in points by language, columns from the original vocabulary to the smallest."""
    sizes = pd.to_numeric(papers.vocabulary["vocabulary_size"], errors="coerce").fillna(float("inf"))
    table = papers.vocabulary.assign(size=sizes).pivot(index="language", columns="size", values="f1")
    return 100 * table.sort_index(axis=1, ascending=False)


def _drops(papers: Papers, size: int) -> pd.Series:
    """Loss of F1 in points at that vocabulary against the original one, by language."""
    table = _f1(papers)
    return table[float("inf")] - table[size]


def _noise(papers: Papers) -> pd.Series:
    """Largest rise of F1 from one vocabulary to the next smaller one, by language: trimming alone can't explain it."""
    return _f1(papers).diff(axis=1).max(axis=1).clip(lower=0)


def _changes(drops: pd.Series) -> str:
    return "F1 " + ", ".join(f"{language} {-drop:+.2f} points" for language, drop in drops.items())


def _adapter_drops(papers: Papers, width: int) -> pd.Series:
    """Loss of topic F1 against the original width in percent of it, by base model."""
    table = _topic_f1(papers)
    return 100 * (1 - table[f"hidden {width}"] / table["original"])


def _relative(drops: pd.Series, width: int) -> str:
    return f"Topic F1 at width {width}: " + ", ".join(f"{model} -{drop:.1f} %" for model, drop in drops.items()) + "."
