"""Minitron: width and depth pruned at once by activations on a little text, then distilled on logits.

Source: Muralidharan et al. 2024 (arXiv 2407.14679), sections 2.2 to 2.4; depth by block influence, which they take from
Men et al. 2024 (arXiv 2403.03853). Importance is taken once, of the whole model, as their best practice has it.
"""

from pathlib import Path
from typing import Any

from laghu import distillation, experiment
from laghu.compression import depth, importance, surgery
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques import calibration
from laghu.untrained import reported


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The teacher without `pruning_level` of its FFN neurons and with the layers that matter, then distilled."""
    settings = spec.minitron

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = experiment.start(spec, corpus, str(teacher.model))
        batches = calibration.batches(rows, tokenizer, settings.texts, spec.seed)
        neurons = importance.activation(model, batches)
        influence = importance.layer_importance(model, batches)
        (layers,) = importance.top([influence], settings.num_hidden_layers or len(influence))
        kept = importance.top(neurons, round(model.config.intermediate_size * (1 - spec.pruning_level)))
        surgery.cut_neurons(model, kept)
        depth.keep_layers(model, layers.tolist())
        if settings.epochs:
            rows = experiment.with_teacher_logits(spec, corpus, rows, teacher)
            objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
            report = experiment.fit(
                spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, objective
            )
        else:
            with reported(spec.measuring.country) as report:
                pass
        report |= {"layers": layers.tolist(), "influence": influence.tolist()}
        report["kept"] = [kept[layer].tolist() for layer in layers.tolist()]
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.minitron"), "teacher": teacher.key,
        "pruning_level": spec.pruning_level, "minitron": settings.model_dump(),
        "fine_tuning": spec.fine_tuning.model_dump(), "distilling": spec.distilling.model_dump(),
    }
    modules = [
        *experiment.TRAINING, "distillation", "compression.depth", "compression.importance", "compression.surgery",
    ]
    return [stage("minitron", modules, depends, build)]
