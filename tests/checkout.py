"""A checkout of its own for each test module: templates and lock of this one, results and checkpoints elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
TINY = {
    "architecture": {
        "vocab_size": 600, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "max_position_embeddings": 64,
    },
    "pretraining": {"steps": 6, "batch_size": 4, "sequence_length": 32},
    "fine_tuning": {"epochs": 0.5, "max_length": 24},
    "pruning": {"epochs": 0.5},
    "distilling": {"epochs": 0.5},
    "measuring": {"repeats": 3, "warm_up": 1, "sequence_length": 16, "energy_window": 0.2, "bootstrap": 50},
}


class Checkout:
    """A folder that laghu takes for its repository, and the commands a user would give there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"LAGHU_HOME": str(folder), "OMP_NUM_THREADS": "1"}
        self.environment.pop("LAGHU_DATA_DIR", None)
        for name in ("notebooks", "src", "pyproject.toml", "requirements.lock", "Snakefile"):
            (folder / name).symlink_to(REPOSITORY / name)
        (folder / "studies").mkdir()

    def write_study(self, name: str, runs: list[dict], common: dict | None = None, **further: object) -> None:
        content = {"title": name, "seeds": [0], "common": TINY | (common or {}), "runs": runs, **further}
        (self.folder / "studies" / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def papermill(self, technique: str, parameters: dict, **variables: str) -> subprocess.CompletedProcess:
        """Run a template by hand, from a directory that is not the repository."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        template = REPOSITORY / "notebooks" / f"{technique}.ipynb"
        return self.run(
            "-m", "papermill", str(template), "out.ipynb", "-y", yaml.safe_dump(parameters), "--no-progress-bar",
            cwd=elsewhere, **variables,
        )

    def laghu(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.run("-m", "laghu", *arguments, cwd=self.folder)

    def run(self, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *arguments], cwd=cwd, env=self.environment | variables, capture_output=True, text=True,
            check=False,
        )

    def records(self, study: str) -> dict[str, bytes]:
        """Contents of the study's records by file name; half-written ones would be among them."""
        folder = self.folder / "results" / study
        return {file.name: file.read_bytes() for file in sorted(folder.glob("*.json"))} if folder.is_dir() else {}
