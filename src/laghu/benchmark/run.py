"""Measure a study's contenders and write what was found: `laghu bench STUDY`."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from laghu import engines, evaluation, experiment, freshness, measurement, provenance, quiet, throughput
from laghu.benchmark import growth, models, pruned_shapes, record, regress, tokenising, waterfall
from laghu.benchmark.record import BenchmarkRecord, Energy, Quartiles
from laghu.benchmark.waterfall import Contender
from laghu.corpora import Corpus
from laghu.energy import grid_intensity
from laghu.errors import LaghuError
from laghu.inference import Classifier
from laghu.spec import BenchSpec, Study

# Headlines of which each is labelled by itself, for the latency.
ALONE = 500


def run(study: Study) -> BenchmarkRecord:
    """Measure, save the record and write the table of all studies.

    Raises:
        LaghuError: the study has no `bench`, or a library, a corpus or a model can't be had.
    """
    found = measure(study, models.settings_of(study))
    found.save()
    record.write_table()
    return found


def check(study: Study) -> None:
    """Time the steps of the path again and compare their factors with the published ones; nothing is written.

    Raises:
        LaghuError: a factor has become smaller by more than `regress.MARGIN`; as `run`; or nothing is published.
    """
    published = BenchmarkRecord.load(record.file_of(study.name))
    bench = models.settings_of(study)
    corpus = experiment.begin(study.find(f"baseline-seed{bench.seed}"))
    threads = _threads()
    path = waterfall.path(study, corpus, threads)
    texts = corpus.splits["test"]["text"][:]
    samples = throughput.in_turns({each.name: each.classify for each in path}, texts, bench.turns)
    found = regress.factors([each.name for each in path], samples)
    if lost := regress.regressed(found, published, regress.MARGIN):
        raise LaghuError(f"{study.name}: slower by more than {regress.MARGIN:.0%} than published: {'; '.join(lost)}")
    _say(study, f"all {len(found)} factors within {regress.MARGIN:.0%} of the published ones, or above")


def measure(study: Study, bench: BenchSpec) -> BenchmarkRecord:
    """One study on this machine, with all processors that this process may use."""
    started, threads = datetime.now(UTC), _threads()
    corpus = experiment.begin(study.find(f"baseline-seed{bench.seed}"))
    texts = corpus.splits["test"]["text"][:]
    contenders = _contenders(study, bench, corpus, threads)
    spec, student = models.of_run(study, bench.path[-1].run, bench.seed, corpus)
    most = spec.fine_tuning.max_length
    folder = models.deployed(student, "int8", corpus, most)
    _say(study, "all seeds of the first and the last model")
    seeds = _accuracy_of_seeds(study, bench, corpus)
    _say(study, "latency, tokenising, pruned shapes")
    tokens = tokenising.measure(folder, texts, most, threads)
    return BenchmarkRecord(
        study=study.name, corpus=corpus.name, synthetic=corpus.synthetic, seed=bench.seed, headlines=len(texts),
        turns=bench.turns, contenders=contenders, accuracy_of_seeds=seeds,
        latency_ms=_latency(folder, texts, most), tokenising=tokens,
        pruned_shapes=pruned_shapes.measure(AutoTokenizer.from_pretrained(student.model), bench.turns),
        growth=_growth(study, folder, texts, bench, threads),
        settings=bench.model_dump(mode="json"), grid_g_per_kwh=grid_intensity(bench.country),
        hardware=measurement.hardware(), versions=_versions(), commit=provenance.commit(),
        data_sha256=freshness.data_sha256(spec), started=started, finished=datetime.now(UTC),
    )


def _threads() -> int:
    """One for each processor that this process may use; PyTorch is told."""
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    return threads


def _contenders(study: Study, bench: BenchSpec, corpus: Corpus, threads: int) -> list[record.Contender]:
    with TemporaryDirectory() as scratch:
        _say(study, "models")
        contenders = waterfall.build(study, corpus, threads, Path(scratch))
        _say(study, f"{len(contenders)} contenders, {bench.turns} turns of about {throughput.SHARE:g} s each")
        texts = corpus.splits["test"]["text"][:]
        samples = throughput.in_turns({each.name: each.classify for each in contenders}, texts, bench.turns)
        measured, before = [], None
        for each in contenders:
            _say(study, f"labels and energy: {each.name}")
            measured.append(_measured(each, before, samples, corpus, bench))
            before = each
    return measured


def _measured(
    contender: Contender, before: Contender | None, samples: Mapping[str, Sequence[float]], corpus: Corpus,
    bench: BenchSpec,
) -> record.Contender:
    name, on_path = contender.name, contender.kind == "path"
    texts = corpus.splits["test"]["text"][:]
    used = throughput.energy(name, contender.classify, texts, bench.energy_window, bench.country) if on_path else None
    factor = throughput.ratio(samples[name], samples[before.name]) if on_path and before else None
    return record.Contender(
        name=name, kind=contender.kind, step=contender.step, run=contender.run, engine=contender.engine,
        precision=contender.precision,
        documents_per_second=Quartiles.of(throughput.over_turns(samples[name])),
        ratio=Quartiles.of(throughput.ratio(samples[name], samples[waterfall.REFERENCE])),
        factor=factor and Quartiles.of(factor),
        bound=bound(contender, before, samples), bound_by=contender.bound_by,
        operations_per_document=contender.operations,
        accuracy=accuracy(contender.classify(texts), corpus) if contender.run else None,
        size_mb=contender.weights and contender.weights.stat().st_size / 1e6,
        energy=used and Energy(kwh=used.kwh, source=used.source, window_seconds=bench.energy_window),
    )


def bound(
    contender: Contender, before: Contender | None, samples: Mapping[str, Sequence[float]]
) -> float | None:
    """What the step could be worth at best: in operations, in bytes, or measured without what it saves."""
    if before is None:
        return None
    match contender.bound_by:
        case "operations":
            return before.operations / contender.operations
        case "bytes":
            return before.weights.stat().st_size / contender.weights.stat().st_size
        case "tokenising":
            return throughput.ratio(samples[waterfall.TOKENISED], samples[before.name]).median
    return None


def accuracy(labels: Sequence[str], corpus: Corpus) -> dict[str, float]:
    """Of labels by their names, on each view of the test split."""
    test = corpus.splits["test"]
    right = np.array([corpus.labels[label] for label in test["label"]]) == np.array(labels)
    return {view: float(right[rows].mean()) for view, rows in evaluation.views(test).items()}


def _accuracy_of_seeds(study: Study, bench: BenchSpec, corpus: Corpus) -> dict[str, dict[str, dict[str, float]]]:
    """Of teacher and last model as they are deployed, for each seed of the study."""
    texts = corpus.splits["test"]["text"][:]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for seed in sorted({each.seed for each in study.runs if each.technique == "baseline"}):
        found[str(seed)] = {}
        for name, run, precision in (("reference", "baseline", "fp32"), ("last", bench.path[-1].run, "int8")):
            spec, model = models.of_run(study, run, seed, corpus)
            most = spec.fine_tuning.max_length
            classifier = Classifier(models.deployed(model, precision, corpus, most), max_length=most)
            found[str(seed)][name] = accuracy(waterfall.labels_of(classifier)(texts), corpus)
    return found


def _latency(folder: Path, texts: Sequence[str], max_length: int) -> dict[str, float]:
    """Milliseconds from one headline to its label, one at a time."""
    classifier, times = Classifier(folder, max_length=max_length), []
    classifier(texts[0])
    with quiet.measuring():
        for text in throughput.spread(texts, min(ALONE, len(texts))):
            began = perf_counter()
            classifier(text)
            times.append(1000 * (perf_counter() - began))
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}


def _growth(
    study: Study, folder: Path, texts: Sequence[str], bench: BenchSpec, threads: int
) -> list[record.Growth]:
    found = []
    with quiet.measuring():
        for stream in growth.measure(folder, texts, bench.growth, sorted({1, threads})):
            _say(study, f"stream of {stream.documents:,} on {stream.threads} threads: {stream.seconds:.1f} s")
            found.append(stream)
    return found


def _versions() -> dict[str, str]:
    there = {name for name in engines.ENGINES if engines.is_installed(name)}
    own = {engines.ENGINES[name].library for name in there}
    return provenance.versions() | {library: metadata.version(library) for library in own}


def _say(study: Study, what: str) -> None:
    print(f"[{study.name}] bench: {what}", flush=True)


def summary(found: BenchmarkRecord) -> str:
    """The table that `laghu bench` prints."""
    lines = [f"{'contender':28} {'documents/s':>12} {'ratio':>9} {'step':>7} {'bound':>7} {'clean':>7} {'MB':>7} "
             f"{'Wh/1000':>9}"]
    for each in found.contenders:
        lines.append(" ".join([
            f"{each.name:28}", f"{each.documents_per_second.median:12,.0f}", f"{each.ratio.median:8.2f}x",
            _cell(each.factor and each.factor.median, "7.2f"), _cell(each.bound, "7.2f"),
            _cell(each.accuracy and 100 * each.accuracy["clean"], "7.1f"), _cell(each.size_mb, "7.2f"),
            _cell(each.energy and 1e3 * each.energy.kwh, "9.4f"),
        ]))
    latency = found.latency_ms
    lines.append(f"one headline: p50 {latency['p50']:.2f} ms, p95 {latency['p95']:.2f} ms")
    if found.synthetic:
        lines.append("The corpus is invented: these accuracies say nothing about Marathi news.")
    return "\n".join(lines)


def _cell(value: Any, layout: str) -> str:
    return format(value, layout) if value is not None else "–".rjust(int(layout.partition(".")[0]))
