"""What pruning alone gives: one shape with fewer and fewer FFN neurons, all else the same, beside its bound.

Weights are random: they don't matter to the time. ONNX Runtime, fp32, batches without padding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerBase

from laghu import measurement, quantization
from laghu.benchmark import flops
from laghu.benchmark.record import PrunedShape, Quartiles
from laghu.quantization import OnnxClassifier

LEVELS = (0.25, 0.50, 0.75)
BATCH_SIZE, LENGTH = 32, 128
# Two of the twelve layers of the paper's encoder: all are alike, and so are the ratios.
SHAPE = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "num_hidden_layers": 2}
SHAPE_NAME = "2 of 12 layers, 768 wide, 3,072 neurons"


def measure(tokenizer: PreTrainedTokenizerBase, turns: int) -> list[PrunedShape]:
    """Speed-ups at `LEVELS` over the whole shape, in turns, with as many threads as PyTorch has."""
    with _exported(tokenizer) as folders:
        models = {level: OnnxClassifier(folder) for level, (folder, _) in folders.items()}
        timings = measurement.time_in_turns(models, BATCH_SIZE, LENGTH, repeats=turns, warm_up=1)
    whole = flops.of_document(folders[0.0][1], LENGTH)
    return [
        PrunedShape(
            engine="ONNX Runtime, fp32", shape=SHAPE_NAME, pruning_level=level, batch_size=BATCH_SIZE,
            sequence_length=LENGTH, speed_up=Quartiles.of(measurement.speed_up(timings[0.0], timings[level])),
            bound=whole / flops.of_document(folders[level][1], LENGTH),
        )
        for level in LEVELS
    ]


@contextmanager
def _exported(tokenizer: PreTrainedTokenizerBase) -> Iterator[dict[float, tuple[Path, BertConfig]]]:
    with TemporaryDirectory() as temporary:
        made = {}
        for level in (0.0, *LEVELS):
            ffn = round(SHAPE["intermediate_size"] * (1 - level))
            config = BertConfig(**{**SHAPE, "intermediate_size": ffn}, vocab_size=len(tokenizer))
            torch.manual_seed(0)
            folder = Path(temporary) / f"{level}"
            quantization.export(BertForSequenceClassification(config).eval(), tokenizer, folder)
            made[level] = folder, config
        yield made
