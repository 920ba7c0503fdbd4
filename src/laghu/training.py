"""Training on `transformers.Trainer`: one place for its arguments, its resumption and its report."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from laghu.energy import track
from laghu.progress import ProgressCallback
from laghu.quiet import QuietCallback

# (logits of shape (batch, labels), the batch with its labels) -> scalar loss
Objective = Callable[[Tensor, dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class TrainingReport:
    """What one training took. Energy in kWh, CO2e in kg, time in seconds, pauses for others' timings left out.

    `resumed_at_step` above 0 means that the training was interrupted: seconds and energy then cover only what came
    after that step.
    """

    steps: int
    seconds: float
    resumed_at_step: int
    energy_kwh: float
    co2e_kg: float
    energy_components: dict[str, float]
    energy_source: dict[str, str]
    log: list[dict[str, float]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def arguments(
    folder: Path,
    *,
    batch_size: int,
    learning_rate: float,
    warm_up: float,
    weight_decay: float,
    precision: str,
    seed: int,
    epochs: float = 1.0,
    steps: int = -1,
    workers: int = 0,
) -> TrainingArguments:
    """Trainer arguments shared by every technique; linear decay after a linear warm-up, AdamW, ten checkpoints a run.

    Args:
        warm_up: fraction of the steps, in [0, 1).
        steps: number of optimiser steps; -1 leaves it to `epochs`.
        workers: processes that prepare batches; 0 prepares them between the steps.
        precision: "fp16" trains with loss scaling, "bf16" without, both under autocast with fp32 weights.
    """
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        max_steps=steps,
        per_device_train_batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=warm_up,
        weight_decay=weight_decay,
        fp16=precision == "fp16",
        bf16=precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        save_steps=0.1,
        save_total_limit=1,
        logging_steps=0.02,
        # Trainer's own progress bar writes HTML into executed notebooks; ProgressCallback writes one line.
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def tokenize(split: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """`input_ids`, `attention_mask` and `labels` of a labelled split; longer texts are cut to `max_length` tokens."""
    return split.map(
        lambda rows: {**tokenizer(rows["text"], truncation=True, max_length=max_length), "labels": rows["label"]},
        batched=True,
        remove_columns=split.column_names,
    ).select_columns(["input_ids", "attention_mask", "labels"])


class ClassifierTrainer(Trainer):
    """`Trainer` for a classifier whose loss is given as a function of its logits and the batch."""

    def __init__(self, *args: Any, objective: Objective, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.objective = objective
        self.model_accepts_loss_kwargs = False  # the objective is a mean over the batch, not a sum to be divided

    def compute_loss(  # type: ignore[override]
        self, model: torch.nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        return self.objective(logits.float(), inputs)


def cross_entropy(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy with the labels; logits of shape (batch, labels)."""
    return functional.cross_entropy(logits, batch["labels"])


def train(trainer: Trainer, country: str) -> TrainingReport:
    """Train, from the last checkpoint in the output folder if there is one, and say what it took.

    Afterwards the model computes in the precision of its weights, whatever it was trained in. Entries of the report's
    `log` hold `seconds` since this call.

    Args:
        country: ISO code of the grid whose carbon intensity is assumed (see `laghu.energy.track`).
    """
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(quiet := QuietCallback())
    trainer.add_callback(ProgressCallback())
    trainer.add_callback(_Clock())
    last = _last_checkpoint(Path(trainer.args.output_dir))
    with track(country) as energy, closing(quiet):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    # accelerate leaves its autocast around the model's forward.
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return TrainingReport(
        steps=trainer.state.global_step,
        seconds=energy.seconds - quiet.waited,
        resumed_at_step=_step(last) if last else 0,
        energy_kwh=energy.kwh,
        co2e_kg=energy.co2e_kg,
        energy_components=energy.components,
        energy_source=energy.source,
        log=[entry for entry in trainer.state.log_history if "loss" in entry],
    )


class _Clock(TrainerCallback):
    """Adds the time since the training began to each entry of its log."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self._began = perf_counter()

    def on_log(self, args, state, control, **kwargs) -> None:
        state.log_history[-1]["seconds"] = perf_counter() - self._began


def _last_checkpoint(folder: Path) -> Path | None:
    # Trainer writes trainer_state.json last: without it, the process was killed while saving.
    complete = [file.parent for file in folder.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
