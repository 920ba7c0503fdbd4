"""Distillation of masked language models: the student learns the teacher's vocabulary logits while filling in blanks.

    loss = alpha MLM + (1 - alpha) MSE(student logits, teacher logits)

Logits are compared as they are, without a temperature, and no hidden state is: the two may differ in every size but
the vocabulary.

Source: Gurgurov, Gregor, van Genabith, Ostermann 2025 (arXiv 2505.16956), step 1 of the pipeline, as their code does
it; which positions the mean goes over is an argument here (`all_real`, `with_padding`, `masked_only`).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import DataCollatorForLanguageModeling, PreTrainedModel, PreTrainedTokenizerBase, Trainer

from laghu.errors import LaghuError
from laghu.training import TrainingReport, arguments, train

IGNORED = -100

# A batch of 4096 positions under a vocabulary of 200,000 has 3 GiB of logits, and a step needs them several times over.
LOGITS_AT_ONCE = 2**26

# a batch -> which of its positions enter the MSE; bool, shape (batch, tokens)
Positions = Callable[[dict[str, Tensor]], Tensor]


# ------------------------------------------------------------------------------------------------ positions


def all_real(batch: dict[str, Tensor]) -> Tensor:
    """All positions but padding, special tokens included."""
    return batch["attention_mask"].bool()


def with_padding(batch: dict[str, Tensor]) -> Tensor:
    """All positions, as in the authors' code: what both models make of padding counts like what they make of text."""
    return torch.ones_like(batch["attention_mask"], dtype=torch.bool)


def masked_only(batch: dict[str, Tensor]) -> Tensor:
    """The positions to be filled in. Ours: at 15 % masking it needs about a sixth of the vocabulary logits."""
    return batch["labels"] != IGNORED


# ------------------------------------------------------------------------------------------------ rows and masks


def padded(texts: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """One text a row, cut and padded to exactly `max_length` tokens, as the authors do.

    Args:
        texts: has a column `text`.

    Returns:
        Columns `input_ids` and `attention_mask`, each of `max_length` integers a row. (`backbones.pack` makes rows
        without padding.)
    """
    return texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, padding="max_length", max_length=max_length),
        batched=True,
        remove_columns=texts.column_names,
    ).select_columns(["input_ids", "attention_mask"])


class RepeatableMasking(DataCollatorForLanguageModeling):
    """Masks tokens at random, by a generator seeded with `seed` and the batch itself.

    The same rows in the same order are masked alike whatever came before. So a resumed training masks as an
    uninterrupted one: the data loader prepares a batch ahead, and the global generator as a checkpoint keeps it has
    already masked that one. In another epoch rows meet other rows and get other masks, unless a batch is one row.
    """

    def torch_mask_tokens(self, inputs: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        self.generator = torch.Generator().manual_seed(crc32(inputs.numpy().tobytes(), self.seed))
        return super().torch_mask_tokens(inputs, *args, **kwargs)


# ------------------------------------------------------------------------------------------------ losses


def losses(
    student: PreTrainedModel, teacher: PreTrainedModel, batch: dict[str, Tensor], positions: Positions
) -> tuple[Tensor, Tensor]:
    """MLM, the mean cross-entropy at the masked positions, and MSE, the mean squared difference of the logits.

    The MSE's mean is over the positions chosen and the vocabulary. Both are 0 where there is no position, as a small
    batch of short texts may be masked nowhere. Gradients go to the student only. Logits are computed at the positions
    that need them, at most `LOGITS_AT_ONCE` together; where that takes several parts, each is computed again on the
    way back instead of being kept.

    Args:
        batch: `input_ids`, `attention_mask` and `labels` (-100 where nothing is filled in), shape (batch, tokens).

    Raises:
        LaghuError: a model isn't one for masked language modelling, or keeps its head in several modules.
    """
    heads = head(student), head(teacher)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    hidden = student.base_model(**inputs).last_hidden_state
    with torch.no_grad():
        teacher_hidden = teacher.base_model(**inputs).last_hidden_state
    masked = batch["labels"] != IGNORED
    mlm = functional.cross_entropy(heads[0](hidden[masked]), batch["labels"][masked], reduction="sum")
    selected = positions(batch)
    vocab_size = student.config.vocab_size
    squares = _squared_error(*heads, hidden[selected], teacher_hidden[selected], max(1, LOGITS_AT_ONCE // vocab_size))
    return mlm / masked.sum().clamp(min=1), squares / (selected.sum().clamp(min=1) * vocab_size)


def _squared_error(
    student_head: nn.Module, teacher_head: nn.Module, hidden: Tensor, teacher_hidden: Tensor, rows: int
) -> Tensor:
    """Sum of the squared differences of the logits, over all positions and the vocabulary.

    Args:
        hidden, teacher_hidden: last hidden states, shapes (positions, student's size) and (positions, teacher's size).
        rows: positions whose logits may be in memory together.
    """

    def part(hidden: Tensor, teacher_hidden: Tensor) -> Tensor:
        with torch.no_grad():
            target = teacher_head(teacher_hidden)
        return functional.mse_loss(student_head(hidden), target, reduction="sum")

    parts = list(zip(hidden.split(rows), teacher_hidden.split(rows), strict=True))
    if len(parts) == 1:
        return part(*parts[0])
    # No head has dropout, so there is no random state to bring back.
    again = partial(checkpoint, part, use_reentrant=False, preserve_rng_state=False)
    return torch.stack([again(*states) for states in parts]).sum()


def head(model: PreTrainedModel) -> nn.Module:
    """What turns a masked language model's last hidden states, shape (..., hidden), into logits, shape (..., vocab).

    Raises:
        LaghuError: the model has no such head, or has it in several modules.
    """
    modules = [module for name, module in model.named_children() if name != model.base_model_prefix]
    if len(modules) != 1 or model.get_output_embeddings() is None:
        raise LaghuError(
            f"{type(model).__name__} has no masked-language-model head in one module; BertForMaskedLM, "
            "RobertaForMaskedLM and XLMRobertaForMaskedLM have"
        )
    return modules[0]


# ------------------------------------------------------------------------------------------------ training


class DistillationTrainer(Trainer):
    """`Trainer` for a student under a teacher that is frozen, in eval mode, in neither optimiser nor checkpoint."""

    def __init__(
        self, *args: Any, teacher: PreTrainedModel, alpha: float, positions: Positions, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.teacher = teacher.to(self.args.device).eval()
        self.alpha = alpha
        self.positions = positions
        self.model_accepts_loss_kwargs = False  # the loss is a mean over the batch, not a sum to be divided

    def compute_loss(  # type: ignore[override]
        self, model: PreTrainedModel, inputs: dict[str, Tensor], return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        # accelerate puts autocast around model.forward, which is not called here; it takes both losses in fp32.
        with self.accelerator.autocast():
            mlm, mse = losses(model, self.teacher, inputs, self.positions)
        return self.alpha * mlm + (1 - self.alpha) * mse


def distil(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    folder: Path,
    country: str,
    *,
    alpha: float,
    positions: Positions,
    steps: int,
    batch_size: int,
    learning_rate: float,
    warm_up: float,
    mask_probability: float,
    precision: str,
    seed: int,
    weight_decay: float = 0.0,
    workers: int = 0,
) -> TrainingReport:
    """Train the student in place; the same seed gives the same weights.

    Interrupted, and called again with the same student, it goes on from its last checkpoint in `folder / "trainer"` and
    ends where it would have. The student has the dropout of its configuration, the teacher none.

    Args:
        teacher: left in eval mode, its weights as they were.
        rows: `input_ids`, and `attention_mask` where there is padding; from `backbones.pack` or `padded`.
        country: ISO code of the grid whose carbon intensity is assumed (see `laghu.energy.track`).
        alpha: weight of the labels, in [0, 1]; 1 - alpha goes to the teacher. The authors' scripts: 0.5. (In
            `laghu.distillation` alpha is the teacher's, after that source.)
        positions: where logits are compared; the authors': `with_padding`.
        learning_rate, warm_up, weight_decay, precision, workers: see `laghu.training.arguments`. The authors: the
            library's 5e-5, no warm-up, no decay.
        mask_probability: share of the tokens to fill in; the authors': 0.15.

    Raises:
        LaghuError: student and teacher differ in vocabulary or share weights, the tokenizer has pieces that they don't
            know, or a model isn't one for masked language modelling.
    """
    _check(student, teacher, tokenizer)
    args = arguments(
        folder / "trainer", steps=steps, batch_size=batch_size, learning_rate=learning_rate, warm_up=warm_up,
        weight_decay=weight_decay, precision=precision, seed=seed, workers=workers,
    )
    collator = RepeatableMasking(tokenizer, mlm_probability=mask_probability, seed=seed)
    trainer = DistillationTrainer(
        student, args, collator, rows, teacher=teacher, alpha=alpha, positions=positions
    )
    return train(trainer, country)


def _check(student: PreTrainedModel, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    for model in (student, teacher):
        head(model)
    sizes = student.config.vocab_size, teacher.config.vocab_size
    if sizes[0] != sizes[1]:
        raise LaghuError(
            f"the student has a vocabulary of {sizes[0]}, the teacher one of {sizes[1]}; logits can be compared only "
            "under one tokenizer"
        )
    if len(tokenizer) > sizes[0]:
        raise LaghuError(f"the tokenizer has {len(tokenizer)} pieces, student and teacher know {sizes[0]}; give theirs")
    # A student built of the teacher's own modules would train the teacher.
    shared = {id(parameter) for parameter in teacher.parameters()} & {id(p) for p in student.parameters()}
    if shared:
        raise LaghuError(f"student and teacher share {len(shared)} weights; build the student of copies")
