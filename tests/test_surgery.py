import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from architectures import shapes
from scipy.special import erf
from torch.nn.utils import prune
from transformers import AutoConfig, AutoModelForSequenceClassification

from laghu.compression import movement, surgery
from laghu.errors import LaghuError

KEPT = [torch.tensor([0, 3, 4, 7, 11]), torch.tensor([1, 2, 8])]

# Loads checkpoints in a process to which laghu does not exist, and prints the logits of one fixed batch.
PLAIN_TRANSFORMERS = """
import json, sys

class NoLaghu:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "laghu":
            raise ImportError("laghu is not here")

sys.meta_path.insert(0, NoLaghu())
try:
    import laghu
except ImportError:
    pass
else:
    sys.exit("laghu could be imported")

import torch
from transformers import AutoModelForSequenceClassification

batch = {k: torch.tensor(v) for k, v in json.loads(sys.argv[1]).items()}
for folder in sys.argv[2:]:
    model, report = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    with torch.no_grad():
        logits = model.eval()(**batch).logits
    print(json.dumps({"logits": logits.tolist(), "config": model.config.to_dict()}))
"""


def logits_of(model, batch):
    with torch.no_grad():
        return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def dense(model, layer):
    return model.bert.encoder.layer[layer].intermediate.dense, model.bert.encoder.layer[layer].output.dense


def zero_neurons(model, kept):
    """Reference: the dropped neurons' columns in the second layer are zero, everything else is as it was."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer, indices in enumerate(kept):
            gone = [i for i in range(12) if i not in indices.tolist()]
            dense(model, layer)[1].weight[:, gone] = 0
    return model


def test_cut_ffn_equals_a_numpy_forward_of_the_masked_one(tiny_bert):
    plain, model = tiny_bert(), tiny_bert()
    surgery.cut_neurons(model, KEPT)
    x = np.random.default_rng(0).normal(size=(7, 16))
    for layer, kept in enumerate(KEPT):
        up, down = dense(plain, layer)
        hidden = x @ up.weight.detach().numpy().T + up.bias.detach().numpy()
        hidden = hidden * 0.5 * (1 + erf(hidden / np.sqrt(2)))
        hidden *= np.isin(np.arange(12), kept.numpy())
        expected = hidden @ down.weight.detach().numpy().T + down.bias.detach().numpy()
        block = model.bert.encoder.layer[layer]
        with torch.no_grad():
            found = block.output.dense(block.intermediate(torch.tensor(x, dtype=torch.float32)))
        np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)


def test_cut_model_equals_torch_prune(tiny_bert, batch):
    """`torch.nn.utils.prune` masks, surgery slices."""
    reference, model = tiny_bert(), tiny_bert()
    for layer, kept in enumerate(KEPT):
        up, down = dense(reference, layer)
        mask = torch.zeros(12)
        mask[kept] = 1
        prune.custom_from_mask(up, "weight", mask[:, None].expand(12, 16))
        prune.custom_from_mask(up, "bias", mask)
        prune.custom_from_mask(down, "weight", mask[None, :].expand(16, 12))
    surgery.cut_neurons(model, KEPT)
    assert (logits_of(reference, batch) - logits_of(tiny_bert(), batch)).abs().max() > 1e-2
    torch.testing.assert_close(logits_of(model, batch), logits_of(reference, batch), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kept", [KEPT, KEPT[::-1], [torch.arange(12), torch.tensor([5])], [torch.arange(4)] * 2])
def test_cut_model_equals_one_masked_at_the_consumer(tiny_bert, batch, kept):
    model = tiny_bert()
    expected = logits_of(zero_neurons(model, kept), batch)
    surgery.cut_neurons(model, kept)
    torch.testing.assert_close(logits_of(model, batch), expected, rtol=0, atol=1e-5)
    width = max(map(len, kept))
    assert model.config.intermediate_size == width
    for layer in range(2):
        up, down = dense(model, layer)
        assert up.weight.shape == (width, 16) == (up.out_features, up.in_features)
        assert up.bias.shape == (width,)
        assert down.weight.shape == (16, width) == (down.out_features, down.in_features)


def test_zeroing_weights_alone_would_not_be_enough(tiny_bert, batch):
    """GELU(bias) of a neuron without weights is a constant: why masks cover the bias too."""
    model = tiny_bert()
    with torch.no_grad():
        for layer in range(2):
            dense(model, layer)[0].weight[5:] = 0
    expected = logits_of(zero_neurons(model, [torch.arange(5)] * 2), batch)
    assert (logits_of(model, batch) - expected).abs().max() > 1e-2


def test_kept_lists_must_be_one_per_layer(tiny_bert):
    with pytest.raises(LaghuError, match=r"^1 lists of neurons for 2 layers; give one per layer$"):
        surgery.cut_neurons(tiny_bert(), KEPT[:1])


def test_checkpoint_loads_where_laghu_is_unknown_and_gives_equal_logits(tiny_bert, batch, tmp_path):
    model = tiny_bert()
    scores = movement.attach(model, movement.SIGMOID, "heads")
    with torch.no_grad():
        for values in scores.parameters():
            values.normal_(generator=torch.Generator().manual_seed(5))
    scores.set_threshold(0.5)
    masked = logits_of(model, batch)
    width = max(map(len, scores.kept_neurons()))
    surgery.excise(model, scores)
    model.save_pretrained(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["intermediate_size"] == width < 12
    sent = json.dumps({name: batch[name].tolist() for name in ("input_ids", "attention_mask")})
    command = [sys.executable, "-I", "-c", PLAIN_TRANSFORMERS, sent, str(tmp_path / "model")]
    printed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert printed.returncode == 0, printed.stderr
    found = json.loads(printed.stdout)
    assert found["config"]["intermediate_size"] == width
    assert (torch.tensor(found["logits"]) - masked).abs().max() < 1e-5
    assert torch.equal(torch.tensor(found["logits"]), logits_of(model, batch))  # reload is exact


ARCHITECTURES = shapes(hidden_size=16, heads=4, neurons=12)
ARCHITECTURES["modernbert"]["pad_token_id"] = 0  # its own lies beyond so small a vocabulary


@pytest.fixture(scope="module")
def texts():
    """Three rows of token ids, one of them padded."""
    ids = torch.randint(5, 160, (3, 20), generator=torch.Generator().manual_seed(7))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


@pytest.fixture(scope="module")
def halved(texts, tmp_path_factory):
    """By architecture: its folder after pruning to half, and logits of the dense, the masked and the cut model."""
    root = tmp_path_factory.mktemp("halved")
    found = {}
    for name, shape in ARCHITECTURES.items():
        torch.manual_seed(0)
        config = AutoConfig.for_model(name, vocab_size=160, max_position_embeddings=64, num_labels=3, **shape)
        model = AutoModelForSequenceClassification.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.5)
        scores = movement.attach(model)
        dense_logits = logits_of(model, texts)
        with torch.no_grad():
            for values in scores.parameters():
                values.normal_(generator=torch.Generator().manual_seed(5))
        scores.set_threshold(0.5)
        masked = logits_of(model, texts)
        surgery.excise(model, scores)
        model.save_pretrained(root / name)
        found[name] = (root / name, dense_logits, masked, logits_of(model, texts))
    return found


@pytest.fixture(scope="module")
def reloaded(halved, texts, tmp_path_factory):
    """By architecture: what plain transformers gives of the folder, in a process without Laghu."""
    sent = json.dumps({name: ids.tolist() for name, ids in texts.items()})
    command = [sys.executable, "-I", "-c", PLAIN_TRANSFORMERS, sent, *(str(folder) for folder, *_ in halved.values())]
    printed = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path_factory.mktemp("elsewhere"), check=False
    )
    assert printed.returncode == 0, printed.stderr
    return dict(zip(halved, map(json.loads, printed.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_half_of_the_neurons_cut_out_of_each_architecture(halved, reloaded, name):
    folder, dense_logits, masked, cut = halved[name]
    assert (masked - dense_logits).abs().max() > 1e-3
    torch.testing.assert_close(cut, masked, rtol=0, atol=1e-5)
    width = "hidden_dim" if name == "distilbert" else "intermediate_size"
    assert json.loads((folder / "config.json").read_text())[width] == 6 == reloaded[name]["config"][width]
    assert torch.equal(torch.tensor(reloaded[name]["logits"]), cut)  # reload is exact


@pytest.mark.parametrize("name", ["roberta", "electra"])
def test_heads_are_masked_where_layers_are_built_as_berts(batch, name):
    torch.manual_seed(0)
    config = AutoConfig.for_model(name, vocab_size=160, max_position_embeddings=64, num_labels=3, **ARCHITECTURES[name])
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    scores = movement.attach(model, movement.SIGMOID, "heads")
    dense_logits = logits_of(model, batch)
    with torch.no_grad():
        for values in scores.parameters():
            values.normal_(generator=torch.Generator().manual_seed(5))
    scores.set_threshold(0.5)
    masked = logits_of(model, batch)
    surgery.excise(model, scores)
    assert model.config.intermediate_size < 12
    assert (masked - dense_logits).abs().max() > 1e-3
    torch.testing.assert_close(logits_of(model, batch), masked, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["distilbert", "modernbert"])
def test_attention_is_not_masked_where_layers_are_built_otherwise(name):
    config = AutoConfig.for_model(name, vocab_size=160, max_position_embeddings=64, num_labels=3, **ARCHITECTURES[name])
    model = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(LaghuError, match=f"^model type '{name}' can't be cut but in its FFN neurons"):
        movement.attach(model, attention="heads")


def test_another_architecture_is_refused_by_name():
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(
        "albert", vocab_size=160, embedding_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=12,
    ))
    with pytest.raises(LaghuError, match=r"^model type 'albert' can't be pruned; supported: bert, .*modernbert$"):
        movement.attach(model)


def test_a_gated_neuron_is_a_row_and_its_gate():
    """By hand: act(W x) * (V x) with some neurons left out, against the cut layer."""
    config = AutoConfig.for_model("modernbert", vocab_size=160, num_labels=3, **ARCHITECTURES["modernbert"])
    model = AutoModelForSequenceClassification.from_config(config).eval()
    mlp = model.model.layers[0].mlp
    up, gate = mlp.Wi.weight.detach().numpy().reshape(2, 12, 16)
    down = mlp.Wo.weight.detach().numpy()
    x = np.random.default_rng(0).normal(size=(7, 16))
    hidden = x @ up.T
    hidden = hidden * 0.5 * (1 + erf(hidden / np.sqrt(2))) * (x @ gate.T)
    expected = (hidden * np.isin(np.arange(12), KEPT[0].numpy())) @ down.T
    surgery.cut_neurons(model, KEPT)
    with torch.no_grad():
        found = model.model.layers[0].mlp(torch.tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-6)
