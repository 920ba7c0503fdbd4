"""What card and page say of models in tables: heads and rows of cells, as text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from laghu.records import Estimate, RunRecord
from laghu.report import formats

if TYPE_CHECKING:
    from laghu.own.delivery import Delivered

Table = tuple[list[str], list[list[str]]]


def scores(models: Sequence["Delivered"]) -> Table:
    """Accuracy and macro-F1 of each model, and of its integers, on all test rows and on the clean ones."""
    head = ["Model", "Weights", "Accuracy, clean", "Macro-F1, clean", "Accuracy, all rows"]
    return head, [
        [model.name, weights, *(_interval(each) for each in (
            of.accuracy.clean, of.macro_f1.clean, of.accuracy.published))]
        for model in models for weights, of in (("fp32", model.record), ("int8", model.integers))
    ]


def costs(models: Sequence["Delivered"]) -> Table:
    """Size, speed and energy of each model; those of use are of fp32 in PyTorch."""
    head = ["Model", "Parameters", "Weights, fp32", "Folder, int8", "Speed-up", "Latency of a text",
            "Energy, 1,000 texts", "Energy of training", "CO₂e of training"]
    return head, [[model.name, *_costs(model.record, model.integers.bytes)] for model in models]


def _costs(record: RunRecord, integers: int) -> list[str]:
    energy = record.inference_energy.kwh_per_1000_documents
    shown = {
        "parameters.total": record.parameters.total, "weight_bytes": record.weight_bytes,
        "bytes": integers, "speed_up.median": record.speed_up.median, "latency_ms.p50": record.latency_ms.p50,
        "inference_energy.kwh_per_1000_documents": energy, "energy_kwh": record.energy_kwh, "co2e_kg": record.co2e_kg,
    }
    return ["–" if field == "speed_up.median" and not record.pruning_level else
            formats.show("weight_bytes" if field == "bytes" else field, value) for field, value in shown.items()]


def conditions(record: RunRecord) -> str:
    """On what the times were taken, and how the energy is known."""
    timing, machine = record.timing, record.hardware["gpu"] or record.hardware["cpu"]
    known = sorted({f"{part} {how}" for part, how in record.energy_source.items() if how != "absent"})
    return (
        f"Speed-up over the unpruned model, in turns with it: {timing.engine}, {timing.precision}, batches of "
        f"{timing.throughput_batch_size} texts of {timing.sequence_length} tokens, {timing.threads} "
        f"{'thread' if timing.threads == 1 else 'threads'}, on {machine}. Energy: {', '.join(known)}; CO₂e by the "
        f"yearly mean of the grid of {record.settings['measuring']['country']}, {record.grid_g_per_kwh:.0f} g/kWh. "
        "Training is that of the model's own stage, its teacher's left out."
    )


def _interval(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f}–{100 * estimate.high:.1f})"
