"""Integer weights and activations: a classifier as an ONNX file, quantised and run by ONNX Runtime on a CPU.

Three schemes, all after training and without data:

- `int8-weights`, `int4-weights`: weights are integers with one scale for every block of 32 along the input dimension
  (round to nearest, symmetric); activations stay fp32. They save size, not time.
- `int8-dynamic`: weights are integers with one scale per output; what enters a linear layer becomes 8-bit integers at
  run time, with one scale and zero point for the whole batch. So a row's logits depend, within the error of this
  quantisation, on what else is in its batch, padding included.

In all three every linear layer and every embedding table is quantised, embeddings in blocks; biases and layer norms
stay fp32, and so do the products of attention, which have no weights.

What is written needs neither Laghu nor PyTorch: `onnxruntime.InferenceSession(folder / "model.onnx")`, with the
tokenizer beside it. Timed against a model in PyTorch, a quantised one differs in engine as well as in precision: the
unquantised export tells the two apart.

Sources: Dettmers & Zettlemoyer 2023 for small blocks; the definitions of the operators MatMulNBits and
GatherBlockQuantized (ONNX Runtime), DynamicQuantizeLinear and MatMulInteger (ONNX).
"""

import copy
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from laghu.errors import LaghuError

if TYPE_CHECKING:
    from onnx import ModelProto

SCHEMES = ("int8-weights", "int4-weights", "int8-dynamic")

FILE = "model.onnx"

# The smallest block in common use. Larger ones save up to a bit per weight, cost accuracy at 4 bits, and pad the
# widths of narrow students (312, 456, 564) by up to a quarter.
BLOCK = 32

# The one that torch's exporter is written for; it reaches others by conversion.
OPSET = 18


LIBRARIES = ("onnx", "onnxruntime", "onnxscript")


def versions() -> dict[str, str]:
    """Installed versions of the libraries that export, quantise and run.

    Raises:
        LaghuError: one is not installed.
    """
    _need_libraries()
    return {name: metadata.version(name) for name in LIBRARIES}


def refuse_unsupported(scheme: str, device: str | torch.device) -> None:
    """Before anything runs: can models be quantised this way, or left in fp32, here, and run on this device?

    Raises:
        LaghuError: an unknown scheme, a device that the scheme does not run on, or a library that is not installed.
    """
    if scheme not in ("fp32", *SCHEMES):
        raise LaghuError(f"quantisation scheme {scheme!r} is unknown; choose fp32 or one of {', '.join(SCHEMES)}.")
    if torch.device(device).type != "cpu":
        raise LaghuError(f"{scheme} does not run on {str(device)!r}; choose cpu.")
    _need_libraries()


def export(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a classifier of sequences or tokens as fp32 `model.onnx`, with its configuration and its tokenizer.

    The model is left as it is. The file takes int64 arrays of shape (batch, length), both free, under the names that
    the tokenizer gives them, and returns `logits`, fp32: (batch, labels), or (batch, length, labels) for tokens.

    Raises:
        LaghuError: a library is not installed.
    """
    _need_libraries()
    import onnx

    plain = copy.deepcopy(model).to("cpu", torch.float32).eval()
    # From a mask of ones only an exporter may conclude that there is nothing to mask.
    ids, mask = torch.full((2, 6), 5), torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    inputs = {name: known[name] for name in tokenizer.model_input_names}
    with _muted():
        program = torch.onnx.export(
            plain, (), kwargs=inputs, dynamo=True, opset_version=OPSET, verbose=False,
            dynamic_shapes={name: {0: "batch", 1: "length"} for name in inputs},
            input_names=list(inputs), output_names=["logits"],
        )
    exported = program.model_proto
    _forget_origin(exported)
    plain.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    onnx.save(exported, folder / FILE)


def quantize(source: Path, scheme: str, folder: Path) -> None:
    """Quantise what `export` wrote to `source`; write the same files, smaller, to `folder`.

    Raises:
        LaghuError: as `refuse_unsupported`; the scheme is fp32; or `source` holds no `model.onnx`, or one that is
            quantised already.
    """
    refuse_unsupported(scheme, "cpu")
    if scheme == "fp32":
        raise LaghuError("scheme 'fp32' quantises nothing; an export is in fp32 already.")
    import onnx

    model = onnx.load(_file(source))
    if any(opset.domain == "com.microsoft" for opset in model.opset_import):
        raise LaghuError(f"{source.name}/{FILE} is quantised already; give the folder of an export.")
    with _muted():
        match scheme:
            case "int8-weights":
                model = _quantize_tables(_quantize_products(model, bits=8), bits=8)
            case "int4-weights":
                model = _quantize_tables(_quantize_products(model, bits=4), bits=4)
            case "int8-dynamic":
                model = _quantize_tables(_quantize_products_dynamically(model), bits=8)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(FILE), dirs_exist_ok=True)
    onnx.save(model, folder / FILE)


class OnnxClassifier(nn.Module):
    """What `export` or `quantize` wrote, behind the call of a Hugging Face classifier: `model(**batch).logits`.

    It runs on the CPU with as many threads as PyTorch has when it is loaded. It has no `parameters()`; see
    `weight_bytes`.

    Attributes:
        config: the configuration of the exported model.
    """

    device = torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        """Load from `folder`.

        Raises:
            LaghuError: a library is not installed, or `folder` holds no `model.onnx`.
        """
        super().__init__()
        _need_libraries()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(_file(folder), options, providers=["CPUExecutionProvider"])
        self.config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        self._inputs = {node.name for node in self._session.get_inputs()}

    def forward(self, **batch: torch.Tensor) -> SequenceClassifierOutput:
        """Logits of token ids and mask, (batch, length) int64; token types, where the model has them, default to 0."""
        if "token_type_ids" in self._inputs:
            batch.setdefault("token_type_ids", torch.zeros_like(batch["input_ids"]))
        logits, = self._session.run(["logits"], {name: values.numpy() for name, values in batch.items()})
        return SequenceClassifierOutput(logits=torch.from_numpy(logits))


def weight_bytes(folder: Path) -> int:
    """Bytes of the weights in a folder's `model.onnx`: integers, their scales, and what stayed fp32.

    Left out is the graph, some tens of kilobytes whatever the width; `disk_bytes` counts it.
    """
    _need_libraries()
    import onnx

    return sum(onnx.numpy_helper.to_array(weights).nbytes for weights in onnx.load(_file(folder)).graph.initializer)


def disk_bytes(folder: Path) -> int:
    """Size of a folder's `model.onnx` on disk, in bytes."""
    return _file(folder).stat().st_size


def _file(folder: Path) -> Path:
    if not (folder / FILE).is_file():
        raise LaghuError(f"{folder.name} holds no {FILE}; export a model to it first.")
    return folder / FILE


def _need_libraries() -> None:
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise LaghuError(f"quantisation needs {', '.join(missing)}; install with pip install 'laghu[quantization]'.")


@contextmanager
def _muted() -> Iterator[None]:
    """Keep what exporter and quantisers say about themselves from the reader; errors are exceptions.

    A handler has to be there, because importing onnxruntime's quantiser gives a root logger without one its own and
    the level INFO, for good.
    """
    root, nowhere = logging.getLogger(), logging.NullHandler()
    disabled = root.manager.disable
    root.addHandler(nowhere)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.removeHandler(nowhere)


def _forget_origin(model: "ModelProto") -> None:
    """Drop the exporter's stack traces, which name folders of this machine, and shapes that a quantiser may change."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""


def _quantize_products(model: "ModelProto", bits: int) -> "ModelProto":
    """Linear layers with integer weights, each block of each output with its scale: MatMul to MatMulNBits.

    The same as DequantizeLinear before a MatMul is fused at load into a MatMulNBits that quantises activations too;
    without `accuracy_level` this one does not.
    """
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    # Pooler and classifier are exported as Gemm, which the quantiser passes over.
    ONNXModel(model).replace_gemm_with_matmul()
    quantizer = MatMulNBitsQuantizer(model, bits=bits, block_size=BLOCK, is_symmetric=True)
    quantizer.process()
    return quantizer.model.model


def _quantize_products_dynamically(model: "ModelProto") -> "ModelProto":
    """Linear layers of integers by integers: MatMul to DynamicQuantizeLinear and MatMulInteger.

    `reduce_range` gives weights seven of the eight bits: on processors without VNNI the sum of two products of eight
    by eight bits overflows the 16 bits it is given, and logits would depend on the processor.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        quantize_dynamic(
            model, file, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(file)


def _quantize_tables(model: "ModelProto", bits: int) -> "ModelProto":
    """Embedding tables in blocks, in place: Gather to GatherBlockQuantized.

    onnxruntime's quantisers would give a table of 8 bits one scale, and the longest word vector would set it.
    """
    import onnx

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        table = weights.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.data_type != onnx.TensorProto.FLOAT:
            continue
        codes, scales = quantize_blocks(onnx.numpy_helper.to_array(table), bits)
        names = (f"{table.name}_Q{bits}", f"{table.name}_scales")
        graph.initializer.remove(table)
        graph.initializer.extend(map(onnx.numpy_helper.from_array, (codes, scales), names))
        node.CopyFrom(onnx.helper.make_node(
            "GatherBlockQuantized", [names[0], node.input[1], names[1]], node.output, f"{node.name}_Q{bits}",
            domain="com.microsoft", bits=bits, block_size=BLOCK, gather_axis=0, quantize_axis=1,
        ))
    if not any(opset.domain == "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return model


def quantize_blocks(table: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Round a table to integers, with one scale for every `BLOCK` neighbours of a row.

    A weight becomes (code - 2^(bits - 1)) * scale. The largest of a block, with its sign, gets code 0, so that all
    2^bits codes are in use. A weight is off by at most half a step, which is the scale's size; only one of the other
    sign that is nearly as large as the largest is off by up to a step.

    Args:
        table: (rows, width) fp32; the width a multiple of 8 / bits.
        bits: 4 or 8.

    Returns:
        Codes, (rows, width * bits / 8) uint8, at 4 bits two in a byte, the first in its lower half; and scales, (rows,
        ceil(width / BLOCK)) fp32.
    """
    rows, width = table.shape
    middle = 2 ** (bits - 1)
    blocks = np.pad(table, ((0, 0), (0, -width % BLOCK))).reshape(rows, -1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1, keepdims=True), axis=-1)
    scales = largest / -middle
    steps = np.divide(blocks, scales, out=np.zeros_like(blocks), where=scales != 0)
    codes = (np.clip(np.rint(steps), -middle, middle - 1) + middle).astype(np.uint8).reshape(rows, -1)[:, :width]
    in_a_byte = 8 // bits
    packed = np.bitwise_or.reduce([codes[:, place::in_a_byte] << (bits * place) for place in range(in_a_byte)])
    return packed, scales[..., 0]
