"""Gurgurov et al. 2025 (arXiv 2505.16956): sizes, and the quality that its figures show."""

import pandas as pd

from laghu.report.claims import arithmetic
from laghu.report.claims.claim import Claim, Verdict
from laghu.report.claims.evidence import NOT_RUN, NOTHING_TO_MEASURE
from laghu.report.claims.papers import Papers

_VOCABULARY_FIGURE = "figure on vocabulary size; src/utils/plot_vocab.py"
# Vocabulary at which the paper's figure ends.
_SMALLEST = 5000


def claims(papers: Papers) -> list[Claim]:
    """All claims of the paper: size, vocabulary, quality."""
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
        "points: its noise.", NOT_RUN, Verdict.CONTRADICTED if harmed else Verdict.CONFIRMED,
        f"The drop exceeds the noise of the figure in {', '.join(harmed)}." if harmed
        else "No language drops by more than its own noise. Task and base model of the figure are not named.",
    )


def _vocabulary_too_small(papers: Papers) -> Claim:
    drops, noise = _drops(papers, _SMALLEST), _noise(papers)
    clear = [language for language in drops.index if drops[language] > noise[language]]
    everywhere = len(clear) == len(drops)
    return Claim(
        2, f"A vocabulary of {_SMALLEST:,} tokens is too small.", _VOCABULARY_FIGURE,
        _changes(drops) + ".", NOT_RUN, Verdict.CONFIRMED if everywhere else Verdict.NOT_TESTABLE,
        "Every language drops by more than the noise of the figure." if everywhere
        else f"The drop is beyond the noise of the figure in {len(clear)} of {len(drops)} languages; it takes several "
        "seeds.",
    )


def _moderate(papers: Papers, width: int) -> Claim:
    low, high = papers.said(2, "drop_low_pct"), papers.said(2, "drop_high_pct")
    drops = _adapter_drops(papers, width)
    inside = bool(drops.between(float(low.value), float(high.value)).all())
    return Claim(
        2, f"Moderate compression costs {low.value} to {high.value} % of the quality (hidden width {width}).",
        f"{low.where}; src/utils/plot_r.py", _relative(drops, width), NOT_RUN,
        Verdict.CONFIRMED if inside else Verdict.NOT_TESTABLE,
        "Both base models lie within the range, for topics in the one language that the figure shows." if inside
        else "The range is of averages over four tasks and three languages; the figure shows topics in one. The "
        "tables of all of them were not seen.",
    )


def _first_version(papers: Papers, width: int) -> Claim:
    high, size = papers.said(2, "drop_high_pct"), papers.said(2, "compression_pct")
    drops = _adapter_drops(papers, width)
    outside = drops[drops > float(high.value)]
    return Claim(
        2, f"Compression by up to {size.value} % costs at most {high.value} % of the quality.",
        f"{high.where}, first version; src/utils/plot_r.py",
        _relative(drops, width), NOT_RUN, Verdict.CONFIRMED if outside.empty else Verdict.CONTRADICTED,
        "The authors' own figure stays within it." if outside.empty
        else f"The authors' own figure shows {outside.min():.1f} to {outside.max():.1f} % at this width, before the "
        "vocabulary is trimmed. The second version gives a higher range for the highest compression.",
    )


def _maximum(papers: Papers) -> Claim:
    low, high = papers.said(2, "maximum_drop_low_pct"), papers.said(2, "maximum_drop_high_pct")
    drops = papers.languages["drop_pct"]
    inside = float(low.value) <= drops.mean() <= float(high.value)
    return Claim(
        2, f"The highest compression costs {low.value} to {high.value} % on average.", low.where,
        f"Mean of {', '.join(f'{language} {drop:g} %' for language, drop in drops.items())}, as quoted by a third "
        f"party: {drops.mean():.1f} %.", NOT_RUN, Verdict.CONFIRMED if inside else Verdict.INCONSISTENT,
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
        NOT_RUN, Verdict.CONFIRMED if holds else Verdict.CONTRADICTED,
        f"The order holds, for {len(ordered)} languages that differ in more than their text." if holds
        else "The quoted losses are not in the order of the amount of text.",
    )


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
    reduction = int(papers.said(2, "adapter_reduction").value)
    rows = papers.adapters[papers.adapters["reduction_factor"] == reduction]
    table = rows.pivot(index="base_model", columns="variant", values="topic_classification_f1")
    return 100 * (1 - table[f"hidden {width}"] / table["original"])


def _relative(drops: pd.Series, width: int) -> str:
    return f"Topic F1 at width {width}: " + ", ".join(f"{model} -{drop:.1f} %" for model, drop in drops.items()) + "."
