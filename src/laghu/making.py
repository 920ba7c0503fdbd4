"""One run in this process, by the steps of the templates: for whoever has no notebook to look at."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from laghu import assessment, experiment
from laghu.corpora import Corpus
from laghu.records import RunRecord
from laghu.spec import RunSpec
from laghu.stages import Stage
from laghu.techniques import dispatch


@dataclass(frozen=True)
class Made:
    """A run's record, not yet saved, the stage that holds its model, and the corpus."""

    record: RunRecord
    stage: Stage
    corpus: Corpus


def make(run: RunSpec, begin: Callable[[str], None]) -> Made:
    """Train, or find, what the run needs and measure it.

    Args:
        begin: is told the name of each step as it begins: "Corpus", "Teacher", "Compression", "Measurement".

    Raises:
        LaghuError: this machine can't do it, or the corpus is not to be had.
    """
    started = datetime.now(UTC)
    begin("Corpus")
    corpus = experiment.begin(run)
    begin("Teacher")
    teacher = experiment.teacher(run, corpus)
    begin("Compression")
    stages = dispatch.compress(run, corpus, teacher)
    begin("Measurement")
    return Made(assessment.measure(run, corpus, stages, teacher, started), stages[-1], corpus)
