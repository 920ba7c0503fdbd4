import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.special import log_softmax, softmax

from laghu.distillation import agreement, distillation_loss, mean_divergence, objective, with_teacher_logits
from laghu.training import tokenize

ROWS, LABELS = 5, 4
TEMPERATURES = [0.5, 1.0, 2.0, 20.0]


def pair(seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, LABELS)) * 3, rng.normal(size=(ROWS, LABELS)) * 3


def kl_by_hand(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    total = 0.0
    for s, t in zip(student / temperature, teacher / temperature, strict=True):
        p, q = softmax(t), softmax(s)
        total += sum(p[k] * (np.log(p[k]) - np.log(q[k])) for k in range(LABELS))
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_loss_equals_numpy(temperature):
    student, teacher = pair()
    found = distillation_loss(torch.tensor(student), torch.tensor(teacher), temperature).item()
    assert found == pytest.approx(kl_by_hand(student, teacher, temperature), rel=1e-10)
    assert found > 0


def test_direction_is_teacher_first():
    """KL((1, 0) || (1/2, 1/2)) = log 2, the other way round it is infinite."""
    sure, unsure = torch.tensor([[200.0, 0.0]], dtype=torch.double), torch.zeros(1, 2, dtype=torch.double)
    assert distillation_loss(unsure, sure, 1.0).item() == pytest.approx(np.log(2))
    assert distillation_loss(sure, unsure, 1.0).item() == pytest.approx(100 - np.log(2))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradient_closed_form(temperature):
    """dL/ds = T (softmax(s/T) - softmax(t/T)) / batch: T^2 of the loss, 1/T of the inner derivative."""
    student, teacher = pair(1)
    logits = torch.tensor(student, requires_grad=True)
    distillation_loss(logits, torch.tensor(teacher), temperature).backward()
    expected = temperature * (softmax(student / temperature, -1) - softmax(teacher / temperature, -1)) / ROWS
    np.testing.assert_allclose(logits.grad.numpy(), expected, atol=1e-12)
    step = 1e-5
    for row, label in [(0, 0), (3, 2)]:
        up, down = student.copy(), student.copy()
        up[row, label] += step
        down[row, label] -= step
        slope = (kl_by_hand(up, teacher, temperature) - kl_by_hand(down, teacher, temperature)) / (2 * step)
        assert logits.grad[row, label].item() == pytest.approx(slope, abs=1e-7)


def test_size_of_the_gradient_settles_as_temperature_grows():
    """For large T the gradient tends to the difference of the centred logits over (labels x batch): Hinton, eq. 4."""
    student, teacher = pair(2)
    logits = torch.tensor(student, requires_grad=True)
    distillation_loss(logits, torch.tensor(teacher), 1e4).backward()
    centred = [x - x.mean(-1, keepdims=True) for x in (student, teacher)]
    np.testing.assert_allclose(logits.grad.numpy(), (centred[0] - centred[1]) / (LABELS * ROWS), rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_zero_at_equality_and_for_a_shift(temperature):
    student, _ = pair()
    logits = torch.tensor(student, requires_grad=True)
    loss = distillation_loss(logits, logits.detach() + torch.arange(ROWS)[:, None], temperature)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert logits.grad.abs().max() < 1e-12


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
def test_objective_mixes_teacher_and_labels(alpha):
    student, teacher = pair(4)
    labels = np.array([0, 1, 2, 3, 0])
    loss = objective(2.0, alpha)
    found = loss(
        torch.tensor(student), {"labels": torch.tensor(labels), "teacher_logits": torch.tensor(teacher)}
    ).item()
    hard = -np.mean(log_softmax(student, -1)[np.arange(ROWS), labels])
    assert found == pytest.approx(alpha * kl_by_hand(student, teacher, 2.0) + (1 - alpha) * hard, rel=1e-10)


def test_teacher_logits_stand_beside_their_own_rows(tiny_bert, tokenizer):
    """Texts of very different lengths, longest in the middle: any batching by length has to be undone."""
    texts = ["गर्दी", "नव्या मोहीम " * 12, "भारताचा विजय", "पावसाची जोरदार हजेरी, घोषणा " * 3, "शाळा", "फोनच्या किमती"] * 15
    teacher = tiny_bert()
    split = Dataset.from_dict({"text": texts, "label": [i % 3 for i in range(len(texts))]})
    rows = with_teacher_logits(tokenize(split, tokenizer, 20), teacher, tokenizer, texts, max_length=20)
    assert rows["labels"][:] == [i % 3 for i in range(len(texts))]
    alone = []
    for text in texts[:6]:
        ids = torch.tensor([tokenizer(text, truncation=True, max_length=20)["input_ids"]])
        with torch.no_grad():
            alone.append(teacher(input_ids=ids).logits[0].numpy())
    assert np.ptp(np.array(alone), axis=0).max() > 1e-2  # the rows do differ
    np.testing.assert_allclose(np.array(rows["teacher_logits"][:]), np.tile(alone, (15, 1)), atol=1e-5)


def test_agreement_and_divergence():
    student = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, -1.0]])
    teacher = np.array([[0.5, 0.1], [1.0, 0.0], [0.0, -2.0]])
    assert agreement(student, teacher) == pytest.approx(2 / 3)
    by_hand = np.mean([
        sum(softmax(t) * (np.log(softmax(t)) - np.log(softmax(s)))) for s, t in zip(student, teacher, strict=True)
    ])
    assert mean_divergence(student, teacher) == pytest.approx(by_hand)
