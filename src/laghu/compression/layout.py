"""Where the linear layers of an encoder are; the one place that spells their attribute names."""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from laghu.errors import LaghuError

# Built as BERT is, throughout.
SUPPORTED = ("bert", "roberta", "xlm-roberta", "electra")
# Those whose FFN neurons can be cut.
PRUNABLE = (*SUPPORTED, "distilbert", "modernbert")


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


@dataclass(frozen=True)
class FeedForward:
    """The FFN of one layer. Shapes of the weights: `up`: (p f, d); `down`: (d, f).

    p is 1, or 2 where each neuron is multiplied by a gate (Shazeer 2020, arXiv 2002.05202): then row i of `up` is
    neuron i and row f + i its gate.
    """

    up: nn.Linear
    down: nn.Linear

    @property
    def neurons(self) -> int:
        """The intermediate size f."""
        return self.down.in_features

    @property
    def parts(self) -> int:
        """Rows of `up` that make one neuron."""
        return self.up.out_features // self.down.in_features


def layers(model: PreTrainedModel) -> list[Layer]:
    """The encoder layers of a BERT, RoBERTa, XLM-R or ELECTRA model, first to last.

    Raises:
        LaghuError: another architecture, by name.
    """
    if model.config.model_type not in SUPPORTED:
        raise LaghuError(
            f"model type {model.config.model_type!r} can't be cut but in its FFN neurons; what can is "
            f"{', '.join(SUPPORTED)}"
        )
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


def feed_forwards(model: PreTrainedModel) -> list[FeedForward]:
    """The FFNs of a model of a type in `PRUNABLE`, first to last.

    Raises:
        LaghuError: another architecture, by name.
    """
    require_prunable(model.config)
    match model.config.model_type:
        case "distilbert":
            return [FeedForward(layer.ffn.lin1, layer.ffn.lin2) for layer in encoder(model).layer]
        case "modernbert":
            return [FeedForward(layer.mlp.Wi, layer.mlp.Wo) for layer in encoder(model)]
    return [FeedForward(layer.up, layer.down) for layer in layers(model)]


def require_prunable(config: PreTrainedConfig) -> None:
    """
    Raises:
        LaghuError: an architecture that is not in `PRUNABLE`, by name.
    """
    if config.model_type not in PRUNABLE:
        raise LaghuError(f"model type {config.model_type!r} can't be pruned; supported: {', '.join(PRUNABLE)}")


def encoder(model: PreTrainedModel) -> nn.Module:
    """What holds the layers of a model, and nothing else but a norm among them."""
    base = model.base_model
    match model.config.model_type:
        case "distilbert":
            return base.transformer
        case "modernbert":
            return base.layers
    return base.encoder


def intermediate_size(config: PreTrainedConfig) -> int:
    """Neurons of an FFN."""
    return getattr(config, _name_of_intermediate_size(config))


def set_intermediate_size(config: PreTrainedConfig, neurons: int) -> None:
    setattr(config, _name_of_intermediate_size(config), neurons)


def feed_forward_matrices(config: PreTrainedConfig) -> int:
    """Matrices of d x f in an FFN: one up, one down, and one for the gates where there are any."""
    return 3 if config.model_type == "modernbert" else 2


def _name_of_intermediate_size(config: PreTrainedConfig) -> str:
    return "hidden_dim" if config.model_type == "distilbert" else "intermediate_size"
