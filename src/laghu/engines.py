"""What computes logits from token ids, without PyTorch: each engine reads a file of its own from a model's folder.

An engine is called from several threads at once, each with a batch of its own. So it uses one thread for a call: for
models this small, products are too short to be worth sharing.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from laghu.errors import LaghuError

# Token ids and mask, each (rows, length) int64, to logits, (rows, labels) float32.
Engine = Callable[[np.ndarray, np.ndarray], np.ndarray]

ONNX = "model.onnx"


def onnxruntime(folder: Path) -> Engine:
    """ONNX Runtime on the processor, for `model.onnx` in fp32 or in integers (`laghu.quantization`)."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(_file(folder), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a hierarchy of the library's own that it does not export
        raise LaghuError(f"{folder.name}/{ONNX} can't be loaded by onnxruntime ({_first_line(error)})") from None
    names = {node.name for node in session.get_inputs()}

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return session.run(["logits"], {name: values for name, values in given.items() if name in names})[0]

    return run


def openvino(folder: Path) -> Engine:
    """OpenVINO on the processor, for the same file; in bf16 where the processor has instructions for it."""
    from openvino import Core, properties

    core = Core()
    try:
        model = core.compile_model(str(_file(folder)), "CPU", {
            properties.inference_num_threads: 1,
            properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
        })
    except RuntimeError as error:
        raise LaghuError(f"{folder.name}/{ONNX} can't be loaded by openvino ({_first_line(error)})") from None
    names = {name for port in model.inputs for name in port.names}

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        request = model.create_infer_request()
        return request.infer({name: values for name, values in given.items() if name in names})["logits"].copy()

    return run


ENGINES: dict[str, Callable[[Path], Engine]] = {"onnxruntime": onnxruntime, "openvino": openvino}


def load(name: str, folder: Path) -> Engine:
    """The engine of that name with the model of a folder.

    Raises:
        LaghuError: an unknown name, an engine that is not installed, or no file that it can read.
    """
    if name not in ENGINES:
        raise LaghuError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    if find_spec(name) is None:
        raise LaghuError(f"engine {name} is not installed; install it with pip install 'laghu[{_EXTRAS[name]}]'")
    return ENGINES[name](folder)


_EXTRAS = {"onnxruntime": "quantization", "openvino": "openvino"}


def _file(folder: Path) -> Path:
    if not (folder / ONNX).is_file():
        raise LaghuError(f"{folder.name} has no {ONNX}; make one with laghu export")
    return folder / ONNX


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
