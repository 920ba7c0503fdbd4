"""What `laghu bench` found: a record with its provenance for the book, and a table of all studies for others."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from laghu import durable, paths, spreadsheets
from laghu.records import Name, Part, Source, Stored

Kind = Literal["path", "alternative", "peer"]


class Quartiles(Part):
    """Over the turns."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, spread: tuple[float, float, float]) -> "Quartiles":
        """Of a `throughput.Spread`: median, low, high."""
        median, low, high = spread
        return cls(median=median, low=low, high=high)


class Energy(Part):
    """Of classifying 1,000 documents."""

    kwh: float
    source: dict[str, Source] = Field(description="how the energy of each part of the machine is known")
    window_seconds: float


class Contender(Part):
    """A way from text to label, and what it gives."""

    name: str
    kind: Kind = Field(description="a step of the path, another way for one, or what others offer")
    step: str = Field(description="what is new in it: against the contender before it on the path, else by itself")
    run: str | None = Field(description="row of the study whose model it uses; none: random weights or no encoder")
    engine: str
    precision: str
    documents_per_second: Quartiles
    ratio: Quartiles = Field(description="to the reference, turn by turn")
    factor: Quartiles | None = Field(description="to the step before it, turn by turn; of the path only")
    bound: float | None = Field(description="what the step could be worth at best, as `bound_by` counts")
    bound_by: Literal["operations", "bytes", "tokenising"] | None
    operations_per_document: float | None = Field(description="in matrix products, padding included")
    accuracy: dict[str, float] | None = Field(description="on the views of the test split, of the labels that it gave")
    size_mb: float | None = Field(description="of the file of the weights, in 10^6 bytes")
    energy: Energy | None


class Growth(Part):
    """A stream of headlines through the last contender of the path."""

    documents: int
    threads: int
    seconds: float
    documents_per_second: float
    memory_mb: float = Field(description="most that the process held, less what it held before the stream, 10^6 bytes")


class PrunedShape(Part):
    """The same shape with fewer FFN neurons, in one engine, without padding."""

    engine: str
    shape: str
    pruning_level: float
    batch_size: int
    sequence_length: int
    speed_up: Quartiles
    bound: float = Field(description="ratio of the operations")


class Tokenising(Part):
    """Microseconds a headline on all threads, in each way."""

    library_threads: float = Field(description="the library as it is, chunk after chunk, in threads of its own")
    chunks: float = Field(description="the library as it is, a chunk in each thread")
    prepared: float = Field(description="`tokenization.Prepared`, a chunk in each thread")


class _Measured(Stored):
    """Of which study, and where it comes from."""

    study: Name
    corpus: str
    synthetic: bool
    seed: int
    settings: dict[str, Any]
    hardware: dict[str, Any]
    versions: dict[str, str]
    commit: str
    data_sha256: str
    started: datetime
    finished: datetime


class BenchmarkRecord(_Measured):
    """One study's benchmark on one machine."""

    headlines: int = Field(description="texts of the test split, which all contenders label")
    turns: int
    contenders: list[Contender]
    accuracy_of_seeds: dict[str, dict[str, dict[str, float]]] = Field(
        description="by seed: of the reference's and of the last contender's model, on the views of the test split"
    )
    latency_ms: dict[str, float] = Field(description="of one headline at a time through the last contender: p50, p95")
    tokenising: Tokenising
    growth: list[Growth]
    pruned_shapes: list[PrunedShape]
    grid_g_per_kwh: float

    @property
    def file(self) -> Path:
        return file_of(self.study)

    @property
    def path(self) -> list[Contender]:
        """From the reference to what is deployed."""
        return [contender for contender in self.contenders if contender.kind == "path"]


class GpuRecord(_Measured):
    """One study's teacher on one GPU; what `steps` and `achieved` hold is said in `gpu.measure`."""

    steps: dict[str, dict[str, Any]]
    achieved: dict[str, Any]

    @property
    def file(self) -> Path:
        return gpu_file_of(self.study)


COLUMNS = (
    "study", "machine", "contender", "kind", "step", "documents_per_second", "documents_per_second_low",
    "documents_per_second_high", "ratio", "ratio_low", "ratio_high", "factor", "bound", "bound_by", "accuracy_clean",
    "size_mb", "energy_kwh_per_1000_documents", "seed", "commit",
)


def file_of(study: str) -> Path:
    """Where a study's benchmark is kept."""
    return paths.results(study) / "speed" / "benchmark.json"


def gpu_file_of(study: str) -> Path:
    """Where a study's benchmark on a GPU is kept."""
    return paths.results(study) / "speed" / "gpu.json"


def table_file() -> Path:
    """The table of all studies' benchmarks."""
    return paths.root() / "results" / "benchmarks.csv"


def rows(record: BenchmarkRecord) -> list[dict[str, Any]]:
    """One row a contender, by `COLUMNS`."""
    machine = f"{record.hardware['cpu']}, {record.hardware['threads']} threads"
    if record.hardware["gpu"]:
        machine += f", {record.hardware['gpu']}"
    return [
        {
            "study": record.study, "machine": machine, "contender": contender.name, "kind": contender.kind,
            "step": contender.step,
            **_quartiles("documents_per_second", contender.documents_per_second),
            **_quartiles("ratio", contender.ratio),
            "factor": contender.factor and f"{contender.factor.median:.6g}",
            "bound": contender.bound and f"{contender.bound:.6g}", "bound_by": contender.bound_by,
            "accuracy_clean": contender.accuracy and f"{contender.accuracy['clean']:.6g}",
            "size_mb": contender.size_mb and f"{contender.size_mb:.6g}",
            "energy_kwh_per_1000_documents": contender.energy and f"{contender.energy.kwh:.6g}",
            "seed": record.seed, "commit": record.commit,
        }
        for contender in record.contenders
    ]


def write_table() -> Path:
    """Write the table anew from the records that are there, study by study."""
    found = sorted((paths.root() / "results").glob("*/speed/benchmark.json"))
    lines = [line for file in found for line in rows(BenchmarkRecord.load(file))]
    with durable.replacing(table_file()) as part:
        spreadsheets.write(pd.DataFrame(lines, columns=COLUMNS, dtype=object), part, index=False)
    return table_file()


def _quartiles(name: str, values: Quartiles) -> dict[str, str]:
    return {name: f"{values.median:.6g}", f"{name}_low": f"{values.low:.6g}", f"{name}_high": f"{values.high:.6g}"}
