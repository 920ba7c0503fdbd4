"""One training in the hands of two processes: the same steps as in the hands of one, one record, one stage."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from checkout import Checkout
from safetensors.numpy import load_file

from laghu import parallel
from laghu.errors import LaghuError
from laghu.spec import Pretraining

# Trains a tiny encoder on rows whose masks are given, so that both ways see the same; their numbers differ from row to
# row. Arguments: rows of a process, file for the weights.
TRAINING = """
import os, sys, torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, set_seed
from laghu import backbones, parallel
from laghu.training import arguments

rows, file = int(sys.argv[1]), sys.argv[2]
draws = torch.Generator().manual_seed(0)
data = []
for row in range(24):
    ids = torch.randint(5, 50, (16,), generator=draws)
    masked = torch.rand(16, generator=draws) < (row % 8 + 1) / 10
    masked[0] = True
    data.append({"input_ids": ids, "labels": torch.where(masked, ids, -100)})
set_seed(1)
model = BertForMaskedLM(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
args = arguments(file + ".trainer", steps=6, batch_size=rows, learning_rate=1e-3, warm_up=0.1, weight_decay=0.01,
    precision="fp32", seed=3)
kind = parallel.DataParallelTrainer if "WORLD_SIZE" in os.environ else backbones.MaskedLanguageModelTrainer
trainer = kind(model, args, train_dataset=data)
trainer.train()
if trainer.is_world_process_zero():
    weights = trainer.accelerator.unwrap_model(trainer.model).state_dict()
    save_file({name: value.clone() for name, value in weights.items()}, file)
"""


def test_two_processes_take_the_steps_of_one(tmp_path: Path):
    script = tmp_path / "training.py"
    script.write_text(TRAINING, encoding="utf-8")
    alone, together = tmp_path / "alone.safetensors", tmp_path / "together.safetensors"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for before, rows, file in (([], 8, alone), (launcher, 4, together)):
        subprocess.run([sys.executable, *before, str(script), str(rows), str(file)], check=True, cwd=tmp_path)
    one, two = load_file(alone), load_file(together)
    assert one.keys() == two.keys()
    # Adam divides by the size of a gradient: where that is next to nothing, rounding decides its sign.
    close = [abs(one[name] - two[name]) < 1e-5 for name in one]
    assert sum(each.sum() for each in close) > 0.999 * sum(each.size for each in close)


def test_a_batch_is_dealt_out_evenly_or_not_at_all():
    assert parallel.share(Pretraining(batch_size=12), 4).batch_size == 3
    for processes in (5, 0):
        with pytest.raises(LaghuError, match="12 rows"):
            parallel.share(Pretraining(batch_size=12), processes)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path)
    long = {"steps": 60, "batch_size": 4, "sequence_length": 32}
    made.write_study("shared", [{"technique": "baseline"}], {"pretraining": long})
    return made


def test_a_backbone_of_two_processes_survives_the_loss_of_one(checkout: Checkout):
    """One process is killed after a checkpoint; the next call goes on there, and leaves one stage and one record."""
    command = [sys.executable, "-m", "laghu", "backbone", "shared", "--processes", "2"]
    first = psutil.Popen(command, cwd=checkout.folder, env=checkout.environment)
    while not list(checkout.folder.glob("checkpoints/*.working/trainer/checkpoint-*/trainer_state.json")):
        assert first.poll() is None
    next(each for each in first.children(recursive=True) if each.environ().get("RANK") == "1").kill()
    assert first.wait() != 0

    assert checkout.laghu("backbone", "shared", "--processes", "2").returncode == 0
    (stage,) = checkout.folder.glob("checkpoints/backbone-????????????????")
    assert not list(checkout.folder.glob("checkpoints/*.working"))
    assert sorted(file.name for file in (stage / "model").iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    (file,) = checkout.folder.glob("results/shared/**/*.json")
    record = json.loads(file.read_text(encoding="utf-8"))
    assert record["processes"] == 2 and record["steps"] == 60 and record["tokens"] == 60 * 4 * 32
    assert 0 < record["resumed_at_step"] < 60

    again = checkout.laghu("backbone", "shared")
    assert again.returncode == 0 and json.loads(file.read_text(encoding="utf-8")) == record
