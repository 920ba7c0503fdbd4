"""Trained checkpoints, each made once: a folder named by the key of everything it depends on.

A stage is built in a working folder and renamed when complete, so that an interrupted one never looks finished; the
next call goes on in the same working folder. Two processes that want the same stage wait for each other.
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laghu import paths, provenance


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
    """The stage of that name for these inputs: from disk if it is there, else built.

    Args:
        name: short and readable, e.g. "teacher"; part of the folder's name.
        modules: laghu modules whose code the result depends on.
        inputs: parameters, data digests and keys of earlier stages; JSON values.
        build: writes `model/` into the working folder it is given and returns the report; called again in the same
            folder after an interruption.
    """
    key = provenance.digest(name, inputs, provenance.code_digest(modules), provenance.pins())
    folder = paths.checkpoints() / f"{name}-{key[:16]}"
    with _locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            working = folder.with_suffix(".working")
            working.mkdir(parents=True, exist_ok=True)
            report = build(working)
            shutil.rmtree(working / "trainer", ignore_errors=True)
            (working / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
            working.rename(folder)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return Stage(name=name, key=key, folder=folder, report=report)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
