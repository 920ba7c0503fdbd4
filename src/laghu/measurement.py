"""Cost: parameters, floating-point operations, time, memory, and the machine they were measured on."""

import itertools
import os
import platform
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel

from laghu import quiet
from laghu.compression import layout
from laghu.energy import track
from laghu.errors import LaghuError
from laghu.evaluation import inference

# A sample on the CPU counts only if the timed thread ran for this share of it: a busy neighbour slows a model many
# times over without any error.
ENOUGH_CPU = 0.8


@dataclass(frozen=True)
class Parameters:
    """Number of parameters of a classifier, and of its embeddings and its encoder alone."""

    total: int
    embeddings: int
    encoder: int


@dataclass(frozen=True)
class Timing:
    """Milliseconds of single forward passes, one per turn, and how many were retaken for want of the CPU."""

    samples_ms: tuple[float, ...]
    retaken: int = 0

    @property
    def p50(self) -> float:
        return float(np.percentile(self.samples_ms, 50))

    @property
    def p95(self) -> float:
        return float(np.percentile(self.samples_ms, 95))

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.percentile(self.samples_ms, [25, 75])
        return float(low), float(high)


def count_parameters(model: PreTrainedModel) -> Parameters:
    """Parameters of an encoder classifier; one that is shared by several modules counts once.

    Raises:
        LaghuError: the base model has no embeddings or no encoder (those in `layout.PRUNABLE` have both).
    """
    try:
        parts = (model, model.base_model.embeddings, layout.encoder(model))
    except AttributeError:
        raise LaghuError(
            f"{type(model).__name__} has no embeddings and encoder to count; give a BERT-like classifier."
        ) from None
    return Parameters(*(sum(p.numel() for p in part.parameters()) for part in parts))


def weight_bytes(model: PreTrainedModel) -> int:
    """Bytes of a model's parameters in their precision; those of a shared one count once."""
    return sum(parameter.nbytes for parameter in model.parameters())


def encoder_flops_per_token(config: PreTrainedConfig, sequence_length: int) -> int:
    """Floating-point operations per token in the matrix products of a BERT-like encoder, two per multiply-add.

    Counted are the four attention projections, the two FFN matrices or three where one is of gates, and the products
    of attention with keys and with values, of local attention as of any other; left out are embeddings, biases,
    softmax, normalisation and the classifier.
    """
    hidden = config.hidden_size
    projections = 4 * hidden * hidden
    feed_forward = layout.feed_forward_matrices(config) * hidden * layout.intermediate_size(config)
    attention = 2 * sequence_length * hidden
    return 2 * config.num_hidden_layers * (projections + feed_forward + attention)


def time_in_turns(
    models: Mapping[str, PreTrainedModel], batch_size: int, sequence_length: int, repeats: int, warm_up: int
) -> dict[str, Timing]:
    """Time the forward pass of several models under the same conditions: one sample each in turn, `repeats` turns.

    All get the same random token ids without padding, in evaluation mode without gradients. Who goes first changes
    from turn to turn, so that whatever slows the machine falls on all alike. Training by other Laghu processes on this
    machine pauses meanwhile (`laghu.quiet`). A sample on the CPU whose thread did not get the CPU is retaken at once,
    up to `repeats` times per model; a `retaken` that high says that the machine was too busy to measure on.

    Args:
        warm_up: untimed turns before the first.

    Returns:
        A `Timing` of `repeats` samples for every model; sample i of all models was taken in turn i.

    Raises:
        LaghuError: no models, no repeats, or a sequence longer than a model's positions.
    """
    if not models or repeats < 1:
        raise LaghuError(f"{len(models)} models and {repeats} repeats; a timing needs at least one of each.")
    for name, model in models.items():
        if sequence_length > model.config.max_position_embeddings:
            raise LaghuError(f"{name}: sequence_length {sequence_length} exceeds the model's "
                             f"{model.config.max_position_embeddings} positions.")
    # Ids that every vocabulary has: a contender's may be trimmed.
    vocabulary = min(model.config.vocab_size for model in models.values())
    ids = torch.randint(vocabulary, (batch_size, sequence_length), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    batches = {name: {k: v.to(model.device) for k, v in batch.items()} for name, model in models.items()}
    names = list(models)
    samples: dict[str, list[float]] = {name: [] for name in names}
    retaken = dict.fromkeys(names, 0)
    with quiet.measuring(), inference(*models.values()):
        for _, name in itertools.product(range(warm_up), names):
            _sample(models[name], batches[name])
        for turn in range(repeats):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                milliseconds, undisturbed = _sample(models[name], batches[name])
                while not undisturbed and retaken[name] < repeats:
                    retaken[name] += 1
                    milliseconds, undisturbed = _sample(models[name], batches[name])
                samples[name].append(milliseconds)
    return {name: Timing(tuple(samples[name]), retaken[name]) for name in names}


def _sample(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> tuple[float, bool]:
    """Milliseconds of one forward pass, and whether it had the processor to itself as far as can be seen."""
    on_gpu = model.device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize(model.device)
    # The calling thread computes its share of every parallel region, so it's busy all the time on a free machine. The
    # time of the whole process would hide one starved thread among several.
    cpu, wall = thread_time(), perf_counter()
    model(**batch)
    if on_gpu:
        torch.cuda.synchronize(model.device)
    wall, cpu = perf_counter() - wall, thread_time() - cpu
    return 1000 * wall, on_gpu or cpu >= ENOUGH_CPU * wall


def energy_of_passes(
    model: PreTrainedModel, batch_size: int, sequence_length: int, window: float, country: str
) -> dict[str, Any]:
    """Energy of forward passes, back to back, over at least `window` seconds, per 1,000 documents.

    All documents are random token ids without padding. Training by other Laghu processes pauses meanwhile.
    """
    ids = torch.randint(
        model.config.vocab_size, (batch_size, sequence_length), generator=torch.Generator().manual_seed(0)
    ).to(model.device)
    batch, passes = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, 0
    with quiet.measuring(), inference(model), track(country) as energy:
        started = perf_counter()
        while perf_counter() - started < window:
            model(**batch)
            passes += 1
            if model.device.type == "cuda":
                # A GPU takes orders long before it carries them out: without this the window would be no bound.
                torch.cuda.synchronize(model.device)
    thousands = passes * batch_size / 1000
    return {
        "kwh_per_1000_documents": energy.kwh / thousands,
        "co2e_kg_per_1000_documents": energy.co2e_kg / thousands,
        "components": {part: kwh / thousands for part, kwh in energy.components.items()},
        "source": energy.source,
        "window_seconds": energy.seconds,
    }


@contextmanager
def fp32_products(precision: str) -> Iterator[None]:
    """How fp32 numbers are multiplied meanwhile, in PyTorch's words: on a GPU "high" is TF32, "highest" fp32 itself."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def speed_up(reference: Timing, contender: Timing) -> tuple[float, float, float]:
    """How many times faster the contender is: median, lower and upper quartile of the ratios turn by turn.

    Raises:
        LaghuError: the two were not timed in the same turns, as far as their numbers of samples tell.
    """
    if len(reference.samples_ms) != len(contender.samples_ms):
        raise LaghuError(f"{len(reference.samples_ms)} samples against {len(contender.samples_ms)}; time both in the "
                         "same call of time_in_turns.")
    low, median, high = np.percentile(np.divide(reference.samples_ms, contender.samples_ms), [25, 50, 75])
    return float(median), float(low), float(high)


def documents_per_second(timing: Timing, batch_size: int) -> float:
    """Throughput at the median time of a batch."""
    return 1000 * batch_size / timing.p50


def peak_memory_bytes() -> tuple[int, str]:
    """Most memory held so far by this process, and what was counted.

    On a GPU: what PyTorch's allocator handed out, since the last `torch.cuda.reset_peak_memory_stats`. Elsewhere: the
    resident memory of the whole process since it began, libraries included.
    """
    if torch.cuda.is_initialized() and (peak := torch.cuda.max_memory_allocated()):
        return peak, "CUDA allocator, high-water mark"
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage here: on Linux its mark is inherited from the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        peak = int(line.split()[1]) * 1024
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, "resident memory of the process, high-water mark"


def hardware() -> dict[str, str | int | float | None]:
    """The machine, as far as a reader needs it to judge a timing; no names or paths."""
    from codecarbon.core.util import detect_cpu_model

    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": detect_cpu_model() or platform.machine(),
        "logical_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "ram_gib": round(memory / 2**30, 1),
        "gpu": gpu and gpu.name,
        "gpu_memory_gib": gpu and round(gpu.total_memory / 2**30, 1),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def supports(precision: str, device: str | torch.device) -> str | None:
    """None if training in this precision works on this device, otherwise one sentence that says what would.

    bf16 always works on a CPU; without bf16 instructions it is emulated, and slow.
    """
    kind = torch.device(device).type
    if precision not in ("fp32", "bf16", "fp16"):
        return f"Precision {precision!r} is unknown; choose fp32, bf16 or fp16."
    if kind not in ("cpu", "cuda"):
        return f"Laghu does not train on {kind!r}; choose cpu or cuda."
    if kind == "cuda" and not torch.cuda.is_available():
        return "PyTorch sees no CUDA GPU; choose cpu."
    if precision == "fp16" and kind == "cpu":
        return "Training in fp16 needs a CUDA GPU; choose bf16 or fp32 on a CPU."
    if precision == "bf16" and kind == "cuda" and not torch.cuda.is_bf16_supported():
        return f"{torch.cuda.get_device_name(device)} has no bf16; choose fp16 or fp32."
    return None
