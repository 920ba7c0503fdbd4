"""Pruning and distillation in both orders: together ("joint"), or one after the other ("after").

With "after" the pruned model is the one of the run without distillation.
"""

from pathlib import Path
from typing import Any

from laghu import distillation, experiment
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques.pruning import prune


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    pruned = prune(spec, corpus, teacher)
    return [pruned, distil(spec, corpus, teacher, pruned)] if spec.distillation == "after" else [pruned]


def distil(spec: RunSpec, corpus: Corpus, teacher: Stage, student: Stage) -> Stage:
    """Distil the teacher into an already pruned student: the second stage that paper 1 describes."""
    settings = spec.fine_tuning

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = experiment.start(spec, corpus, str(student.model))
        rows = experiment.with_teacher_logits(spec, corpus, rows, teacher)
        objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
        report = experiment.fit(
            spec, working, model, tokenizer, rows, spec.distilling.epochs, settings.learning_rate, objective
        )
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.pruning_distillation"), "teacher": teacher.key,
        "student": student.key, "fine_tuning": settings.model_dump(), "distilling": spec.distilling.model_dump(),
    }
    return stage("distilled", [*experiment.TRAINING, "distillation"], depends, build)
