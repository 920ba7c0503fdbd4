"""From a trained token classifier to its record: scores, cost and provenance, costs as of classifiers of texts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from laghu import assessment, evaluation, measurement, provenance, sequence_labels, token_freshness
from laghu.energy import grid_intensity
from laghu.records import TokenRecord
from laghu.sequence_labels import UNREAD, Encoded, Tags
from laghu.spec import TokenRun
from laghu.stages import Stage
from laghu.token_classification import counts, load, predict
from laghu.token_corpora import TokenCorpus


def measure(
    run: TokenRun, corpus: TokenCorpus, stages: Sequence[Stage], teacher: Stage, started: datetime
) -> TokenRecord:
    """Measure the model of the last stage beside the baseline, costs as for classifiers of texts.

    Args:
        stages: what `compress` gave; what they cost together is the run's training cost.
        teacher: the baseline of the same seed. It is timed in turns with the model and reads the sentences with a
            tokenizer of its own.
    """
    trained = stages[-1]
    (model, tokenizer), (reference, its_tokenizer) = load(trained), load(teacher)
    sentences = corpus.splits["test"]["tokens"][:]
    words, encoded = predict(run, sentences, model, tokenizer)
    taught, _ = predict(run, sentences, reference, its_tokenizer)
    settings, data = run.measuring, token_freshness.data_sha256(run)
    return TokenRecord(
        study=run.study,
        run=run.run,
        corpus=run.corpus,
        task=corpus.task,
        synthetic=corpus.synthetic,
        pruning_level=1 - model.config.intermediate_size / reference.config.intermediate_size,
        distillation=run.distillation,
        seed=run.seed,
        parameters=vars(measurement.count_parameters(model)),
        weight_bytes=measurement.weight_bytes(model),
        flops_per_token=measurement.encoder_flops_per_token(model.config, settings.sequence_length),
        intermediate_size=model.config.intermediate_size,
        **_quality(corpus, words, encoded, settings.bootstrap),
        agreement=None if trained.key == teacher.key else _agreement(corpus, words, taught),
        # Private there, and not to be written twice: what a timing and a training cost mean is one thing for all runs.
        **assessment._timings(run.on_texts, model, reference),
        **assessment._training_cost(stages),
        inference_energy=measurement.energy_of_passes(
            model, settings.batch_size, settings.sequence_length, settings.energy_window, settings.country
        ),
        surgery_error=trained.report.get("surgery_error"),
        grid_g_per_kwh=grid_intensity(settings.country),
        hardware=measurement.hardware(),
        versions=provenance.versions(),
        commit=provenance.commit(),
        data_sha256=data,
        run_key=token_freshness.run_key(run, data),
        settings=run.model_dump(mode="json"),
        started=started,
        finished=datetime.now(UTC),
    )


def _quality(corpus: TokenCorpus, words: Tags, encoded: Encoded, resamples: int) -> dict[str, Any]:
    test = corpus.splits["test"]
    truth, views = test["tags"][:], evaluation.views(test)
    counted = counts(corpus, truth, words)
    lengths = np.array([len(tags) for tags in truth])
    unread = np.array([(first == UNREAD).sum() for first in encoded.first])
    kinds = sequence_labels.entity_kinds(corpus.labels) if corpus.task == "ner" else corpus.labels
    clean = counted[views["clean"]].sum(0)
    return {
        "scores": _scores(corpus, truth, words, views, resamples),
        "kinds": {
            kind: dict(zip(("right", "true", "predicted"), line.tolist(), strict=True))
            for kind, line in zip(kinds, clean, strict=True)
        },
        "sentences": evaluation.rows(views),
        "words": {view: int(lengths[mask].sum()) for view, mask in views.items()},
        "unread_words": {view: int(unread[mask].sum()) for view, mask in views.items()},
        **dict(zip(("right", "true", "predicted"), counted.sum(1).T.tolist(), strict=True)),
        "sentence_views": "".join(map(str, views["deduplicated"].astype(int) + views["clean"])),
    }


def _scores(
    corpus: TokenCorpus, truth: Tags, words: Tags, views: Mapping[str, np.ndarray], resamples: int
) -> dict[str, dict[str, Any]]:
    """All scores of a task, `{score: {view: Estimate}}`; of entities in both readings."""
    estimates = partial(sequence_labels.evaluate, views=views, resamples=resamples, seed=0)
    counted = counts(corpus, truth, words)
    if corpus.task == "pos":
        return estimates(counted, sequence_labels.WORD_SCORES)
    strict = sequence_labels.entity_counts(truth, words, corpus.labels, sequence_labels.strict_spans)
    strictly = {f"strict_{name}": score for name, score in sequence_labels.ENTITY_SCORES.items()}
    return estimates(counted, sequence_labels.ENTITY_SCORES) | estimates(strict, strictly)


def _agreement(corpus: TokenCorpus, words: Tags, taught: Tags) -> float:
    """Share of the words read, in clean sentences, that two classifiers give the same tag."""
    clean = np.flatnonzero(evaluation.views(corpus.splits["test"])["clean"])
    ours, theirs = (np.concatenate([np.asarray(tags[row]) for row in clean]) for tags in (words, taught))
    return float((ours == theirs)[ours != UNREAD].mean())


def tag(run: TokenRun, corpus: TokenCorpus, trained: Stage, words: list[str]) -> list[str]:
    """The tags that the model of a stage gives to the words of one sentence; "–" to a word that it does not read."""
    (tags,), _ = predict(run, [words], *load(trained))
    return ["–" if label == UNREAD else corpus.labels[label] for label in tags]
