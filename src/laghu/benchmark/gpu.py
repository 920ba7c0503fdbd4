"""Documents per second on a GPU, step by step from a pipeline to packed texts, and how busy the GPU is meanwhile.

    texts -> [thread: token ids -> batches in pinned memory] -> GPU -> best label of each text -> labels, in order

A thread tokenises and lays out what comes next, and the tokenizers library has threads of its own; so the GPU computes
meanwhile. Nothing waits for the GPU before all batches are on their way. It all runs on a CPU, too, for tests.

Sources: NVIDIA's data sheets and architecture whitepapers of the H100, H200 and A100 for what a GPU can do at best;
PyTorch's notes on CUDA graph trees; Zeng et al. 2022 for texts without padding (see `laghu.packed`).
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import transformers
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from laghu import engines, inference, measurement, quiet, throughput
from laghu import packed as packing
from laghu.benchmark import peers
from laghu.benchmark.flops import of_document
from laghu.errors import LaghuError
from laghu.packed import Packed, PackedClassifier, Room
from laghu.throughput import Classify, Spread
from laghu.tokenization import TextByText

REFERENCE = "pipeline"
# Texts that the tokenizers library is given at a time: some for each of its threads.
CHUNK = 1024
# Batches that are made ahead of the GPU.
AHEAD = 3
# Tokens of a batch: enough for the GPU's products, few enough that the first does not wait long for them.
TOKENS = 8 * packing.TOKENS
# No batch holds more texts than one for every so many of its tokens: headlines are longer, special tokens included.
TOKENS_OF_A_TEXT = 8

Compiler = Callable[[nn.Module], Callable[..., Any]]
Rows = Iterator[list[int]]
Done = TypeVar("Done")


class Peak(NamedTuple):
    """Operations per second at best, in products of dense matrices."""

    half: float  # bf16 and fp16
    tf32: float
    fp32: float


_HOPPER = Peak(989.4e12, 494.7e12, 66.9e12)
# By the whole name that the driver gives, as boards of one chip differ. Data sheets double these for sparse matrices.
PEAKS = {
    "NVIDIA H100 80GB HBM3": _HOPPER,
    "NVIDIA H100 PCIe": Peak(756e12, 378e12, 51.2e12),
    "NVIDIA H200": _HOPPER,
    "NVIDIA A100-SXM4-40GB": Peak(312e12, 156e12, 19.5e12),
    "NVIDIA A100-SXM4-80GB": Peak(312e12, 156e12, 19.5e12),
}


class Achieved(NamedTuple):
    """What a model reaches; time is that of one batch, in seconds."""

    flops_per_second: float
    share_of_peak: float | None
    seconds: Spread


# ------------------------------------------------------------------------------------------------ ways


def padded(device: str | torch.device, folder: Path, max_length: int, dtype: torch.dtype, batch: int) -> Classify:
    """PyTorch eager, in batches in the order of the texts, each padded to its longest.

    Args:
        max_length: tokens read of a text.
        batch: texts of a batch.

    Raises:
        LaghuError: no classifier there, or a number out of bounds.
    """
    peers.refuse_below_one(batch=batch)
    loaded = _Loaded(device, folder, max_length, dtype)

    def batches(rows: Rows) -> "Iterator[_Batch]":
        first = 0
        while part := list(islice(rows, batch)):
            yield _Batch(range(first, first + len(part)), loaded.pinned(engines.padded(part)))
            first += len(part)

    return loaded.classifier(batches, loaded.best(_Logits(loaded.model)))


def bucketed(
    device: str | torch.device, folder: Path, max_length: int, dtype: torch.dtype, tokens: int = TOKENS,
    compiler: Compiler = packing.compiled,
) -> Classify:
    """Compiled for a few lengths, to one of which each text is padded; of each length so many texts at a time.

    A batch that the texts don't fill is computed whole. All shapes are compiled, and recorded as CUDA graphs, here and
    now; see `Packed` for the thread that may use them.

    Args:
        max_length: tokens read of a text.
        tokens: of a batch, padding included.

    Raises:
        LaghuError: no classifier there, or a number out of bounds.
    """
    loaded = _Loaded(device, folder, max_length, dtype)
    _refuse_less_than_a_text(tokens, max_length)
    lengths = buckets(max_length)
    best = loaded.best(compiler(_Logits(loaded.model)))

    def batch(places: Sequence[int], rows: Sequence[Sequence[int]], length: int) -> _Batch:
        return _Batch(places, loaded.pinned(_grid(rows, tokens // length, length)))

    def batches(rows: Rows) -> Iterator[_Batch]:
        waiting: dict[int, list[tuple[int, list[int]]]] = {length: [] for length in lengths}
        for place, row in enumerate(rows):
            length = next(length for length in lengths if len(row) <= length)
            waiting[length].append((place, row))
            if len(waiting[length]) == tokens // length:
                yield batch(*zip(*waiting[length], strict=True), length)
                waiting[length] = []
        for length, rest in waiting.items():
            if rest:
                yield batch(*zip(*rest, strict=True), length)

    for length in lengths:
        for _ in range(3):  # compiled, recorded, replayed
            best(batch([0], [[0]], length))
    return loaded.classifier(batches, best)


def buckets(max_length: int) -> list[int]:
    """Powers of two and what lies halfway between them, in multiples of 8, up to the last length itself."""
    powers = range(3, max(4, max_length.bit_length() + 1))
    sizes = chain.from_iterable((2**power, 3 * 2**power // 2) for power in powers)
    return sorted({min(size, max_length) for size in sizes if size % 8 == 0})


def packed(
    device: str | torch.device, folder: Path, max_length: int, dtype: torch.dtype,
    compiler: Compiler = packing.compiled, tokens: int = TOKENS,
) -> Classify:
    """Compiled, without padding but for the end of the last batch (`laghu.packed`), texts in their order.

    Both shapes are compiled, and recorded as CUDA graphs, here and now; see `Packed` for the thread that may use them.

    Args:
        max_length: tokens read of a text.
        tokens: of a batch.

    Raises:
        LaghuError: no classifier there or one that can't be packed, a number out of bounds, or fp32 on a GPU.
    """
    loaded = _Loaded(device, folder, max_length, dtype)
    _refuse_less_than_a_text(tokens, max_length)
    # The smaller one for the rest of the texts.
    rooms = [Room(size, max(1, size // TOKENS_OF_A_TEXT)) for size in {max(1, tokens // 8), tokens}]
    most = max(rooms)
    packer = Packed(PackedClassifier(loaded.model, max_length), compiler, rooms)

    def batches(rows: Rows) -> Iterator[_Batch]:
        first, waiting, length = 0, [], 0
        for row in rows:
            if waiting and (length + len(row) > most.tokens or len(waiting) == most.texts):
                yield _Batch(range(first, first + len(waiting)), packer.pack(waiting))
                first, waiting, length = first + len(waiting), [], 0
            waiting.append(row)
            length += len(row)
        if waiting:
            yield _Batch(range(first, first + len(waiting)), packer.pack(waiting))

    return loaded.classifier(batches, lambda batch: packer.logits(batch.given, len(batch.places)).argmax(dim=-1))


class _Batch(NamedTuple):
    """Texts on their way: which of them, and what the model takes, on the host."""

    places: Sequence[int]
    given: tuple[torch.Tensor, ...]


class _Loaded:
    """A classifier on a device, with its tokenizer at work."""

    def __init__(self, device: str | torch.device, folder: Path, max_length: int, dtype: torch.dtype) -> None:
        model, _ = peers.load(folder, max_length)
        self.model: PreTrainedModel = model.to(device=device, dtype=dtype)
        self._tokens = TextByText(inference.tokenizer_of(folder), max_length)

    def pinned(self, arrays: Iterable[np.ndarray]) -> tuple[torch.Tensor, ...]:
        """For a GPU in memory from which it can fetch them by itself."""
        parts = map(torch.from_numpy, arrays)
        return tuple(part.pin_memory() if self.model.device.type == "cuda" else part for part in parts)

    def best(self, run: Callable[..., torch.Tensor]) -> Callable[[_Batch], torch.Tensor]:
        """The best label of each text of a batch, (texts,) int64, on the device and in memory of its own."""

        @torch.inference_mode()
        def best(batch: _Batch) -> torch.Tensor:
            given = (part.to(self.model.device, non_blocking=True) for part in batch.given)
            return run(*given)[:len(batch.places)].argmax(dim=-1)

        return best

    def classifier(
        self, batches: Callable[[Rows], Iterator[_Batch]], best: Callable[[_Batch], torch.Tensor]
    ) -> Classify:
        names = self.model.config.id2label

        def classify(texts: Sequence[str]) -> list[str]:
            places: list[int] = []
            found: list[torch.Tensor] = []
            for batch in _ahead(batches(_rows(self._tokens, texts))):
                places += batch.places
                found.append(best(batch))
            labels = [""] * len(texts)
            # Here is the only wait for a GPU.
            for place, label in zip(places, torch.cat(found).tolist() if found else [], strict=True):
                labels[place] = names[label]
            return labels

        return classify


class _Logits(nn.Module):
    """A Hugging Face classifier with its inputs in a row and the logits alone as its output."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, attention_mask=mask).logits


def _rows(tokens: TextByText, texts: Sequence[str]) -> Rows:
    for start in range(0, len(texts), CHUNK):
        yield from tokens(texts[start:start + CHUNK])[0]


def _grid(rows: Sequence[Sequence[int]], texts: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask, each (texts, length) int64; texts that were filled in have a token, as each must have one."""
    ids, mask = (np.zeros((texts, length), dtype=np.int64) for _ in range(2))
    filled, there = engines.padded(rows)
    ids[:len(rows), :filled.shape[1]], mask[:len(rows), :filled.shape[1]] = filled, there
    mask[len(rows):, 0] = 1
    return ids, mask


def _ahead(made: Iterator[Done]) -> Iterator[Done]:
    """The same, made in a thread while those before them are in use."""
    with ThreadPoolExecutor(1, thread_name_prefix="laghu-ahead") as pool:
        waiting = deque(pool.submit(next, made, None) for _ in range(AHEAD))
        while (done := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, made, None))
            yield done


def _refuse_less_than_a_text(tokens: int, max_length: int) -> None:
    if tokens < max_length:
        raise LaghuError(f"tokens {tokens} of a batch must be at least max_length, {max_length}")


# ------------------------------------------------------------------------------------------------ operations


def peak(name: str, dtype: torch.dtype) -> float | None:
    """The most that a GPU could do, in FLOP/s of dense products; None if it isn't known.

    Args:
        name: as `torch.cuda.get_device_name` gives it.
        dtype: fp32 is taken as PyTorch multiplies it now: as TF32, or as itself.
    """
    if name not in PEAKS:
        return None
    known = PEAKS[name]
    single = known.fp32 if torch.get_float32_matmul_precision() == "highest" else known.tf32
    return {torch.bfloat16: known.half, torch.float16: known.half, torch.float32: single}.get(dtype)


def flops(config: PreTrainedConfig, lengths: Iterable[int]) -> int:
    """Operations in the matrix products of a BERT-like encoder for texts of so many tokens, two per multiply-add.

    Without padding, and attention within each text alone. Embeddings, biases, softmax, normalisation, pooler and
    classifier are left out.
    """
    return sum(of_document(config, length) for length in lengths)


def achieved(
    model: PreTrainedModel, lengths: Sequence[int], repeats: int, compiler: Compiler = packing.compiled
) -> Achieved:
    """Time one batch of packed random texts again and again, from token ids on the device to logits on the device.

    Args:
        model: of a type in `packed.MODEL_TYPES`, on its device and in its precision; it is taken over.
        lengths: tokens of each text; nothing is filled up.

    Raises:
        LaghuError: no texts or no repeats, a model that can't be packed, or fp32 on a GPU.
    """
    peers.refuse_below_one(texts=len(lengths), repeats=repeats)
    device = model.device
    ready = Packed(PackedClassifier(model, max(lengths)), compiler, [Room(sum(lengths), len(lengths))])
    random = torch.Generator().manual_seed(0)
    rows = [torch.randint(model.config.vocab_size, (length,), generator=random).tolist() for length in lengths]
    with torch.inference_mode():  # as what was compiled for got it
        row = tuple(part.to(device) for part in ready.pack(rows))
    with quiet.measuring():
        seconds = throughput.over_turns(_seconds(lambda: ready.logits(row, len(lengths)), device, repeats))
    speed = flops(model.config, lengths) / seconds.median
    return Achieved(speed, _share(speed, device, model.dtype), seconds)


def _seconds(run: Callable[[], Any], device: torch.device, repeats: int) -> list[float]:
    """How long each repeat takes; on a GPU by its own clock, the host being ahead of it."""
    run()
    if device.type != "cuda":
        times = []
        for _ in range(repeats):
            began = perf_counter()
            run()
            times.append(perf_counter() - began)
        return times
    marks = [tuple(torch.cuda.Event(enable_timing=True) for _ in range(2)) for _ in range(repeats)]
    with torch.cuda.device(device):
        for start, end in marks:
            start.record()
            run()
            end.record()
        torch.cuda.synchronize()
    return [start.elapsed_time(end) / 1000 for start, end in marks]


def _share(flops_per_second: float, device: torch.device, dtype: torch.dtype) -> float | None:
    most = peak(torch.cuda.get_device_name(device), dtype) if device.type == "cuda" else None
    return most and flops_per_second / most


# ------------------------------------------------------------------------------------------------ all together


def measure(
    folder: Path, shape: PreTrainedConfig, texts: Sequence[str], labels: Sequence[int], views: Mapping[str, np.ndarray],
    device: str | torch.device, turns: int, *, max_length: int, dtype: torch.dtype = torch.bfloat16,
    compiler: Compiler = packing.compiled, batch: int = 128, tokens: int = TOKENS, documents: int = 0,
    window: float = 10.0, country: str = "IND", lengths: Sequence[int] = (128,) * 512, repeats: int = 100,
) -> dict[str, Any]:
    """The steps from a pipeline to packed texts for one classifier, and what another model reaches at best.

    Args:
        folder: checkpoint of the classifier.
        shape: of the model that is to keep the GPU busy; its weights are random.
        labels: ids of the true labels.
        views: which texts are in which view, (texts,) bool each.
        max_length: tokens read of a text.
        dtype: from the third step on, and of the other model.
        batch: texts of a batch in pipeline and padded batches.
        tokens: of a batch in the other steps.
        documents: timed are at least so many texts, the same ones again and again: no step remembers a text.
        window: seconds for which energy is measured, at least.
        lengths: tokens of the texts that the other model is given, `repeats` times.

    Returns:
        JSON-ready. "steps": for each, by name, precision, documents per second (turns, median, quartiles), ratio to the
        pipeline, accuracy by view, share of texts with the pipeline's label, energy, and FLOP/s without padding, with
        its share of the peak if that is known. "achieved": of the other model. "hardware", and the settings.

    Raises:
        LaghuError: texts, labels and views don't fit; as the steps, `throughput.in_turns` and `achieved`.
    """
    device = torch.device(device)
    if not len(texts) == len(labels) or any(len(rows) != len(texts) for rows in views.values()):
        raise LaghuError(f"{len(texts)} texts, {len(labels)} labels and views of "
                         f"{', '.join(str(len(rows)) for rows in views.values())}; give as many of each")
    single = torch.float32
    steps = {
        REFERENCE: (single, peers.pipeline(folder, max_length, batch, device)),
        "padded, fp32": (single, padded(device, folder, max_length, single, batch)),
        "padded": (dtype, padded(device, folder, max_length, dtype, batch)),
        "bucketed": (dtype, bucketed(device, folder, max_length, dtype, tokens, compiler)),
        "packed": (dtype, packed(device, folder, max_length, dtype, compiler, tokens)),
    }
    ways = {name: classify for name, (_, classify) in steps.items()}
    # Before anything is timed: a GPU's libraries are loaded when they are first needed.
    given = {name: np.array(classify(texts)) for name, classify in ways.items()}
    timed = list(texts) * math.ceil(max(1, documents / max(1, len(texts))))
    samples = throughput.in_turns(ways, timed, turns)
    config = transformers.AutoConfig.from_pretrained(folder)
    of_a_text = _flops_of_a_text(config, folder, texts, max_length)
    truth = np.array([config.id2label[label] for label in labels])
    found = {}
    for name, (precision, way) in steps.items():
        used = throughput.energy(name, way, timed, window, country)
        pace = throughput.over_turns(samples[name])
        found[name] = {
            "precision": _name(precision),
            "documents_per_second": {"turns": samples[name], **pace._asdict()},
            "ratio": throughput.ratio(samples[name], samples[REFERENCE])._asdict(),
            "accuracy": {view: float((given[name] == truth)[rows].mean()) for view, rows in views.items()},
            "agreement": float((given[name] == given[REFERENCE]).mean()),
            "kwh_per_1000_documents": used.kwh,
            "energy_source": used.source,
            "flops_per_second": pace.median * of_a_text,
            "share_of_peak": _share(pace.median * of_a_text, device, precision),
        }
    other = AutoModelForSequenceClassification.from_config(shape).eval().to(device=device, dtype=dtype)
    reached = achieved(other, lengths, repeats, compiler)
    return {
        "steps": found,
        "achieved": {**reached._asdict(), "seconds": reached.seconds._asdict(), "precision": _name(dtype),
                     "texts": len(lengths), "tokens": sum(lengths)},
        "hardware": measurement.hardware(),
        "settings": {"device": device.type, "max_length": max_length, "batch": batch, "tokens": tokens, "turns": turns,
                     "texts": len(texts), "documents": len(timed), "window_seconds": window, "repeats": repeats},
    }


def _flops_of_a_text(config: PreTrainedConfig, folder: Path, texts: Sequence[str], max_length: int) -> float:
    rows = _rows(TextByText(inference.tokenizer_of(folder), max_length), texts)
    return flops(config, map(len, rows)) / len(texts)


def _name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]
