"""What computes logits from token ids, each in its own library, from a model's folder.

An engine is called from several threads at once, each with a batch of its own. A call uses one thread of the processor:
products of models this small are too short to be shared.
"""

import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from laghu.errors import LaghuError

ONNX = "model.onnx"

Rows = Sequence[Sequence[int]]


class Engine(NamedTuple):
    """How to get logits, and what is best asked for at a time."""

    # Token ids of each text of a batch to logits, (texts, labels) float32.
    run: Callable[[Rows], np.ndarray]
    # Tokens of a batch, padding included: of larger ones the processor's caches hold too little.
    batch_tokens: int = 2048


def onnxruntime(folder: Path, threads: int) -> Engine:
    """ONNX Runtime on the processor, for `model.onnx` in fp32 or in integers (`laghu.quantization`)."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        # There is nothing to fall back to, and of its second try the library would tell standard output.
        session = runtime.InferenceSession(
            _file(folder), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # a hierarchy of the library's own that it does not export
        raise _unreadable(folder, "onnxruntime", error) from None
    names = {node.name for node in session.get_inputs()}
    return Engine(lambda rows: session.run(["logits"], inputs(rows, names))[0])


def openvino(folder: Path, threads: int) -> Engine:
    """OpenVINO on the processor in fp32, or as the file says."""
    return _openvino(folder, threads, "f32")


def openvino_bf16(folder: Path, threads: int) -> Engine:
    """OpenVINO on the processor in bf16: where there are no instructions for it, as fp32."""
    return _openvino(folder, threads, "bf16")


def _openvino(folder: Path, threads: int, precision: str) -> Engine:
    from openvino import Core

    try:
        # Requests of different streams run side by side, each on one thread.
        model = Core().compile_model(str(_file(folder)), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads, "INFERENCE_PRECISION_HINT": precision,
        })
    except RuntimeError as error:
        raise _unreadable(folder, "openvino", error) from None
    names = {name for port in model.inputs for name in port.names}
    own = threading.local()

    def run(rows: Rows) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = model.create_infer_request()
        return own.request.infer(inputs(rows, names))["logits"].copy()

    return Engine(run)


class _Kind(NamedTuple):
    make: Callable[[Path, int], Engine]
    library: str
    extra: str


ENGINES = {
    "onnxruntime": _Kind(onnxruntime, "onnxruntime", "quantization"),
    "openvino": _Kind(openvino, "openvino", "openvino"),
    "openvino-bf16": _Kind(openvino_bf16, "openvino", "openvino"),
}


def load(name: str, folder: Path, threads: int) -> Engine:
    """The engine of that name with the model of a folder.

    Args:
        threads: calls that will come at once.

    Raises:
        LaghuError: an unknown name, an engine that is not installed, or no file that it can read.
    """
    if name not in ENGINES:
        raise LaghuError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    make, _, extra = ENGINES[name]
    if not is_installed(name):
        raise LaghuError(f"engine {name} is not installed; install it with pip install 'laghu[{extra}]'")
    return make(folder, threads)


def is_installed(name: str) -> bool:
    """Whether this machine has the library of that engine."""
    return find_spec(ENGINES[name].library) is not None


def padded(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask of a batch, each (texts, longest) int64. Under the mask, any id does: 0."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(mask.shape, dtype=np.int64)
    ids[mask] = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=lengths.sum())
    return ids, mask.astype(np.int64)


def inputs(rows: Rows, names: set[str]) -> dict[str, np.ndarray]:
    """What an exported model takes, by the names that it knows."""
    ids, mask = padded(rows)
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: values for name, values in given.items() if name in names}


def _file(folder: Path) -> Path:
    if not (folder / ONNX).is_file():
        raise LaghuError(f"{folder.name} has no {ONNX}; make one with laghu export")
    return folder / ONNX


def _unreadable(folder: Path, library: str, error: Exception) -> LaghuError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return LaghuError(f"{folder.name}/{ONNX} can't be loaded by {library} ({reason})")
