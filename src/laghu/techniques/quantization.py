"""Quantisation after training: the model of another technique in ONNX Runtime, its weights and activations integers.

The scheme `fp32` changes nothing but the engine: it is the control of the others.
"""

from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from laghu import evaluation, experiment, quantization
from laghu.corpora import Corpus
from laghu.quantization import OnnxClassifier
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques import (
    ensemble_distillation,
    pruning_distillation,
    two_step_distillation,
    vocabulary_trimming,
)
from laghu.untrained import reported

_TRAINING = {
    "ensemble_distillation": ensemble_distillation.compress,
    "pruning_distillation": pruning_distillation.compress,
    "two_step_distillation": two_step_distillation.compress,
    "vocabulary_trimming": vocabulary_trimming.compress,
}


def begin(spec: RunSpec) -> Corpus:
    """`experiment.begin`, and before it: can this machine quantise so, and the device run it?

    Raises:
        LaghuError: an integer scheme on a GPU, a library that is not installed, or as `experiment.begin`.
    """
    quantization.refuse_unsupported(spec.quantization.scheme, spec.quantization.device)
    return experiment.begin(spec)


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The stages of the technique whose model is quantised, if it is not the baseline's; its export; the integers."""
    settings = spec.quantization
    trained = [] if settings.of == "baseline" else _TRAINING[settings.of](spec.unquantized, corpus, teacher)
    exported = export(spec, corpus, [teacher, *trained][-1])
    quantized = [] if settings.scheme == "fp32" else [quantize(spec, corpus, exported)]
    return [*trained, exported, *quantized]


def export(spec: RunSpec, corpus: Corpus, model: Stage) -> Stage:
    """The stage's classifier as an ONNX file in fp32."""

    def build(working: Path) -> dict[str, Any]:
        classifier, tokenizer = experiment.load(model, "fp32")
        with reported(spec.measuring.country) as report:
            quantization.export(classifier, tokenizer, working / "model")
        return report | {"development_accuracy": _development_accuracy(spec, corpus, working / "model")}

    return stage("exported", ["quantization"], _inputs(spec, corpus, model), build)


def quantize(spec: RunSpec, corpus: Corpus, exported: Stage) -> Stage:
    """What `quantization.scheme` makes of an export."""
    scheme = spec.quantization.scheme

    def build(working: Path) -> dict[str, Any]:
        with reported(spec.measuring.country) as report:
            quantization.quantize(exported.model, scheme, working / "model")
        return report | {"development_accuracy": _development_accuracy(spec, corpus, working / "model")}

    return stage("quantized", ["quantization"], _inputs(spec, corpus, exported) | {"scheme": scheme}, build)


def _inputs(spec: RunSpec, corpus: Corpus, before: Stage) -> dict[str, Any]:
    return {
        **experiment.inputs(spec, corpus, "techniques.quantization"), "before": before.key,
        "libraries": quantization.versions(), "max_length": spec.fine_tuning.max_length,
    }


def _development_accuracy(spec: RunSpec, corpus: Corpus, folder: Path) -> float:
    split = corpus.splits["validation"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    logits = experiment.predict_logits(spec, split["text"], OnnxClassifier(folder), tokenizer)
    return evaluation.accuracy(np.asarray(split["label"]), logits.argmax(-1))
