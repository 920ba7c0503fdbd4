"""Whether what a folder holds is still what was written there."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from laghu import seals


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "stage"
    (folder / "model").mkdir(parents=True)
    (folder / "trainer").mkdir()
    (folder / "trainer" / "left").write_text("over")
    (folder / "report.json").write_text("{}")
    save_file({"weight": np.arange(6.0)}, folder / "model" / "model.safetensors")
    return folder


def test_a_seal_is_what_sha256sum_reads_and_comes_last(folder, order):
    seals.seal(folder, leaving_out="trainer")
    assert order[-2:] == [f"rename {seals.SUMS}", "sync stage"]
    synced = order.index("sync .SHA256SUMS.part")
    assert {"sync report.json", "sync model.safetensors", "sync model"} <= set(order[:synced])
    names = [line.split("  ")[1] for line in (folder / seals.SUMS).read_text().splitlines()]
    assert names == ["model/model.safetensors", "report.json"]
    if program := shutil.which("sha256sum"):
        assert os.system(f"cd {folder} && {program} --check --status {seals.SUMS}") == 0
    assert seals.is_sealed(folder) and seals.flaw(folder) is None


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("harm", ["changed", "short", "empty", "gone", "more"])
def test_what_went_bad_is_found(folder, sealed, harm):
    if sealed:
        seals.seal(folder, leaving_out="trainer")
    weights = folder / "model" / "model.safetensors"
    content = weights.read_bytes()
    match harm:
        case "changed":
            weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "short":
            weights.write_bytes(content[:-1])
        case "empty":
            weights.write_bytes(b"")
        case "gone":
            weights.unlink()
        case "more":  # as libraries keep what they computed beside what they read
            (folder / "model" / "cache.arrow").touch()
    found = seals.flaw(folder)
    if harm == "more" or (harm in ("changed", "gone") and not sealed):
        assert found is None
    else:
        assert "model.safetensors" in found


def test_a_seal_that_is_not_text_is_a_flaw(folder):
    (folder / seals.SUMS).write_bytes(b"\xff\xfe\x00")
    assert "can't be read" in seals.flaw(folder)


@pytest.mark.parametrize(
    ("file", "harm", "said"),
    [
        ("trainer_state.json", "gone", "being written"), ("trainer_state.json", "short", "not JSON"),
        ("trainer_state.json", "empty", "not JSON"), ("model.safetensors", "gone", "missing"),
        ("model.safetensors", "short", "not whole"), ("model.safetensors", "empty", "not whole"),
        ("optimizer.pt", "short", "not whole"), ("optimizer.pt", "empty", "not whole"),
        ("optimizer.pt", "changed", "not what was written"), ("rng_state.pth", "short", "not whole"),
        ("rng_state.pth", "none", None),
    ],
)
def test_a_training_checkpoint_that_could_not_be_gone_on_from_is_found(tmp_path, file, harm, said):
    (tmp_path / "trainer_state.json").write_text('{"global_step": 3}')
    save_file({"weight": np.arange(6.0)}, tmp_path / "model.safetensors")
    for name in ("optimizer.pt", "rng_state.pth"):
        torch.save({"state": torch.arange(64.0)}, tmp_path / name)
    content = (tmp_path / file).read_bytes()
    match harm:
        case "gone":
            (tmp_path / file).unlink()
        case "short":
            (tmp_path / file).write_bytes(content[: len(content) // 2])
        case "empty":
            (tmp_path / file).write_bytes(b"")
        case "changed":
            place = content.index(torch.arange(64.0).numpy().tobytes()) + 100
            (tmp_path / file).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    found = seals.flaw_of_training(tmp_path)
    assert found is None if said is None else said in found
