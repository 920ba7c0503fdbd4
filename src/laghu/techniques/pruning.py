"""Block movement pruning of the teacher's FFN neurons, then surgery.

Source: Lagunas et al. 2021; the constants are those of the authors' notebooks.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from laghu import distillation, experiment, measurement
from laghu.compression import movement, surgery
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.training import cross_entropy

MODULES = [*experiment.TRAINING, "distillation", "compression.movement", "compression.surgery"]
_METHODS = {"topk": movement.TOPK, "sigmoid": movement.SIGMOID}


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    return [prune(spec, corpus, teacher)]


def prune(spec: RunSpec, corpus: Corpus, teacher: Stage) -> Stage:
    """Block movement pruning of the teacher to `1 - pruning_level` of its FFN neurons, then surgery.

    With `distillation="joint"` the teacher is distilled into the model while it is pruned (Lagunas et al. 2021,
    section 3.4); otherwise it trains on the labels alone.
    """
    settings, joint = spec.pruning, spec.distillation == "joint"

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = experiment.start(spec, corpus, str(teacher.model))
        objective = cross_entropy
        if joint:
            objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
            rows = experiment.with_teacher_logits(spec, corpus, rows, teacher)
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
        report = experiment.fit(
            spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, objective,
            callbacks=[movement.ThresholdCallback(scores, schedule)], optimizers=(optimizer, None),
        )
        report["thresholds"] = [schedule(step, report["steps"]) for step in range(report["steps"] + 1)]
        report["scores"] = [layer.values.detach().flatten().tolist() for layer in scores.neurons]
        report["kept"] = [indices.tolist() for indices in scores.kept_neurons()]
        probe = partial(experiment.predict_logits, spec, corpus.splits["validation"]["text"][:256], tokenizer=tokenizer)
        with measurement.fp32_products("highest"):
            masked = probe(model)
            surgery.excise(model, scores)
            report["surgery_error"] = float(np.abs(probe(model) - masked).max())
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.pruning"), "teacher": teacher.key,
        "pruning_level": spec.pruning_level, "pruning": settings.model_dump(),
        "fine_tuning": spec.fine_tuning.model_dump(),
        "distilling": spec.distilling.model_dump() if joint else None,
    }
    return stage("pruned", MODULES, depends, build)
