"""Small encoders of every architecture that can be pruned."""

from typing import Any


def shapes(hidden_size: int, heads: int, neurons: int) -> dict[str, dict[str, Any]]:
    """Two layers of each, in the names of its own configuration."""
    bert = {"hidden_size": hidden_size, "num_hidden_layers": 2, "num_attention_heads": heads,
            "intermediate_size": neurons}
    return {
        "bert": bert,
        "roberta": bert,
        "xlm-roberta": bert,
        "electra": bert | {"embedding_size": hidden_size},
        "distilbert": {"dim": hidden_size, "n_layers": 2, "n_heads": heads, "hidden_dim": neurons},
        "modernbert": bert | {"local_attention": 8, "global_attn_every_n_layers": 2},
    }
