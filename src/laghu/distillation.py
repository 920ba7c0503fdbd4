"""Knowledge distillation on logits: the student learns from the teacher's probabilities as well as from the labels.

Source: Hinton, Vinyals, Dean 2015, section 2; constants as in nn_pruning (T = 2, alpha = 0.9).
"""

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laghu import evaluation
from laghu.training import Objective


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher || student) between the softened distributions, mean over the batch.

    The factor T^2 keeps the gradient's size independent of T (Hinton et al. 2015, section 2.1).

    Args:
        student_logits, teacher_logits: shape (batch, labels).
    """
    return temperature**2 * functional.kl_div(
        functional.log_softmax(student_logits / temperature, dim=-1),
        functional.log_softmax(teacher_logits / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )


def objective(temperature: float, alpha: float) -> Objective:
    """alpha T^2 KL(teacher || student) + (1 - alpha) cross-entropy on the labels."""

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        soft = distillation_loss(logits, batch["teacher_logits"].to(logits.dtype), temperature)
        return alpha * soft + (1 - alpha) * functional.cross_entropy(logits, batch["labels"])

    return loss


def with_teacher_logits(
    split: Dataset, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str], max_length: int
) -> Dataset:
    """Add the teacher's logits to a tokenized split, shape (labels,) per row.

    The teacher is frozen and sees each text once, without dropout, so its logits can be computed before training
    instead of in every epoch; the result is the same.

    Args:
        texts: of the rows of `split`, in their order.
    """
    logits = evaluation.logits(teacher, tokenizer, texts, batch_size=64, max_length=max_length)
    return split.add_column("teacher_logits", list(logits.astype(np.float32)))


def agreement(student_logits: np.ndarray, teacher_logits: np.ndarray) -> float:
    """Share of rows on which student and teacher choose the same label; both of shape (rows, labels)."""
    return float((student_logits.argmax(-1) == teacher_logits.argmax(-1)).mean())


def mean_divergence(student_logits: np.ndarray, teacher_logits: np.ndarray) -> float:
    """Mean KL(teacher || student) in nats per row, T = 1; both of shape (rows, labels)."""
    return float(distillation_loss(torch.as_tensor(student_logits), torch.as_tensor(teacher_logits), 1.0))
