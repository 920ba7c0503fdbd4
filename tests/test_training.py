import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from headlines import HEADLINES
from torch.nn import functional
from transformers import DataCollatorWithPadding, TrainerCallback

from laghu import distillation
from laghu.compression import movement, surgery
from laghu.training import ClassifierTrainer, arguments, cross_entropy, tokenize, train

STEPS = 12  # two epochs of 24 rows in batches of 4; a checkpoint at every second step
SETTINGS = {"batch_size": 4, "learning_rate": 1e-2, "warm_up": 0.1, "weight_decay": 0.01, "precision": "fp32"}


class Interruption(Exception):
    pass


class InterruptAt(TrainerCallback):
    """Stands for a crash or a Ctrl-C at the end of that step, after its checkpoint if it has one."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Interruption


@pytest.fixture
def rows(tokenizer):
    split = Dataset.from_dict({"text": HEADLINES * 3, "label": [i % 3 for i in range(24)]})
    return tokenize(split, tokenizer, max_length=16)


@pytest.fixture
def fine_tune(tiny_bert, tokenizer, rows):
    """Fine-tunes in a folder; gives the trained weights and the report."""

    def run(folder: Path, *callbacks, seed: int = 0, dropout: float = 0.1):
        model = tiny_bert(hidden_dropout_prob=dropout)
        args = arguments(folder, epochs=2, seed=seed, **SETTINGS)
        collator = DataCollatorWithPadding(tokenizer)
        trainer = ClassifierTrainer(
            model, args, collator, rows, processing_class=tokenizer, objective=cross_entropy, callbacks=[*callbacks]
        )
        report = train(trainer, "IND")
        return model.state_dict(), report

    return run


@pytest.fixture
def prune(tiny_bert, tokenizer, rows):
    """Prunes half of the neurons, distilling meanwhile; gives weights with scores, and those after surgery."""

    def run(folder: Path, *callbacks):
        model = tiny_bert(hidden_dropout_prob=0.1)
        scores = movement.attach(model, attention="heads")
        schedule = partial(movement.cubic_schedule, initial=1.0, final=0.5, warm_up=0.2, cool_down=0.2)
        teacher = distillation.with_teacher_logits(rows, tiny_bert(1), tokenizer, HEADLINES * 3, 16)
        trainer = ClassifierTrainer(
            model, arguments(folder, epochs=2, seed=0, **SETTINGS), DataCollatorWithPadding(tokenizer), teacher,
            processing_class=tokenizer, objective=distillation.objective(2.0, 0.9),
            callbacks=[movement.ThresholdCallback(scores, schedule), *callbacks],
            optimizers=(movement.optimizer(model, scores, 1e-2, 5e-2, 0.01), None),
        )
        report = train(trainer, "IND")
        masked = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        surgery.excise(model, scores)
        return masked, report, model.state_dict()

    return run


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def differ(found, other) -> bool:
    return any(not torch.equal(found[name], tensor) for name, tensor in other.items())


# ------------------------------------------------------------------------------------------------ reproducibility


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(fine_tune, tmp_path):
    first, report = fine_tune(tmp_path / "a")
    again, _ = fine_tune(tmp_path / "b")
    other, _ = fine_tune(tmp_path / "c", seed=1)
    assert_same(again, first)
    assert differ(other, first)
    assert report.steps == STEPS and report.resumed_at_step == 0


@pytest.mark.parametrize(("interrupted_at", "resumed_at"), [(3, 2), (6, 6), (9, 8)])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(fine_tune, tmp_path, interrupted_at, resumed_at):
    """In the first epoch, at its end, and in the second; dropout and the order of the rows go on as they would have."""
    expected, whole = fine_tune(tmp_path / "whole")
    with pytest.raises(Interruption):
        fine_tune(tmp_path / "parts", InterruptAt(interrupted_at))
    found, report = fine_tune(tmp_path / "parts")
    assert_same(found, expected)
    assert (report.steps, report.resumed_at_step) == (STEPS, resumed_at)
    assert [entry["loss"] for entry in report.log] == [entry["loss"] for entry in whole.log]


def test_a_training_interrupted_before_its_first_checkpoint_starts_anew(fine_tune, tmp_path):
    expected, _ = fine_tune(tmp_path / "whole")
    with pytest.raises(Interruption):
        fine_tune(tmp_path / "parts", InterruptAt(1))
    found, report = fine_tune(tmp_path / "parts")
    assert_same(found, expected)
    assert report.resumed_at_step == 0


@pytest.mark.parametrize("interrupted_at", [3, 9])
def test_a_resumed_pruning_ends_where_an_uninterrupted_one_does(prune, tmp_path, interrupted_at):
    expected, _, cut = prune(tmp_path / "whole")
    with pytest.raises(Interruption):
        prune(tmp_path / "parts", InterruptAt(interrupted_at))
    found, report, found_cut = prune(tmp_path / "parts")
    assert report.resumed_at_step == interrupted_at - 1
    assert_same(found, expected)
    assert_same(found_cut, cut)
    assert {name for name in expected if name.startswith("movement.")} == {f"movement.{i}.values" for i in range(4)}
    assert all(expected[f"movement.{i}.values"].unique().numel() > 1 for i in range(4))


def test_a_pruning_that_was_complete_but_for_its_surgery_is_not_trained_again(prune, tmp_path):
    expected, _, cut = prune(tmp_path / "parts")
    found, report, found_cut = prune(tmp_path / "parts")
    assert report.resumed_at_step == STEPS
    assert_same(found, expected)
    assert_same(found_cut, cut)


@pytest.mark.parametrize("missing", ["trainer_state.json", "model.safetensors"])
def test_a_checkpoint_cut_short_is_passed_over(fine_tune, tmp_path, missing):
    """A kill while a checkpoint is written leaves a part of it; the one before it is whole."""
    expected, _ = fine_tune(tmp_path / "whole")
    with pytest.raises(Interruption):
        fine_tune(tmp_path / "parts", InterruptAt(5))
    last = tmp_path / "parts" / "checkpoint-4"
    shutil.copytree(last, tmp_path / "parts" / "checkpoint-5")
    (tmp_path / "parts" / "checkpoint-5" / missing).unlink()
    if missing == "model.safetensors":  # the first file to be written: nothing else is there yet
        (tmp_path / "parts" / "checkpoint-5" / "trainer_state.json").unlink()
    found, report = fine_tune(tmp_path / "parts")
    assert_same(found, expected)
    assert report.resumed_at_step == 4


# ------------------------------------------------------------------------------------------------ parts


def test_one_step_is_one_adamw_step_on_the_mean_loss(tiny_bert, tokenizer, rows, tmp_path):
    """Second implementation of a step: plain torch, no Trainer."""
    batch = DataCollatorWithPadding(tokenizer)([rows[i] for i in range(4)])
    settings = SETTINGS | {"warm_up": 0.0}
    model = tiny_bert()
    trainer = ClassifierTrainer(
        model, arguments(tmp_path, steps=1, seed=0, **settings), DataCollatorWithPadding(tokenizer),
        rows.select(range(4)), processing_class=tokenizer, objective=cross_entropy,
    )
    train(trainer, "IND")
    expected = tiny_bert().train()
    decayed = [p for name, p in expected.named_parameters() if "bias" not in name and "LayerNorm" not in name]
    others = [p for name, p in expected.named_parameters() if "bias" in name or "LayerNorm" in name]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    logits = expected(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    functional.cross_entropy(logits, batch["labels"]).backward()
    torch.nn.utils.clip_grad_norm_(expected.parameters(), 1.0)
    optimizer.step()
    for (name, found), (_, parameter) in zip(model.named_parameters(), expected.named_parameters(), strict=True):
        clear = parameter.grad.abs() > 1e-5  # Adam scales smaller gradients up, and their rounding with them
        torch.testing.assert_close(found[clear], parameter[clear], rtol=0, atol=2e-5, msg=name)
        assert clear.any() or "key.bias" in name  # softmax does not see that one


def test_tokenize_cuts_and_keeps_only_what_a_model_takes(tokenizer):
    split = Dataset.from_dict({"text": HEADLINES, "label": list(range(8)), "duplicate": [False] * 8})
    found = tokenize(split, tokenizer, max_length=6)
    assert found.column_names == ["input_ids", "attention_mask", "labels"]
    assert found["labels"][:] == list(range(8))
    for text, ids, mask in zip(HEADLINES, found["input_ids"], found["attention_mask"], strict=True):
        whole = tokenizer(text)["input_ids"]
        assert ids == (whole if len(whole) <= 6 else [*whole[:5], tokenizer.sep_token_id])
        assert mask == [1] * len(ids)


def test_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    expected = (torch.log(torch.tensor(2.0)) + torch.log1p(torch.exp(torch.tensor(3.0)))) / 2
    assert cross_entropy(logits, {"labels": torch.tensor([0, 1])}).item() == pytest.approx(expected.item())


def test_report_is_plain_data_and_nothing_is_drawn(fine_tune, tmp_path, capsys):
    _, report = fine_tune(tmp_path / "a")
    assert report.as_dict().keys() == {
        "steps", "seconds", "resumed_at_step", "energy_kwh", "co2e_kg", "energy_components", "energy_source", "log",
    }
    assert report.seconds > 0 and report.energy_kwh > 0
    assert [entry["step"] for entry in report.log] == list(range(1, STEPS + 1))
    assert "{'loss'" not in capsys.readouterr().out
