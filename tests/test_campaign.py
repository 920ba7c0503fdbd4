"""A campaign: its order, what it refuses, and a whole one on a tiny configuration, killed in two stages and resumed."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml
from checkout import TINY, Checkout
from transformers import AutoModelForSequenceClassification

from laghu import campaign
from laghu.errors import LaghuError
from laghu.spec import RunSpec, Study

BASELINE = {"technique": "baseline"}
PRUNED = {"technique": "pruning", "pruning_level": 0.5}
DISTILLED = {"technique": "pruning_distillation", "pruning_level": 0.5, "distillation": "after"}


# ------------------------------------------------------------------------------------------------ order and refusals


def test_no_run_is_trained_beside_or_before_one_that_it_starts_from():
    """A run needs the baseline of its seed, and one that distils into a pruned model needs that model."""
    specs = [spec for spec in Study.load("gpu").runs if spec.technique != "classical"]
    wave_of = {spec.run: number for number, wave in enumerate(campaign.waves(specs[::-1])) for spec in wave}
    assert sorted(wave_of) == sorted(spec.run for spec in specs)
    for spec in specs:
        if spec.technique != "baseline":
            assert wave_of[f"baseline-seed{spec.seed}"] < wave_of[spec.run]
        if spec.distillation == "after":
            assert wave_of[spec.run.replace("-after", "")] < wave_of[spec.run]
        if spec.technique == "ensemble_distillation" and spec.pruning_level:
            assert wave_of[spec.run.replace("ensemble-distillation", "pruning")] < wave_of[spec.run]
        if "-of-" in spec.run:
            assert wave_of[spec.run.partition("-of-")[2]] <= wave_of[spec.run] == 2


def test_an_unknown_stage_is_refused_before_any_work():
    with pytest.raises(LaghuError, match="no stage mesure; a campaign has pretrain, train, measure, cost, collect"):
        campaign.run(["gpu"], ["mesure"], jobs=1)


def test_collect_names_what_is_missing(home):
    (home / "studies" / "two.yaml").write_text(
        yaml.safe_dump({"title": "two", "seeds": [0], "common": TINY, "runs": [BASELINE, PRUNED]}), encoding="utf-8"
    )
    with pytest.raises(LaghuError, match="missing or stale: two/baseline-seed0, two/pruning-50-seed0"):
        campaign.collect([Study.load("two")], jobs=1)


def test_a_training_that_fails_is_named_and_the_others_go_on(home, monkeypatch):
    specs = (RunSpec(study="s", technique="baseline"), RunSpec(study="s", technique="baseline", seed=1))
    monkeypatch.setattr(campaign, "_train", _fails_on_seed_0)
    with pytest.raises(LaghuError, match="1 of 2 trainings failed: s/baseline-seed0: it failed"):
        campaign.train([Study(name="s", title="s", runs=specs)], jobs=1)


def _fails_on_seed_0(spec: RunSpec) -> float:
    if spec.seed == 0:
        raise LaghuError("it failed")
    return 0.5


# ------------------------------------------------------------------------------------------------ a whole campaign


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("campaign"))
    study = {
        "title": "tiny", "seeds": [0], "common": TINY, "runs": [BASELINE, PRUNED, DISTILLED],
        "ships": "pruning-50-after-seed0",
        "cost": {
            "precisions": ["fp32"], "sequence_lengths": [8], "batch_sizes": [1], "repeats": 3, "energy_window": 0.1,
            "shape": TINY["architecture"],
        },
    }
    (checkout.folder / "studies" / "tiny.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return checkout


def killed_at(checkout: Checkout, sign: str, *arguments: str) -> None:
    """Start `laghu campaign tiny` and end it with SIGKILL, with all its children, once it has printed `sign`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "laghu", "campaign", "tiny", *arguments], cwd=checkout.folder, env=checkout.environment,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )
    seen = []
    for line in process.stdout:
        seen.append(line)
        if sign in line:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "".join(seen)


def test_killed_and_resumed_in_its_stages_a_campaign_ends_complete(checkout):
    killed_at(checkout, "baseline-seed0: development accuracy", "--stage", "pretrain", "--stage", "train")
    stages = checkout.folder / "checkpoints"
    first = {folder.name for folder in stages.iterdir() if folder.is_dir() and not folder.suffix}
    assert {name.split("-")[0] for name in first} == {"backbone", "baseline"}
    trained = {name: (stages / name / "report.json").read_bytes() for name in first}

    resumed = checkout.laghu("campaign", "tiny", "--stage", "train", "--jobs", "2")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert {name: (stages / name / "report.json").read_bytes() for name in first} == trained
    assert not checkout.records("tiny")  # nothing is measured while others train

    killed_at(checkout, "baseline-seed0: finished", "--stage", "measure")
    assert list(checkout.records("tiny")) == ["baseline-seed0.json"]

    ended = checkout.laghu("campaign", "tiny")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert set(checkout.records("tiny")) == {
        "baseline-seed0.json", "pruning-50-seed0.json", "pruning-50-after-seed0.json"
    }
    results = checkout.folder / "results" / "tiny"
    assert (results / "cost" / "fp32.json").is_file() and (results / "cost" / "fp32.ipynb").is_file()
    pretraining = json.loads((results / "backbone" / "pretraining.json").read_text(encoding="utf-8"))
    assert pretraining["tokens"] == 6 * 4 * 32  # steps x batch x length, from the study file
    model = AutoModelForSequenceClassification.from_pretrained(results / "model")
    assert model.config.intermediate_size == 32 and str(model.dtype) == "torch.float16"


def test_a_campaign_that_is_complete_does_nothing(checkout):
    before = checkout.records("tiny")
    again = checkout.laghu("campaign", "tiny", "--stage", "measure", "--stage", "cost")
    assert again.returncode == 0, again.stderr
    assert checkout.records("tiny") == before
    assert "started" not in again.stdout
