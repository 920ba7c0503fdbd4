"""The cost track: what the rows of the paper's Table I cost at its encoder's exact shape, measured.

Cost depends on shapes and not on what weights hold, so they are random. A row and its distilled twin have the same
shape and other weights: what differs between the two is the noise of the measurement.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel

from laghu import evaluation, measurement, provenance
from laghu.energy import grid_intensity
from laghu.errors import LaghuError
from laghu.records import CostRecord, cost_file
from laghu.spec import Architecture, CostRun, CostSpec, RunSpec

NUM_LABELS = 12  # MahaNews's, as in the paper

_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_AMPERE = 8  # first major compute capability with TF32


def rows(levels: tuple[float, ...]) -> dict[str, float]:
    """Rows of Table I and the fraction of FFN neurons that each lacks: baseline, pruned, pruned and then distilled."""
    specs = [
        RunSpec(technique="baseline"),
        *(RunSpec(technique="pruning", pruning_level=level) for level in levels),
        *(RunSpec(technique="pruning_distillation", pruning_level=level, distillation="after") for level in levels),
    ]
    return {spec.run.removesuffix("-seed0"): spec.pruning_level for spec in specs}


def refuse_unsupported(precision: str) -> None:
    """Raise if this machine can't compute in that precision.

    Raises:
        LaghuError: says what would be right.
    """
    device = _device()
    if precision != "tf32":
        reason = measurement.supports(precision, device)
    elif device == "cpu":
        reason = "tf32 needs a CUDA GPU."
    elif torch.cuda.get_device_capability()[0] < _AMPERE:
        reason = f"{torch.cuda.get_device_name()} has no tf32."
    else:
        reason = None
    if reason:
        raise LaghuError(f"cost.precisions: {reason} Leave {precision} out on this machine.")


def materialise(run: CostRun) -> dict[str, BertForSequenceClassification]:
    """A randomly initialised classifier for every row, in the run's precision, on the GPU if there is one.

    Raises:
        LaghuError: the machine can't compute in that precision.
    """
    refuse_unsupported(run.precision)
    torch.manual_seed(0)
    return {
        row: _random_classifier(run.settings.shape, level, _DTYPES[run.precision])
        for row, level in rows(run.settings.levels).items()
    }


def measure(run: CostRun, started: datetime) -> CostRecord:
    """Time all rows in turns, at every sequence length and batch size of the settings, and read their energy.

    A combination that does not fit on the GPU beside the weights of all rows is recorded as "out of memory".

    Raises:
        LaghuError: the machine can't compute in that precision, or unknown country.
    """
    grid = grid_intensity(run.settings.country)
    models = materialise(run)
    with measurement.fp32_products("high" if run.precision == "tf32" else "highest"):
        cells = [cell for length in run.settings.sequence_lengths for cell in _cells(run.settings, models, length)]
    attention = models["baseline"].config._attn_implementation
    return CostRecord(
        study=run.study,
        precision=run.precision,
        engine=f"PyTorch eager, {attention} attention, token ids to logits",
        cells=cells,
        settings=_settings(run),
        grid_g_per_kwh=grid,
        hardware=measurement.hardware(),
        versions=provenance.versions(),
        commit=provenance.commit(),
        run_key=run_key(run),
        started=started,
        finished=datetime.now(UTC),
    )


def run_key(run: CostRun) -> str:
    """Key of a cost record, as `provenance.run_key`; the study's name and its other precisions are no part of it."""
    return _run_keys(run)[0]


def _run_keys(run: CostRun) -> list[str]:
    """Keys that are good; see `provenance.run_keys`."""
    settings = run.settings.model_dump(mode="json", exclude_defaults=True, exclude={"precisions"})
    return provenance.run_keys("cost", {"precision": run.precision, **settings}, "")


def why_stale(record: CostRecord, run: CostRun) -> str | None:
    """None if the record is what `run` would give now; otherwise the reason, in a few words."""
    current = _settings(run)
    # A parameter added since is not compared; a default that has changed is in no key.
    if differing := [name for name, value in record.settings.items() if current.get(name) != value]:
        return f"parameters changed: {', '.join(differing)}"
    return None if record.run_key in _run_keys(run) else "its template, code or pinned versions changed"


def is_current(run: CostRun) -> bool:
    """Whether record and executed notebook of this precision are on disk and up to date."""
    file = cost_file(run.study, run.precision)
    try:
        record = CostRecord.load(file)
    except LaghuError:
        return False
    return file.with_suffix(".ipynb").is_file() and why_stale(record, run) is None


# ------------------------------------------------------------------------------------------------ parts of the above


def _settings(run: CostRun) -> dict[str, Any]:
    return run.settings.model_dump(mode="json", exclude={"precisions"})


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _random_classifier(shape: Architecture, level: float, dtype: torch.dtype) -> BertForSequenceClassification:
    """BERT with that fraction of its FFN neurons gone and BERT's own initialisation, which it goes through once."""
    ffn = round(shape.intermediate_size * (1 - level))
    config = BertConfig(**{**shape.model_dump(), "intermediate_size": ffn, "num_labels": NUM_LABELS})
    with torch.device("meta"):
        model = BertForSequenceClassification(config)
    model = model.to(dtype).to_empty(device=_device())
    model.initialize_weights()
    return model.eval()


def _cells(settings: CostSpec, models: Mapping[str, PreTrainedModel], length: int) -> list[dict[str, Any]]:
    """Cells of a `CostRecord` at one sequence length."""
    timed = {size: _timed_in_turns(settings, models, size, length) for size in settings.batch_sizes}
    largest = max((size for size, by_row in timed.items() if by_row), default=0)
    energy = {
        row: measurement.energy_of_passes(model, largest, length, settings.energy_window, settings.country)
        for row, model in models.items() if largest
    }
    reference = models["baseline"].config
    return [
        {
            "row": row,
            "pruning_level": 1 - model.config.intermediate_size / reference.intermediate_size,
            "sequence_length": length,
            "batch_size": size,
            "outcome": "measured" if by_row else "out of memory",
            "parameters": measurement.count_parameters(model).total,
            "weight_bytes": measurement.weight_bytes(model),
            "flops_per_token": measurement.encoder_flops_per_token(model.config, length),
            "flop_bound": measurement.encoder_flops_per_token(reference, length)
            / measurement.encoder_flops_per_token(model.config, length),
            **by_row.get(row, {}),
            "energy": energy[row] if size == largest else None,
        }
        for size, by_row in timed.items() for row, model in models.items()
    ]


def _timed_in_turns(
    settings: CostSpec, models: Mapping[str, PreTrainedModel], batch_size: int, length: int
) -> dict[str, dict[str, Any]]:
    """Measured fields of the cells of one combination, by row; none if the GPU's memory did not do."""
    try:
        timings = measurement.time_in_turns(models, batch_size, length, settings.repeats, settings.warm_up)
        memory = {row: _peak_memory_bytes(model, batch_size, length) for row, model in models.items()}
    except torch.OutOfMemoryError:
        return {}
    return {
        row: _time(timing, timings["baseline"], batch_size) | {"peak_memory_bytes": memory[row]}
        for row, timing in timings.items()
    }


def _time(timing: measurement.Timing, baseline: measurement.Timing, batch_size: int) -> dict[str, Any]:
    low, high = timing.quartiles
    factor, least, most = measurement.speed_up(baseline, timing)
    return {
        "latency_ms": {"p50": timing.p50, "p95": timing.p95, "low": low, "high": high},
        "documents_per_second": measurement.documents_per_second(timing, batch_size),
        "speed_up": {"median": factor, "low": least, "high": most},
        "retaken": timing.retaken,
    }


def _peak_memory_bytes(model: PreTrainedModel, batch_size: int, length: int) -> int | None:
    """Weights of the model and the most that PyTorch allocates for a pass beside them; None on a CPU.

    The weights of the other models lie on the same GPU and are not counted.
    """
    if model.device.type != "cuda":
        return None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with evaluation.inference(model):
        model(**_batch(model, batch_size, length))
    return measurement.weight_bytes(model) + torch.cuda.max_memory_allocated() - before


def _batch(model: PreTrainedModel, batch_size: int, length: int) -> dict[str, torch.Tensor]:
    """Random token ids without padding."""
    ids = torch.randint(
        model.config.vocab_size, (batch_size, length), generator=torch.Generator().manual_seed(0)
    ).to(model.device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
