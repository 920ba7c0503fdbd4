"""The models of a study, ready to be measured: its checkpoints, and these as folders to deploy."""

from pathlib import Path
from typing import Any

from torch import Tensor

from laghu import deployment, engines, experiment, quantization
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.first_token import FirstTokenClassifier
from laghu.spec import BenchSpec, RunSpec, Study
from laghu.stages import Stage, stage
from laghu.techniques import dispatch


def settings_of(study: Study) -> BenchSpec:
    """What is to be measured of the study.

    Raises:
        LaghuError: it says nothing of that.
    """
    if study.bench is None:
        raise LaghuError(f"study {study.name!r} has no benchmark; give studies/{study.name}.yaml a key bench")
    return study.bench


def of_run(study: Study, run: str, seed: int, corpus: Corpus) -> tuple[RunSpec, Stage]:
    """The checkpoint that a row of the study leads to; trained if this checkout hasn't trained it yet.

    Raises:
        LaghuError: no such run, or one that has no checkpoint.
    """
    spec = study.find(f"{run}-seed{seed}")
    if spec.technique in ("classical", "quantization"):
        raise LaghuError(f"{run} leads to no checkpoint for transformers; name another run of {study.name}")
    teacher = experiment.teacher(spec, corpus)
    return spec, ([teacher] if spec.technique == "baseline" else dispatch.compress(spec, corpus, teacher))[-1]


class _ForAllTokens(FirstTokenClassifier):
    """With a last layer that works for all tokens, as transformers' does: what the saving is measured against."""

    def _first_of_last_layer(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return self._layer(self.layers[-1], hidden, hidden, mask)[:, :1]


def plain(model: Stage) -> Path:
    """What `laghu export` would make of the checkpoint, did its last layer work for all tokens."""

    def build(working: Path) -> dict[str, Any]:
        loaded, tokenizer = deployment.load(model.model)
        loaded.config.save_pretrained(working / "model")
        tokenizer.save_pretrained(working / "model")
        deployment.write_onnx(_ForAllTokens(loaded), tokenizer.model_input_names, working / "model" / engines.ONNX)
        return {}

    inputs = {"model": model.key, "libraries": quantization.versions()}
    return stage("plain", ["benchmark.models"], inputs, build).model


def deployed(model: Stage, precision: deployment.Precision, corpus: Corpus, max_length: int) -> Path:
    """What `laghu export` makes of the checkpoint; integers are calibrated on the development split."""

    def build(working: Path) -> dict[str, Any]:
        texts = corpus.splits["validation"]["text"][:]
        deployment.export(model.model, working / "model", precision, texts, max_length)
        return {}

    inputs = {"model": model.key, "precision": precision, "texts": corpus.sha256, "max_length": max_length,
              "libraries": quantization.versions()}
    return stage("deployed", ["deployment"], inputs, build).model
