"""From a classifier with a tokenizer of its own to a record: as `laghu.assessment`, but for the teacher's answers.

`assessment.measure` reads the test texts for model and teacher with one tokenizer, the model's. Where the vocabulary
was trimmed, its ids are not the teacher's. So what sets the two side by side is taken here with each one's own.
"""

from datetime import datetime

from laghu import assessment
from laghu.corpora import Corpus
from laghu.experiment import load, predict_logits
from laghu.records import RunRecord
from laghu.spec import RunSpec
from laghu.stages import Stage


def measure(spec: RunSpec, corpus: Corpus, stages: list[Stage], teacher: Stage, started: datetime) -> RunRecord:
    """Measure the model of the last stage beside the teacher; for the arguments see `assessment.measure`."""
    record = assessment.measure(spec, corpus, stages, teacher, started)
    texts = corpus.splits["test"]["text"]
    logits = predict_logits(spec, texts, *load(stages[-1], spec.precision))
    teacher_logits = predict_logits(spec, texts, *load(teacher, "fp32"))
    against = assessment._against_teacher(spec, corpus, logits, teacher_logits)
    return RunRecord.model_validate(record.model_dump() | against)
