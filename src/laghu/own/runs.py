"""From a reader's settings to the runs that follow from them."""

import hashlib
import os
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from laghu import paths
from laghu.compression import layout
from laghu.errors import LaghuError
from laghu.own.settings import Settings
from laghu.spec import OWN, Architecture, RunSpec, checked

# A wide encoder takes smaller steps: 5e-5 for BERT-base (Devlin et al. 2019, appendix A.3), and more by as much as one
# is narrower.
_WIDTH, _LEARNING_RATE, _LARGEST_LEARNING_RATE = 768, 5e-5, 1e-3
# Tokens beyond which a text is cut whatever a model can read: time grows faster than length.
_LONGEST = 512
# Of an encoder that is pretrained on the reader's own texts, for want of another.
_SMALL = Architecture(vocab_size=4000)


def base_config(settings: Settings) -> Any:
    """Configuration of the model to compress; None where there is none.

    Raises:
        LaghuError: it can't be had, or is of an architecture that can't be pruned.
    """
    if settings.model is None:
        return None
    try:
        config = AutoConfig.from_pretrained(settings.model, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise LaghuError(
            f"model {settings.model!r} can't be had: it is neither a folder with config.json nor a name that the "
            f"Hugging Face hub answers to from here ({(str(error).splitlines() or [''])[0]})"
        ) from error
    layout.require_prunable(config)
    return config


def runs(settings: Settings, labels: list[str], max_length: int) -> list[RunSpec]:
    """The unpruned classifier, and a pruned and distilled one for each level.

    Args:
        labels: of the corpus, in their order.
        max_length: tokens read of a text.

    Raises:
        LaghuError: as `base_config`, or values that do not go together.
    """
    config = base_config(settings)
    rate = settings.learning_rate or _learning_rate(_SMALL.hidden_size if config is None else config.hidden_size)
    corpus = f"{OWN}{settings.folder / 'data'}"
    common = {
        "study": "own", "corpus": corpus, "seed": settings.seed, "model": _pinned(settings.model),
        "architecture": _SMALL.model_dump(), "pretraining": {"text": corpus, "steps": settings.pretraining_steps},
        "fine_tuning": {
            "epochs": _epochs(settings, config, labels), "batch_size": settings.batch_size, "max_length": max_length,
            "learning_rate": rate,
        },
        "pruning": {"epochs": settings.pruning_epochs, "learning_rate": rate},
        "measuring": {"country": settings.country, "sequence_length": max_length},
    }
    if config is not None:
        del common["architecture"], common["pretraining"]
    return [
        checked(RunSpec, {**common, "technique": "baseline"}),
        *(checked(RunSpec, {
            **common, "technique": "pruning_distillation", "distillation": "joint", "pruning_level": level / 100,
        }) for level in settings.levels),
    ]


def knows(config: Any, labels: list[str]) -> bool:
    """Is it the configuration of a classifier that has been trained to give exactly these labels?"""
    names = [str(name) for name in (config.id2label or {}).values()]
    return sorted(names) == sorted(labels) and any("Classification" in name for name in config.architectures or [])


def positions(config: Any) -> int:
    """Tokens that the model can read at once; of one that is pretrained here where there is no configuration."""
    if config is None:
        return _SMALL.max_position_embeddings
    # RoBERTa and its kin count positions from the one after padding.
    taken = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta") else 0
    return min(config.max_position_embeddings - taken, _LONGEST)


def _epochs(settings: Settings, config: Any, labels: list[str]) -> float:
    if settings.epochs is not None:
        return settings.epochs
    return 0 if config is not None and knows(config, labels) else 5


def _learning_rate(hidden_size: int) -> float:
    return min(_LARGEST_LEARNING_RATE, _LEARNING_RATE * _WIDTH / hidden_size)


def _pinned(model: str | None) -> str | None:
    """A name of the hub as it is; of a folder a link that bears the digest of what is in it.

    What is trained is found again by the name of what it was trained from: a folder whose content changes under its
    name would pass for what it was.
    """
    if not model or not Path(model).is_dir():
        return model
    sha = hashlib.sha256()
    for file in sorted(path for path in Path(model).iterdir() if path.is_file()):
        sha.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as content:
            sha.update(hashlib.file_digest(content, "sha256").digest())
    link = paths.checkpoints() / f"given-{sha.hexdigest()[:16]}"
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(Path(model).resolve(), target_is_directory=True)
    fresh.replace(link)  # another call may be reading it
    return str(link)
