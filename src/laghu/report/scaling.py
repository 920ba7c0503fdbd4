"""What more workers are worth: tables and figures, from the measured record and from simulated studies."""

import random
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from statistics import median

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from laghu import paths, records
from laghu.report import style
from laghu.report.figures import Drawing
from laghu.scaling import simulation, studies
from laghu.scaling.record import ScalingRecord
from laghu.scaling.slurm import SlurmRecord
from laghu.scaling.studies import Durations
from laghu.spec import Study

# The study whose published records say what runs take, and how many runs a drawn seed has.
ORIGIN, RUNS_OF_SEED = "cpu", 20
WORKERS = (1, 2, 4, 8, 16, 32, 64)
SEEDS = (1, 5, 50)
SEEDS_AXIS = (1, 2, 3, 5, 10, 20, 50)
SEEDS_WORKERS = (1, 4, 16, 64)
DRAWS = 20
# On one machine timings take turns: beyond these, more workers can't be worth much.
SHARED_WORKERS = (1, 2, 4, 8, 16)
_COLORS = ("#0072b2", "#9d2b00", "#0e6a46", "#430ebb")
_MARKERS = ("o", "s", "^", "D")


def durations() -> Durations:
    """What the runs of `ORIGIN` took, read once for as long as its records stay as they are."""
    return _durations(_stamp())


def simulated(seeds: int, workers: int) -> list[float]:
    """Seconds of `DRAWS` drawn studies of so many seeds, each worker with a machine to itself; in rising order."""
    return _simulated(_stamp(), seeds, workers)


def _stamp() -> tuple[tuple[Path, int], ...]:
    files = [*sorted(paths.results(ORIGIN).glob("*.json")), records.pretraining_file(ORIGIN)]
    return tuple((file, file.stat().st_mtime_ns) for file in files)


@lru_cache(maxsize=1)
def _durations(stamp: tuple[tuple[Path, int], ...]) -> Durations:
    backbone = records.PretrainingRecord.load(records.pretraining_file(ORIGIN))
    return studies.durations(records.load_study(ORIGIN), backbone)


@lru_cache(maxsize=128)
def _simulated(stamp: tuple[tuple[Path, int], ...], seeds: int, workers: int) -> list[float]:
    drawn = (studies.drawn(_durations(stamp), seeds, RUNS_OF_SEED, random.Random(draw)) for draw in range(DRAWS))
    return sorted(simulation.on_own_machines(jobs, workers) for jobs in drawn)


def frame() -> pd.DataFrame:
    """Every simulated point: runs, seeds, workers, and the median, least and most seconds over the draws."""
    points = {(seeds, workers) for seeds in SEEDS for workers in WORKERS}
    points |= {(seeds, workers) for seeds in SEEDS_AXIS for workers in SEEDS_WORKERS}
    rows = []
    for seeds, workers in sorted(points):
        found = simulated(seeds, workers)
        rows.append({"runs": seeds * RUNS_OF_SEED, "seeds": seeds, "workers": workers, "seconds": median(found),
                     "least": found[0], "most": found[-1]})
    return pd.DataFrame(rows)


def hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f}"


# ------------------------------------------------------------------------------------------------ simulated


def by_workers() -> pd.DataFrame:
    """Hours of studies of three sizes, by workers, and how many times as fast as one."""
    columns = {}
    for seeds in SEEDS:
        alone = median(simulated(seeds, 1))
        took = [median(simulated(seeds, workers)) for workers in WORKERS]
        columns[f"{seeds * RUNS_OF_SEED:,} runs", "Hours"] = [hours(each) for each in took]
        columns[f"{seeds * RUNS_OF_SEED:,} runs", "Times as fast"] = [f"{alone / each:.1f}" for each in took]
    return pd.DataFrame(columns, index=[f"{workers}" for workers in WORKERS])


def by_workers_caption() -> str:
    return (f"Hours from nothing to the last run with so many workers, each with a machine to itself: simulated, "
            f"median of {DRAWS} drawn studies of {RUNS_OF_SEED} runs a seed.")


def workers_figure() -> Drawing:
    """Hours against workers."""
    labels = {seeds: f"{seeds * RUNS_OF_SEED:,} runs" for seeds in SEEDS}
    lines = {labels[seeds]: [(workers, simulated(seeds, workers)) for workers in WORKERS] for seeds in SEEDS}
    note = "Grey: as many times as fast as there are workers."
    return _drawing(lines, "Workers", "Time and workers", "the number of workers", note, ideal=True)


def seeds_figure() -> Drawing:
    """Hours against seeds."""
    labels = {workers: f"{workers} worker{'s' * (workers > 1)}" for workers in SEEDS_WORKERS}
    lines = {labels[workers]: [(seeds, simulated(seeds, workers)) for seeds in SEEDS_AXIS] for workers in SEEDS_WORKERS}
    note = f"Each seed has {RUNS_OF_SEED} runs."
    return _drawing(lines, "Seeds", "Time and seeds", "the number of seeds", note, ideal=False)


def _drawing(
    lines: Mapping[str, list[tuple[int, list[float]]]], label: str, title: str, against: str, note: str, ideal: bool
) -> Drawing:
    figure, axes = style.canvas(width=5.6, height=4.0)
    for (name, points), color, marker in zip(lines.items(), _COLORS, _MARKERS, strict=False):
        places = [place for place, _ in points]
        middle = [median(found) / 3600 for _, found in points]
        if ideal:
            axes.plot(places, [middle[0] / place for place in places], color="#b5b5b5", linewidth=1, zorder=1)
        axes.fill_between(places, [found[0] / 3600 for _, found in points], [found[-1] / 3600 for _, found in points],
                          color=color, alpha=0.15, linewidth=0)
        axes.plot(places, middle, color=color, marker=marker, markersize=5, linewidth=1.4, label=name, zorder=2)
    _logarithmic(axes, [place for place, _ in next(iter(lines.values()))])
    axes.set(xlabel=label, ylabel="Hours", title=title)
    figure.legend(loc="outside lower center", ncols=len(lines), fontsize=9)
    said = "; ".join(
        f"{name}: {', '.join(f'{hours(median(found))} h at {place}' for place, found in points)}"
        for name, points in lines.items()
    )
    caption = (f"Hours from nothing to the last run against {against}, each worker with a machine to itself: "
               f"simulated, median of {DRAWS} drawn studies, and the range of all in the shade. {note} Both axes are "
               "logarithmic.")
    return Drawing(figure, caption, f"Line plot of hours against {against}. {said}.", frame())


def _logarithmic(axes: Axes, places: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(places, [f"{place}" for place in places])
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    ticks = [tick for power in (0.1, 1, 10, 100) for tick in (power, 2 * power, 5 * power) if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_minor_formatter(NullFormatter())


# ------------------------------------------------------------------------------------------------ measured


def predicted(record: ScalingRecord, workers: int) -> float:
    """Seconds that the simulation gives the measured study on one machine, from what its runs did one by one."""
    alone = [trial for trial in record.trials if trial.workers == 1]
    overhead = sum(map(studies.overhead, alone)) / len(alone)
    jobs = studies.graph(Study.load(record.study), studies.mean_of(alone), overhead)
    return simulation.on_one_machine(jobs, workers)


def error(record: ScalingRecord, workers: int) -> float:
    """The simulation's seconds over the measured mean, less one."""
    return predicted(record, workers) / record.mean(workers) - 1


def measured(record: ScalingRecord) -> pd.DataFrame:
    """Minutes of the measured study, by workers, and what the simulation says."""
    found = record.seconds()
    rows = {}
    for workers in sorted({*found, *SHARED_WORKERS}):
        trials = found.get(workers, [])
        said = predicted(record, workers)
        rows[f"{workers}"] = {
            "Measured (min)": ", ".join(f"{each / 60:.1f}" for each in trials) or "–",
            "Simulated (min)": f"{said / 60:.1f}",
            "Difference": f"{said / record.mean(workers) - 1:+.1%}".replace("-", "−") if trials else "–",
            "Times as fast": f"{predicted(record, 1) / said:.2f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def measured_caption(record: ScalingRecord) -> str:
    cores = record.hardware["logical_cores"]
    repeats = max(map(len, record.seconds().values()))
    trials = "one trial" if repeats == 1 else f"{repeats} trials"
    return (f"The study {record.study!r} from nothing on one machine of {cores} cores, one core a run: {trials} with "
            "each number of workers, and what the simulation gives from what its runs did with one worker. Its first "
            f"line is what it was fitted to. More workers than {cores} are simulated as if each had a core.")


def share_of_timing(record: ScalingRecord) -> float:
    """The part of the study's work, one run after the other, in which a run is being timed."""
    runs = [run for trial in record.trials if trial.workers == 1 for run in trial.runs]
    return sum(run.timing for run in runs) / sum(run.seconds for run in runs)


# ------------------------------------------------------------------------------------------------ Slurm


def jobs(record: SlurmRecord) -> pd.DataFrame:
    """Every start of every job, as sacct lists it; times in seconds since the first was handed in."""
    first = min(job.submitted for job in record.jobs)

    def since(moment: datetime) -> str:
        return f"{(moment - first).total_seconds():.0f}"

    rows = [
        {"Run": job.run, "State": job.state, "Exit code": job.exit_code, "CPUs": f"{job.cpus}", "Memory": job.memory,
         "Handed in (s)": since(job.submitted), "Started (s)": since(job.started), "Ended (s)": since(job.ended)}
        for job in record.jobs
    ]
    return pd.DataFrame(rows, index=[f"{job.number}" for job in record.jobs])


def jobs_caption(record: SlurmRecord) -> str:
    versions = " and ".join(f"{name} {version}" for name, version in record.versions.items())
    return (f"Every start of every job of a rehearsal, by sacct --duplicates: Slurm {record.slurm}, {versions}, one "
            f"node, {record.recorded:%Y-%m-%d}, commit {record.commit[:10]}. A line of the same number is the same "
            "job, started again; seconds since the first was handed in.")
