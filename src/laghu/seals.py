"""Digests of a folder's files, by which it is known later whether they are still what was written."""

import hashlib
import json
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from laghu import durable

SUMS = "SHA256SUMS"


def seal(folder: Path, leaving_out: str) -> None:
    """Write the sha256 of all files of a folder into its `SHA256SUMS`, as sha256sum does and reads it.

    They and their folders are on the disk before it is there.

    Args:
        leaving_out: name of a folder in it that is to be removed.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(".part"))
    names = [file.relative_to(folder).as_posix() for file in files if file.name != SUMS]
    kept = [name for name in names if not name.startswith(f"{leaving_out}/")]
    for name in kept:
        durable.flush(folder / name)
    for parent in {(folder / name).parent for name in kept}:
        durable.flush(parent)
    with durable.replacing(folder / SUMS) as part:
        part.write_text("".join(f"{_sha256(folder / name)}  {name}\n" for name in kept), encoding="utf-8")


def is_sealed(folder: Path) -> bool:
    return (folder / SUMS).is_file()


def flaw(folder: Path) -> str | None:
    """What is wrong with the files of a sealed folder, in a few words; None if they are what was sealed.

    Files that came later are not looked at. Of a folder that was never sealed only what the headers of its weights
    say is known: a file that ends too early is found, a changed byte is not.
    """
    try:
        if not is_sealed(folder):
            return next(filter(None, map(_torn_weights, sorted(folder.rglob("*.safetensors")))), None)
        for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
            sha256, _, name = line.partition("  ")
            if not (folder / name).is_file():
                return f"{name} is missing"
            if _sha256(folder / name) != sha256:
                return f"{name} is not what was written"
    except (OSError, UnicodeDecodeError) as error:
        return f"it can't be read ({error})"
    return None


def flaw_of_training(checkpoint: Path) -> str | None:
    """What keeps a checkpoint of `transformers.Trainer` from being gone on from, in a few words; None if nothing does.

    The archives of PyTorch bear checksums, which are compared; the weights say only where they end.
    """
    state = checkpoint / "trainer_state.json"
    try:
        if not isinstance(json.loads(state.read_text(encoding="utf-8")), dict):
            return f"{state.name} holds no state"
    except FileNotFoundError:
        return "it was being written"
    except ValueError:
        return f"{state.name} is not JSON"
    if not (checkpoint / "model.safetensors").is_file():
        return "model.safetensors is missing"
    torn = [_torn_weights(file) for file in checkpoint.glob("*.safetensors")]
    torn += [_torn_archive(file) for pattern in ("*.pt", "*.pth", "*.bin") for file in checkpoint.glob(pattern)]
    return next(filter(None, torn), None)


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _torn_weights(file: Path) -> str | None:
    try:
        with safe_open(file, framework="np"):
            return None
    except (SafetensorError, OSError) as error:
        return f"{file.name} is not whole ({error})"


def _torn_archive(file: Path) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return f"{file.name} is not whole ({error})"
    return bad and f"{file.name} is not what was written"
