"""Studies as jobs for the simulation: one as it was measured, and drawn ones of any size from published records."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles

from laghu.records import PretrainingRecord, RunRecord
from laghu.scaling.record import Observed, Trial
from laghu.scaling.simulation import Job
from laghu.spec import RunSpec, Study, TokenRun

BACKBONE = "backbone"
# Before the backbone: Snakemake's own start and end, and what lies between runs.
OVERHEAD = "overhead"


def graph(study: Study, observed: Mapping[str, Observed], overhead: float) -> list[Job]:
    """The study's runs with what each did when it was observed, in the order and with the priorities of the Snakefile.

    Args:
        overhead: seconds that belong to no run.
    """
    def job(name: str, after: Sequence[str], priority: int) -> Job:
        seen = observed[name]
        return Job(name, seen.free, seen.training, seen.timing, tuple(after), priority)

    seeds = [run.seed for run in (*study.runs, *study.tokens)]
    backbone = observed[BACKBONE]
    return [
        Job(OVERHEAD, overhead, priority=1, wide=True),
        # All cores are its own, so nothing stands still meanwhile.
        Job(BACKBONE, backbone.seconds, after=(OVERHEAD,), wide=True),
        *(job(spec.run, earlier(study, spec), -spec.seed) for spec in study.runs),
        *(job(run.run, earlier_token(study, run), -1 - max(seeds)) for run in study.tokens),
    ]


def earlier(study: Study, spec: RunSpec) -> list[str]:
    """The jobs that a run waits for, as the Snakefile's `before`."""
    if spec.technique == "classical":
        return [OVERHEAD]
    names = {run.run for run in study.runs}
    own = [] if spec.model else [BACKBONE]
    return [OVERHEAD, *own, *_others(names, spec.run, f"baseline-seed{spec.seed}", spec.unquantized.run)]


def earlier_token(study: Study, run: TokenRun) -> list[str]:
    """The same of a run on labelled words, as the Snakefile's `before_tokens`."""
    names = {each.run for each in study.tokens}
    own = [] if run.model else [BACKBONE]
    return [OVERHEAD, *own, *_others(names, run.run, f"{run.corpus}-baseline-seed{run.seed}")]


def _others(names: set[str], run: str, *candidates: str) -> list[str]:
    return [name for name in dict.fromkeys(candidates) if name != run and name in names]


def overhead(trial: Trial) -> float:
    """Seconds of a trial with one worker that belong to no run."""
    return trial.seconds - sum(run.seconds for run in trial.runs)


def mean_of(trials: Sequence[Trial]) -> dict[str, Observed]:
    """What each run did, on average over trials."""
    by_name: dict[str, list[Observed]] = {}
    for trial in trials:
        for run in trial.runs:
            by_name.setdefault(run.name, []).append(run)
    fields = ("seconds", "training", "timing", "waiting")
    return {
        name: Observed(name=name, **{field: fmean(getattr(run, field) for run in runs) for field in fields})
        for name, runs in by_name.items()
    }


# ------------------------------------------------------------------------------------------------ drawn studies


@dataclass(frozen=True)
class Durations:
    """What published runs took, in seconds: to draw from.

    `training` is of each run's own stages: one that several runs share counts for the first of them. `rest` is what a
    run takes besides, to start, to predict and to be timed.
    """

    backbone: float
    baselines: list[float]
    others: list[float]
    rest: float
    rest_quartiles: tuple[float, float]
    rest_runs: int


def durations(records: Sequence[RunRecord], backbone: PretrainingRecord) -> Durations:
    """Durations of a study's runs.

    A stage's seconds leave out the waiting for others' timings. The time from a record's start to its end does not, so
    `rest` is taken from runs beside which no other was under way. It is their median: some of them had to train the
    stages of earlier runs again, whose checkpoints had been deleted.
    """
    own = own_training(records)
    rest = [_seconds(record) - own[record.run] for record in _undisturbed(records)]
    low, _, high = quantiles(rest, n=4, method="inclusive")
    baselines = [own[record.run] for record in records if record.technique == "baseline"]
    others = [own[record.run] for record in records if record.technique not in ("baseline", "classical")]
    return Durations(backbone.train_seconds, baselines, others, median(rest), (low, high), len(rest))


def own_training(records: Sequence[RunRecord]) -> dict[str, float]:
    """Seconds that each run trained itself: of its stages, those in no record that was begun before."""
    made: set[str] = set()
    found = {}
    for record in sorted(records, key=lambda record: record.started):
        fresh = [stage for stage in record.stages if stage.key not in made]
        made |= {stage.key for stage in fresh}
        found[record.run] = sum(stage.seconds for stage in fresh) if record.stages else record.train_seconds
    return found


def _undisturbed(records: Sequence[RunRecord]) -> Iterator[RunRecord]:
    """Records of runs beside which no other of the study was under way."""
    for record in records:
        others = (other for other in records if other is not record)
        if all(other.finished <= record.started or other.started >= record.finished for other in others):
            yield record


def _seconds(record: RunRecord) -> float:
    return (record.finished - record.started).total_seconds()


def drawn(durations: Durations, seeds: int, runs_of_seed: int, draw: random.Random) -> list[Job]:
    """A study of `seeds` seeds, each with a baseline and `runs_of_seed - 1` runs that wait for it, in random order."""
    jobs = [Job(BACKBONE, durations.backbone)]
    for seed in range(seeds):
        baseline = f"baseline-seed{seed}"
        taken = draw.choice(durations.baselines) + durations.rest
        jobs.append(Job(baseline, taken, after=(BACKBONE,), priority=-seed))
        for place, training in enumerate(draw.choices(durations.others, k=runs_of_seed - 1)):
            after, taken = (BACKBONE, baseline), training + durations.rest
            jobs.append(Job(f"run{place}-seed{seed}", taken, after=after, priority=-seed))
    return jobs
