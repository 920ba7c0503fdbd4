"""A study's backbone, pretrained by several processes at once: one for each GPU of this machine.

    laghu backbone STUDY --processes 4

PyTorch's launcher starts the processes, as it does for `accelerate launch --multi_gpu`; with `--cpu`, accelerate 1.15
starts one process whatever number it is told. In each of them accelerate finds the others, and `Trainer` uses it.

The recipe is that of one process: the batch is dealt out among the processes, and their gradients are averaged such
that the step is the one of the whole batch. Random numbers and the order of sums differ, as they do between machines;
so the stage has the same key. Process 0 makes the stage and the record, and the others lend it a hand: what they write
of their own is the state of their random numbers, beside the checkpoint.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from torch import distributed

from laghu import backbones, experiment, pretraining, runner, texts
from laghu.errors import LaghuError
from laghu.spec import Architecture, Pretraining, Study
from laghu.training import TrainingReport

Pretrain = Callable[[Dataset, Architecture, Pretraining, Path, str], TrainingReport]


@dataclass(frozen=True)
class SharedReport(TrainingReport):
    """What a training took that `processes` processes did together; energy is of the GPUs and of process 0."""

    processes: int = 1


def launch(study: str, processes: int) -> None:
    """Pretrain a study's backbone with `processes` processes of this machine, on GPUs where it has any.

    Raises:
        LaghuError: the batch can't be dealt out evenly; the study pretrains no backbone; a process failed.
    """
    spec = pretraining.first_encoder(Study.load(study))
    share(spec.pretraining, processes)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
        "--module", "laghu.parallel", study,
    ]
    threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1)
    each = {"OMP_NUM_THREADS": str(max(1, int(threads) // processes))}
    if subprocess.run(command, check=False, env=os.environ | each).returncode:
        raise LaghuError(f"a process that pretrains the backbone of {study!r} failed; it says why above. Call again to "
                         "go on")


def share(settings: Pretraining, processes: int) -> Pretraining:
    """The settings of one of several processes, whose batches together are the batch of `settings`.

    Raises:
        LaghuError: the batch is not a multiple of the number of processes.
    """
    if processes < 1 or settings.batch_size % processes:
        raise LaghuError(f"a batch of {settings.batch_size} rows can't be dealt out evenly to {processes} processes; "
                         "take a number that divides it")
    return settings.model_copy(update={"batch_size": settings.batch_size // processes})


class DataParallelTrainer(backbones.MaskedLanguageModelTrainer):
    """The same training, whose batch lies in the hands of several processes.

    The loss is computed within the model's forward pass, which is what `DistributedDataParallel` watches over. That
    averages the gradients of the processes, each the mean over as many masked positions as it happens to have;
    weighed by these numbers, the average is the gradient of the mean over all.
    """

    def __init__(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        of_share = super().compute_loss

        def forward(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return of_share(model, inputs) * _weight(inputs["labels"])

        model.forward = forward

    def compute_loss(  # type: ignore[override]
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return model(inputs)


def _weight(labels: torch.Tensor) -> torch.Tensor:
    """This process's masked positions over the mean of all processes'."""
    mine = (labels != -100).sum().float()
    everyone = mine.clone()
    distributed.all_reduce(everyone)
    return mine * distributed.get_world_size() / everyone


def main(study: str) -> None:
    """What each of the processes does that `launch` starts."""
    loaded = Study.load(study)
    spec = pretraining.first_encoder(loaded)
    state = PartialState(cpu=not torch.cuda.is_available())
    backbones.MaskedLanguageModelTrainer = DataParallelTrainer
    pretrain = backbones.pretrain

    def with_all(
        text: Dataset, architecture: Architecture, settings: Pretraining, folder: Path, country: str
    ) -> TrainingReport:
        """Called by process 0, where the stage is to be built: tells the others, and does its share."""
        broadcast_object_list([folder])
        report = pretrain(text, architecture, share(settings, state.num_processes), folder, country)
        return SharedReport(**report.as_dict(), processes=state.num_processes)

    experiment.begin(spec)
    if state.is_main_process:
        backbones.pretrain = with_all
        with runner.watched(f"[{study}] backbone, {state.num_processes} processes"):
            pretraining.record(loaded)
        broadcast_object_list([None])
    else:
        assist(pretrain, spec.architecture, share(spec.pretraining, state.num_processes), spec.measuring.country)
    state.destroy_process_group()


def assist(pretrain: Pretrain, architecture: Architecture, settings: Pretraining, country: str) -> None:
    """Do one process's share of each training that process 0 begins, until it says that there are no more.

    The model of this process goes to a folder that is thrown away; checkpoints are read from and written to that of
    process 0.
    """
    while True:
        folder: list[Path | None] = [None]
        broadcast_object_list(folder)
        if folder[0] is None:
            return
        with TemporaryDirectory() as scratch:
            (Path(scratch) / "trainer").symlink_to(folder[0] / "trainer", target_is_directory=True)
            pretrain(texts.load(settings.text), architecture, settings, Path(scratch), country)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except LaghuError as error:
        sys.exit(f"laghu: {error}")
