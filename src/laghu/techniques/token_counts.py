"""How often each token occurs in a source of text: a stage of its own, for many students trim by the same counts."""

from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from laghu import freshness, provenance, texts
from laghu.compression import vocabulary
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.untrained import reported

_FILE = "counts.npy"


def count(spec: RunSpec, tokenizer: PreTrainedTokenizerBase, source: str) -> Stage:
    """Count the tokens of a source of `laghu.texts`; see `laghu.compression.vocabulary.frequencies`."""

    def build(working: Path) -> dict[str, Any]:
        with reported(spec.measuring.country) as report:
            np.save(working / _FILE, vocabulary.frequencies(tokenizer, texts.load(source)["text"]))
        return report

    inputs = {
        "recipe": provenance.module_digest("techniques.token_counts"), "country": spec.measuring.country,
        "tokens": provenance.digest(tokenizer.get_vocab()), "text": freshness.text_sha256(source),
    }
    return stage("counted", ["compression.vocabulary"], inputs, build)


def load(counted: Stage) -> np.ndarray:
    """The counts by token id, int64."""
    return np.load(counted.folder / _FILE)
