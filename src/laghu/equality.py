"""Declares that a change of code alters no number: runs made again with it are what they were, to the last bit.

Every key covers all code that a run can reach, and that is generous: support for another kind of model makes every
result stale, though none holds such a model. To make them all again takes days. To make some of them again, each
through another part of what changed, takes minutes, and shows more than an argument could. What was compared is kept
beside the code as it was; `laghu.provenance` then takes keys of either for good.
"""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from laghu import durable, freshness, paths, provenance
from laghu.errors import LaghuError
from laghu.records import RunRecord, StageReport, Stored, TokenRecord
from laghu.spec import Technique

_EQUAL = "equal.json"

# What of a record does not depend on how long the making took, where and when, nor with which code.
_OF_THE_MAKING = {
    "latency_ms", "documents_per_second", "speed_up", "timing", "peak_memory_bytes", "peak_memory_source", "energy_kwh",
    "co2e_kg", "energy_components", "energy_source", "inference_energy", "train_seconds", "stages", "hardware",
    "versions", "commit", "run_key", "settings", "started", "finished",
}  # fmt: skip


def declare(name: str, commit: str, home: Path, runs: Sequence[str], why: str) -> Path:
    """Declare the code as it is and the code of `commit` equal, on the evidence of runs made again; returns its file.

    Compared are all fields of a record but those of its making, predictions among them, and the weights that are still
    there. A later change of the same modules ends the declaration: make one of the same name and commit anew.

    Args:
        name: of the declaration, and of its folder; an earlier one of that name is replaced.
        commit: whose code made the published results.
        home: another checkout with the code as it is, and without declarations, in which the runs were made again, from
            trainings of its own as far as these can reach what changed.
        runs: as `cpu/pruning-50-seed1` or `cpu/tokens/...`; together they should go through all that changed.

    Raises:
        LaghuError: no such record, one that the code as it is did not make, one that is another than it was, or
            nothing has changed.
    """
    changed = {
        module: source for module in _modules()
        if (source := _source(commit, module)) and provenance.source_digest(source) != provenance.module_digest(module)
    }
    if not changed:
        raise LaghuError(f"no module has changed since {commit}; there is nothing to declare")
    content = {
        "why": why, "commit": commit, "modules": {module: provenance.module_digest(module) for module in changed},
        "made_again": {run: _compared(home, run) for run in runs},
    }
    folder = paths.earlier_code() / name
    with durable.replacing_folder(folder) as made:
        for module, source in changed.items():
            (made / f"{module}.py").write_text(source, encoding="utf-8")
        (made / _EQUAL).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder / _EQUAL


def _compared(home: Path, run: str) -> dict[str, Any]:
    """What was found equal of a run in both checkouts.

    Raises:
        LaghuError: something is not, or was not made again.
    """
    before, again = (_record(root, run) for root in (paths.root(), home))
    if before.run_key == again.run_key:
        raise LaghuError(f"{run} in {home.name} has the key of the published record: it was not made with other code")
    if differing := freshness.differences(before.settings, again.settings):
        raise LaghuError(f"{run} was made again with other parameters: {', '.join(differing)}")
    first, second = (record.model_dump(mode="json", exclude=_OF_THE_MAKING) for record in (before, again))
    if differing := [field for field, value in first.items() if second[field] != value]:
        raise LaghuError(f"{run} is not what it was: {', '.join(differing)}")
    weights = {}
    for old, new in zip(before.stages, again.stages, strict=True):
        one, other = (_weights(root, each) for root, each in ((paths.root(), old), (home, new)))
        if old.key == new.key or one is None:
            continue
        if one != other:
            raise LaghuError(f"{run}: the weights of stage {old.name!r} are not what they were")
        weights[old.name] = one
    return {"fields": sorted(first), "weights_sha256": weights}


def _record(root: Path, run: str) -> RunRecord | TokenRecord:
    study, _, name = run.partition("/")
    kind: type[Stored] = TokenRecord if name.startswith("tokens/") else RunRecord
    return kind.load(root / "results" / study / f"{name}.json")


def _weights(root: Path, stage: StageReport) -> str | None:
    """Digest of a stage's weights; None where they have been deleted, which checkpoints may be."""
    folder = root / "checkpoints" / f"{stage.name}-{stage.key[:16]}" / "model"
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.onnx")])
    if not files:
        return None
    sha = hashlib.sha256()
    for file in files:
        sha.update(file.read_bytes())
    return sha.hexdigest()


def _modules() -> list[str]:
    """All modules that are in the key of some record: what the templates of records reach."""
    templates = (paths.templates() / f"{name}.ipynb" for name in (*get_args(Technique), "token_classification", "cost"))
    return provenance.reachable(
        module for template in templates for module in provenance.imported(provenance.template_code(template))
    )


def _source(commit: str, module: str) -> str | None:
    """The module's source at that commit; None where there was none."""
    path = f"{commit}:src/laghu/{module.replace('.', '/')}.py"
    shown = subprocess.run(["git", "-C", str(paths.root()), "show", path], capture_output=True, text=True, check=False)
    return shown.stdout if shown.returncode == 0 else None
