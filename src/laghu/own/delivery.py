"""The folder of one model: a plain checkpoint, the same in 8-bit integers for ONNX Runtime, and a card that says what
both are."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from laghu import evaluation
from laghu.benchmark import models
from laghu.inference import Classifier
from laghu.making import Made
from laghu.own import card
from laghu.own.checks import Report
from laghu.own.settings import Settings
from laghu.records import Part, RunRecord, Views
from laghu.spec import RunSpec

UNPRUNED, PRUNED = "unpruned", "pruned-"
ONNX, CARD = "onnx", "README.md"


class Integers(Part):
    """What the files in 8-bit integers are worth, as they are given away."""

    accuracy: Views
    macro_f1: Views
    bytes: int


@dataclass(frozen=True)
class Delivered:
    """A model in its folder, by name: `unpruned`, or `pruned-` and the percentage of neurons that went."""

    name: str
    record: RunRecord
    integers: Integers


def name_of(run: RunSpec) -> str:
    """Of the folder that a run's model is given away in."""
    return f"{PRUNED}{100 * run.pruning_level:.0f}" if run.pruning_level else UNPRUNED


def write(folder: Path, name: str, made: Made, settings: Settings, report: Report) -> Delivered:
    """Write the model's files and its card.

    Raises:
        LaghuError: a library is missing or the checkpoint can't be exported.
    """
    shutil.copytree(made.stage.model, folder, dirs_exist_ok=True)
    length = made.record.settings["fine_tuning"]["max_length"]
    integers = models.deployed(made.stage, "int8", made.corpus, length)
    shutil.copytree(integers, folder / ONNX)
    delivered = Delivered(name, made.record, _measured(folder / ONNX, made, length))
    (folder / CARD).write_text(card.text(delivered, settings, report, made.corpus.labels), encoding="utf-8")
    return delivered


def _measured(folder: Path, made: Made, max_length: int) -> Integers:
    test = made.corpus.splits["test"]
    predictions = Classifier(folder, max_length=max_length).probabilities(test["text"][:]).argmax(axis=1)
    estimates = evaluation.evaluate(
        np.asarray(test["label"]), predictions, evaluation.views(test), len(made.corpus.labels),
        made.record.settings["measuring"]["bootstrap"], seed=0,
    )
    return Integers(
        **{statistic: {view: vars(each) for view, each in views.items()} for statistic, views in estimates.items()},
        bytes=sum(file.stat().st_size for file in folder.iterdir()),
    )
