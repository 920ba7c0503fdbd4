"""The control of pruning: the teacher trained on for as long as pruning takes, with nothing removed.

Without it, what a pruned model gains from more training would pass for an effect of pruning.
"""

from pathlib import Path
from typing import Any

from laghu import experiment
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.training import cross_entropy


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    settings = spec.pruning

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = experiment.start(spec, corpus, str(teacher.model))
        report = experiment.fit(
            spec, working, model, tokenizer, rows, settings.epochs, settings.learning_rate, cross_entropy
        )
        return experiment.finish(spec, corpus, working, model, tokenizer, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.continued"), "teacher": teacher.key,
        "fine_tuning": spec.fine_tuning.model_dump(),
        "epochs": settings.epochs, "learning_rate": settings.learning_rate,
    }
    return [stage("continued", experiment.TRAINING, depends, build)]
