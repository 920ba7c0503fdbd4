import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch.nn.utils import prune
from transformers import (
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from laghu.compression import movement, surgery
from laghu.errors import LaghuError

KEPT = [torch.tensor([0, 3, 4, 7, 11]), torch.tensor([1, 2, 8])]

# Loads a checkpoint in a process to which laghu does not exist, and prints the logits of one fixed batch.
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

folder, batch = sys.argv[1], {k: torch.tensor(v) for k, v in json.loads(sys.argv[2]).items()}
model, report = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
assert not any(report.values()), report
with torch.no_grad():
    logits = model.eval()(**batch).logits
print(json.dumps({"logits": logits.tolist(), "width": model.config.intermediate_size}))
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
    command = [sys.executable, "-I", "-c", PLAIN_TRANSFORMERS, str(tmp_path / "model"), sent]
    printed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert printed.returncode == 0, printed.stderr
    found = json.loads(printed.stdout)
    assert found["width"] == width
    assert (torch.tensor(found["logits"]) - masked).abs().max() < 1e-5
    assert torch.equal(torch.tensor(found["logits"]), logits_of(model, batch))  # reload is exact


@pytest.mark.parametrize(
    ("config", "classifier"),
    [(RobertaConfig, RobertaForSequenceClassification), (ElectraConfig, ElectraForSequenceClassification)],
)
def test_other_architectures_of_the_layout(batch, config, classifier):
    torch.manual_seed(0)
    model = classifier(config(
        vocab_size=160, hidden_size=16, embedding_size=16, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=12, max_position_embeddings=64, num_labels=3,
    )).eval()
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
