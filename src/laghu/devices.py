"""Free GPUs of one machine, handed out to commands: each to one command at a time.

A device is held by flock(2) on a file of its own: the kernel gives it back when the command ends, however it ends. The
command takes the place of this process, and so keeps the files; what it starts does not inherit them. Where Slurm gives
out GPUs, it has done so before the command begins, and nothing is handed out here.

The files belong to one user on one machine, as those of `laghu.quiet` do.

    python -m laghu.devices 1 laghu run gpu baseline-seed1
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from laghu.errors import LaghuError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_SECONDS_BETWEEN_LOOKS = 0.2


def run_on(count: int, command: Sequence[str]) -> NoReturn:
    """Become `command`, with `count` devices of this machine to itself, once they are free; none where it is 0.

    Raises:
        LaghuError: the machine has fewer devices, or no such command.
    """
    if count and "SLURM_JOB_ID" not in os.environ:
        os.environ[_VISIBLE] = ",".join(_held(count, devices()))
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        raise LaghuError(f"{command[0]!r} can't be started: {error.strerror}") from None


def devices() -> list[str]:
    """Names of the devices that may be handed out: those of `CUDA_VISIBLE_DEVICES` if set, otherwise all."""
    if (visible := os.environ.get(_VISIBLE)) is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.strip()]


def _held(count: int, names: Sequence[str]) -> list[str]:
    """Wait until `count` of the devices are free and hold them, as long as this process and what it becomes lives.

    All or none: who holds some while it waits for more could wait for ever.
    """
    if count > len(names):
        raise LaghuError(f"{count} GPUs are asked for and {len(names)} are here; say less in --resources gpu=, or name "
                         f"those there are in {_VISIBLE}")
    while True:
        taken: dict[str, int] = {}
        for name in names:
            if len(taken) < count and (descriptor := _taken(name)) is not None:
                taken[name] = descriptor
        if len(taken) == count:
            for descriptor in taken.values():
                os.set_inheritable(descriptor, True)
            return list(taken)
        for descriptor in taken.values():
            os.close(descriptor)
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _taken(name: str) -> int | None:
    """A descriptor that holds the device; None where another does."""
    safe = "".join(character if character.isalnum() else "-" for character in name)
    path = Path(tempfile.gettempdir()) / f"laghu-gpu-{os.getuid()}-{safe}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


if __name__ == "__main__":
    try:
        run_on(int(sys.argv[1]), sys.argv[2:])
    except LaghuError as error:
        sys.exit(f"laghu: {error}")
