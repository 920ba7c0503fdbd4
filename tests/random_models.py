"""Small models with every parameter random, for tests of what cuts them."""

import torch
from transformers import BertConfig, BertForMaskedLM, ElectraConfig


def random_model(config=BertConfig, kind=BertForMaskedLM, seed=0, **shape):
    """Everything random, biases and layer norms included, and no dropout. 2 layers of 16 with 4 heads of 4."""
    torch.manual_seed(seed)
    electra = {"embedding_size": shape.get("hidden_size", 16)} if config is ElectraConfig else {}
    model = kind(config(**{
        "vocab_size": 160, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 12, "max_position_embeddings": 64, "num_labels": 3,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    } | electra | shape))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm.weight" in name.lower() else 0.0, 0.5)
    return model.eval()
