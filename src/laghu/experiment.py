"""What every run begins with, and what every training of one shares; a notebook calls its steps one after the other.

    corpus -> backbone -> teacher -> the stages of a technique (`laghu.techniques`)

Each step is a stage: made once, kept under the key of all it depends on, resumed when interrupted.
"""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from laghu import backbones, corpora, distillation, evaluation, freshness, measurement, provenance, texts
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.training import ClassifierTrainer, Objective, arguments, cross_entropy, tokenize, train

# Modules whose code a trained stage depends on; what only measures it is not among them.
TRAINING = ["backbones", "training"]
# On a GPU, rows called fp32 keep fp32 weights and take their products in TF32, as PyTorch's users commonly do.
GPU_FP32_PRODUCTS = "high"
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


# ------------------------------------------------------------------------------------------------ before training


def begin(spec: RunSpec) -> Corpus:
    """Check what can be checked before any work, then load the corpus.

    Raises:
        LaghuError: the precision is not to be had on this machine, or the corpus is not.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for precision in {spec.precision, spec.pretraining.precision}:
        if reason := measurement.supports(precision, device):
            raise LaghuError(f"precision {precision!r}: {reason}")
    if device == "cuda":
        torch.set_float32_matmul_precision(GPU_FP32_PRODUCTS)
    # Their bars and notices would fill executed notebooks; Laghu shows its own progress.
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return corpora.load(spec.corpus)


# ------------------------------------------------------------------------------------------------ stages


def backbone(spec: RunSpec) -> Stage:
    """An encoder and tokenizer pretrained here; the same for all seeds of a study."""
    settings, architecture = spec.pretraining, spec.architecture

    def build(working: Path) -> dict[str, Any]:
        text = texts.load(settings.text)
        report = backbones.pretrain(text, architecture, settings, working, spec.measuring.country)
        return report.as_dict()

    inputs = {
        "country": spec.measuring.country,
        "architecture": architecture.model_dump(),
        "pretraining": settings.model_dump(),
        "text": freshness.text_sha256(settings.text),
    }
    return stage("backbone", ["backbones"], inputs, build)


def baseline(spec: RunSpec, corpus: Corpus) -> Stage:
    """The unpruned classifier, fine-tuned in the run's precision."""
    settings = spec.fine_tuning
    name, origin = (spec.model, spec.model) if spec.model else _from_backbone(spec)

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = start(spec, corpus, name)
        report = fit(spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, cross_entropy)
        return finish(spec, corpus, working, model, tokenizer, report)

    depends = {**inputs(spec, corpus), "origin": origin, "fine_tuning": settings.model_dump()}
    return stage("baseline", TRAINING, depends, build)


def teacher(spec: RunSpec, corpus: Corpus) -> Stage:
    """The baseline of the same seed in fp32: where pruning starts, and what a student learns from."""
    return baseline(spec.model_copy(update={"precision": "fp32"}), corpus)


def load(stage: Stage, precision: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The stage's classifier with weights in the given precision, ready for inference, and its tokenizer."""
    model = AutoModelForSequenceClassification.from_pretrained(stage.model, dtype=_DTYPES[precision])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval(), AutoTokenizer.from_pretrained(stage.model)


# ------------------------------------------------------------------------------------------------ parts of the above


def inputs(spec: RunSpec, corpus: Corpus, technique: str = "experiment") -> dict[str, Any]:
    """What every stage after the backbone depends on.

    Args:
        technique: the module that builds the stage. `recipe` covers it and this one alone: what they import for
            measuring does not change what is trained.
    """
    return {
        "recipe": sorted({provenance.module_digest("experiment"), provenance.module_digest(technique)}),
        "corpus": corpus.sha256,
        "seed": spec.seed,
        "precision": spec.precision,
        "country": spec.measuring.country,
    }


def _from_backbone(spec: RunSpec) -> tuple[str, str]:
    pretrained = backbone(spec)
    return str(pretrained.model), pretrained.key


def start(spec: RunSpec, corpus: Corpus, name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Dataset]:
    """The model that a training starts from, its tokenizer and the tokenized training rows."""
    set_seed(spec.seed)
    model, tokenizer = backbones.load_classifier(name, corpus.labels)
    return model, tokenizer, tokenize(corpus.splits["train"], tokenizer, spec.fine_tuning.max_length)


def fit(
    spec: RunSpec, working: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset,
    epochs: float, learning_rate: float, objective: Objective, **trainer_options: Any,
) -> dict[str, Any]:
    """Train with what all trainings of a run share; returns the training's report."""
    settings = spec.fine_tuning
    args = arguments(
        working / "trainer", epochs=epochs, batch_size=settings.batch_size, learning_rate=learning_rate,
        warm_up=settings.warm_up, weight_decay=settings.weight_decay, precision=spec.precision, seed=spec.seed,
    )
    trainer = ClassifierTrainer(
        model, args, DataCollatorWithPadding(tokenizer), rows, processing_class=tokenizer, objective=objective,
        **trainer_options,
    )
    return train(trainer, spec.measuring.country).as_dict()


def finish(
    spec: RunSpec, corpus: Corpus, working: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
    report: dict[str, Any],
) -> dict[str, Any]:
    """Save the checkpoint and add its accuracy on the development split to the report."""
    model.save_pretrained(working / "model")
    tokenizer.save_pretrained(working / "model")
    split = corpus.splits["validation"]
    predictions = predict_logits(spec, split["text"], model, tokenizer).argmax(-1)
    return report | {"development_accuracy": evaluation.accuracy(np.asarray(split["label"]), predictions)}


def predict_logits(
    spec: RunSpec, split_texts: list[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> np.ndarray:
    """Logits of shape (texts, labels), with the run's batch size and length."""
    return evaluation.logits(
        model, tokenizer, split_texts, batch_size=spec.measuring.batch_size, max_length=spec.fine_tuning.max_length
    )


def with_teacher_logits(spec: RunSpec, corpus: Corpus, rows: Dataset, teacher: Stage) -> Dataset:
    """The rows of the training split with the teacher's logits on them."""
    model, tokenizer = load(teacher, "fp32")
    split_texts = corpus.splits["train"]["text"]
    return distillation.with_teacher_logits(rows, model, tokenizer, split_texts, spec.fine_tuning.max_length)
