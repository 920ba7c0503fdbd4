import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from headlines import HEADLINES
from safetensors.numpy import load_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    TrainingArguments,
)

from laghu import backbones
from laghu.errors import LaghuError
from laghu.spec import Architecture, Pretraining

IGNORED = -100

# ------------------------------------------------------------------------------------------------ tokenizer


def pieces_joined(tokenizer, text: str) -> str:
    return "".join(token.removeprefix("##") for token in tokenizer.tokenize(text))


@pytest.mark.parametrize("text", [*HEADLINES, "दुसर्‍या", "ज़रा", "कि की कु कू के कै को कौ", "क्ष ज्ञ श्र", "र्\u200dय"])
def test_no_sign_of_devanagari_is_lost(tokenizer, text):
    """Pieces put together again are the text in NFC without its spaces, joiners, nuktas and matras included."""
    known = set("".join(HEADLINES))
    wanted = unicodedata.normalize("NFC", text)
    if set(wanted) <= known | {" "}:
        assert pieces_joined(tokenizer, text) == wanted.replace(" ", "")
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]
    normalizer = tokenizer.backend_tokenizer.normalizer
    assert normalizer.normalize_str(text) == wanted


def test_the_eyelash_reph_is_a_word_of_its_own(tokenizer):
    assert "\u200d" in "दुसर्‍या"
    assert tokenizer("दुसर्‍या")["input_ids"] != tokenizer("दुसर्या")["input_ids"]
    assert tokenizer("शाळा")["input_ids"] != tokenizer("शळ")["input_ids"]


def test_equivalent_spellings_are_one(tokenizer):
    decomposed = unicodedata.normalize("NFD", "शेतकऱ्यांना ज़रा")
    assert decomposed != unicodedata.normalize("NFC", decomposed)
    assert tokenizer(decomposed)["input_ids"] == tokenizer("शेतकऱ्यांना ज़रा")["input_ids"]
    assert tokenizer("\u095bरा")["input_ids"] == tokenizer("\u091c\u093cरा")["input_ids"]  # ज़ in one sign and in two


def test_control_characters_part_words(tokenizer):
    assert tokenizer("नवी\tमोहीम\nसुरू")["input_ids"] == tokenizer("नवी मोहीम सुरू")["input_ids"]


def test_two_processes_train_the_same_tokenizer():
    """Where many words are equally frequent, an order that is another one in every process would show."""
    program = (
        "import json; from laghu import backbones, sample; texts = [h.text for h in sample.splits()['train']][:300];"
        "print(json.dumps(backbones.train_tokenizer(texts, 700, 64).get_vocab(), sort_keys=True))"
    )
    found = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(found) == 1
    assert sorted(json.loads(found.pop()).values()) == list(range(700))


def test_characters_beyond_the_alphabet_are_unknown_and_the_rarest(monkeypatch):
    monkeypatch.setattr(backbones, "LARGEST_ALPHABET", 3)
    tokenizer = backbones.train_tokenizer(["कख कख ग कग घ", "खक ङ"], vocab_size=50, max_length=8)
    # Counted by hand: क 4, ख 3, ग 2, घ 1, ङ 1; only क, ख and ग also stand inside a word.
    singles = [token for token in tokenizer.get_vocab() if len(token.removeprefix("##")) == 1]
    assert sorted(singles) == sorted(["क", "ख", "ग", "##क", "##ख", "##ग"])
    assert tokenizer.tokenize("घ क") == ["[UNK]", "क"]


def test_special_tokens_frame_a_text(tokenizer):
    ids = tokenizer("नवी मोहीम")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[0] == "[CLS]" and tokenizer.convert_ids_to_tokens(ids)[-1] == "[SEP]"
    assert [tokenizer.convert_tokens_to_ids(token) for token in backbones.SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert len(tokenizer) <= 150


def test_reload_beside_a_bert_configuration_changes_nothing(tokenizer, tiny_bert, tmp_path):
    """AutoTokenizer could take the model type for a reason to put BERT's own normaliser in."""
    tiny_bert().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    reloaded = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*HEADLINES, "शाळा SHALA café", unicodedata.normalize("NFD", "शेतकऱ्यांना")]
    assert reloaded(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    assert reloaded.get_vocab() == tokenizer.get_vocab()
    assert reloaded.model_max_length == 64
    ids = tokenizer("दुसर्‍या कसोटीत")["input_ids"]
    assert reloaded.decode(ids, skip_special_tokens=True) == "दुसर्‍या कसोटीत"
    padded = reloaded(["नवी", "नवी मोहीम सुरू"], padding=True)
    assert padded["attention_mask"][0][-1] == 0 and padded["input_ids"][0][-1] == 0


# ------------------------------------------------------------------------------------------------ packing


@pytest.mark.parametrize("length", [8, 11, 30])
def test_pack_cuts_the_running_text_and_loses_only_the_rest(tokenizer, length):
    texts = HEADLINES * 3
    packed = backbones.pack(Dataset.from_dict({"text": texts}), tokenizer, length)["input_ids"][:]
    stream = []
    for text in texts:
        stream += tokenizer(text)["input_ids"][1:]  # without [CLS], with [SEP]
    rest = stream
    for row in packed:
        assert len(row) == length
        assert row[0] == tokenizer.cls_token_id and row[-1] == tokenizer.sep_token_id
        body, rest = rest[: length - 2], rest[length - 2 :]
        assert row[1:-1] == body
    assert len(rest) < length - 2


def test_text_shorter_than_a_row_is_refused(tokenizer):
    with pytest.raises(LaghuError, match=r"^the pretraining text fills no row of 64 tokens; shorten sequence_length$"):
        backbones.pack(Dataset.from_dict({"text": HEADLINES[:1]}), tokenizer, 64)


# ------------------------------------------------------------------------------------------------ first word vectors


def ppmi_by_hand(rows: np.ndarray, vocab_size: int) -> np.ndarray:
    """Positive pointwise mutual information by loops: pairs within 5 tokens, weight 1/distance, contexts to the 3/4."""
    pairs = np.zeros((vocab_size, vocab_size))
    for row in rows:
        for i, word in enumerate(row):
            for j, context in enumerate(row):
                if 0 < abs(i - j) <= 5:
                    pairs[word, context] += 1 / abs(i - j)
    words = pairs.sum(1)
    contexts = words**0.75
    found = np.zeros_like(pairs)
    for word, context in zip(*np.nonzero(pairs), strict=True):
        joint = pairs[word, context] / pairs.sum()
        apart = words[word] / words.sum() * contexts[context] / contexts.sum()
        found[word, context] = max(0.0, np.log(joint / apart))
    return found


@pytest.mark.parametrize("dimensions", [3, 14, 20])
def test_first_word_vectors_factorise_the_ppmi_matrix(dimensions):
    """Vectors are known up to a rotation, so their inner products are compared with those of a full dense SVD."""
    rows = np.random.default_rng(3).zipf(1.4, size=(40, 9)).clip(max=13)  # ids 1 to 13 of 14
    vectors = backbones.cooccurrence_embeddings(rows, vocab_size=14, dimensions=dimensions)
    assert vectors.shape == (14, dimensions)
    assert np.abs(vectors[0]).max() < 1e-4  # id 0 does not occur
    assert np.sqrt((vectors**2).mean()) == pytest.approx(backbones.EMBEDDING_SCALE)
    left, values, _ = np.linalg.svd(ppmi_by_hand(rows, 14))
    expected = (left * values)[:, :dimensions] @ left[:, :dimensions].T
    products = vectors @ vectors.T
    np.testing.assert_allclose(products / np.trace(products), expected / np.trace(expected), atol=1e-4)


# ------------------------------------------------------------------------------------------------ masked LM


def test_masked_language_model_loss_is_that_of_transformers(tmp_path):
    torch.manual_seed(0)
    shape = {
        "vocab_size": 90, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
        "max_position_embeddings": 32,
    }
    model = BertForMaskedLM(BertConfig(**shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[])
    trainer = backbones.MaskedLanguageModelTrainer(model, args)
    ids = torch.randint(5, 90, (4, 13))
    labels = torch.where(torch.rand(4, 13) < 0.3, ids, IGNORED)
    batch = {
        "input_ids": torch.where(labels == IGNORED, ids, 4), "attention_mask": torch.ones_like(ids), "labels": labels
    }

    found = trainer.compute_loss(model, batch)
    found.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    expected = model(**batch).loss
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_pretraining_writes_a_checkpoint_that_plain_transformers_read(tmp_path):
    architecture = Architecture(
        vocab_size=150, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32,
    )
    settings = Pretraining(steps=30, batch_size=4, sequence_length=16, learning_rate=1e-2)
    text = Dataset.from_dict({"text": HEADLINES * 4})
    report = backbones.pretrain(text, architecture, settings, tmp_path, "IND")
    assert (report.steps, report.resumed_at_step) == (30, 0)
    assert report.log[-1]["loss"] < report.log[0]["loss"]
    model = BertForMaskedLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert len(tokenizer) == model.config.vocab_size
    assert model.config.hidden_dropout_prob == backbones.FINE_TUNING_DROPOUT == 0.1
    assert model.config.attention_probs_dropout_prob == 0.0
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir()) == [".json", ".json", ".json", ".safetensors"]


def test_no_steps_give_a_random_encoder(tmp_path):
    architecture = Architecture(
        vocab_size=150, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32,
    )
    report = backbones.pretrain(
        Dataset.from_dict({"text": HEADLINES}), architecture, Pretraining(steps=0, sequence_length=16), tmp_path, "IND"
    )
    assert (report.steps, report.energy_kwh, report.seconds) == (0, 0.0, 0.0)
    assert BertForMaskedLM.from_pretrained(tmp_path / "model").config.hidden_size == 16


# ------------------------------------------------------------------------------------------------ classifiers


@pytest.fixture
def checkpoint(tmp_path, tiny_bert, tokenizer):
    """A trained classifier of the labels c, a, b, and its logits by label name."""

    def make(**config):
        names = ["c", "a", "b"]
        model = tiny_bert(**config)
        model.config.id2label = dict(enumerate(names))
        model.config.label2id = {name: index for index, name in enumerate(names)}
        model.save_pretrained(tmp_path / "checkpoint")
        tokenizer.save_pretrained(tmp_path / "checkpoint")
        return SimpleNamespace(folder=str(tmp_path / "checkpoint"), model=model, by_name=by_name(model, tokenizer))

    return make


def by_name(model, tokenizer) -> dict[str, np.ndarray]:
    with torch.no_grad():
        logits = model.eval()(**tokenizer(HEADLINES, padding=True, return_tensors="pt")).logits.numpy()
    return {model.config.id2label[index]: logits[:, index] for index in range(logits.shape[1])}


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]])
def test_head_of_the_same_labels_is_kept_whatever_their_order(checkpoint, labels):
    kept = checkpoint()
    model, tokenizer = backbones.load_classifier(kept.folder, labels)
    assert [model.config.id2label[i] for i in range(3)] == labels
    assert model.config.label2id == {label: i for i, label in enumerate(labels)}
    found = by_name(model, tokenizer)
    for label in labels:
        np.testing.assert_allclose(found[label], kept.by_name[label], atol=1e-6)


def test_reordered_head_survives_saving(checkpoint, tmp_path):
    kept = checkpoint()
    model, tokenizer = backbones.load_classifier(kept.folder, ["a", "b", "c"])
    model.save_pretrained(tmp_path / "again")
    found = by_name(AutoModelForSequenceClassification.from_pretrained(tmp_path / "again"), tokenizer)
    for label in "abc":
        np.testing.assert_allclose(found[label], kept.by_name[label], atol=1e-6)


@pytest.mark.parametrize("labels", [
    ["a", "b", "c", "d"], ["x", "y"],
    ["x", "y", "z"],
])
def test_other_labels_get_a_new_head_on_the_same_encoder(checkpoint, labels):
    kept = checkpoint()
    trained = kept.model
    model, _ = backbones.load_classifier(kept.folder, labels)
    assert [model.config.id2label[i] for i in range(len(labels))] == labels
    assert model.classifier.weight.shape == (len(labels), 16)
    assert not torch.isin(model.classifier.weight, trained.classifier.weight).any()
    assert model.classifier.weight.std().item() == pytest.approx(0.02, rel=0.5)  # BertConfig.initializer_range
    encoder = trained.bert.state_dict()
    for name, tensor in model.bert.state_dict().items():
        assert torch.equal(tensor, encoder[name]), name


def refusal(name: str) -> str:
    with pytest.raises(LaghuError) as caught:
        backbones.load_classifier(name, ["a", "b", "c"])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_model_is_named_on_one_line(tmp_path):
    assert refusal(str(tmp_path / "nowhere")).startswith(f"model '{tmp_path / 'nowhere'}' can't be loaded")
    assert refusal("nobody/no-such-model").startswith("model 'nobody/no-such-model' can't be loaded")


def test_pickled_weights_are_refused(checkpoint):
    """The weights are there and would load, but unpickling runs code."""
    kept = checkpoint()
    folder = Path(kept.folder)
    torch.save(kept.model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=False)
    assert refusal(kept.folder).startswith(f"model '{folder}' can't be loaded")


def test_remote_code_is_not_run_even_if_somebody_says_yes(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *prompt: "y")
    folder = Path(checkpoint().folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "homemade", "auto_map": {"AutoConfig": "homemade.Homemade"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "homemade.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    refusal(str(folder))
    assert not (tmp_path / "ran").exists()


# ------------------------------------------------------------------------------------------------ the paper's shape


@pytest.mark.parametrize(
    ("width", "parameters"), [(3072, 237_565_452), (2304, 223_400_460), (1536, 209_235_468), (768, 195_070_476)]
)
def test_paper_model_has_the_papers_parameters(width, parameters):
    model = backbones.paper_model(width)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert all(p.is_meta for p in model.parameters())
    d, v, f, labels = 768, 197_285, width, 12
    embeddings = (v + 512 + 2) * d + 2 * d
    layer = 4 * (d * d + d) + 2 * d * f + f + d + 2 * 2 * d
    assert parameters == embeddings + 12 * layer + (d * d + d) + (d * labels + labels)


def test_pretraining_that_goes_on_repeats_itself_but_draws_other_masks(tmp_path):
    """What the book says of an interrupted pretraining: from one checkpoint always the same, and not the uninterrupted.

    Trainer's loader reads a batch ahead: the words masked in it are drawn before the checkpoint is written, and again
    afterwards.
    """
    text = Dataset.from_dict({"text": HEADLINES * 10})
    settings = Pretraining(steps=4, batch_size=4, sequence_length=16)
    shape = Architecture(vocab_size=150, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                         intermediate_size=32, max_position_embeddings=16)

    def weights(folder: Path) -> dict[str, np.ndarray]:
        report = backbones.pretrain(text, shape, settings, folder, "IND")
        assert report.steps == 4
        return load_file(folder / "model" / "model.safetensors")

    def differing(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
        return any((first[name] != second[name]).any() for name in first)

    with pytest.MonkeyPatch.context() as patch:  # keep the checkpoint in the middle
        patch.setattr("transformers.trainer.rotate_checkpoints", lambda *args, **options: None)
        whole = weights(tmp_path / "whole")
    for name in ("one", "two"):
        shutil.copytree(tmp_path / "whole" / "trainer" / "checkpoint-2", tmp_path / name / "trainer" / "checkpoint-2")
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert not differing(one, two)
    assert differing(one, whole)
