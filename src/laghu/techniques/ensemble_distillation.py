"""Distillation of an ensemble over unlabelled text: what labels are too few to teach, a stronger teacher's guesses do.

The ensemble is the classical classifier and the teacher. It names topics of texts that nobody labelled, and the student
learns its probabilities there as well as on the training split. The test split plays no part.

Sources: Buciluă, Caruana, Niculescu-Mizil 2006 (an ensemble labels plenty of text for a small model); Hinton, Vinyals,
Dean 2015, section 2 (its probabilities as targets).
"""

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from laghu import classical, distillation, ensemble, evaluation, experiment, freshness, texts
from laghu.corpora import Corpus
from laghu.ensemble import Ensemble
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques.pruning import prune
from laghu.training import tokenize


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The pruned model where there is a pruning level, then the student distilled from it or from the teacher."""
    pruned = [prune(spec, corpus, teacher)] if spec.pruning_level else []
    return [*pruned, distil(spec, corpus, teacher, [teacher, *pruned][-1])]


def distil(spec: RunSpec, corpus: Corpus, teacher: Stage, student: Stage) -> Stage:
    """Distil the ensemble into the student; the report says how well the ensemble itself does on development rows."""
    settings = spec.ensemble

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, _ = experiment.start(spec, corpus, str(student.model))
        together = assemble(spec, corpus, teacher)
        rows = labelled_by(together, corpus, _drawn(spec))
        rows = tokenize(rows, tokenizer, spec.fine_tuning.max_length).add_column(
            "teacher_logits", rows["teacher_logits"]
        )
        objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
        report = experiment.fit(
            spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, objective
        )
        split = corpus.splits["validation"]
        guesses = together.log_probabilities(split["text"]).argmax(-1)
        report["ensemble"] = {
            "weights": together.weights,
            "development_accuracy": evaluation.accuracy(np.asarray(split["label"]), guesses),
        }
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.ensemble_distillation"), "teacher": teacher.key,
        "student": student.key, "fine_tuning": spec.fine_tuning.model_dump(),
        "distilling": spec.distilling.model_dump(), "ensemble": settings.model_dump(),
        "text": freshness.text_sha256(settings.text),
    }
    return stage("ensemble", [*experiment.TRAINING, "distillation", "ensemble", "classical"], depends, build)


def assemble(spec: RunSpec, corpus: Corpus, teacher: Stage) -> Ensemble:
    """The classical classifier and the teacher, both from the training split, weighed on the development split."""
    train, development = corpus.splits["train"], corpus.splits["validation"]
    pipeline = classical.fit(train["text"], train["label"], seed=spec.seed)
    model, tokenizer = experiment.load(teacher, "fp32")
    members = {
        "classical": pipeline.decision_function,
        "encoder": lambda batch: experiment.predict_logits(spec, batch, model, tokenizer),
    }
    return ensemble.fit(members, development["text"], development["label"])


def labelled_by(teacher: Ensemble, corpus: Corpus, unlabelled: list[str]) -> Dataset:
    """The training split with its labels and the unlabelled texts with the ensemble's; its scores on all of them.

    Returns:
        Columns `text`, `label` and `teacher_logits`, the ensemble's logarithms of probabilities, shape (labels,).
    """
    train = corpus.splits["train"]
    together = [*train["text"], *unlabelled]
    scores = teacher.log_probabilities(together).astype(np.float32)
    labels = [*train["label"], *scores[len(train):].argmax(-1).tolist()]
    return Dataset.from_dict({"text": together, "label": labels, "teacher_logits": list(scores)})


def _drawn(spec: RunSpec) -> list[str]:
    """Texts of the source drawn at random, all of them if there are fewer."""
    source = texts.load(spec.ensemble.text)
    chosen = np.random.default_rng(spec.seed).permutation(len(source))[: spec.ensemble.texts]
    return source.select(chosen)["text"][:]
