"""A deployed classifier as two compressed files, weights and vocabulary, and back.

They are compressed here because not every host of static pages does that.
"""

import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from laghu import engines, inference
from laghu.shipping import vocabulary
from laghu.shipping.manifest import File


def pack(deployed: Path, folder: Path, name: str, max_length: int) -> tuple[File, File]:
    """Write weights and vocabulary of a folder made by `laghu.deployment.export`; the same bytes at any time.

    Args:
        name: of the model, which the files' names begin with.
        max_length: tokens to read of a text.

    Raises:
        LaghuError: the tokenizer is none that the live page could read.
    """
    pieces = vocabulary.text(inference.tokenizer_of(deployed), max_length)
    return (_packed((deployed / engines.ONNX).read_bytes(), folder / _weights(name)),
            _packed(pieces.encode(), folder / _vocabulary(name)))


def unpack(folder: Path, name: str, labels: Sequence[str], target: Path) -> None:
    """Write the model of that name as a folder that `laghu.inference.Classifier` reads.

    Args:
        labels: in the order of the model's scores.
        target: receives the files; is there already.
    """
    content = gzip.decompress((folder / _vocabulary(name)).read_bytes()).decode()
    vocabulary.tokenizer(content).save(str(target / "tokenizer.json"))
    (target / engines.ONNX).write_bytes(gzip.decompress((folder / _weights(name)).read_bytes()))
    config = {
        "architectures": ["BertForSequenceClassification"],
        "id2label": dict(enumerate(labels)),
        "max_position_embeddings": vocabulary.max_length(content),
    }
    (target / "config.json").write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")


def _weights(name: str) -> str:
    return f"{name}.onnx.gz"


def _vocabulary(name: str) -> str:
    return f"{name}.vocabulary.gz"


def _packed(content: bytes, file: Path) -> File:
    packed = gzip.compress(content, 9, mtime=0)
    file.write_bytes(packed)
    return File(name=file.name, bytes=len(packed), sha256=hashlib.sha256(packed).hexdigest())
