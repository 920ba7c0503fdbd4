"""A campaign: whole studies on one machine with a GPU, in stages short enough for a machine that is lent by the hour.

    pretrain -> train -> measure -> cost -> collect

Training fills the GPU with several processes side by side, measuring has it to itself. Each stage finds what earlier
calls finished and goes on from there, so that it can be killed at any time.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from laghu import cost_runner, durable, freshness, paths, pretraining, quantization, runner, token_freshness
from laghu.errors import LaghuError
from laghu.shipping.manifest import MODEL_LIMIT
from laghu.spec import RunSpec, Study

# What may be committed of a campaign's results.
RESULTS_LIMIT = 20 * 2**20

_KILLED = "its process was killed, by lack of memory perhaps; call again, with fewer --jobs if so"

# Environment variables that say how many threads a numerical library may use.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def pretrain(studies: list[Study], jobs: int) -> None:
    """Pretrain the studies' encoders one after the other, each with the whole machine."""
    for study in studies:
        with runner.watched(f"[{study.name}] pretraining"):
            record = pretraining.record(study)
        pace = record.tokens_per_second and f", {record.tokens_per_second:,.0f} a second"
        print(f"[{study.name}] pretraining: {record.tokens:,} tokens{pace or ''}", flush=True)


def train(studies: list[Study], jobs: int) -> None:
    """Train every stage of every run, `jobs` side by side, and measure nothing.

    Raises:
        LaghuError: a library is missing, before anything is trained; or some trainings failed, and the others are
            finished and kept.
    """
    waiting = [spec for study in studies for spec in study.runs if spec.technique != "classical"]
    for scheme in {spec.quantization.scheme for spec in waiting if spec.technique == "quantization"}:
        quantization.refuse_unsupported(scheme, "cpu")
    failed: list[str] = []
    done, total = 0, len(waiting)
    with _shared_cores(jobs):
        for spec, future in chain.from_iterable(_trained(wave, jobs) for wave in waves(waiting)):
            done += 1
            try:
                note = f"development accuracy {future.result():.1%}"
            except Exception as error:  # whatever it is, the other trainings go on
                reason = _KILLED if isinstance(error, BrokenProcessPool) else error
                failed.append(f"{spec.study}/{spec.run}: {reason}")
                note = f"failed: {reason}"
            print(f"[train {done}/{total}] {spec.study}/{spec.run}: {note}", flush=True)
    if failed:
        raise LaghuError(f"{len(failed)} of {total} trainings failed: " + "; ".join(failed))


def measure(studies: list[Study], jobs: int) -> None:
    """Execute the notebooks of every run, `jobs` side by side; only one at a time uses the GPU (`laghu.quiet`)."""
    for study in studies:
        runner.run_study(study.name, ["--cores", str(jobs)])


def cost(studies: list[Study], jobs: int) -> None:
    """Bring the cost tracks up to date, one precision after the other, with the machine to themselves."""
    for study in studies:
        if study.cost is not None:
            cost_runner.run(study)


def collect(studies: list[Study], jobs: int) -> None:
    """Export the models that studies ship and see that all is there, current, and small enough to be committed.

    Raises:
        LaghuError: a result is missing or stale, or something is too large.
    """
    missing = [f"{spec.study}/{spec.run}" for study in studies for spec in study.runs if not freshness.is_current(spec)]
    missing += [f"{run.study}/{run.run}" for study in studies for run in study.tokens
                if not token_freshness.is_current(run)]
    if missing:
        raise LaghuError(f"missing or stale: {', '.join(missing)}; run the stages train and measure again")
    for study in studies:
        if study.ships:
            size = _bytes(export(study.find(study.ships)))
            if size > MODEL_LIMIT:
                raise LaghuError(f"the model of {study.name}/{study.ships} has {size / 1e6:.1f} MB; at most "
                                 f"{MODEL_LIMIT / 1e6:.0f} MB are shipped")
    sizes = {study.name: _bytes(paths.results(study.name)) for study in studies}
    for name, size in sizes.items():
        print(f"[{name}] {size / 2**20:.1f} MiB of results", flush=True)
    if sum(sizes.values()) > RESULTS_LIMIT:
        raise LaghuError(f"results of {sum(sizes.values()) / 2**20:.1f} MiB; at most {RESULTS_LIMIT >> 20} are kept")


STAGES: dict[str, Callable[[list[Study], int], None]] = {
    "pretrain": pretrain, "train": train, "measure": measure, "cost": cost, "collect": collect,
}


def run(names: list[str], stages: list[str], jobs: int) -> None:
    """Run some stages of a campaign in their order.

    Args:
        names: of its studies, in `studies/`.
        stages: some of `STAGES`; all where empty.
        jobs: processes side by side where that is of use.

    Raises:
        LaghuError: an unknown stage or study, or as the stages.
    """
    if unknown := sorted(set(stages) - set(STAGES)):
        raise LaghuError(f"no stage {', '.join(unknown)}; a campaign has {', '.join(STAGES)}")
    studies = [Study.load(name) for name in names]
    for name, stage in STAGES.items():
        if not stages or name in stages:
            began = perf_counter()
            stage(studies, jobs)
            print(f"[campaign] {name}: {perf_counter() - began:.0f} s", flush=True)


def waves(specs: list[RunSpec]) -> Iterator[list[RunSpec]]:
    """The runs in three groups, each of which needs stages of earlier groups only.

    Teachers come first. What takes the model of another run further, to distil, trim or quantise it, comes last.
    """
    def depth(spec: RunSpec) -> int:
        if spec.technique == "baseline":
            return 0
        takes_a_pruned_model = spec.technique in ("ensemble_distillation", "vocabulary_trimming") and spec.pruning_level
        takes_any = spec.technique == "quantization" and spec.trained_as != "baseline"
        return 2 if spec.distillation == "after" or takes_a_pruned_model or takes_any else 1

    for level in range(3):
        if wave := [spec for spec in specs if depth(spec) == level]:
            yield wave


def export(spec: RunSpec) -> Path:
    """Write the trained model of a run to `results/<study>/model` in fp16: a plain checkpoint for readers.

    Raises:
        LaghuError: the corpus can't be had.
    """
    from laghu import experiment
    from laghu.techniques import dispatch

    corpus = experiment.begin(spec)
    stage = dispatch.compress(spec, corpus, experiment.teacher(spec, corpus))[-1]
    model, tokenizer = experiment.load(stage, "fp16")
    folder = paths.results(spec.study) / "model"
    with durable.replacing_folder(folder) as made:
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
    return folder


def _trained(wave: list[RunSpec], jobs: int) -> Iterator[tuple[RunSpec, Future[float]]]:
    """The runs of a wave, each when its training has ended, well or not.

    A process that is killed takes those beside it along: what was lost that way is trained again, each alone, and what
    is killed then is named.
    """
    lost = []
    with _processes(jobs) as pool:
        started = {pool.submit(_train, spec): spec for spec in wave}
        for future in as_completed(started):
            if isinstance(future.exception(), BrokenProcessPool):
                lost.append(started[future])
            else:
                yield started[future], future
    for spec in lost:
        with _processes(1) as alone:
            future = alone.submit(_train, spec)
            wait([future])
            yield spec, future


def _processes(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))


def _train(spec: RunSpec) -> float:
    """Train all stages of a run, or find them; returns the last one's accuracy on the development split."""
    from laghu import experiment
    from laghu.techniques import dispatch

    corpus = experiment.begin(spec)
    stages = dispatch.compress(spec, corpus, experiment.teacher(spec, corpus))
    return stages[-1].report["development_accuracy"]


@contextmanager
def _shared_cores(jobs: int) -> Iterator[None]:
    """Processes started meanwhile share the cores evenly."""
    before = {name: os.environ.get(name) for name in _THREADS}
    threads = max(1, (os.cpu_count() or 1) // jobs)
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
