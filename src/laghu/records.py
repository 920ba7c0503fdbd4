"""Records: one JSON file per run, the single origin of every number in tables, figures and prose."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from laghu import durable, paths
from laghu.errors import LaghuError, shown
from laghu.spec import CostPrecision, Distillation, Precision, Technique, TokenCorpusName

# Of a study or a run: it becomes part of paths and of addresses of pages.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Source = Literal["measured", "estimated", "absent"]
# Of entities: the literature's reading of IOB2, and the strict one (`laghu.sequence_labels`). Of words: the last two.
TokenScore = Literal[
    "f1", "precision", "recall", "strict_f1", "strict_precision", "strict_recall", "accuracy", "macro_f1"
]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameters(Part):
    """Numbers of parameters; shared ones count once."""

    total: int
    embeddings: int | None = None
    encoder: int | None = None


class Estimate(Part):
    """A fraction with its 95 % bootstrap interval over the test rows."""

    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class Views(Part):
    """One statistic on three views of the test split: all rows, first occurrences, and clean rows."""

    published: Estimate
    deduplicated: Estimate
    clean: Estimate


class Rows(Part):
    """Rows in each view of the test split."""

    published: int
    deduplicated: int
    clean: int


class McNemar(Part):
    """Exact paired test on the clean view against the baseline of the same seed."""

    against: str
    only_baseline_right: int
    only_run_right: int
    p_value: float


class Latency(Part):
    """Milliseconds for one batch of one text."""

    p50: float
    p95: float


class SpeedUp(Part):
    """Baseline's time over this run's, measured in turns: median and quartiles of the paired ratios."""

    median: float
    low: float
    high: float


class Timing(Part):
    """Conditions of the timings; two timings compare only where these are equal."""

    engine: str
    precision: Precision
    sequence_length: int
    throughput_batch_size: int
    repeats: int
    retaken: int
    threads: int
    fp32_products: Literal["highest", "high", "medium"] = Field(
        description="how fp32 numbers are multiplied, in PyTorch's words; high is TF32 on a GPU"
    )


class InferenceEnergy(Part):
    """Energy of classifying, over a window of the given seconds, per 1,000 texts."""

    kwh_per_1000_documents: float
    co2e_kg_per_1000_documents: float
    components: dict[str, float] = Field(description="kWh per 1,000 documents of each part of the machine")
    source: dict[str, Source] = Field(description="how the energy of each part is known")
    window_seconds: float


class StageReport(Part):
    """A trained stage that led to the run's model, with its own cost."""

    name: str
    key: str
    steps: int
    seconds: float
    resumed_at_step: int
    energy_kwh: float
    co2e_kg: float


class Stored(Part):
    """A record in a file of its own, written whole or not at all."""

    @property
    def file(self) -> Path:
        """Where it is kept."""
        raise NotImplementedError

    def save(self, folder: Path | None = None) -> Path:
        """Write the record under a temporary name and rename it; returns the path.

        An executed notebook beside it tells of an earlier record, and goes: with it, the run would pass for finished
        before its own notebook is there.

        Args:
            folder: receives it instead of the folder of `file`.

        Raises:
            LaghuError: the folder can't be written to.
        """
        file = folder / self.file.name if folder else self.file
        try:
            with durable.replacing(file, file.with_suffix(".ipynb")) as part:
                part.write_text(_readable_json(self.model_dump(mode="json")), encoding="utf-8")
        except OSError as error:
            raise LaghuError(f"record {file.name} can't be written to {file.parent}: {error.strerror}") from error
        return file

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read one record.

        Raises:
            LaghuError: no such file, one that can't be read, not JSON, or not a record; names the file and the field.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            raise LaghuError(f"no record {file.name} in {file.parent}; run the study first") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = shown(".".join(str(part) for part in first["loc"]))[1:-1] or "content"
            raise LaghuError(f"{file} is not a record: {where}: {first['msg']}; delete it and run it again") from None
        except OSError as error:
            raise LaghuError(f"record {file.name} can't be read from {file.parent}: {error.strerror}") from None


class RunRecord(Stored):
    """Everything that is known about one run. Fractions are in 0..1, times in the unit of their name."""

    study: Name
    run: Name
    technique: Technique
    pruning_level: float = Field(description="fraction of the FFN neurons removed, as delivered")
    distilled: bool
    distillation: Distillation
    precision: Precision
    seed: int
    corpus: str
    synthetic: bool = Field(description="the corpus is invented; accuracies say nothing about Marathi news")
    parameters: Parameters
    weight_bytes: int | None = Field(description="of an encoder as it is loaded for inference, in its precision")
    flops_per_token: int | None = Field(description="encoder multiply-adds x 2 at timing.sequence_length")
    intermediate_size: int | None
    accuracy: Views
    macro_f1: Views
    rows: Rows
    mcnemar: McNemar | None = Field(description="None where the run has no baseline beside it; see report.statistics")
    agreement: float | None = Field(description="share of clean rows with the teacher's label")
    latency_ms: Latency | None
    documents_per_second: float | None
    speed_up: SpeedUp | None
    timing: Timing | None
    peak_memory_bytes: int
    peak_memory_source: str
    energy_kwh: float = Field(description="training of this run's own stages, the teacher's not included")
    co2e_kg: float
    energy_components: dict[str, float]
    energy_source: dict[str, Source]
    grid_g_per_kwh: float
    inference_energy: InferenceEnergy | None
    train_seconds: float
    stages: list[StageReport]
    surgery_error: float | None = Field(description="largest absolute logit difference, masked against cut model")
    hardware: dict[str, Any]
    versions: dict[str, str]
    commit: str
    data_sha256: str
    run_key: str
    settings: dict[str, Any] = Field(description="the RunSpec, defaults included")
    started: datetime
    finished: datetime
    predictions: list[int] = Field(description="class id of every test row, in official order")
    right: str = Field(pattern=r"^[01]+$", description="a character per test row: 1 where the prediction is the label")
    row_views: str = Field(
        pattern=r"^[012]+$", description="a character per test row: 2 clean, 1 a first occurrence, 0 a repeat"
    )

    @property
    def correct(self) -> np.ndarray:
        """Whether each test row is right, shape (rows,)."""
        return np.array(list(self.right)) == "1"

    @property
    def views(self) -> dict[str, np.ndarray]:
        """The three views of the test split as boolean arrays of shape (rows,)."""
        strictest = np.array(list(self.row_views)).astype(int)
        return {view: strictest >= level for level, view in enumerate(("published", "deduplicated", "clean"))}

    @property
    def file(self) -> Path:
        return paths.results(self.study) / f"{self.run}.json"


class BatchLatency(Part):
    """Milliseconds for one batch, over the turns: median, 95th percentile, lower and upper quartile."""

    p50: float
    p95: float
    low: float
    high: float


class CostCell(Part):
    """One row at one sequence length and batch size. What was not measured is None."""

    row: str
    pruning_level: float
    sequence_length: int
    batch_size: int
    outcome: Literal["measured", "out of memory"] = Field(description="the GPU's, which holds the models of all rows")
    parameters: int
    weight_bytes: int
    flops_per_token: int = Field(description="encoder multiply-adds x 2 at sequence_length")
    flop_bound: float = Field(description="the baseline's flops_per_token over this row's")
    latency_ms: BatchLatency | None = None
    documents_per_second: float | None = None
    speed_up: SpeedUp | None = None
    retaken: int | None = Field(None, description="samples taken again for want of the CPU")
    peak_memory_bytes: int | None = Field(None, description="GPU: weights and the most a pass adds; None on a CPU")
    energy: InferenceEnergy | None = Field(None, description="at the largest batch of each length only")


class CostRecord(Stored):
    """What the rows of the paper's Table I cost in one precision, on random weights of the settings' shape."""

    study: Name
    precision: CostPrecision
    engine: str
    cells: list[CostCell]
    settings: dict[str, Any] = Field(description="the CostSpec, defaults included, without its precisions")
    grid_g_per_kwh: float
    hardware: dict[str, Any]
    versions: dict[str, str]
    commit: str
    run_key: str
    started: datetime
    finished: datetime

    @property
    def file(self) -> Path:
        return cost_file(self.study, self.precision)


class Counts(Part):
    """How many entities of one kind, or words of one tag, are right, true and predicted."""

    right: int
    true: int
    predicted: int


class TokenRecord(Stored):
    """Everything that is known about one run on labelled words; see `RunRecord` for what the two have in common."""

    study: Name
    run: Name
    corpus: TokenCorpusName
    task: Literal["ner", "pos"] = Field(description="scored by entities, or by words")
    synthetic: bool = Field(description="the corpus is invented; scores say nothing about Marathi")
    pruning_level: float = Field(description="fraction of the FFN neurons removed, as delivered")
    distillation: Distillation
    seed: int
    parameters: Parameters
    weight_bytes: int
    flops_per_token: int = Field(description="encoder multiply-adds x 2 at timing.sequence_length")
    intermediate_size: int
    scores: dict[TokenScore, Views] = Field(description="intervals are over resampled sentences")
    kinds: dict[str, Counts] = Field(description="by kind of entity, or tag, on the clean view")
    sentences: Rows
    words: Rows
    unread_words: Rows = Field(description="cut off or lost by the tokenizer; in the scores as mistakes or as outside")
    agreement: float | None = Field(description="share of the words of clean sentences with the teacher's tag")
    latency_ms: Latency
    documents_per_second: float
    speed_up: SpeedUp
    timing: Timing
    peak_memory_bytes: int
    peak_memory_source: str
    energy_kwh: float = Field(description="training of this run's own stages, the teacher's not included")
    co2e_kg: float
    energy_components: dict[str, float]
    energy_source: dict[str, Source]
    grid_g_per_kwh: float
    inference_energy: InferenceEnergy
    train_seconds: float
    stages: list[StageReport]
    surgery_error: float | None = Field(description="largest absolute logit difference, masked against cut model")
    hardware: dict[str, Any]
    versions: dict[str, str]
    commit: str
    data_sha256: str
    run_key: str
    settings: dict[str, Any] = Field(description="the TokenRun, defaults included")
    started: datetime
    finished: datetime
    right: list[int] = Field(description="entities or words of every test sentence that are right, in official order")
    true: list[int]
    predicted: list[int]
    sentence_views: str = Field(
        pattern=r"^[012]+$", description="a character per test sentence: 2 clean, 1 a first occurrence, 0 a repeat"
    )

    @property
    def counts(self) -> np.ndarray:
        """How much is right, true and predicted in each test sentence, shape (sentences, 3)."""
        return np.array([self.right, self.true, self.predicted]).T

    @property
    def clean(self) -> np.ndarray:
        """Which test sentences are in the clean view, shape (sentences,)."""
        return np.array(list(self.sentence_views)) == "2"

    @property
    def file(self) -> Path:
        return token_file(self.study, self.run)


class Loss(Part):
    """Masked-language-model loss, mean since the entry before."""

    step: int
    loss: float


class PretrainingRecord(Stored):
    """How the backbone of a study was pretrained: how much text, how fast, at what cost."""

    study: Name
    text: str
    synthetic: bool
    parameters: int = Field(description="with the language-model head; shared ones count once")
    steps: int
    tokens: int
    tokens_per_second: float | None = Field(description="between the first and the last entry of the log")
    flops_per_token: float = Field(description="forward and backward, matrix products alone")
    peak_flops_per_second: float | None = Field(description="of one GPU, dense bf16, by its maker's data sheet")
    model_flops_utilisation: float | None = Field(description="the FLOP/s achieved over the peak")
    loss: list[Loss]
    train_seconds: float
    processes: int = Field(1, description="that shared the batch; energy is of the GPUs and the first of them")
    resumed_at_step: int
    energy_kwh: float
    co2e_kg: float
    energy_components: dict[str, float]
    energy_source: dict[str, Source]
    grid_g_per_kwh: float
    hardware: dict[str, Any]
    versions: dict[str, str]
    commit: str
    data_sha256: str
    stage_key: str
    settings: dict[str, Any]
    recorded: datetime

    @property
    def file(self) -> Path:
        return pretraining_file(self.study)


def pretraining_file(study: str) -> Path:
    """Where the record of a study's backbone is kept."""
    return paths.results(study) / "backbone" / "pretraining.json"


def load_study(study: str) -> list[RunRecord]:
    """All records of a study, by run name; empty if there are none."""
    return [RunRecord.load(file) for file in sorted(paths.results(study).glob("*.json"))]


def load_costs(study: str) -> list[CostRecord]:
    """The study's cost records in the order of `CostPrecision`, those that are there."""
    files = (cost_file(study, precision) for precision in get_args(CostPrecision))
    return [CostRecord.load(file) for file in files if file.is_file()]


def cost_file(study: str, precision: str) -> Path:
    """Where the cost record of that precision is kept; its executed notebook lies beside it."""
    return paths.results(study) / "cost" / f"{precision}.json"


def load_tokens(study: str) -> list[TokenRecord]:
    """The study's records of runs on labelled words, by run name; empty if there are none."""
    return [TokenRecord.load(file) for file in sorted((paths.results(study) / "tokens").glob("*.json"))]


def token_file(study: str, run: str) -> Path:
    """Where the record of a run on labelled words is kept; its executed notebook lies beside it."""
    return paths.results(study) / "tokens" / f"{run}.json"


def frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row per record, one column per number; nested names are joined with dots, as in the JSON.

    `resumed` says whether a training that led to the run went on after an interruption, `taught_by_ensemble` whether
    one of them was distillation from the ensemble of classical classifier and baseline.
    """
    left_out = {"predictions", "right", "row_views", "settings", "stages"}
    return pd.json_normalize([
        record.model_dump(exclude=left_out) | {
            "resumed": any(stage.resumed_at_step for stage in record.stages),
            "taught_by_ensemble": any(stage.name == "ensemble" for stage in record.stages),
        }
        for record in records
    ])


def json_schema() -> str:
    """The JSON Schema of a record, as committed in `results/record.schema.json`."""
    return json.dumps(RunRecord.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _readable_json(content: dict[str, Any]) -> str:
    """Indented JSON with lists of integers and objects of numbers on one line each.

    2,761 predictions would otherwise fill as many lines, and an estimate with its interval five.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # Neither is ever part of a string, in which a quotation mark has a backslash before it.
    numbers = r"\[[\d\s,]+\]|\{(?:\s+\"\w+\": [-+.\deE]+,?)+\s+\}"
    return re.sub(numbers, lambda match: re.sub(r"\s+", " ", match[0]), text) + "\n"
