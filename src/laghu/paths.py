"""Every place on disk that Laghu reads or writes, so that no other module spells a path."""

import os
from pathlib import Path

from laghu.errors import LaghuError, shown


def root() -> Path:
    """The checkout: `LAGHU_HOME` if set, otherwise the repository this package is installed from (editable)."""
    if home := os.environ.get("LAGHU_HOME"):
        if not _is_folder(home):
            raise LaghuError(f"LAGHU_HOME={shown(home)} is not a folder; name an existing checkout of Laghu.")
        return Path(home).resolve()
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def templates() -> Path:
    """Notebook templates, one per technique, stored without outputs."""
    return root() / "notebooks"


def studies() -> Path:
    """Study files: what to run."""
    return root() / "studies"


def results(study: str) -> Path:
    """Records and executed notebooks of one study."""
    return root() / "results" / study


def earlier_code() -> Path:
    """Code as it was before changes that alter no number, a folder for each such change (`laghu.equality`)."""
    return root() / "results" / "earlier-code"


def shipped() -> Path:
    """The model that the book gives away, as files of a static site (`laghu.shipping`)."""
    return root() / "book" / "_static" / "model"


def checkpoints() -> Path:
    """Trained models, one folder per stage key; git-ignored, safe to delete."""
    return root() / "checkpoints"


def cache() -> Path:
    """Downloaded corpora; git-ignored, safe to delete."""
    return root() / ".cache"


def data_dir() -> Path | None:
    """The folder named by `LAGHU_DATA_DIR` that holds local copies of the corpora, or None where it is unset."""
    folder = os.environ.get("LAGHU_DATA_DIR")
    if not folder:
        return None
    if not _is_folder(folder):
        raise LaghuError(f"LAGHU_DATA_DIR={shown(folder)} is not a folder; name the folder that holds the corpora.")
    return Path(folder).resolve()


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # a name that is too long, for one
        return False
