"""The training steps of a run, by their names in the literature; a notebook calls them one after the other.

    corpus -> backbone -> teacher -> prune -> distil
                                  -> train on (a control)

Each step is a stage: made once, kept under the key of all it depends on, resumed when interrupted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
from laghu.compression import movement, surgery
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.training import ClassifierTrainer, Objective, arguments, cross_entropy, tokenize, train

# Modules whose code a trained stage depends on; what only measures it is not among them.
_TRAINING = ["backbones", "training"]
_PRUNING = [*_TRAINING, "distillation", "compression.movement", "compression.surgery"]
_METHODS = {"topk": movement.TOPK, "sigmoid": movement.SIGMOID}
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
        model, tokenizer, rows = _start(spec, corpus, name)
        report = _fit(spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, cross_entropy)
        return _finish(spec, corpus, working, model, tokenizer, report)

    inputs = {**_common_inputs(spec, corpus), "origin": origin, "fine_tuning": settings.model_dump()}
    return stage("baseline", _TRAINING, inputs, build)


def teacher(spec: RunSpec, corpus: Corpus) -> Stage:
    """The baseline of the same seed in fp32: where pruning starts, and what a student learns from."""
    return baseline(spec.model_copy(update={"precision": "fp32"}), corpus)


def train_on(spec: RunSpec, corpus: Corpus, teacher: Stage) -> Stage:
    """The control of pruning: the teacher trained on for as long as pruning takes, with nothing removed.

    Without it, what a pruned model gains from more training would pass for an effect of pruning.
    """
    settings = spec.pruning

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = _start(spec, corpus, str(teacher.model))
        report = _fit(spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, cross_entropy)
        return _finish(spec, corpus, working, model, tokenizer, report)

    inputs = {
        **_common_inputs(spec, corpus), "teacher": teacher.key, "fine_tuning": spec.fine_tuning.model_dump(),
        "epochs": settings.epochs, "learning_rate": settings.learning_rate,
    }
    return stage("continued", _TRAINING, inputs, build)


def prune(spec: RunSpec, corpus: Corpus, teacher: Stage) -> Stage:
    """Block movement pruning of the teacher to `1 - pruning_level` of its FFN neurons, then surgery.

    With `distillation="joint"` the teacher is distilled into the model while it is pruned (Lagunas et al. 2021,
    section 3.4); otherwise it trains on the labels alone.
    """
    settings, joint = spec.pruning, spec.distillation == "joint"

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = _start(spec, corpus, str(teacher.model))
        objective = cross_entropy
        if joint:
            objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
            rows = _with_teacher_logits(spec, corpus, rows, teacher)
        method = _METHODS[settings.method]
        scores = movement.attach(model, method, settings.attention, settings.block_size)
        if settings.method == "sigmoid":
            objective = movement.penalized(objective, scores, settings.penalty)
        final = 1 - spec.pruning_level if settings.method == "topk" else movement.SIGMOID_THRESHOLD
        schedule = partial(
            movement.cubic_schedule, initial=method.initial, final=final,
            warm_up=settings.warm_up, cool_down=settings.cool_down,
        )
        optimizer = movement.optimizer(
            model, scores, settings.learning_rate, settings.score_learning_rate, spec.fine_tuning.weight_decay
        )
        report = _fit(
            spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, objective,
            callbacks=[movement.ThresholdCallback(scores, schedule)], optimizers=(optimizer, None),
        )
        report["thresholds"] = [schedule(step, report["steps"]) for step in range(report["steps"] + 1)]
        report["scores"] = [layer.values.detach().flatten().tolist() for layer in scores.neurons]
        report["kept"] = [indices.tolist() for indices in scores.kept_neurons()]
        probe = partial(predict_logits, spec, corpus.splits["validation"]["text"][:256], tokenizer=tokenizer)
        with _exact_products():
            masked = probe(model)
            surgery.excise(model, scores)
            report["surgery_error"] = float(np.abs(probe(model) - masked).max())
        return _finish(spec, corpus, working, model, tokenizer, report)

    inputs = {
        **_common_inputs(spec, corpus), "teacher": teacher.key, "pruning_level": spec.pruning_level,
        "pruning": settings.model_dump(), "fine_tuning": spec.fine_tuning.model_dump(),
        "distilling": spec.distilling.model_dump() if joint else None,
    }
    return stage("pruned", _PRUNING, inputs, build)


def distil(spec: RunSpec, corpus: Corpus, teacher: Stage, student: Stage) -> Stage:
    """Distil the teacher into an already pruned student: the second stage that paper 1 describes."""
    settings = spec.fine_tuning

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = _start(spec, corpus, str(student.model))
        rows = _with_teacher_logits(spec, corpus, rows, teacher)
        objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
        report = _fit(
            spec, working, model, tokenizer, rows, spec.distilling.epochs, settings.learning_rate, objective
        )
        return _finish(spec, corpus, working, model, tokenizer, report)

    inputs = {
        **_common_inputs(spec, corpus), "teacher": teacher.key, "student": student.key,
        "fine_tuning": settings.model_dump(), "distilling": spec.distilling.model_dump(),
    }
    return stage("distilled", _PRUNING, inputs, build)


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The stages that the run's technique trains, in order.

    Without pruning that is the classifier, fine-tuned in the run's precision, or the control trained on. With it, the
    pruned model and, where distillation follows pruning, the distilled one; the pruned model is then the one of the run
    without distillation.
    """
    if spec.technique == "continued":
        return [train_on(spec, corpus, teacher)]
    if not spec.pruning_level:
        return [baseline(spec, corpus)]
    pruned = prune(spec, corpus, teacher)
    return [pruned, distil(spec, corpus, teacher, pruned)] if spec.distillation == "after" else [pruned]


def load(stage: Stage, precision: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The stage's classifier with weights in the given precision, ready for inference, and its tokenizer."""
    model = AutoModelForSequenceClassification.from_pretrained(stage.model, dtype=_DTYPES[precision])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval(), AutoTokenizer.from_pretrained(stage.model)


# ------------------------------------------------------------------------------------------------ parts of the above


def _common_inputs(spec: RunSpec, corpus: Corpus) -> dict[str, Any]:
    """What every stage after the backbone depends on.

    `recipe` is this module alone: what it imports for measuring does not change what is trained.
    """
    return {
        "recipe": provenance.module_digest("experiment"),
        "corpus": corpus.sha256,
        "seed": spec.seed,
        "precision": spec.precision,
        "country": spec.measuring.country,
    }


def _from_backbone(spec: RunSpec) -> tuple[str, str]:
    pretrained = backbone(spec)
    return str(pretrained.model), pretrained.key


def _start(spec: RunSpec, corpus: Corpus, name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Dataset]:
    """The model that a training starts from, its tokenizer and the tokenized training rows."""
    set_seed(spec.seed)
    model, tokenizer = backbones.load_classifier(name, corpus.labels)
    return model, tokenizer, tokenize(corpus.splits["train"], tokenizer, spec.fine_tuning.max_length)


def _fit(
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


def _finish(
    spec: RunSpec, corpus: Corpus, working: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
    report: dict[str, Any],
) -> dict[str, Any]:
    """Save the checkpoint and add its accuracy on the development split to the report."""
    model.save_pretrained(working / "model")
    tokenizer.save_pretrained(working / "model")
    split = corpus.splits["validation"]
    predictions = predict_logits(spec, split["text"], model, tokenizer).argmax(-1)
    return report | {"development_accuracy": evaluation.accuracy(np.asarray(split["label"]), predictions)}


@contextmanager
def _exact_products() -> Iterator[None]:
    """Products of fp32 numbers in fp32, for a comparison that TF32 would blur."""
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(usual)


def predict_logits(
    spec: RunSpec, split_texts: list[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> np.ndarray:
    """Logits of shape (texts, labels), with the run's batch size and length."""
    return evaluation.logits(
        model, tokenizer, split_texts, batch_size=spec.measuring.batch_size, max_length=spec.fine_tuning.max_length
    )


def _with_teacher_logits(spec: RunSpec, corpus: Corpus, rows: Dataset, teacher: Stage) -> Dataset:
    model, tokenizer = load(teacher, "fp32")
    split_texts = corpus.splits["train"]["text"]
    return distillation.with_teacher_logits(rows, model, tokenizer, split_texts, spec.fine_tuning.max_length)
