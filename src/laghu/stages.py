"""Trained checkpoints, each made once: a folder named by the key of everything it depends on.

A stage is built in a working folder and renamed when complete, so that an interrupted one never looks finished; the
next call goes on in the same working folder. Two processes that want the same stage wait for each other. The folder
keeps the digests of its files: what has gone bad since is thrown away and made again. Stages made before there were
digests are taken as they are.
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laghu import durable, paths, provenance, seals
from laghu.errors import LaghuError
from laghu.notices import say

_REPORT = "report.json"
_TRAINER = "trainer"  # where trainings keep the checkpoints that they go on from


@dataclass(frozen=True)
class Stage:
    """A finished stage. `model` is a Hugging Face checkpoint; `report` says what making it took and gave."""

    name: str
    key: str
    folder: Path
    report: dict[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model"


def stage(name: str, modules: list[str], inputs: dict[str, Any], build: Callable[[Path], dict[str, Any]]) -> Stage:
    """The stage of that name for these inputs: from disk if it is there and whole, else built.

    Args:
        name: short and readable, e.g. "teacher"; part of the folder's name.
        modules: laghu modules whose code the result depends on.
        inputs: parameters, data digests and keys of earlier stages; JSON values.
        build: writes `model/` into the working folder it is given and returns the report; called again in the same
            folder after an interruption.

    Raises:
        LaghuError: the folder of checkpoints is full or can't be written to; or as `build`.
    """
    keys = [provenance.digest(name, inputs, code, provenance.pins()) for code in provenance.code_digests(modules)]
    there = next((key for key in keys if _is_whole(_folder(name, key))), None)
    key = there or keys[0]
    folder = _folder(name, key)
    if not there:
        with _writing(folder), _locked(folder.with_suffix(".lock")):
            _mend(folder)  # it may have been made while this process waited
            if not folder.is_dir():
                _make(folder, build)
    return Stage(name=name, key=key, folder=folder, report=_read(folder / _REPORT))


def _folder(name: str, key: str) -> Path:
    return paths.checkpoints() / f"{name}-{key[:16]}"


def _is_whole(folder: Path) -> bool:
    return folder.is_dir() and not _flaw(folder)


def _make(folder: Path, build: Callable[[Path], dict[str, Any]]) -> None:
    working = folder.with_suffix(".working")
    working.mkdir(parents=True, exist_ok=True)
    if not seals.is_sealed(working) or _flaw(working):
        _leave_out_broken_checkpoints(working / _TRAINER)
        report = build(working)
        (working / _REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
        seals.seal(working, leaving_out=_TRAINER)
    shutil.rmtree(working / _TRAINER, ignore_errors=True)
    durable.rename(working, folder)


def _mend(folder: Path) -> None:
    """Make room for a stage that is there and broken."""
    if folder.is_dir():
        if not (reason := _flaw(folder)):
            return
        say(f"stage {folder.name} is broken and made again: {reason}")
    durable.discard(folder)


def _flaw(folder: Path) -> str | None:
    try:
        _read(folder / _REPORT)
    except (OSError, ValueError):
        return f"{_REPORT} is missing or not JSON"
    return seals.flaw(folder)


def _read(report: Path) -> dict[str, Any]:
    content = json.loads(report.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{report} holds no report")
    return content


def _leave_out_broken_checkpoints(trainer: Path) -> None:
    """Remove what a training could not go on from: it would fail on it again and again."""
    for checkpoint in trainer.glob("checkpoint-*"):
        if reason := seals.flaw_of_training(checkpoint):
            say(f"training {trainer.parent.stem} does not go on from {checkpoint.name}: {reason}")
            shutil.rmtree(checkpoint, ignore_errors=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except LaghuError:
        raise
    except Exception as error:
        if reason := durable.lack(error, folder.parent):
            raise LaghuError(f"stage {folder.name} can't be written to {folder.parent}: {reason}; mend that and call "
                             "again: a training goes on from its last checkpoint there") from error
        raise


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
