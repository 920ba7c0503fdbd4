"""Extreme compression of the encoder before it ever sees a label: paper 2's four steps, then fine-tuning.

    backbone -> fewer layers, distilled -> narrower FFNs and hidden states, distilled again -> smaller vocabulary
             -> fine-tuned

Both distillations are on masked-language-model logits (`laghu.mlm_distillation`); the teacher of each is the encoder
before it, that of the second with its FFNs cut. Vocabulary and classifier see no teacher. Ours: the steps in another
order (`two_step.order`), and a classifier that is then distilled from an ensemble (`two_step.taught_by`).

Source: Gurgurov, Gregor, van Genabith, Ostermann 2025 (arXiv 2505.16956), as their code does it; where an option is
theirs and where it is ours, `laghu.spec.TwoStep` and the modules that do it say.
"""

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from laghu import backbones, experiment, freshness, mlm_distillation, provenance, texts
from laghu.compression import depth, importance, surgery, vocabulary, width
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques import ensemble_distillation, token_counts
from laghu.techniques.calibration import BATCH_SIZE
from laghu.training import cross_entropy
from laghu.untrained import reported

_NARROWING = {"truncated": width.truncate, "head_aligned": width.truncate_heads, "svd": width.project}
_POSITIONS = {
    "all_real": mlm_distillation.all_real,
    "with_padding": mlm_distillation.with_padding,
    "masked_only": mlm_distillation.masked_only,
}
_MODULES = [
    "backbones", "mlm_distillation", "compression.depth", "compression.importance", "compression.surgery",
    "compression.width",
]
# More texts than go into a row of running text: those of `marathi-text` have 36 tokens on average.
_TEXTS_IN_A_ROW = 8
# Settings of `TwoStep` that both distillations depend on.
_DISTILLING = {
    "texts", "steps", "batch_size", "learning_rate", "warm_up", "mask_probability", "alpha", "rows", "positions",
    "seed",
}


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The encoders on the way, and the classifier fine-tuned from the last, where asked for distilled as well."""
    steps = {"depth": make_shallow, "width": make_narrow, "vocabulary": trim}
    encoders = [experiment.backbone(spec)]
    for step in spec.two_step.order:
        encoders.extend(steps[step](spec, encoders[-1]))
    classifiers = [fine_tune(spec, corpus, encoders[-1])]
    if spec.two_step.taught_by == "ensemble":
        classifiers.append(ensemble_distillation.distil(spec, corpus, teacher, classifiers[-1]))
    return [*encoders[1:], *classifiers]


def make_shallow(spec: RunSpec, before: Stage) -> list[Stage]:
    """Step 1: `two_step.num_hidden_layers` of the encoder's layers, distilled from all of them."""
    settings = spec.two_step

    def build(working: Path) -> dict[str, Any]:
        teacher, tokenizer = _load(before)
        student, _ = _load(before)
        how = "stride" if settings.layers == "random" else settings.layers
        depth.keep_layers(
            student, depth.chosen_layers(how, student.config.num_hidden_layers, settings.num_hidden_layers)
        )
        if settings.layers == "random":
            depth.reinitialise(student, settings.seed)
        return _distil(spec, working, student, teacher, tokenizer)

    fields = {"num_hidden_layers", "layers", *_DISTILLING}
    return [stage("shallow", _MODULES, _inputs(spec, before, fields), build)]


def make_narrow(spec: RunSpec, before: Stage) -> list[Stage]:
    """Steps 2 and 3: FFNs cut by first-order importance, then a smaller hidden size, distilled from before it."""
    settings = spec.two_step

    def build(working: Path) -> dict[str, Any]:
        teacher, tokenizer = _load(before)
        scores = importance.first_order(teacher, _masked_batches(spec, tokenizer))
        kept = importance.top(scores, settings.intermediate_size)
        student, _ = _load(before)
        for model in (teacher, student):
            surgery.cut_neurons(model, kept)
        _NARROWING[settings.width](student, settings.hidden_size)
        return _distil(spec, working, student, teacher, tokenizer)

    fields = {"intermediate_size", "hidden_size", "width", *_DISTILLING}
    return [stage("narrow", _MODULES, _inputs(spec, before, fields), build)]


def trim(spec: RunSpec, before: Stage) -> list[Stage]:
    """Step 4: the counts of the pretraining text, and the encoder with its most frequent tokens."""
    counted = token_counts.count(spec, AutoTokenizer.from_pretrained(before.model), spec.pretraining.text)

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer = _load(before)
        with reported(spec.measuring.country) as report:
            kept = vocabulary.kept_ids(tokenizer, token_counts.load(counted), spec.two_step.vocab_size)
            trimmed = vocabulary.trim(model, tokenizer, kept)
        _save(working, model, trimmed)
        return report

    small = stage("small", ["compression.vocabulary"], _inputs(spec, before, {"vocab_size"}), build)
    return [counted, small]


def fine_tune(spec: RunSpec, corpus: Corpus, encoder: Stage) -> Stage:
    """The classifier on the small encoder, fine-tuned as the baseline is but for the size of its steps."""
    settings, learning_rate = spec.fine_tuning, spec.two_step.classifier_learning_rate

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = experiment.start(spec, corpus, str(encoder.model))
        report = experiment.fit(spec, working, model, tokenizer, rows, settings.epochs, learning_rate, cross_entropy)
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.two_step_distillation"), "encoder": encoder.key,
        "fine_tuning": settings.model_dump(), "learning_rate": learning_rate,
    }
    return stage("two-step", experiment.TRAINING, depends, build)


# ------------------------------------------------------------------------------------------------ parts of the above


def _inputs(spec: RunSpec, before: Stage, fields: set[str]) -> dict[str, Any]:
    """What an encoder on the way depends on; the seed of the run is no part of it."""
    return {
        "recipe": provenance.module_digest("techniques.two_step_distillation"), "before": before.key,
        "text": freshness.text_sha256(spec.pretraining.text), "two_step": spec.two_step.model_dump(include=fields),
        "precision": spec.pretraining.precision, "sequence_length": spec.pretraining.sequence_length,
        "country": spec.measuring.country,
    }


def _load(encoder: Stage) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return AutoModelForMaskedLM.from_pretrained(encoder.model), AutoTokenizer.from_pretrained(encoder.model)


def _save(working: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    model.save_pretrained(working / "model")
    tokenizer.save_pretrained(working / "model")


def _texts(spec: RunSpec) -> tuple[Dataset, Dataset]:
    """The pretraining text without its last `two_step.texts` texts, and these.

    Raises:
        LaghuError: there would be none to train on.
    """
    text, held_out = texts.load(spec.pretraining.text), spec.two_step.texts
    if held_out >= len(text):
        raise LaghuError(f"two_step.texts {held_out} must be below the {len(text)} texts of {spec.pretraining.text!r}")
    return text.select(range(len(text) - held_out)), text.select(range(len(text) - held_out, len(text)))


def _rows(spec: RunSpec, tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """The pretraining text as the student sees it: running text without padding, or a padded text a row.

    No more texts are drawn from it than the steps can need: to tokenize all would take longer than to learn from some.
    """
    text, length, settings = _texts(spec)[0], spec.pretraining.sequence_length, spec.two_step
    rows = settings.steps * settings.batch_size
    order = np.random.default_rng(settings.seed).permutation(len(text))
    if settings.rows == "packed":
        return backbones.pack(text.select(order[: rows * _TEXTS_IN_A_ROW]), tokenizer, length)
    return mlm_distillation.padded(text.select(order[:rows]), tokenizer, length)


def _masked_batches(spec: RunSpec, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Tensor]]:
    """Texts held out from the distillations with tokens to fill in; the same for every seed of a study."""
    rows = mlm_distillation.padded(_texts(spec)[1], tokenizer, spec.pretraining.sequence_length)
    collate = mlm_distillation.RepeatableMasking(
        tokenizer, mlm_probability=spec.two_step.mask_probability, seed=spec.two_step.seed
    )
    return [
        dict(collate([rows[row] for row in range(start, min(start + BATCH_SIZE, len(rows)))]))
        for start in range(0, len(rows), BATCH_SIZE)
    ]


def _distil(
    spec: RunSpec, working: Path, student: PreTrainedModel, teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> dict[str, Any]:
    """Distil on masked-language-model logits, if for any step; save the student."""
    settings = spec.two_step
    if settings.steps:
        report = mlm_distillation.distil(
            student, teacher, tokenizer, _rows(spec, tokenizer), working, spec.measuring.country,
            alpha=settings.alpha, positions=_POSITIONS[settings.positions], steps=settings.steps,
            batch_size=settings.batch_size, learning_rate=settings.learning_rate, warm_up=settings.warm_up,
            mask_probability=settings.mask_probability, precision=spec.pretraining.precision, seed=settings.seed,
        ).as_dict()
    else:
        with reported(spec.measuring.country) as report:
            pass
    _save(working, student, tokenizer)
    return report
