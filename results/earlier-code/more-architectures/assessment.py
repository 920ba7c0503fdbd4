"""From a trained stage to a record: quality, cost and provenance of one run, measured the same way for all."""

from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from laghu import classical, distillation, evaluation, freshness, measurement, provenance, quiet
from laghu.corpora import Corpus
from laghu.energy import grid_intensity, track
from laghu.experiment import load, predict_logits
from laghu.records import RunRecord
from laghu.spec import RunSpec
from laghu.stages import Stage


def measure(spec: RunSpec, corpus: Corpus, stages: list[Stage], teacher: Stage, started: datetime) -> RunRecord:
    """Measure the model of the last stage beside the teacher.

    Args:
        stages: what this run's technique trained, in order: for a baseline the baseline itself, else what came after
            the teacher. Their cost is the run's training cost.
        teacher: the fp32 baseline of the same seed. It is timed in turns with the model and is McNemar's other side.
    """
    model, tokenizer = load(stages[-1], spec.precision)
    reference, _ = load(teacher, "fp32")
    test = corpus.splits["test"]
    logits = predict_logits(spec, test["text"], model, tokenizer)
    teacher_logits = predict_logits(spec, test["text"], reference, tokenizer)
    return RunRecord(
        **_identity(spec, corpus, started),
        pruning_level=1 - model.config.intermediate_size / reference.config.intermediate_size,
        parameters=vars(measurement.count_parameters(model)),
        weight_bytes=measurement.weight_bytes(model),
        flops_per_token=measurement.encoder_flops_per_token(model.config, spec.measuring.sequence_length),
        intermediate_size=model.config.intermediate_size,
        **_quality(spec, corpus, logits.argmax(-1)),
        **_against_teacher(spec, corpus, logits, teacher_logits),
        **_timings(spec, model, reference),
        inference_energy=measurement.energy_of_passes(
            model, spec.measuring.batch_size, spec.measuring.sequence_length, spec.measuring.energy_window,
            spec.measuring.country,
        ),
        **_training_cost(stages),
        surgery_error=max((s.report["surgery_error"] for s in stages if "surgery_error" in s.report), default=None),
        finished=datetime.now(UTC),
    )


def measure_classical(spec: RunSpec, corpus: Corpus, started: datetime) -> RunRecord:
    """Fit and measure the classical row: TF-IDF and a linear support vector machine, on the same splits.

    It is timed from text to label, the encoders from token ids to logits: its record says so, and no speed-up is
    derived from the two.
    """
    train, test = corpus.splits["train"], corpus.splits["test"]
    with track(spec.measuring.country) as energy:
        pipeline = classical.fit(train["text"], train["label"], seed=spec.seed)
    batch = [test[index % len(test)]["text"] for index in range(spec.measuring.batch_size)]
    with quiet.measuring():
        one = _milliseconds(spec, partial(pipeline.predict, batch[:1]))
        many = _milliseconds(spec, partial(pipeline.predict, batch))
    memory, memory_source = measurement.peak_memory_bytes()
    return RunRecord(
        **_identity(spec, corpus, started),
        pruning_level=0.0,
        parameters={"total": classical.parameters(pipeline)},
        weight_bytes=None,
        flops_per_token=None,
        intermediate_size=None,
        **_quality(spec, corpus, pipeline.predict(test["text"])),
        mcnemar=None,
        agreement=None,
        latency_ms={"p50": float(np.percentile(one, 50)), "p95": float(np.percentile(one, 95))},
        documents_per_second=1000 * len(batch) / float(np.median(many)),
        speed_up=None,
        timing=_conditions(spec, "scikit-learn, text to label", retaken=0),
        peak_memory_bytes=memory,
        peak_memory_source=memory_source,
        inference_energy=None,
        energy_kwh=energy.kwh,
        co2e_kg=energy.co2e_kg,
        energy_components=energy.components,
        energy_source=energy.source,
        train_seconds=energy.seconds,
        stages=[],
        surgery_error=None,
        finished=datetime.now(UTC),
    )


def _identity(spec: RunSpec, corpus: Corpus, started: datetime) -> dict[str, Any]:
    data = freshness.data_sha256(spec)
    return {
        "study": spec.study,
        "run": spec.run,
        "technique": spec.technique,
        "distilled": spec.distilled,
        "distillation": spec.distillation,
        "precision": spec.precision,
        "seed": spec.seed,
        "corpus": spec.corpus,
        "synthetic": corpus.synthetic,
        "hardware": measurement.hardware(),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "data_sha256": data,
        "run_key": freshness.run_key(spec, data),
        "settings": spec.model_dump(mode="json"),
        "grid_g_per_kwh": grid_intensity(spec.measuring.country),
        "started": started,
    }


def _quality(spec: RunSpec, corpus: Corpus, predictions: np.ndarray) -> dict[str, Any]:
    test = corpus.splits["test"]
    labels, views = np.asarray(test["label"]), evaluation.views(test)
    estimates = evaluation.evaluate(
        labels, predictions, views, len(corpus.labels), spec.measuring.bootstrap, seed=0
    )
    return {
        **{statistic: {view: vars(e) for view, e in by_view.items()} for statistic, by_view in estimates.items()},
        "rows": evaluation.rows(views),
        "predictions": predictions.tolist(),
        "right": "".join(map(str, np.equal(predictions, labels).astype(int))),
        "row_views": "".join(map(str, views["deduplicated"].astype(int) + views["clean"])),
    }


def _against_teacher(
    spec: RunSpec, corpus: Corpus, logits: np.ndarray, teacher_logits: np.ndarray
) -> dict[str, Any]:
    if spec.technique == "baseline":
        return {"mcnemar": None, "agreement": None}
    test = corpus.splits["test"]
    clean = evaluation.views(test)["clean"]
    test_result = evaluation.mcnemar(
        np.asarray(test["label"])[clean], teacher_logits[clean].argmax(-1), logits[clean].argmax(-1)
    )
    return {
        "mcnemar": {
            "against": f"baseline-seed{spec.seed}",
            "only_baseline_right": test_result.only_a_right,
            "only_run_right": test_result.only_b_right,
            "p_value": test_result.p_value,
        },
        "agreement": distillation.agreement(logits[clean], teacher_logits[clean]),
    }


def _timings(spec: RunSpec, model: PreTrainedModel, reference: PreTrainedModel) -> dict[str, Any]:
    settings = spec.measuring
    models = {"baseline": reference, "run": model}
    turns = partial(
        measurement.time_in_turns, models, sequence_length=settings.sequence_length, repeats=settings.repeats,
        warm_up=settings.warm_up,
    )
    one, many = turns(batch_size=1), turns(batch_size=settings.batch_size)
    median, low, high = measurement.speed_up(many["baseline"], many["run"])
    memory, memory_source = measurement.peak_memory_bytes()
    return {
        "latency_ms": {"p50": one["run"].p50, "p95": one["run"].p95},
        "documents_per_second": measurement.documents_per_second(many["run"], settings.batch_size),
        "speed_up": {"median": median, "low": low, "high": high},
        "timing": _conditions(spec, "PyTorch eager, token ids to logits", one["run"].retaken + many["run"].retaken),
        "peak_memory_bytes": memory,
        "peak_memory_source": memory_source,
    }


def _conditions(spec: RunSpec, engine: str, retaken: int) -> dict[str, Any]:
    return {
        "engine": engine,
        "precision": spec.precision,
        "sequence_length": spec.measuring.sequence_length,
        "throughput_batch_size": spec.measuring.batch_size,
        "repeats": spec.measuring.repeats,
        "retaken": retaken,
        "threads": torch.get_num_threads(),
        "fp32_products": torch.get_float32_matmul_precision(),
    }


def _training_cost(stages: list[Stage]) -> dict[str, Any]:
    reports = [stage.report for stage in stages]
    components: dict[str, float] = {}
    for report in reports:
        for part, kwh in report["energy_components"].items():
            components[part] = components.get(part, 0.0) + kwh
    cost = ("steps", "seconds", "resumed_at_step", "energy_kwh", "co2e_kg")
    return {
        "energy_kwh": sum(report["energy_kwh"] for report in reports),
        "co2e_kg": sum(report["co2e_kg"] for report in reports),
        "energy_components": components,
        "energy_source": reports[-1]["energy_source"],
        "train_seconds": sum(report["seconds"] for report in reports),
        "stages": [
            {"name": stage.name, "key": stage.key, **{name: stage.report[name] for name in cost}} for stage in stages
        ],
    }


def _milliseconds(spec: RunSpec, call: Any) -> list[float]:
    """Times of repeated calls, after a warm-up."""
    for _ in range(spec.measuring.warm_up):
        call()
    times = []
    for _ in range(spec.measuring.repeats):
        started = perf_counter()
        call()
        times.append(1000 * (perf_counter() - started))
    return times
