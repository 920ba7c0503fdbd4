"""From a study to the folder that its `ships` run is given away as: `laghu ship STUDY`.

Both models are exported in 8-bit integers (`laghu.deployment`), and what is measured are the files that are given away.
"""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from laghu import durable, evaluation, experiment, freshness, measurement, provenance, quantization
from laghu.benchmark import models
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.inference import Classifier
from laghu.shipping import card, files, manifest, origins
from laghu.shipping.manifest import MODEL_LIMIT, Manifest, Model, Shape
from laghu.spec import RunSpec, Study
from laghu.stages import Stage
from laghu.techniques import dispatch

_VERSIONS = ("tokenizers", "torch", "transformers")


def ship(study: Study, folder: Path) -> Manifest:
    """Write the run that the study ships, and the teacher of its seed, in place of an earlier folder.

    The teacher is left out if it is too large for a page.

    Raises:
        LaghuError: the study ships nothing, a source's licence is not stated, the model is too large, the folder holds
            something else, or a corpus, a library or a model can't be had.
    """
    if study.ships is None:
        raise LaghuError(f"study {study.name!r} ships no run; name one in studies/{study.name}.yaml under ships")
    if folder.exists() and not (folder / manifest.NAME).is_file():
        raise LaghuError(f"{folder} is there already, and no shipped model to replace; name another folder")
    spec = study.find(study.ships)
    corpus = experiment.begin(spec)
    sources = origins.of(spec, corpus)
    teacher = experiment.teacher(spec, corpus)
    student = dispatch.compress(spec, corpus, teacher)[-1]
    with durable.replacing_folder(folder.resolve()) as working:
        made = Manifest(
            study=study.name, seed=spec.seed, labels=corpus.labels, max_length=spec.fine_tuning.max_length,
            small=_small(spec, student, corpus, working), teacher=_teacher(spec, teacher, corpus, working),
            corpus=corpus.name, synthetic=corpus.synthetic,
            rows=evaluation.rows(evaluation.views(corpus.splits["test"])), text=spec.pretraining.text,
            origins=sources, licence=origins.strictest(sources), **_provenance(spec, corpus),
        )
        made.save(working)
        (working / manifest.CARD).write_text(card.text(made), encoding="utf-8")
        (working / card.NOTICE).write_text(card.notice(made), encoding="utf-8")
    return made


def _small(spec: RunSpec, stage: Stage, corpus: Corpus, working: Path) -> Model:
    model = _model("small", spec.run, spec, stage, corpus, working)
    if model.bytes > MODEL_LIMIT:
        raise LaghuError(f"the model of {spec.study}/{spec.run} has {model.bytes / 1e6:.1f} MB; at most "
                         f"{MODEL_LIMIT / 1e6:.0f} MB are shipped")
    return model


def _teacher(spec: RunSpec, stage: Stage, corpus: Corpus, working: Path) -> Model | None:
    model = _model("teacher", f"baseline-seed{spec.seed}", spec, stage, corpus, working)
    if model.bytes <= MODEL_LIMIT:
        return model
    for file in model.files:
        (working / file.name).unlink()
    return None


def _model(name: str, run: str, spec: RunSpec, stage: Stage, corpus: Corpus, working: Path) -> Model:
    length = spec.fine_tuning.max_length
    folder = models.deployed(stage, "int8", corpus, length)
    loaded, _ = experiment.load(stage, "fp32")
    weights, pieces = files.pack(folder, working, name, length)
    with TemporaryDirectory() as temporary:
        files.unpack(working, name, corpus.labels, Path(temporary))
        quality = _quality(Path(temporary), spec, corpus)
    return Model(
        run=run, stage=stage.key,
        shape=Shape(**{field: getattr(loaded.config, field) for field in Shape.model_fields}),
        parameters=measurement.count_parameters(loaded).total, weights=weights, vocabulary=pieces, **quality,
    )


def _quality(folder: Path, spec: RunSpec, corpus: Corpus) -> dict[str, dict]:
    """Accuracy and macro-F1 on the views of the test split."""
    test = corpus.splits["test"]
    predictions = Classifier(folder).probabilities(test["text"][:]).argmax(axis=1)
    estimates = evaluation.evaluate(
        np.asarray(test["label"]), predictions, evaluation.views(test), len(corpus.labels), spec.measuring.bootstrap,
        seed=0,
    )
    return {statistic: {view: vars(each) for view, each in views.items()} for statistic, views in estimates.items()}


def _provenance(spec: RunSpec, corpus: Corpus) -> dict[str, Any]:
    data = freshness.data_sha256(spec)
    return {
        "run_key": freshness.run_key(spec, data), "data_sha256": data, "corpus_sha256": corpus.sha256,
        "commit": provenance.commit(), "settings": spec.model_dump(mode="json"), "made": datetime.now(UTC),
        "versions": {**{name: provenance.versions()[name] for name in _VERSIONS}, **quantization.versions()},
    }
