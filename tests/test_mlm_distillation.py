import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from headlines import HEADLINES
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DataCollatorForLanguageModeling,
    DistilBertConfig,
    DistilBertForMaskedLM,
    RobertaConfig,
    RobertaForSequenceClassification,
    TrainerCallback,
    TrainingArguments,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from laghu import backbones, mlm_distillation
from laghu.errors import LaghuError
from laghu.mlm_distillation import all_real, masked_only, with_padding

VOCAB = 160  # above the tokenizer's 150
TEXTS = Dataset.from_dict({"text": HEADLINES * 3})
SETTINGS = {
    "alpha": 0.5, "positions": all_real, "steps": 12, "batch_size": 4, "learning_rate": 1e-2, "warm_up": 0.1,
    "mask_probability": 0.15, "precision": "fp32", "seed": 0,
}


def random_model(seed: int, kind=(BertConfig, BertForMaskedLM), **config):
    """Everything random, biases and layer norms included, and no dropout."""
    torch.manual_seed(seed)
    shape = {
        "vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 12, "max_position_embeddings": 64,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    }
    model = kind[1](kind[0](**shape | config))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "LayerNorm.weight" in name else 0.0, 0.4)
    return model.eval()


def student(seed: int = 1, **config):
    return random_model(seed, **{"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2} | config)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Five rows of nine tokens, 28 of them text and 17 padding; ten to fill in."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([9, 4, 7, 2, 6])
    mask = (torch.arange(9) < lengths[:, None]).long()
    ids = torch.randint(5, VOCAB, (5, 9), generator=generator) * mask
    chosen = (torch.rand(5, 9, generator=generator) < 0.35) & mask.bool()
    labels = torch.where(chosen, ids, -100)
    return {"input_ids": torch.where(chosen, 4, ids), "attention_mask": mask, "labels": labels}


def trainer(tmp_path, model, teacher, alpha: float = 0.5, positions=all_real, **args):
    return mlm_distillation.DistillationTrainer(
        model, TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], **args),
        teacher=teacher, alpha=alpha, positions=positions,
    )


def by_loops(model, teacher, batch, alpha: float, counts) -> float:
    """The loss written out number by number from the logits that plain transformers give.

    Args:
        counts: (row, position) -> does it enter the MSE?
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        ours = model(**inputs).logits.double().tolist()
        theirs = teacher(**inputs).logits.double().tolist()
    entropies, squares = [], []
    for row in range(len(ours)):
        for position in range(len(ours[row])):
            logits, label = ours[row][position], int(batch["labels"][row, position])
            if label >= 0:
                entropies.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[label])
            if counts(row, position):
                squares += [(a - b) ** 2 for a, b in zip(logits, theirs[row][position], strict=True)]
    return alpha * sum(entropies) / len(entropies) + (1 - alpha) * sum(squares) / len(squares)


def rules(batch):
    return {
        all_real: lambda row, position: batch["attention_mask"][row, position] == 1,
        with_padding: lambda row, position: True,
        masked_only: lambda row, position: batch["labels"][row, position] >= 0,
    }


# ------------------------------------------------------------------------------------------------ the loss


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("positions", [all_real, with_padding, masked_only])
@pytest.mark.parametrize("at_once", [1, 7 * VOCAB, 2**26])  # logits; a position at a time, seven, all
def test_loss_is_that_written_out(tmp_path, batch, monkeypatch, alpha, positions, at_once):
    monkeypatch.setattr(mlm_distillation, "LOGITS_AT_ONCE", at_once)
    model, teacher = student(), random_model(2)
    found = trainer(tmp_path, model, teacher, alpha, positions).compute_loss(model, batch)
    assert found.item() == pytest.approx(by_loops(model, teacher, batch, alpha, rules(batch)[positions]), rel=1e-5)


@pytest.mark.parametrize("kind", [(XLMRobertaConfig, XLMRobertaForMaskedLM)])
def test_another_architecture_than_bert(tmp_path, batch, kind):
    model, teacher = random_model(1, kind, num_hidden_layers=1), random_model(2, kind)
    found = trainer(tmp_path, model, teacher).compute_loss(model, batch)
    assert found.item() == pytest.approx(by_loops(model, teacher, batch, 0.5, rules(batch)[all_real]), rel=1e-5)


def test_a_student_that_is_its_teacher_has_no_error(batch):
    for positions in (all_real, with_padding, masked_only):
        mlm, mse = mlm_distillation.losses(random_model(2), random_model(2), batch, positions)
        assert mse.item() < 1e-10 and mlm.item() > 1


def test_alpha_one_is_plain_masked_language_modelling(tmp_path):
    """Loss and gradients on a batch without padding; that trainer takes no other."""
    ids = torch.randint(5, VOCAB, (4, 13), generator=torch.Generator().manual_seed(0))
    labels = torch.where(torch.arange(13) % 4 == 1, ids, -100)
    batch = {"input_ids": ids.where(labels < 0, 4), "attention_mask": torch.ones_like(ids), "labels": labels}
    model, other = student(), student()
    plain = backbones.MaskedLanguageModelTrainer(
        other, TrainingArguments(str(tmp_path), use_cpu=True, report_to=[])
    )
    expected = plain.compute_loss(other, batch)
    expected.backward()
    found = trainer(tmp_path, model, random_model(2), alpha=1.0).compute_loss(model, batch)
    found.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    for (name, parameter), (_, wanted) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, wanted.grad, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("positions", [all_real, masked_only])
def test_a_batch_with_nothing_to_fill_in_gives_no_nan(batch, positions):
    """A small batch of short texts may be masked nowhere."""
    batch["labels"] = torch.full_like(batch["labels"], -100)
    model, teacher = student(), random_model(2)
    mlm, mse = mlm_distillation.losses(model, teacher, batch, positions)
    (mlm + mse).backward()
    assert mlm.item() == 0
    assert (mse.item() == 0) == (positions is masked_only)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_bf16_takes_both_losses_in_fp32(tmp_path, batch):
    model, teacher = student(), random_model(2)
    exact = trainer(tmp_path, model, teacher).compute_loss(model, batch)
    rounded = trainer(tmp_path, model, teacher, bf16=True).compute_loss(model, batch)
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=0.02)
    assert rounded.item() != exact.item()


# ------------------------------------------------------------------------------------------------ padding


def pad_vector_changed(seed: int):
    """The same model but for the embedding of [PAD], which attention hides from all positions but padding itself."""
    model = random_model(seed, tie_word_embeddings=False)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[0] += torch.linspace(-2, 2, 16)
    return model


def test_padding_enters_the_authors_loss_alone(batch):
    model, changed, teacher = random_model(1, tie_word_embeddings=False), pad_vector_changed(1), random_model(2)

    def error(of, positions):
        return mlm_distillation.losses(of, teacher, batch, positions)[1].item()

    assert error(changed, all_real) == pytest.approx(error(model, all_real), rel=1e-6)
    assert error(changed, masked_only) == pytest.approx(error(model, masked_only), rel=1e-6)
    assert abs(error(changed, with_padding) / error(model, with_padding) - 1) > 1e-3


def test_padding_that_agrees_dilutes_the_authors_error_by_the_share_of_text(batch):
    """Without layers a position's logits come from its own token; models that differ in all but [PAD] agree there."""
    shape = {"num_hidden_layers": 0, "tie_word_embeddings": False}
    model, teacher = random_model(1, **shape), random_model(1, **shape)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[1:] += torch.randn(VOCAB - 1, 16)
    text = mlm_distillation.losses(model, teacher, batch, all_real)[1].item()
    diluted = mlm_distillation.losses(model, teacher, batch, with_padding)[1].item()
    assert text > 0.1
    assert diluted == pytest.approx(text * 28 / 45, rel=1e-5)


def test_text_that_agrees_leaves_padding_alone_in_the_authors_error(batch):
    model, teacher = pad_vector_changed(1), random_model(1, tie_word_embeddings=False)
    assert mlm_distillation.losses(model, teacher, batch, all_real)[1].item() < 1e-10
    found = mlm_distillation.losses(model, teacher, batch, with_padding)[1].item()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    squares = (model(**inputs).logits - teacher(**inputs).logits).square()
    assert found == pytest.approx(squares[batch["attention_mask"] == 0].mean().item() * 17 / 45, rel=1e-5)


# ------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("at_once", [5 * VOCAB, 2**26])
def test_gradients_by_finite_differences(tmp_path, batch, monkeypatch, at_once):
    """In double precision, three entries of every weight; the embeddings get theirs from both ends of the model."""
    monkeypatch.setattr(mlm_distillation, "LOGITS_AT_ONCE", at_once)
    model, teacher = student().double(), random_model(2).double()
    objective = trainer(tmp_path, model, teacher, 0.3)
    objective.compute_loss(model, batch).backward()
    rng = np.random.default_rng(0)
    step = 1e-5
    for name, parameter in model.named_parameters():
        flat = parameter.data.view(-1)
        for index in rng.choice(len(flat), 3, replace=False).tolist():
            kept = flat[index].item()
            flat[index] = kept + step
            above = objective.compute_loss(model, batch).item()
            flat[index] = kept - step
            below = objective.compute_loss(model, batch).item()
            flat[index] = kept
            slope = (above - below) / (2 * step)
            assert parameter.grad.view(-1)[index].item() == pytest.approx(slope, rel=1e-4, abs=1e-8), name


@pytest.mark.parametrize(("at_once", "together", "kept_back"), [(2**26, 28, True), (5 * VOCAB, 5, False)])
def test_logits_in_parts_are_never_together(batch, monkeypatch, at_once, together, kept_back):
    """No head sees more positions at a time, on the way back neither, and autograd keeps no logits in between."""
    monkeypatch.setattr(mlm_distillation, "LOGITS_AT_ONCE", at_once)
    batch["labels"] = torch.full_like(batch["labels"], -100)
    model, teacher = student(), random_model(2)
    seen, kept = [], []
    for of in (model, teacher):
        of.cls.register_forward_hook(lambda module, inputs, logits: seen.append(len(logits)))

    def keep(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _, mse = mlm_distillation.losses(model, teacher, batch, all_real)
    mse.backward()
    assert max(seen) == together
    assert ((28, VOCAB) in kept) == kept_back
    assert not any(shape == (n, VOCAB) for shape in kept for n in range(1, 6))


def test_the_teacher_is_left_alone(tokenizer, tmp_path):
    model, teacher = student(), random_model(2, hidden_dropout_prob=0.5).train()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    rows = mlm_distillation.padded(TEXTS, tokenizer, 16)
    mlm_distillation.distil(model, teacher, tokenizer, rows, tmp_path, "IND", **SETTINGS | {"steps": 3})
    assert_same(teacher.state_dict(), before)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not teacher.training
    saved = load_file(tmp_path / "trainer" / "checkpoint-3" / "model.safetensors")
    assert saved.keys() <= model.state_dict().keys()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in saved.items())
    optimizer = torch.load(tmp_path / "trainer" / "checkpoint-3" / "optimizer.pt", weights_only=True)
    assert sum(len(group["params"]) for group in optimizer["param_groups"]) == len(list(model.parameters()))


# ------------------------------------------------------------------------------------------------ rows and masks


def test_padded_rows_are_the_texts_cut_and_filled_up(tokenizer):
    rows = mlm_distillation.padded(TEXTS, tokenizer, 20)
    assert rows.column_names == ["input_ids", "attention_mask"]
    lengths = set()
    for text, ids, mask in zip(TEXTS["text"], rows["input_ids"], rows["attention_mask"], strict=True):
        whole = tokenizer(text)["input_ids"]
        expected = whole if len(whole) <= 20 else [*whole[:19], tokenizer.sep_token_id]
        assert ids == expected + [tokenizer.pad_token_id] * (20 - len(expected))
        assert mask == [1] * len(expected) + [0] * (20 - len(expected))
        lengths.add(len(expected))
    assert min(lengths) < 20 == max(lengths)


def test_masks_depend_on_batch_and_seed_alone(tokenizer):
    rows = backbones.pack(TEXTS, tokenizer, 16).to_list()
    collator = mlm_distillation.RepeatableMasking(tokenizer, seed=0)
    first = collator(rows[:8])
    collator(rows[8:])
    torch.manual_seed(5)
    again = collator(rows[:8])
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = mlm_distillation.RepeatableMasking(tokenizer, seed=1)(rows[:8])
    assert not torch.equal(other["labels"], first["labels"])
    turned = collator(rows[7::-1])
    assert not torch.equal(turned["labels"].flip(0), first["labels"])
    assert first["attention_mask"].all()  # packed rows come without one


def test_masking_is_that_of_transformers(tokenizer):
    """The share asked for, of which 80 % are [MASK]; never padding or a special token."""
    rows = mlm_distillation.padded(TEXTS, tokenizer, 24).to_list()
    collator = mlm_distillation.RepeatableMasking(tokenizer, mlm_probability=0.3, seed=0)
    assert isinstance(collator, DataCollatorForLanguageModeling)
    ordinary = masked = replaced = 0
    rng = np.random.default_rng(0)
    for _ in range(40):
        drawn = [rows[i] for i in rng.permutation(len(rows))]
        batch = collator(drawn)
        ids = torch.tensor([row["input_ids"] for row in drawn])
        chosen = batch["labels"] != -100
        special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
        assert torch.equal(batch["labels"][chosen], ids[chosen]) and not (chosen & special).any()
        assert torch.equal(batch["input_ids"][~chosen], ids[~chosen])
        ordinary += (~special).sum().item()
        masked += chosen.sum().item()
        replaced += (batch["input_ids"][chosen] == tokenizer.mask_token_id).sum().item()
    assert masked / ordinary == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / ordinary))
    assert replaced / masked == pytest.approx(0.8, abs=0.03)


# ------------------------------------------------------------------------------------------------ training


class Interruption(Exception):
    pass


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def distilled(tokenizer, folder, **settings):
    """A student with dropout, distilled in a folder over padded rows: its weights and the report."""
    model = student(hidden_dropout_prob=0.1)
    rows = mlm_distillation.padded(TEXTS, tokenizer, 24)
    report = mlm_distillation.distil(model, random_model(2), tokenizer, rows, folder, "IND", **SETTINGS | settings)
    return model.state_dict(), report


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory):
    return distilled(tokenizer, tmp_path_factory.mktemp("whole"))


def test_the_same_seed_gives_the_same_student_and_another_seed_another(tokenizer, tmp_path, whole):
    first, report = whole
    again, _ = distilled(tokenizer, tmp_path / "again")
    other, _ = distilled(tokenizer, tmp_path / "other", seed=1)
    assert_same(again, first)
    assert any(not torch.equal(other[name], tensor) for name, tensor in first.items())
    assert (report.steps, report.resumed_at_step) == (12, 0)


@pytest.mark.parametrize(("interrupted_at", "resumed_at"), [(3, 2), (6, 6), (9, 8)])
def test_a_resumed_distillation_ends_where_an_uninterrupted_one_does(
    tokenizer, tmp_path, monkeypatch, whole, interrupted_at, resumed_at
):
    """In the first epoch, at its end and in the second: masks, dropout and the order of rows go on as they would."""

    def interrupt(self, args, state, control, **kwargs):
        if state.global_step == interrupted_at:
            raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(TrainerCallback, "on_step_begin", interrupt)
        with pytest.raises(Interruption):
            distilled(tokenizer, tmp_path)
    found, report = distilled(tokenizer, tmp_path)
    assert_same(found, whole[0])
    assert (report.steps, report.resumed_at_step) == (12, resumed_at)
    assert [entry["loss"] for entry in report.log] == [entry["loss"] for entry in whole[1].log]


def test_distilling_brings_the_logits_closer_on_text_not_seen(tokenizer, tmp_path):
    """And more so than the labels alone, which the teacher of random weights knows nothing about."""
    rows = backbones.pack(Dataset.from_dict({"text": HEADLINES[:6] * 4}), tokenizer, 16)
    held_out = tokenizer(HEADLINES[6:], padding=True, return_tensors="pt")
    teacher = random_model(2)

    def error(model) -> float:
        with torch.no_grad():
            difference = model.eval()(**held_out).logits - teacher(**held_out).logits
        return difference.square()[held_out["attention_mask"] == 1].mean().item()

    before = error(student())
    after = {}
    for alpha in (0.5, 1.0):
        model = student()
        settings = SETTINGS | {"steps": 50, "alpha": alpha}
        mlm_distillation.distil(model, teacher, tokenizer, rows, tmp_path / str(alpha), "IND", **settings)
        after[alpha] = error(model)
    assert after[0.5] < 0.75 * before
    assert after[0.5] < 0.75 * after[1.0]


# ------------------------------------------------------------------------------------------------ refusals


def refusal(tokenizer, tmp_path, model, teacher) -> str:
    rows = mlm_distillation.padded(TEXTS, tokenizer, 16)
    with pytest.raises(LaghuError) as caught:
        mlm_distillation.distil(model, teacher, tokenizer, rows, tmp_path, "IND", **SETTINGS)
    assert list(tmp_path.iterdir()) == []
    return str(caught.value)


def test_another_vocabulary_is_refused(tokenizer, tmp_path):
    expected = (
        "the student has a vocabulary of 159, the teacher one of 160; logits can be compared only under one tokenizer"
    )
    assert refusal(tokenizer, tmp_path, student(vocab_size=159), random_model(2)) == expected
    small = student(vocab_size=99), random_model(2, vocab_size=99)
    expected = f"the tokenizer has {len(tokenizer)} pieces, student and teacher know 99; give theirs"
    assert refusal(tokenizer, tmp_path, *small) == expected


def test_a_student_built_of_the_teachers_own_weights_is_refused(tokenizer, tmp_path):
    model, teacher = random_model(1, num_hidden_layers=1), random_model(2)
    model.bert.encoder.layer[0] = teacher.bert.encoder.layer[1]
    assert refusal(tokenizer, tmp_path, model, teacher) == (
        "student and teacher share 16 weights; build the student of copies"
    )


@pytest.mark.parametrize(("kind", "config"), [
    ((BertConfig, BertForSequenceClassification), {}),
    ((RobertaConfig, RobertaForSequenceClassification), {}),
    ((DistilBertConfig, DistilBertForMaskedLM), {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 12}),
])
def test_a_model_without_such_a_head_is_refused_by_name(tokenizer, tmp_path, kind, config):
    torch.manual_seed(0)
    shape = {"vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = kind[1](kind[0](**config or shape))
    message = refusal(tokenizer, tmp_path, student(), model)
    assert message.startswith(f"{kind[1].__name__} has no masked-language-model head in one module; ")
