"""A student of its own: a shape and a vocabulary chosen for speed, with nothing of the teacher's but its answers.

    word vectors from counts -> [unlabelled text labelled by the ensemble] -> trained on the ensemble's scores

Nothing is copied from the teacher, so nothing ties the student to the teacher's width or to its word pieces. With a
vocabulary of whole words a headline has half as many tokens; its embeddings take room, but no time. There is no
masked-language modelling either: what the text teaches, it teaches through the ensemble's scores.

Ours; after Turc, Chang, Lee, Toutanova 2019 (arXiv 1908.08962), whose small students are pretrained before they are
taught over unlabelled text, and Tang et al. 2019 (arXiv 1903.12136), whose is not and starts from word vectors.
"""

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from laghu import distillation, evaluation, experiment, freshness
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques import ensemble_distillation
from laghu.training import tokenize
from laghu.untrained import reported


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The untrained student, the ensemble's scores on text and training split, the student taught by them."""
    untrained, labelled = vectors(spec), label(spec, corpus, teacher)
    return [untrained, labelled, teach(spec, corpus, untrained, labelled)]


def vectors(spec: RunSpec) -> Stage:
    """An encoder of the student's shape with its tokenizer: word vectors from counts alone, all else random.

    See `backbones.cooccurrence_embeddings`. One serves every seed of a study.
    """
    shape = spec.student.shape
    # A row of running text is only counted over, never read by the encoder.
    pretraining = spec.pretraining.model_copy(update={"steps": 0})
    return experiment.backbone(spec.model_copy(update={"architecture": shape, "pretraining": pretraining}))


def label(spec: RunSpec, corpus: Corpus, teacher: Stage) -> Stage:
    """The training split and the unlabelled texts with the ensemble's scores: the same for students of any shape."""
    settings = spec.ensemble

    def build(working: Path) -> dict[str, Any]:
        with reported(spec.measuring.country) as report:
            together = ensemble_distillation.assemble(spec, corpus, teacher)
            drawn = ensemble_distillation._drawn(spec)
            ensemble_distillation.labelled_by(together, corpus, drawn).save_to_disk(working / "rows")
            split = corpus.splits["validation"]
            guesses = together.log_probabilities(split["text"]).argmax(-1)
        accuracy = evaluation.accuracy(np.asarray(split["label"]), guesses)
        return report | {"ensemble": {"weights": together.weights, "development_accuracy": accuracy}}

    depends = {
        **experiment.inputs(spec, corpus, "techniques.student"), "teacher": teacher.key,
        "text": freshness.text_sha256(settings.text), "texts": settings.texts,
        "max_length": spec.fine_tuning.max_length,
    }
    return stage("labelled", ["techniques.ensemble_distillation", "ensemble", "classical"], depends, build)


def teach(spec: RunSpec, corpus: Corpus, untrained: Stage, labelled: Stage) -> Stage:
    """Distil the ensemble's scores into the student."""
    settings = spec.ensemble
    fine_tuning = spec.fine_tuning.model_copy(update={"batch_size": spec.student.batch_size})
    spec = spec.model_copy(update={"fine_tuning": fine_tuning})

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, _ = experiment.start(spec, corpus, str(untrained.model))
        scored = Dataset.load_from_disk(labelled.folder / "rows")
        rows = tokenize(scored, tokenizer, fine_tuning.max_length)
        rows = rows.add_column("teacher_logits", scored["teacher_logits"])
        objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
        report = experiment.fit(
            spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, objective
        )
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.student"), "untrained": untrained.key, "labelled": labelled.key,
        "fine_tuning": fine_tuning.model_dump(), "distilling": spec.distilling.model_dump(),
        "epochs": settings.epochs, "learning_rate": settings.learning_rate,
    }
    return stage("student", [*experiment.TRAINING, "distillation"], depends, build)
