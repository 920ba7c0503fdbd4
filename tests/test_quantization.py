import copy
import importlib
import json
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForTokenClassification,
)

from laghu import evaluation, quantization
from laghu.errors import LaghuError

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

BITS = {"int8-weights": 8, "int4-weights": 4}

# Neither width is a multiple of the block, so that the last block of every row is a short one.
SHAPE = {
    "vocab_size": 160, "hidden_size": 40, "num_attention_heads": 4, "intermediate_size": 72,
    "max_position_embeddings": 64, "num_labels": 3, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}

# Runs a file in a process that imports nothing but NumPy and ONNX Runtime, and prints the logits of one batch.
PLAIN_ONNX_RUNTIME = """
import json, sys
import numpy as np
import onnxruntime

feeds = {name: np.array(values) for name, values in json.loads(sys.argv[2]).items()}
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", providers=["CPUExecutionProvider"])
assert not {"laghu", "torch", "transformers", "onnx"} & set(sys.modules)
print(json.dumps(session.run(["logits"], feeds)[0].tolist()))
"""


def randomised(model):
    """Every parameter random, biases and layer norms too; but the row of [PAD] is zero, as in a real model."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            center = 1.0 if "LayerNorm.weight" in name else 0.0
            parameter.copy_(center + 0.2 * torch.randn(parameter.shape, generator=generator))
        model.base_model.embeddings.word_embeddings.weight[0] = 0
    return model


def fit_classifier(model, batch, labels):
    """Ridge regression in closed form, so that the margins of these rows are clear."""
    with torch.no_grad():
        pooled = model.eval().bert(**batch).pooler_output.double()
        design = torch.cat([pooled, torch.ones(len(pooled), 1)], dim=1)
        squares = design.T @ design + 0.1 * torch.eye(design.shape[1])
        solution = torch.linalg.solve(squares, design.T @ functional.one_hot(labels).double()).float()
        model.classifier.weight.copy_(solution[:-1].T)
        model.classifier.bias.copy_(solution[-1])


@pytest.fixture(scope="module")
def separable():
    """Three groups of 20 rows that differ from their group's first in one token out of ten, and their labels."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(5, 160, (3, 12), generator=generator).repeat_interleave(20, dim=0)
    others = torch.randint(5, 160, ids.shape, generator=generator)
    ids = torch.where(torch.rand(ids.shape, generator=generator) < 0.1, others, ids)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    return batch, torch.arange(3).repeat_interleave(20)


@pytest.fixture(scope="module")
def trained(separable):
    """As it may come from a training: in bf16, and in a mode in which dropout would change its logits."""
    shape = SHAPE | {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}
    model = randomised(BertForSequenceClassification(BertConfig(**shape, num_hidden_layers=2)))
    fit_classifier(model, *separable)
    return model.to(torch.bfloat16).train()


@pytest.fixture(scope="module")
def bert(trained):
    return copy.deepcopy(trained).float().eval()


@pytest.fixture(scope="module")
def folders(trained, tokenizer, tmp_path_factory):
    """The export, under "fp32", and every scheme's folder."""
    root = tmp_path_factory.mktemp("onnx")
    typed = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, pad_token="[PAD]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    quantization.export(trained, typed, root / "fp32")
    for scheme in quantization.SCHEMES:
        quantization.quantize(root / "fp32", scheme, root / scheme)
    return {name: root / name for name in ("fp32", *quantization.SCHEMES)}


def random_batch(rows, length, shortest=2, seed=0):
    """Ids, a mask in which rows end at different places, and token types of both kinds."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.linspace(length, shortest, rows).long().clamp(1, length)
    mask = (torch.arange(length) < lengths[:, None]).long()
    types = torch.randint(0, 2, (rows, length), generator=generator)
    return {
        "input_ids": torch.randint(5, 160, (rows, length), generator=generator) * mask,
        "attention_mask": mask,
        "token_type_ids": types * mask,
    }


def logits_of(model, batch):
    with torch.no_grad():
        return model(**batch).logits.numpy()


def arrays(folder):
    graph = onnx.load(folder / "model.onnx").graph
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


def unpacked(codes, bits):
    """Byte by byte: codes of the lower bits first, as the operators' definitions say."""
    if bits == 8:
        return codes.astype(int)
    return np.stack([codes & 15, codes >> 4], axis=-1).reshape(*codes.shape[:-1], -1).astype(int)


def blockwise(folder, bits):
    """All matrices stored in blocks, dequantised, and their steps: pairs of shape (rows, width, padded or not)."""
    stored = arrays(folder)
    for name in (name for name in stored if name.endswith(f"_Q{bits}")):
        codes = unpacked(stored[name], bits)
        codes = codes.reshape(len(codes), -1)
        scales = stored[name.removesuffix(f"_Q{bits}") + "_scales"].reshape(len(codes), -1)
        scales = np.repeat(scales, 32, axis=1)[:, : codes.shape[1]]
        yield (codes - 2 ** (bits - 1)) * scales, np.abs(scales)


def by_name(model, stored):
    """Which stored matrix is which of the model's: the one of fitting shape that is nearer to it than a third."""
    stored, found = list(stored), {}
    for name, weight in matrices(model).items():
        rows, width = weight.shape
        (found[name],) = (
            (values[:, :width], step[:, :width]) for values, step in stored
            if len(values) == rows and 0 <= values.shape[1] - width < 32
            and np.linalg.norm(values[:, :width] - weight) < 0.33 * np.linalg.norm(weight)
        )
    return found


def matrices(model):
    """Linear layers as (outputs, inputs) and embedding tables as (entries, width)."""
    return {name: p.detach().numpy() for name, p in model.named_parameters() if p.ndim == 2}


def with_weights(model, weights):
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in weights.items():
            model.get_parameter(name).copy_(torch.as_tensor(weight))
    return model


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 64), (3, 7), (8, 20)])
def test_export_equals_pytorch_whatever_batch_length_and_padding(bert, folders, rows, length):
    batch = random_batch(rows, length)
    exported = quantization.OnnxClassifier(folders["fp32"])
    np.testing.assert_allclose(logits_of(exported, batch), logits_of(bert, batch), rtol=0, atol=1e-5)


def test_export_leaves_the_model_as_it_is(trained, folders):
    assert trained.training and trained.dtype is torch.bfloat16


def test_token_classifiers_and_models_without_token_types(tokenizer, tmp_path):
    """RoBERTa counts positions from the padding id on, so that its graph differs where padding does."""
    shape = SHAPE | {"type_vocab_size": 1, "pad_token_id": 0}
    model = randomised(RobertaForTokenClassification(RobertaConfig(**shape, num_hidden_layers=1))).eval()
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    quantization.export(model, tokenizer, tmp_path / "fp32")
    quantization.quantize(tmp_path / "fp32", "int8-weights", tmp_path / "int8")
    batch = random_batch(5, 11)
    del batch["token_type_ids"]
    real = batch["attention_mask"].bool()
    expected = logits_of(model, batch)[real]
    got = {name: logits_of(quantization.OnnxClassifier(tmp_path / name), batch)[real] for name in ("fp32", "int8")}
    assert expected.shape == (real.sum(), 3)
    np.testing.assert_allclose(got["fp32"], expected, rtol=0, atol=1e-5)
    assert 1e-4 < np.abs(got["int8"] - expected).max() < 0.1 * expected.std()


@pytest.mark.parametrize("scheme", BITS)
def test_stored_integers_are_the_weights_to_half_a_step(bert, folders, scheme):
    found = by_name(bert, blockwise(folders[scheme], BITS[scheme]))
    assert len(found) == 3 + 2 * 6 + 2  # embeddings, layers, pooler and classifier
    for name, (dequantised, step) in found.items():
        weight = matrices(bert)[name]
        error = np.abs(weight - dequantised)
        # Codes end at 2^(bits - 1) - 1 steps on the side that the largest of the block is not on.
        inside = np.abs(weight) <= (2 ** (BITS[scheme] - 1) - 0.5) * step
        assert np.all(error[inside] <= 0.5001 * step[inside] + 1e-9)
        assert np.all(error <= 1.0001 * step)
        # The step is no coarser than the block's largest weight asks for.
        padded = np.pad(np.abs(weight), ((0, 0), (0, -weight.shape[1] % 32))).reshape(len(weight), -1, 32)
        largest = np.repeat(padded.max(axis=2), 32, axis=1)[:, : weight.shape[1]]
        np.testing.assert_allclose(step, largest / 2 ** (BITS[scheme] - 1), rtol=1e-5)


@pytest.mark.parametrize("scheme", BITS)
def test_weight_only_logits_are_those_of_pytorch_with_the_dequantised_weights(bert, folders, scheme):
    """Two things at once: the integers mean what was read from them above, and activations stay fp32."""
    found = by_name(bert, blockwise(folders[scheme], BITS[scheme]))
    batch = random_batch(8, 20)
    expected = logits_of(with_weights(bert, {name: weight for name, (weight, _) in found.items()}), batch)
    got = logits_of(quantization.OnnxClassifier(folders[scheme]), batch)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)
    assert np.abs(got - logits_of(bert, batch)).max() > 1e-3


def quantised_activations(x):
    """DynamicQuantizeLinear as ONNX defines it: uint8 codes, scale and zero point of the whole tensor."""
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    scale = np.float32((high - low) / 255)
    zero = int(np.clip(np.rint(-low / scale), 0, 255))
    return np.clip(np.rint(x.numpy() / scale) + zero, 0, 255).astype(np.int64), scale, zero


def test_dynamic_int8_logits_are_those_of_integer_products_in_numpy(bert, folders, monkeypatch):
    stored = arrays(folders["int8-dynamic"])
    layers = []
    for name in (name.removesuffix("_quantized") for name in stored if name.endswith("_quantized")):
        codes, scales = stored[f"{name}_quantized"].astype(np.int64).T, stored[f"{name}_scale"]
        assert scales.shape == (len(codes),) and not stored[f"{name}_zero_point"].any()
        assert 63 <= np.abs(codes).max() <= 64  # seven bits
        layers.append((codes, scales[:, None]))
    tables = list(blockwise(folders["int8-dynamic"], 8))
    found = by_name(bert, tables + [(codes * scales, scales * np.ones(codes.shape)) for codes, scales in layers])
    for name, (dequantised, step) in found.items():
        assert np.all(np.abs(matrices(bert)[name] - dequantised) <= (1.0001 if "embeddings" in name else 0.5001) * step)
    reference = with_weights(bert, {name: weight for name, (weight, _) in found.items()})
    calls = []

    def integer_linear(x, weight, bias):
        (codes, scales), = (
            (codes, scales) for codes, scales in layers
            if codes.shape == weight.shape and np.allclose(codes * scales, weight.numpy(), rtol=0, atol=1e-6)
        )
        activations, scale, zero = quantised_activations(x)
        calls.append(codes.shape)
        return torch.as_tensor(((activations - zero) @ codes.T).astype(np.float32) * (scale * scales[:, 0])) + bias

    batch = random_batch(8, 20)
    fp32 = logits_of(bert, batch)
    monkeypatch.setattr(functional, "linear", integer_linear)
    expected = logits_of(reference, batch)
    monkeypatch.undo()
    got = logits_of(quantization.OnnxClassifier(folders["int8-dynamic"]), batch)
    assert len(calls) == len(layers) == 2 * 6 + 2
    # An activation that lies between two codes but for the last bit of fp32 may fall to either.
    assert np.abs(got - expected).max() < 0.1 * np.abs(got - fp32).max()
    assert np.abs(got - expected).mean() < 0.02 * np.abs(got - fp32).mean()


def closed_form_bytes(model, bits):
    """Every matrix in blocks of 32 with a scale of 4 bytes; linear layers padded to whole blocks; the rest fp32."""
    total = 0
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            total += 4 * parameter.numel()
            continue
        rows, width = parameter.shape
        blocks = -(-width // 32)
        stored = width if "embeddings" in name else 32 * blocks
        total += rows * (stored * bits // 8 + 4 * blocks)
    return total


@pytest.mark.parametrize("scheme", BITS)
def test_weights_take_the_bytes_of_the_closed_form(bert, folders, scheme):
    # A graph also holds small constants, such as shapes and the scale of attention.
    constants = quantization.weight_bytes(folders["fp32"]) - sum(p.nbytes for p in bert.parameters())
    assert 0 <= constants < 2000
    assert quantization.weight_bytes(folders[scheme]) - closed_form_bytes(bert, BITS[scheme]) == constants


def test_file_sizes(folders):
    sizes = {name: quantization.disk_bytes(folder) for name, folder in folders.items()}
    assert sizes == {name: len((folder / "model.onnx").read_bytes()) for name, folder in folders.items()}
    weights = {name: quantization.weight_bytes(folder) for name, folder in folders.items()}
    assert all(weights[name] < sizes[name] for name in sizes)
    assert weights["int4-weights"] < weights["int8-dynamic"] < weights["int8-weights"] < 0.45 * weights["fp32"]


@pytest.mark.parametrize("bits", [4, 8])
def test_blocks_by_hand(bits):
    """One block with a largest weight of -2^(bits - 1) steps of 0.5, one whose largest is positive, one of zeros."""
    middle = 2 ** (bits - 1)
    first = np.zeros(32)
    first[:4] = [-middle, middle, 1.2, -1.6]  # in steps; the second has no code and gets the nearest
    second = np.zeros(32)
    second[:3] = [middle, -1, 2]
    row = np.concatenate([0.5 * first, 0.25 * second, np.zeros(6)]).astype(np.float32)
    packed, scales = quantization.quantize_blocks(row[None], bits)
    assert packed.dtype == np.uint8 and packed.shape == (1, 70 * bits // 8)
    np.testing.assert_allclose(scales, [[0.5, -0.25, 0]])
    signed = unpacked(packed, bits)[0] - middle
    assert signed[:4].tolist() == [-middle, middle - 1, 1, -2]
    assert signed[32:35].tolist() == [-middle, 1, -2]
    assert not signed[4:32].any() and not signed[35:].any()


@pytest.mark.parametrize("name", ["fp32", *BITS])
def test_padding_and_neighbours_do_not_enter_weight_only_logits(folders, name):
    model, batch = quantization.OnnxClassifier(folders[name]), random_batch(6, 20)
    together = logits_of(model, batch)
    for row, length in enumerate(batch["attention_mask"].sum(dim=1)):
        alone = {key: values[row : row + 1, :length] for key, values in batch.items()}
        np.testing.assert_allclose(logits_of(model, alone)[0], together[row], rtol=0, atol=1e-5)


def test_neighbours_enter_dynamic_logits_within_their_error(bert, folders):
    model, batch = quantization.OnnxClassifier(folders["int8-dynamic"]), random_batch(6, 20)
    together, fp32 = logits_of(model, batch), logits_of(bert, batch)
    alone = np.concatenate([
        logits_of(model, {key: values[row : row + 1, :length] for key, values in batch.items()})
        for row, length in enumerate(batch["attention_mask"].sum(dim=1))
    ])
    assert 1e-4 < np.abs(alone - together).max() < 4 * np.abs(together - fp32).max()


@pytest.mark.parametrize("scheme", quantization.SCHEMES)
def test_predictions_stay_where_margins_are_clear(bert, folders, separable, scheme):
    batch, labels = separable
    fp32, got = logits_of(bert, batch), logits_of(quantization.OnnxClassifier(folders[scheme]), batch)
    assert np.array_equal(fp32.argmax(axis=1), labels)
    assert np.array_equal(got.argmax(axis=1), labels)


def test_logit_errors_follow_the_step(bert, folders, separable):
    """Four bits fewer make steps 16 times as large; quantised activations come on top of quantised weights."""
    batch, _ = separable
    fp32 = logits_of(bert, batch)
    error = {
        scheme: np.abs(logits_of(quantization.OnnxClassifier(folders[scheme]), batch) - fp32).mean()
        for scheme in quantization.SCHEMES
    }
    assert 8 < error["int4-weights"] / error["int8-weights"] < 32
    assert 1.5 < error["int8-dynamic"] / error["int8-weights"] < 8


@pytest.mark.parametrize("name", ["fp32", *quantization.SCHEMES])
def test_round_trip_is_exact_in_onnx_runtime_alone(folders, tmp_path, name):
    batch = random_batch(5, 12)
    before = logits_of(quantization.OnnxClassifier(folders[name]), batch)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in folders[name].iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    assert np.array_equal(logits_of(quantization.OnnxClassifier(moved), batch), before)
    feeds = json.dumps({key: values.tolist() for key, values in batch.items()})
    plain = subprocess.run(
        [sys.executable, "-c", PLAIN_ONNX_RUNTIME, moved, feeds], capture_output=True, text=True, check=False
    )
    assert plain.returncode == 0, plain.stderr
    assert np.array_equal(np.array(json.loads(plain.stdout), dtype=np.float32), before)


@pytest.mark.parametrize("scheme", quantization.SCHEMES)
def test_the_same_export_gives_the_same_bytes(folders, tmp_path, scheme):
    quantization.quantize(folders["fp32"], scheme, tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == (folders[scheme] / "model.onnx").read_bytes()


@pytest.mark.parametrize("name", ["fp32", *quantization.SCHEMES])
def test_folders_hold_the_graph_the_configuration_and_the_tokenizer(bert, folders, tokenizer, name):
    assert {file.name for file in folders[name].iterdir()} == {
        "model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json"
    }
    text = "नमस्कार मित्रांनो"
    loaded = AutoTokenizer.from_pretrained(folders[name])
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    config = quantization.OnnxClassifier(folders[name]).config
    assert (config.num_labels, config.max_position_embeddings) == (3, 64)
    model = onnx.load(folders[name] / "model.onnx")
    onnx.checker.check_model(model)
    assert b"site-packages" not in model.SerializeToString()


def test_it_stands_in_for_a_hugging_face_model_in_evaluation(bert, folders, tokenizer):
    texts = ["एक", "दोन शब्द", "तीन शब्द आहेत", "चार शब्द असलेले वाक्य आहे"]
    expected = evaluation.logits(bert, tokenizer, texts, batch_size=2, max_length=16)
    exported = quantization.OnnxClassifier(folders["fp32"])
    got = evaluation.logits(exported, tokenizer, texts, batch_size=2, max_length=16)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_token_types_default_to_zero(folders):
    model, batch = quantization.OnnxClassifier(folders["fp32"]), random_batch(3, 8)
    batch["token_type_ids"] = torch.zeros_like(batch["input_ids"])
    expected = logits_of(model, batch)
    del batch["token_type_ids"]
    assert np.array_equal(logits_of(model, batch), expected)


def test_threads_are_those_of_pytorch(folders):
    assert quantization.OnnxClassifier(folders["fp32"])._session.get_session_options().intra_op_num_threads == (
        torch.get_num_threads()
    )


def test_the_root_logger_stays_as_it_is(folders, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "onnxruntime.quantization.matmul_nbits_quantizer")
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    before = root.level, root.manager.disable
    quantization.quantize(folders["fp32"], "int4-weights", tmp_path)
    assert root.handlers == [] and (root.level, root.manager.disable) == before


@pytest.mark.parametrize(
    ("scheme", "device", "named"),
    [
        ("int4-weights", "cuda", "int4-weights does not run on 'cuda'; choose cpu"),
        ("int4-weights", torch.device("cuda", 1), "int4-weights does not run on 'cuda:1'; choose cpu"),
        ("int8-dynamic", "mps", "int8-dynamic does not run on 'mps'"),
        ("int2-weights", "cpu", "'int2-weights' is unknown; choose fp32 or one of int8-weights, int4-weights"),
    ],
)
def test_unsupported_is_refused_by_name(scheme, device, named):
    with pytest.raises(LaghuError, match=named):
        quantization.refuse_unsupported(scheme, device)


@pytest.mark.parametrize("scheme", quantization.SCHEMES)
def test_supported_is_not_refused(scheme):
    quantization.refuse_unsupported(scheme, "cpu")


def test_missing_libraries_are_named_and_importing_laghu_needs_none(monkeypatch, tmp_path, bert, tokenizer):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)
    importlib.reload(quantization)
    monkeypatch.setattr(quantization, "find_spec", lambda name: None if name == "onnxruntime" else object())
    for call in (
        lambda: quantization.refuse_unsupported("int8-weights", "cpu"),
        lambda: quantization.export(bert, tokenizer, tmp_path),
        lambda: quantization.quantize(tmp_path, "int8-weights", tmp_path),
        lambda: quantization.OnnxClassifier(tmp_path),
    ):
        with pytest.raises(LaghuError, match=r"needs onnxruntime; install with pip install 'laghu\[quantization\]'"):
            call()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_quantised_is_refused(folders, tmp_path):
    with pytest.raises(LaghuError, match=r"int4-weights/model\.onnx is quantised already"):
        quantization.quantize(folders["int4-weights"], "int8-weights", tmp_path / "new")
    with pytest.raises(LaghuError, match=rf"{tmp_path.name} holds no model\.onnx"):
        quantization.quantize(tmp_path, "int8-weights", tmp_path / "new")
    with pytest.raises(LaghuError, match=rf"{tmp_path.name} holds no model\.onnx"):
        quantization.OnnxClassifier(tmp_path)
    assert not (tmp_path / "new").exists()
