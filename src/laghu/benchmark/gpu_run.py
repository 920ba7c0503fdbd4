"""Measure a study's teacher on a GPU and write what was found: `laghu bench STUDY --gpu`."""

from datetime import UTC, datetime

import torch
from transformers import BertConfig

from laghu import backbones, evaluation, experiment, freshness, provenance
from laghu.benchmark import gpu, models
from laghu.benchmark.record import GpuRecord
from laghu.errors import LaghuError
from laghu.spec import Study

# Headlines of a turn, at least: fewer would not keep a GPU busy.
DOCUMENTS = 50_000


def run(study: Study) -> GpuRecord:
    """Measure and save the record.

    Raises:
        LaghuError: there is no GPU; the study has no `bench`; as `gpu.measure`.
    """
    if not torch.cuda.is_available():
        raise LaghuError("there is no GPU here; without --gpu the benchmark runs on the processor")
    found = measure(study, "cuda", documents=DOCUMENTS, compiler=gpu.packing.compiled)
    found.save()
    return found


def measure(study: Study, device: str, documents: int, compiler: gpu.Compiler, **settings) -> GpuRecord:
    """The study's teacher step by step, and a model of the paper's shape for the share of the peak.

    Args:
        settings: of `gpu.measure`, in place of its own.
    """
    started, bench = datetime.now(UTC), models.settings_of(study)
    corpus = experiment.begin(study.find(f"baseline-seed{bench.seed}"))
    spec, teacher = models.of_run(study, "baseline", bench.seed, corpus)
    # begin() lets a GPU take fp32 products as TF32; the pipeline shall be as its users have it.
    torch.set_float32_matmul_precision("highest")
    test = corpus.splits["test"]
    given = {"max_length": spec.fine_tuning.max_length, "documents": documents, "compiler": compiler,
             "window": bench.energy_window, "country": bench.country}
    found = gpu.measure(
        teacher.model, settings.pop("shape", BertConfig(**backbones.PAPER_SHAPE)), test["text"][:], test["label"][:],
        evaluation.views(test), device, bench.turns, **given | settings,
    )
    return GpuRecord(
        study=study.name, corpus=corpus.name, synthetic=corpus.synthetic, seed=bench.seed, **found,
        versions=provenance.versions(), commit=provenance.commit(), data_sha256=freshness.data_sha256(spec),
        started=started, finished=datetime.now(UTC),
    )


def summary(found: GpuRecord) -> str:
    """The table that is printed."""
    lines = [f"{'step':14} {'precision':9} {'documents/s':>12} {'ratio':>9} {'clean':>7} {'of peak':>8}"]
    for name, step in found.steps.items():
        share = step["share_of_peak"]
        lines.append(f"{name:14} {step['precision']:9} {step['documents_per_second']['median']:12,.0f} "
                     f"{step['ratio']['median']:8.2f}x {100 * step['accuracy']['clean']:7.1f} "
                     + (f"{100 * share:7.1f}%" if share else "       –"))
    share = found.achieved["share_of_peak"]
    lines.append(f"the paper's shape, packed: {found.achieved['flops_per_second'] / 1e12:,.1f} TFLOP/s"
                 + (f", {100 * share:.1f} % of the peak" if share else ""))
    return "\n".join(lines)
