"""Where the linear layers of a BERT-like encoder are; the one place that spells their attribute names."""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from laghu.errors import LaghuError

SUPPORTED = ("bert", "roberta", "xlm-roberta", "electra")


@dataclass(frozen=True)
class Layer:
    """One transformer layer. Shapes of the weights, with d = hidden size and f = intermediate size:

    `query`, `key`, `value`, `attention_output`: (d, d); `up`: (f, d); `down`: (d, f).
    """

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    up: nn.Linear
    down: nn.Linear


def layers(model: PreTrainedModel) -> list[Layer]:
    """The encoder layers of a BERT, RoBERTa, XLM-R or ELECTRA model, first to last.

    Raises:
        LaghuError: another architecture, by name.
    """
    if model.config.model_type not in SUPPORTED:
        raise LaghuError(f"model type {model.config.model_type!r} can't be pruned; supported: {', '.join(SUPPORTED)}")
    return [
        Layer(
            query=layer.attention.self.query,
            key=layer.attention.self.key,
            value=layer.attention.self.value,
            attention_output=layer.attention.output.dense,
            up=layer.intermediate.dense,
            down=layer.output.dense,
        )
        for layer in model.base_model.encoder.layer
    ]
