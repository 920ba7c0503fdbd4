"""Records as sources of numbers: commit, seed, machine, day and key, whatever kind of record a number stands in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from laghu import paths, records
from laghu.benchmark.record import BenchmarkRecord, GpuRecord, file_of, gpu_file_of
from laghu.errors import LaghuError
from laghu.records import CostRecord, PretrainingRecord, RunRecord, TokenRecord
from laghu.report import cost, formats, tables
from laghu.report.rows import row_of
from laghu.scaling.record import ScalingRecord, scaling_file
from laghu.shipping import manifest
from laghu.shipping.manifest import Manifest


@dataclass(frozen=True)
class Source:
    """One record, as far as it says where its numbers come from.

    `anchor` is its line on the page of provenance, `row_anchor` the line of the first seed of its row; `machine` is
    empty for what no machine timed.
    """

    study: str
    name: str
    anchor: str
    row_anchor: str
    commit: str
    machine: str
    begun: datetime
    ended: datetime
    seed: int | None
    key: str | None
    file: Path

    @property
    def notebook(self) -> Path:
        """The executed notebook beside the record, where it has one."""
        return self.file.with_suffix(".ipynb")


def study_anchor(study: str) -> str:
    """Of all runs of a study."""
    return f"study-{study}"


def of_run(record: RunRecord | TokenRecord) -> Source:
    return Source(
        record.study, record.run, f"run-{record.study}-{record.run}", f"row-{record.study}-{row_of(record.run)}",
        record.commit, cost.processor(record.hardware), record.started, record.finished, record.seed, record.run_key,
        record.file,
    )


def of_cost(record: CostRecord) -> Source:
    return _single(record, f"cost-{record.study}-{record.precision}", f"cost in {record.precision}", record.started,
                   record.finished, record.run_key)


def of_backbone(record: PretrainingRecord) -> Source:
    return _single(record, f"backbone-{record.study}", "backbone", record.recorded, record.recorded, record.stage_key)


def of_benchmark(record: BenchmarkRecord | GpuRecord) -> Source:
    gpu = isinstance(record, GpuRecord)
    anchor = f"benchmark-{'gpu-' if gpu else ''}{record.study}"
    return _single(record, anchor, "benchmark on a GPU" if gpu else "benchmark", record.started, record.finished, None,
                   record.seed)


def of_scaling(record: ScalingRecord) -> Source:
    return _single(record, f"scaling-{record.study}", "scaling", record.started, record.finished, None)


def of_shipped(made: Manifest) -> Source:
    anchor = f"shipped-{made.study}"
    return Source(made.study, f"shipped model {made.small.run}", anchor, anchor, made.commit, "", made.made, made.made,
                  made.seed, made.run_key, made.file)


def _single(
    record: CostRecord | PretrainingRecord | BenchmarkRecord | GpuRecord | ScalingRecord, anchor: str, name: str,
    begun: datetime, ended: datetime, key: str | None, seed: int | None = None,
) -> Source:
    machine = cost.processor(record.hardware)
    return Source(record.study, name, anchor, anchor, record.commit, machine, begun, ended, seed, key, record.file)


def _benchmarks(study: str) -> list[BenchmarkRecord | GpuRecord]:
    files = ((BenchmarkRecord, file_of(study)), (GpuRecord, gpu_file_of(study)))
    return [kind.load(file) for kind, file in files if file.is_file()]


def _shipped(study: str) -> list[Manifest]:
    made = manifest.load()
    return [made] if made and made.study == study else []


def _scalings(study: str) -> list[ScalingRecord]:
    made = ScalingRecord.load(scaling_file()) if scaling_file().is_file() else None
    return [made] if made and made.study == study else []


def _backbones(study: str) -> list[PretrainingRecord]:
    file = records.pretraining_file(study)
    return [PretrainingRecord.load(file)] if file.is_file() else []


# What a study may have records of, as pages name it behind the study and a slash.
_OF_KIND: Mapping[str, Callable[[str], list[Source]]] = {
    "runs": lambda study: [of_run(record) for record in tables.listed(study)],
    "words": lambda study: [of_run(record) for record in tables.listed_tokens(study)],
    "costs": lambda study: [of_cost(record) for record in records.load_costs(study)],
    "backbone": lambda study: [of_backbone(record) for record in _backbones(study)],
    "benchmark": lambda study: [of_benchmark(record) for record in _benchmarks(study)],
    "scaling": lambda study: [of_scaling(record) for record in _scalings(study)],
    "shipped": lambda study: [of_shipped(made) for made in _shipped(study)],
}
KINDS = tuple(_OF_KIND)


def of(study: str, kind: str) -> tuple[Source, ...]:
    """The study's records of that kind, read once for as long as its files stay as they are; empty if it has none.

    Raises:
        LaghuError: no such kind, or neither a study of that name nor results of one.
    """
    if kind not in _OF_KIND:
        raise LaghuError(f"no records of kind {kind!r}; there are {', '.join(KINDS)}")
    if not (paths.studies() / f"{study}.yaml").is_file() and not paths.results(study).is_dir():
        raise LaghuError(f"no study {study!r}: neither studies/{study}.yaml nor results/{study}")
    apart = [*paths.shipped().glob(manifest.NAME), *(file for file in [scaling_file()] if file.is_file())]
    files = [*sorted(paths.results(study).rglob("*.json")), *apart]
    return _of(study, kind, tuple((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=64)
def _of(study: str, kind: str, stamp: tuple[tuple[Path, int], ...]) -> tuple[Source, ...]:
    return tuple(_OF_KIND[kind](study))


def told(what: str, sources: Sequence[Source]) -> str:
    """What a number says of itself: run keys, commits, seeds, machines and days of its records, behind `what`."""
    parts = [
        what,
        _counted("seed", sorted({str(source.seed) for source in sources if source.seed is not None}, key=int)),
        _counted("run key", (formats.short(source.key) for source in sources if source.key)),
        _counted("commit", (formats.short(source.commit) for source in sources)),
        "; ".join(dict.fromkeys(source.machine for source in sources)),
        days(sources),
    ]
    return ", ".join(filter(None, parts))


def days(sources: Iterable[Source]) -> str:
    """The day on which the records were made, or the first and the last, in UTC: "2026-11-20 to 2026-11-22"."""
    ends = [day for source in sources for day in (source.begun, source.ended)]
    return " to ".join(dict.fromkeys(f"{day:%Y-%m-%d}" for day in (min(ends), max(ends))))


def _counted(name: str, values: Iterable[str]) -> str:
    different = list(dict.fromkeys(values))
    return f"{name}{'s' if len(different) > 1 else ''} {', '.join(different)}" if different else ""
