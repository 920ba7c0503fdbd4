"""The tiny study, and what has to be true of its folder at any moment, whatever was killed."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from checkout import Checkout
from safetensors.numpy import load_file

from laghu.errors import LaghuError
from laghu.records import RunRecord

NAME = "tiny"
RUNS = [
    {"technique": "classical"},
    {"technique": "baseline"},
    {"technique": "pruning_distillation", "pruning_level": 0.5, "distillation": "joint"},
]
# The name of what is trained for a run alone.
STAGES = {"baseline-seed0": "baseline", "pruning-50-joint-seed0": "pruned"}
SMALLEST = {
    "architecture": {
        "vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 32,
    },
    "pretraining": {"steps": 2, "batch_size": 4, "sequence_length": 16},
    "fine_tuning": {"epochs": 0.17, "max_length": 12, "learning_rate": 0.01},
    "pruning": {"epochs": 0.17},
    "distilling": {"epochs": 0.17},
    "measuring": {"repeats": 3, "warm_up": 0, "sequence_length": 8, "energy_window": 0.05, "bootstrap": 10},
}
# What must not depend on the machine's pace, on the time of day, or on an interruption.
METRICS = (
    "study", "run", "technique", "accuracy", "macro_f1", "predictions", "right", "row_views", "parameters",
    "pruning_level", "agreement", "mcnemar", "surgery_error", "data_sha256", "run_key", "settings",
)
_STAGE = re.compile(r"[\w-]+-[0-9a-f]{16}")
# What may lie beside results; all else would be a leftover that nobody knows of.
_BESIDE_RESULTS = re.compile(r"(\.lock|\.[\w-]+\.(json|ipynb)\.part|[\w-]+\.(json|ipynb)|backbone)")
_BESIDE_STAGES = re.compile(rf"{_STAGE.pattern}(\.lock|\.working|\.broken)?")


def checkout(folder: Path) -> Checkout:
    """A folder that holds the study and none of its results."""
    made = Checkout(folder)
    made.write_study(NAME, RUNS, SMALLEST)
    return made


@dataclass
class State:
    """What is finished in a folder.

    Attributes:
        records: what must not change, by run.
        pairs: digest of the record, by run, where its notebook is there, too.
        stages: digests of the files that a stage's model consists of, by the stage's name.
        wrong: what must never be there, in words.
        leftovers: files and folders that an interrupted call left to be gone on from or written over.
    """

    records: dict[str, dict] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)
    stages: dict[str, dict[str, str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


def look(home: Path) -> State:
    """Load everything that counts as finished by its name."""
    state = State()
    results, stages = home / "results" / NAME, home / "checkpoints"
    for file in _children(results):
        if not _BESIDE_RESULTS.fullmatch(file.name):
            state.wrong.append(f"{file.name} lies among the results")
        elif file.name.startswith("."):
            state.leftovers += [file.name] if file.suffix == ".part" else []
        elif file.suffix == ".json":
            _look_at_record(file, state)
        elif file.suffix == ".ipynb":
            _look_at_notebook(file, state)
    if (pretraining := results / "backbone" / "pretraining.json").exists() and not _json(pretraining):
        state.wrong.append("the record of the backbone is half-written")
    for folder in _children(stages):
        if not _BESIDE_STAGES.fullmatch(folder.name):
            state.wrong.append(f"{folder.name} lies among the stages")
        elif _STAGE.fullmatch(folder.name):
            _look_at_stage(folder, state)
        elif folder.is_dir():
            state.leftovers.append(folder.name)
    return state


def backbone(state: State) -> tuple[str, ...]:
    """The weights that all else in the study starts from, as digests; empty while they are not there."""
    return next((tuple(found.values()) for name, found in state.stages.items() if name.startswith("backbone")), ())


def against(state: State, reference: State) -> list[str]:
    """What is there and differs from what an undisturbed study made, in words."""
    differing = [f"the record of {run} differs: {', '.join(_differing(found, reference.records.get(run)))}"
                 for run, found in state.records.items() if found != reference.records.get(run)]
    differing += [f"stage {name} differs from the undisturbed one" for name, found in state.stages.items()
                  if found != reference.stages.get(name)]
    return differing


def lost(before: State, after: State) -> list[str]:
    """What was finished and is not any more, or is another."""
    gone = [f"{run} was finished" for run, digest in before.pairs.items() if after.pairs.get(run) != digest]
    return gone + [f"stage {name} was finished" for name in before.stages if name not in after.stages]


def is_complete(state: State) -> bool:
    return len(state.pairs) == len(RUNS)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _look_at_record(file: Path, state: State) -> None:
    try:
        content = RunRecord.load(file).model_dump(mode="json")
    except LaghuError as error:
        state.wrong.append(str(error))
        return
    state.records[file.stem] = {name: content[name] for name in METRICS}
    if file.with_suffix(".ipynb").is_file():
        state.pairs[file.stem] = hashlib.sha256(file.read_bytes()).hexdigest()


def _look_at_notebook(file: Path, state: State) -> None:
    try:
        notebook = nbformat.read(str(file), as_version=4)
        nbformat.validate(notebook)
    except (ValueError, nbformat.ValidationError) as error:
        state.wrong.append(f"{file.name} is half-written: {error}")
        return
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if not all(cell.execution_count for cell in code) or any(
        output.output_type == "error" for cell in code for output in cell.outputs
    ):
        state.wrong.append(f"{file.name} is not executed to its end")
    if not file.with_suffix(".json").is_file():
        state.wrong.append(f"{file.name} has no record")


def _look_at_stage(folder: Path, state: State) -> None:
    report = _json(folder / "report.json")
    if not report or "steps" not in report:
        state.wrong.append(f"stage {folder.name} has no whole report")
    if (folder / "trainer").exists():
        state.wrong.append(f"stage {folder.name} still holds what its training would go on from")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        if not _json(folder / "model" / name):
            state.wrong.append(f"stage {folder.name} has no whole {name}")
    try:
        weights = load_file(folder / "model" / "model.safetensors")
    except Exception as error:  # whatever the library raises, it can't be loaded
        state.wrong.append(f"stage {folder.name}: {error}")
        return
    state.stages[folder.name] = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in weights.items()}


def _json(file: Path) -> dict | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _differing(found: dict, expected: dict | None) -> list[str]:
    return ["there should be none"] if expected is None else [name for name in found if found[name] != expected[name]]
