"""A shipped folder in seconds: random weights, but the files, the tokenizers and the integers of a real one."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from random_models import random_model
from transformers import BertConfig, BertForSequenceClassification

from laghu import backbones, corpora, deployment, sample
from laghu.shipping import card, files, manifest
from laghu.shipping.manifest import Manifest, Model, Origin, Shape

MAX_LENGTH = 24
LABELS = list(corpora.LABELS)
_NAMED = {"num_labels": len(LABELS), "id2label": dict(enumerate(LABELS)),
          "label2id": {label: place for place, label in enumerate(LABELS)}}
_ESTIMATE = {"value": 0.625, "low": 0.5, "high": 0.75}
_VIEWS = {"published": _ESTIMATE, "deduplicated": _ESTIMATE, "clean": _ESTIMATE}


def make(folder: Path) -> Manifest:
    """Write a small model and its teacher, their manifest and their card."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Manifest(
        study="tiny", seed=0, labels=LABELS, max_length=MAX_LENGTH,
        small=_model(folder, "small", vocab_size=900, hidden_size=16, num_hidden_layers=1),
        teacher=_model(folder, "teacher", vocab_size=400, hidden_size=32, num_hidden_layers=2),
        corpus="sample", synthetic=True, rows={"published": 240, "deduplicated": 240, "clean": 240}, text="sample",
        origins=[Origin(name="sample", part_of="sample", repository=None, rows=1920, licence=sample.LICENCE,
                        citation="Laghu <script>alert(1)</script>")],
        licence=sample.LICENCE, run_key="1" * 64, data_sha256="2" * 64, corpus_sha256="3" * 64, commit="4" * 40,
        versions={"onnx": "1.2.3"}, made=datetime(2026, 11, 1, tzinfo=UTC),
        settings={"technique": "pruning", "pretraining": {"text": "sample", "steps": 6}},
    )
    made.save(folder)
    (folder / manifest.CARD).write_text(card.text(made), encoding="utf-8")
    (folder / card.NOTICE).write_text(card.notice(made), encoding="utf-8")
    return made


def _model(folder: Path, name: str, vocab_size: int, **shape: int) -> Model:
    texts = [headline.text for headline in sample.splits()["train"]]
    tokenizer = backbones.train_tokenizer(texts, vocab_size, max_length=64)
    model = random_model(BertConfig, BertForSequenceClassification, **_NAMED, **shape, vocab_size=len(tokenizer))
    with torch.no_grad():  # calm enough for answers that differ from text to text and are not all certain
        for parameter in model.bert.encoder.parameters():
            parameter.mul_(0.3 if parameter.ndim == 2 else 1)
    with TemporaryDirectory() as temporary:
        checkpoint, deployed = Path(temporary) / "checkpoint", Path(temporary) / "deployed"
        model.save_pretrained(checkpoint)
        tokenizer.save_pretrained(checkpoint)
        deployment.export(checkpoint, deployed, "int8", texts[:100], MAX_LENGTH)
        weights, vocabulary = files.pack(deployed, folder, name, MAX_LENGTH)
    return Model(
        run=f"{name}-seed0", stage="5" * 64, parameters=sum(p.numel() for p in model.parameters()),
        shape=Shape(**{field: getattr(model.config, field) for field in Shape.model_fields}),
        weights=weights, vocabulary=vocabulary, accuracy=_VIEWS, macro_f1=_VIEWS,
    )
