"""Minitron: width and depth pruned at once by activations on a little text, then distilled on logits.

Source: Muralidharan et al. 2024 (arXiv 2407.14679), sections 2.2 to 2.4; depth by block influence, which they take from
Men et al. 2024 (arXiv 2403.03853). Importance is taken once, of the whole model, as their best practice has it.
"""

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from laghu import backbones, distillation, experiment
from laghu.compression import depth, dimensions, importance, layout, surgery
from laghu.compression.importance import Batches
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques import calibration
from laghu.untrained import reported


def begin(spec: RunSpec) -> Corpus:
    """`experiment.begin`, and before any training: does a `model` from elsewhere have what is to stay of it?

    Raises:
        LaghuError: more layers or heads than it has, an architecture that can't be pruned, or as `experiment.begin`.
    """
    corpus = experiment.begin(spec)
    if spec.model:
        model, _ = backbones.load_classifier(spec.model, corpus.labels)
        layout.layers(model)  # refuses other architectures
        for name, number in spec.minitron.shape.items():
            if number > (most := getattr(model.config, name)):
                raise LaghuError(f"minitron.{name} {number} must not exceed {most}, which {spec.model} has")
    return corpus


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The teacher without `pruning_level` of its FFN neurons, with the layers and heads that matter; then distilled."""
    settings = spec.minitron

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = experiment.start(spec, corpus, str(teacher.model))
        batches = calibration.batches(rows, tokenizer, settings.texts, spec.seed)
        model, kept = _pruned(model, batches, spec)
        if settings.epochs:
            rows = experiment.with_teacher_logits(spec, corpus, rows, teacher)
            objective = distillation.objective(spec.distilling.temperature, spec.distilling.alpha)
            report = experiment.fit(
                spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, objective
            )
        else:
            with reported(spec.measuring.country) as report:
                pass
        return experiment.finish(spec, corpus, working, model, tokenizer, report | kept)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.minitron"), "teacher": teacher.key,
        "pruning_level": spec.pruning_level, "minitron": settings.model_dump(),
        "fine_tuning": spec.fine_tuning.model_dump(), "distilling": spec.distilling.model_dump(),
    }
    modules = [
        *experiment.TRAINING, "distillation", "compression.depth", "compression.dimensions", "compression.importance",
        "compression.surgery",
    ]
    return [stage("minitron", modules, depends, build)]


def _pruned(model: PreTrainedModel, batches: Batches, spec: RunSpec) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model without what matters least, and what stays: of neurons and heads those in the layers that stay."""
    settings = spec.minitron
    influence = importance.layer_importance(model, batches)
    (staying,) = importance.top([influence], settings.num_hidden_layers or len(influence))
    layers = staying.tolist()
    size = round(model.config.intermediate_size * (1 - spec.pruning_level))
    neurons = importance.top(importance.activation(model, batches), size)
    kept = {
        "layers": layers, "influence": influence.tolist(), "kept": [neurons[layer].tolist() for layer in layers],
    }
    if settings.num_attention_heads:
        heads = importance.top(importance.head_importance(model, batches), settings.num_attention_heads)
        head_size = model.config.hidden_size // model.config.num_attention_heads
        (hidden,) = importance.top(
            [importance.hidden_importance(model, batches)], head_size * settings.num_attention_heads
        )
        model = dimensions.narrowed(model, hidden, heads)
        kept |= {"heads": [heads[layer].tolist() for layer in layers], "hidden": hidden.tolist()}
    surgery.cut_neurons(model, neurons)
    depth.keep_layers(model, layers)
    return model, kept
