"""From a pretrained backbone to its record: how much text, how fast, at what cost, and how busy the machine was."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from transformers import AutoModelForMaskedLM, PreTrainedConfig

from laghu import experiment, freshness, measurement, provenance, texts
from laghu.energy import grid_intensity
from laghu.errors import LaghuError
from laghu.records import PretrainingRecord, pretraining_file
from laghu.spec import RunSpec, Study

# Dense bf16 rate of GPUs in FLOP/s without sparsity, from their makers' data sheets, by a part of their name.
DENSE_BF16 = {"H200": 989.4e12, "H100 80GB HBM3": 989.4e12, "A100": 312e12}


def record(study: Study) -> PretrainingRecord:
    """Pretrain the study's backbone, or find it, and keep its record.

    Raises:
        LaghuError: the study pretrains no backbone; its text can't be had.
    """
    spec = first_encoder(study)
    experiment.begin(spec)
    stage = experiment.backbone(spec)
    file = pretraining_file(study.name)
    with suppress(LaghuError):  # there is none, or none that can be read
        if (kept := PretrainingRecord.load(file)).stage_key == stage.key:
            return kept
    report, settings = stage.report, spec.pretraining
    processes = report.get("processes", 1)
    model = AutoModelForMaskedLM.from_pretrained(stage.model)
    tokens = report["steps"] * settings.batch_size * settings.sequence_length
    flops = flops_per_token(model.config, settings.sequence_length, settings.mask_probability)
    hardware = measurement.hardware()
    pace = tokens_per_second(report["log"], settings.batch_size * settings.sequence_length)
    peak = next((rate for name, rate in DENSE_BF16.items() if name in (hardware["gpu"] or "")), None)
    made = PretrainingRecord(
        study=study.name,
        text=settings.text,
        synthetic=texts.SOURCES[settings.text].synthetic,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        steps=report["steps"],
        tokens=tokens,
        tokens_per_second=pace,
        flops_per_token=flops,
        peak_flops_per_second=peak,
        model_flops_utilisation=pace * flops / (peak * processes) if peak and pace else None,
        loss=[{"step": entry["step"], "loss": entry["loss"]} for entry in report["log"]],
        train_seconds=report["seconds"],
        processes=processes,
        resumed_at_step=report["resumed_at_step"],
        energy_kwh=report["energy_kwh"],
        co2e_kg=report["co2e_kg"],
        energy_components=report["energy_components"],
        energy_source=report["energy_source"],
        grid_g_per_kwh=grid_intensity(spec.measuring.country),
        hardware=hardware,
        versions=provenance.versions(),
        commit=provenance.commit(),
        data_sha256=freshness.text_sha256(settings.text),
        stage_key=stage.key,
        settings={"architecture": spec.architecture.model_dump(), "pretraining": settings.model_dump()},
        recorded=datetime.now(UTC),
    )
    made.save()
    return made


def first_encoder(study: Study) -> RunSpec:
    """The first run of a study that starts from a backbone pretrained here; all that do share it, those on words too.

    Raises:
        LaghuError: there is none.
    """
    for spec in (*study.runs, *(run.on_texts for run in study.tokens)):
        if spec.technique != "classical" and spec.model is None:
            return spec
    raise LaghuError(f"study {study.name!r} pretrains no backbone")


def flops_per_token(config: PreTrainedConfig, sequence_length: int, mask_probability: float) -> float:
    """Floating-point operations of one training step per token, in matrix products alone: forward, and twice that back.

    The head, a dense layer and the vocabulary, works at masked positions only (see
    `laghu.backbones.MaskedLanguageModelTrainer`). Source of the factor 3: Kaplan et al. 2020, section 2.1.
    """
    hidden = config.hidden_size
    head = 2 * hidden * (hidden + config.vocab_size)
    return 3 * (measurement.encoder_flops_per_token(config, sequence_length) + mask_probability * head)


def tokens_per_second(log: list[dict[str, Any]], tokens_per_step: int) -> float | None:
    """Pace between the first and the last entry of a training's log: start-up and compilation are left out.

    A resumed training's clock began anew: what counts is the log since then. None where that has no two entries.
    """
    first = last = len(log) - 1
    while first > 0 and log[first - 1]["seconds"] < log[first]["seconds"]:
        first -= 1
    if first >= last:
        return None
    return tokens_per_step * (log[last]["step"] - log[first]["step"]) / (log[last]["seconds"] - log[first]["seconds"])
