"""Small file systems to fill up and to write-protect: root ignores permissions, and a quota would need a disk."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A tmpfs of that size over a folder; skips the test where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _mount("-t", "tmpfs", "-o", f"size={kilobytes}k,nr_inodes=10k", "tmpfs", str(folder))
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, kilobytes: int) -> None:
    assert _mount("-o", f"remount,size={kilobytes}k", str(folder)).returncode == 0


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """No writing on the small disk of that folder for the time of the block."""
    assert _mount("-o", "remount,ro", str(folder)).returncode == 0
    try:
        yield
    finally:
        assert _mount("-o", "remount,rw", str(folder)).returncode == 0


def fill(folder: Path) -> Path:
    """Take all the space that is left on the disk of that folder, with a file to remove."""
    file = folder / "ballast"
    try:
        with file.open("wb", buffering=0) as handle:
            while True:
                handle.write(bytes(4096))
    except OSError:
        return file


def _mount(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
