"""From a quantised classifier to a record: as `laghu.assessment`, but in the engine that runs integers.

A time in ONNX Runtime does not compare with one in PyTorch. So the model is timed in turns with the baseline's own fp32
export: the speed-up is that of fewer bits and of what was cut before, and no part of it is the engine's.
"""

from datetime import UTC, datetime
from functools import partial

from transformers import AutoTokenizer

from laghu import assessment, measurement, quantization
from laghu.corpora import Corpus
from laghu.experiment import load, predict_logits
from laghu.quantization import OnnxClassifier
from laghu.records import RunRecord
from laghu.spec import RunSpec
from laghu.stages import Stage
from laghu.techniques.quantization import export

ENGINE = "ONNX Runtime on the CPU, token ids to logits"


def measure(spec: RunSpec, corpus: Corpus, stages: list[Stage], teacher: Stage, started: datetime) -> RunRecord:
    """Measure the model of the last stage, an ONNX file, beside the teacher's export.

    Parameters are those of the model before its export, whatever becomes of their bits; `weight_bytes` counts these.

    Args:
        stages, teacher: as for `assessment.measure`; the teacher is McNemar's other side as it is in PyTorch.
    """
    settings = spec.measuring
    model, tokenizer = OnnxClassifier(stages[-1].model), AutoTokenizer.from_pretrained(stages[-1].model)
    trained = [stage for stage in stages if stage.name not in ("exported", "quantized")]
    unquantized, _ = load([teacher, *trained][-1], "fp32")
    reference, reference_tokenizer = load(teacher, "fp32")
    texts = corpus.splits["test"]["text"]
    logits = predict_logits(spec, texts, model, tokenizer)
    teacher_logits = predict_logits(spec, texts, reference, reference_tokenizer)
    turns = partial(
        measurement.time_in_turns, {"baseline": OnnxClassifier(export(spec, corpus, teacher).model), "run": model},
        sequence_length=settings.sequence_length, repeats=settings.repeats, warm_up=settings.warm_up,
    )
    one, many = turns(batch_size=1), turns(batch_size=settings.batch_size)
    median, low, high = measurement.speed_up(many["baseline"], many["run"])
    memory, memory_source = measurement.peak_memory_bytes()
    record = RunRecord(
        **assessment._identity(spec, corpus, started),
        pruning_level=1 - model.config.intermediate_size / reference.config.intermediate_size,
        parameters=vars(measurement.count_parameters(unquantized)),
        weight_bytes=quantization.weight_bytes(stages[-1].model),
        flops_per_token=measurement.encoder_flops_per_token(model.config, settings.sequence_length),
        intermediate_size=model.config.intermediate_size,
        **assessment._quality(spec, corpus, logits.argmax(-1)),
        **assessment._against_teacher(spec, corpus, logits, teacher_logits),
        latency_ms={"p50": one["run"].p50, "p95": one["run"].p95},
        documents_per_second=measurement.documents_per_second(many["run"], settings.batch_size),
        speed_up={"median": median, "low": low, "high": high},
        timing=assessment._conditions(spec, ENGINE, one["run"].retaken + many["run"].retaken),
        peak_memory_bytes=memory,
        peak_memory_source=memory_source,
        inference_energy=measurement.energy_of_passes(
            model, settings.batch_size, settings.sequence_length, settings.energy_window, settings.country
        ),
        **assessment._training_cost(stages),
        surgery_error=max((s.report["surgery_error"] for s in stages if "surgery_error" in s.report), default=None),
        finished=datetime.now(UTC),
    )
    return record.model_copy(update={"versions": record.versions | quantization.versions()})
