"""One-shot references: neurons cut at once by a score of the teacher's weights, the first thing a practitioner tries.

By magnitude (Han et al. 2015, section 3), at random, or by first-order importance (Molchanov et al. 2019, section 3.1).
What follows, training on labels or distillation in either order, is that of movement pruning, so that only the choice
of the neurons differs.
"""

from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from laghu import distillation, experiment
from laghu.compression import importance, surgery
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques import calibration
from laghu.techniques.pruning_distillation import distil
from laghu.training import cross_entropy
from laghu.untrained import reported


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The model cut and trained and, with `distillation="after"`, the one then distilled."""
    cut = prune(spec, corpus, teacher)
    return [cut, distil(spec, corpus, teacher, cut)] if spec.distillation == "after" else [cut]


def prune(spec: RunSpec, corpus: Corpus, teacher: Stage) -> Stage:
    """Cut the teacher to `1 - pruning_level` of its FFN neurons, then train it for `one_shot.epochs`."""
    settings, joint = spec.one_shot, spec.distillation == "joint"

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = experiment.start(spec, corpus, str(teacher.model))
        batches = calibration.batches(rows, tokenizer, settings.texts, spec.seed)
        width = round(model.config.intermediate_size * (1 - spec.pruning_level))
        kept = importance.top(_scores(spec, model, batches), width)
        surgery.cut_neurons(model, kept)
        objective = cross_entropy
        if joint:
            objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
            rows = experiment.with_teacher_logits(spec, corpus, rows, teacher)
        if settings.epochs:
            report = experiment.fit(
                spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, objective
            )
        else:
            with reported(spec.measuring.country) as report:
                pass
        report["kept"] = [indices.tolist() for indices in kept]
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.one_shot"), "teacher": teacher.key,
        "pruning_level": spec.pruning_level, "one_shot": settings.model_dump(),
        "fine_tuning": spec.fine_tuning.model_dump(), "distilling": spec.distilling.model_dump() if joint else None,
    }
    modules = [*experiment.TRAINING, "distillation", "compression.importance", "compression.surgery"]
    return stage("one-shot", modules, depends, build)


def _scores(spec: RunSpec, model: PreTrainedModel, batches: list[dict[str, Tensor]]) -> list[Tensor]:
    match spec.one_shot.criterion:
        case "magnitude":
            return importance.magnitude(model)
        case "random":
            return importance.random(model, spec.seed)
        case "first_order":
            return importance.first_order(model, batches)
