"""From a checkpoint to the folder that `laghu.inference.Classifier` reads: an ONNX file, configuration and tokenizer.

`laghu.quantization` writes a model as it is, so that schemes can be compared. This writes it to be fast: the last layer
for the first token only (`laghu.first_token`), operators that engines know as one, and integers calibrated on texts
instead of measured batch by batch, so that a text's label does not depend on its neighbours.

Sources: Jacob et al. 2018 (arXiv 1712.05877) for integer arithmetic with calibrated activations; ONNX Runtime's static
quantisation (quantize-dequantize format), which ONNX Runtime and OpenVINO both read.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from laghu import engines, inference, quantization
from laghu.errors import LaghuError, shown
from laghu.first_token import FirstTokenClassifier, supports
from laghu.inference import by_length

if TYPE_CHECKING:
    from onnx import ModelProto

Precision = Literal["fp32", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")

# The first in which GELU is one operator.
OPSET = 20
# More texts hardly move a minimum or a maximum.
CALIBRATED_ON = 512
_CALIBRATION_TOKENS = 1024


def export(
    checkpoint: Path, folder: Path, precision: Precision = "fp32", texts: Sequence[str] = (),
    max_length: int | None = None,
) -> None:
    """Write a Hugging Face classifier of texts as a folder to deploy; in place of an earlier export.

    Args:
        checkpoint: a folder with safetensors and a fast tokenizer's `tokenizer.json`.
        precision: "int8": weights and activations of all products, embeddings among the weights.
        texts: for int8, such as the model will be given; a development split, never a test split.
        max_length: tokens read of each of them; None: as many as the model has positions.

    Raises:
        LaghuError: no such checkpoint, one that is damaged or of another kind, int8 without texts, a value out of
            bounds, a library that is missing, or a folder with anything else in it than an export.
    """
    quantization.versions()
    if precision not in PRECISIONS:
        raise LaghuError(f"precision {precision!r} is unknown; choose {' or '.join(PRECISIONS)}")
    if precision == "int8" and not texts:
        raise LaghuError("int8 is calibrated on texts; give some of the kind that the model will read")
    folder = folder.resolve()
    if not _replaceable(folder):
        raise LaghuError(f"{folder} is there already, and no export to replace; name another folder")
    length = inference.max_length_of(checkpoint, inference.config_of(checkpoint), max_length)
    model, tokenizer = load(checkpoint)
    with TemporaryDirectory(dir=_parent(folder)) as temporary:
        made = Path(temporary) / "made"
        model.config.save_pretrained(made)
        tokenizer.save_pretrained(made)
        rearranged = FirstTokenClassifier(model) if supports(model) else model
        write_onnx(rearranged, tokenizer.model_input_names, made / engines.ONNX)
        if precision == "int8":
            some = texts[::-(-len(texts) // CALIBRATED_ON)]  # a file may be in the order of its labels
            rows = tokenizer(list(some), truncation=True, max_length=length)["input_ids"]
            _calibrate(made / engines.ONNX, rows)
        if folder.exists():
            folder.rename(Path(temporary) / "before")
        made.rename(folder)


def load(checkpoint: Path) -> tuple[PreTrainedModel, AutoTokenizer]:
    """A checkpoint's classifier, in evaluation mode, and its fast tokenizer.

    Raises:
        LaghuError: as `export` of the checkpoint.
    """
    # What `Classifier` would refuse to read is refused before anything is made of it.
    inference.labels_of(checkpoint, inference.config_of(checkpoint))
    inference.tokenizer_of(checkpoint)
    _refuse_shards_elsewhere(checkpoint)
    try:
        with quantization._muted():
            model, loaded = AutoModelForSequenceClassification.from_pretrained(
                checkpoint, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    except Exception as error:  # of whatever the configuration's values made the library's code stumble over
        raise LaghuError(f"{checkpoint} holds no classifier for transformers to load ({_first_line(error)})") from None
    # transformers would have invented these.
    if lacking := {*loaded["missing_keys"], *(name for name, *_ in loaded["mismatched_keys"])}:
        raise LaghuError(f"{checkpoint.name} lacks {len(lacking)} weights of its configuration, such as {min(lacking)}")
    if not tokenizer.is_fast:
        raise LaghuError(f"{checkpoint.name} has no fast tokenizer; save it with one")
    return model.eval(), tokenizer


def _refuse_shards_elsewhere(checkpoint: Path) -> None:
    """An index of weights names files beside itself.

    Raises:
        LaghuError: it names others, or is no index.
    """
    index = checkpoint / "model.safetensors.index.json"
    if not index.is_file():
        return
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        elsewhere = [name for name in named if Path(name).name != name]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise LaghuError(f"{checkpoint.name}/{index.name} is no index of weights; save the model again") from None
    if elsewhere:
        raise LaghuError(f"{checkpoint.name}/{index.name} names {shown(min(elsewhere))}, which lies elsewhere; weights "
                         "are files of the same folder")


def write_onnx(classifier: nn.Module, names: Sequence[str], file: Path) -> None:
    """Write a module as an ONNX file for batches of any size and length.

    Args:
        classifier: in evaluation mode, token ids and mask to logits, as `FirstTokenClassifier` or a Hugging Face model.
        names: of its inputs.
    """
    import onnx

    # From a mask of ones only an exporter may conclude that there is nothing to mask.
    ids, mask = torch.full((2, 6), 5), torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    # Token types of a single text are all 0: no input, when the embeddings default to them.
    inputs = {name: known[name] for name in names if name != "token_type_ids" and name in known}
    with quantization._muted():
        program = torch.onnx.export(
            classifier, (), kwargs=inputs,
            dynamo=True, opset_version=OPSET, verbose=False,
            dynamic_shapes={name: {0: "batch", 1: "length"} for name in inputs},
            input_names=list(inputs), output_names=["logits"],
        )
    exported: ModelProto = program.model_proto
    quantization._forget_origin(exported)
    onnx.save(exported, file)


def _calibrate(file: Path, rows: Sequence[Sequence[int]]) -> None:
    """Replace the file by one in integers, their ranges taken over the rows of token ids."""
    import onnx

    names = {node.name for node in onnx.load(file).graph.input}
    with quantization._muted():
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

        class Reader(CalibrationDataReader):
            def __init__(self) -> None:
                self._batches = _batches(rows, names)

            def get_next(self) -> dict | None:
                return next(self._batches, None)

        quantized = file.with_name("quantized.onnx")
        quantize_static(
            str(file), str(quantized), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            # What leaves a product is fp32: logits beyond those seen in calibration would all be cut to one value.
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]},
        )
    quantized.replace(file)


def _batches(rows: Sequence[Sequence[int]], names: set[str]) -> Iterator[dict]:
    for batch in by_length([len(row) for row in rows], _CALIBRATION_TOKENS):
        yield engines.inputs([rows[row] for row in batch], names)


def _replaceable(folder: Path) -> bool:
    """Is nothing there, or an export, which can be made again? A checkpoint can't."""
    if not folder.is_dir():
        return not folder.exists()
    names = {file.name for file in folder.iterdir()}
    return not names or (engines.ONNX in names and not any(name.endswith(".safetensors") for name in names))


def _parent(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
