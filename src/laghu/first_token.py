"""A classifier whose last layer works for one token only: the same logits from less arithmetic.

BERT's kind of classifier reads the first token of the last layer and nothing else. All other tokens of that layer have
only to be attended to: they need keys and values, and no queries, no output projection, no FFN. That saves most of one
layer; in an encoder that has no other, most of everything.

The saving is exact. It is not among the compression techniques, because it changes no weight: a deployment should do it
for every model, and a comparison of models should do it for all of them.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

# Model types whose layers are built as BERT's are, and whose head reads the first token.
MODEL_TYPES = ("bert", "electra", "roberta", "xlm-roberta")


class FirstTokenClassifier(nn.Module):
    """A Hugging Face classifier of texts, rearranged; it shares the model's weights and works in evaluation mode."""

    def __init__(self, model: PreTrainedModel) -> None:
        """
        Args:
            model: of a type in `MODEL_TYPES`; see `supports`.
        """
        super().__init__()
        base = model.base_model
        self._heads = model.config.num_attention_heads
        self.embeddings = base.embeddings
        # ELECTRA's may be narrower than its layers.
        self.widen = getattr(base, "embeddings_project", nn.Identity())
        self.layers = base.encoder.layer
        self.pool = getattr(base, "pooler", None) or nn.Identity()
        self.head = model.classifier
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits, (texts, labels) float32, of ids and mask, (texts, length) int64."""
        hidden = self.widen(self.embeddings(input_ids=input_ids, token_type_ids=token_type_ids))
        hidden_from = torch.finfo(hidden.dtype).min * (attention_mask == 0)[:, None, None, :].to(hidden.dtype)
        for layer in self.layers[:-1]:
            hidden = self._layer(layer, hidden, hidden, hidden_from)
        return self.head(self.pool(self._first_of_last_layer(hidden, hidden_from)))

    def _first_of_last_layer(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """The last layer's output for the first token, (texts, 1, hidden size)."""
        return self._layer(self.layers[-1], hidden[:, :1], hidden, mask)

    def _layer(self, layer: Any, wanted: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        """The layer's output for the wanted tokens, (texts, wanted, hidden size), from all tokens that come in."""
        attention = layer.attention.self
        query, key, value = map(self._split, (attention.query(wanted), attention.key(hidden), attention.value(hidden)))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + mask
        attended = (functional.softmax(scores, dim=-1) @ value).transpose(1, 2).flatten(2)
        attended = layer.attention.output(attended, wanted)
        return layer.output(layer.intermediate(attended), attended)

    def _split(self, states: Tensor) -> Tensor:
        """(texts, length, hidden size) to (texts, heads, length, head size)."""
        return states.unflatten(-1, (self._heads, -1)).transpose(1, 2)


def supports(model: PreTrainedModel) -> bool:
    """Is it a classifier of texts that `FirstTokenClassifier` can rearrange?"""
    config = model.config
    return (config.model_type in MODEL_TYPES and not config.is_decoder
            and type(model).__name__.endswith("ForSequenceClassification"))
