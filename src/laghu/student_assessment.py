"""From a student with a vocabulary of its own to a record: as `laghu.assessment`, each side with its own tokenizer.

`assessment.measure` reads the test texts for model and teacher with one tokenizer, the model's. A student's ids are not
the teacher's, and there may be more of them.
"""

from datetime import UTC, datetime

from laghu import assessment, measurement
from laghu.corpora import Corpus
from laghu.experiment import load, predict_logits
from laghu.records import RunRecord
from laghu.spec import RunSpec
from laghu.stages import Stage


def measure(spec: RunSpec, corpus: Corpus, stages: list[Stage], teacher: Stage, started: datetime) -> RunRecord:
    """Measure the model of the last stage beside the teacher; for the arguments see `assessment.measure`.

    Times are over as many tokens for both. That the student's texts have fewer is no part of its speed-up.
    """
    settings, texts = spec.measuring, corpus.splits["test"]["text"]
    model, tokenizer = load(stages[-1], spec.precision)
    reference, reference_tokenizer = load(teacher, "fp32")
    logits = predict_logits(spec, texts, model, tokenizer)
    teacher_logits = predict_logits(spec, texts, reference, reference_tokenizer)
    return RunRecord(
        **assessment._identity(spec, corpus, started),
        pruning_level=0.0,
        parameters=vars(measurement.count_parameters(model)),
        weight_bytes=measurement.weight_bytes(model),
        flops_per_token=measurement.encoder_flops_per_token(model.config, settings.sequence_length),
        intermediate_size=model.config.intermediate_size,
        **assessment._quality(spec, corpus, logits.argmax(-1)),
        **assessment._against_teacher(spec, corpus, logits, teacher_logits),
        **assessment._timings(spec, model, reference),
        inference_energy=measurement.energy_of_passes(
            model, settings.batch_size, settings.sequence_length, settings.energy_window, settings.country
        ),
        **assessment._training_cost(stages),
        surgery_error=None,
        finished=datetime.now(UTC),
    )
