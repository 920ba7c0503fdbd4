"""Small things that several test files build on."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: no test asks the network

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from headlines import HEADLINES
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from laghu import backbones, paths, provenance
from laghu.report import book

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def quiet_hours_of_their_own(tmp_path_factory) -> Iterator[None]:
    """Tests wait for no study on this machine, nor it for them (`laghu.quiet`); their processes inherit it."""
    folder = str(tmp_path_factory.mktemp("quiet"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr("tempfile.tempdir", folder)
        yield


@pytest.fixture(scope="session")
def site() -> Path:
    """The rendered book of this repository, every warning an error; built by the first test that asks, if it is stale.

    Workers of pytest-xdist share it, and so do later sessions until a source of the book changes.
    """
    folder = paths.root() / "_build" / "tested"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        return book.build(folder).parent


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A WordPiece of at most 150 pieces, trained on `HEADLINES`."""
    return backbones.train_tokenizer(HEADLINES, vocab_size=150, max_length=64)


@pytest.fixture(scope="session")
def tiny_bert() -> Callable[..., BertForSequenceClassification]:
    """Makes a random classifier: 2 layers of 16 with 4 heads and 12 neurons, 3 labels, no dropout, in eval mode.

    Every parameter is random, biases and layer norms included: zero biases and unit gains hide mistakes.
    """

    def make(seed: int = 0, **config) -> BertForSequenceClassification:
        torch.manual_seed(seed)
        shape = {
            "vocab_size": 160, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 12, "max_position_embeddings": 64, "num_labels": 3,
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        }
        model = BertForSequenceClassification(BertConfig(**shape | config))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.normal_(1.0 if "LayerNorm.weight" in name else 0.0, 0.5)
        return model.eval()

    return make


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Six rows of token ids, three of them padded, with labels out of three."""
    generator = torch.Generator().manual_seed(7)
    mask = torch.ones(6, 9, dtype=torch.long)
    for row, length in enumerate([9, 4, 9, 6, 9, 2]):
        mask[row, length:] = 0
    ids = torch.randint(5, 160, (6, 9), generator=generator) * mask
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 2, 0, 1, 2])}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A checkout of its own: Laghu reads and writes there, with this repository's templates, studies and pins."""
    for name in ("pyproject.toml", "requirements.lock", "CITATION.cff"):
        shutil.copy(REPOSITORY / name, tmp_path)
    for name in ("notebooks", "studies"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    provenance.pins.cache_clear()
    yield tmp_path
    provenance.pins.cache_clear()


@pytest.fixture
def order(monkeypatch) -> list[str]:
    """What is brought onto the disk and what is renamed, in order."""
    seen = []
    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def noted_fsync(descriptor: int) -> None:
        seen.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", lambda path, to: (seen.append(f"rename {to.name}"), rename(path, to))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (seen.append(f"rename {to.name}"), replace(path, to))[1])
    return seen
