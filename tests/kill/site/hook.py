"""An audit hook that says when a process is about to change something in a folder, and stops it there to be killed.

It knows what Python does: opening a file to write, renaming, removing, making a folder. What libraries write without
Python (weights, PyTorch's archives) it does not see; that is hit by the clock.
"""

import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir")
_WRITING = os.O_WRONLY | os.O_RDWR
_inside = threading.local()


@dataclass(frozen=True)
class Plan:
    """What to tell of.

    Attributes:
        home: the folder to watch.
        channel: a file or FIFO that is told, a line each: process, role, event, path within `home`.
        role: only what this role does; all if empty.
        event: only events of this name; all if empty.
        nth: tell of the nth such event of each process and of none else; 0 tells of all.
        stop: whether the process stops before it; else it goes on.
    """

    home: str
    channel: str
    role: str = ""
    event: str = ""
    nth: int = 0
    stop: bool = False


def install(plan: Plan, role: str) -> None:
    """Tell of this process from now on; a process that forks hands it on."""
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event not in EVENTS or getattr(_inside, "yes", False) or (plan.event and event != plan.event):
            return
        path = _path(event, arguments)
        if path is None or not path.startswith(plan.home + os.sep):
            return
        seen += 1
        if plan.nth and seen != plan.nth:
            return
        _inside.yes = True
        try:
            channel = os.open(plan.channel, os.O_WRONLY | os.O_APPEND)
            os.write(channel, f"{os.getpid()}\t{role}\t{event}\t{os.path.relpath(path, plan.home)}\n".encode())
            os.close(channel)
        finally:
            _inside.yes = False
        if plan.stop:
            os.kill(os.getpid(), signal.SIGSTOP)

    if not plan.role or plan.role == role:
        sys.addaudithook(hook)


def install_from_environment() -> None:
    """Install the plan that `LAGHU_KILL` holds, if it does, in the role that the command line speaks of."""
    if text := os.environ.get("LAGHU_KILL"):
        install(Plan(**json.loads(text)), _role(sys.orig_argv))


def _role(command: list[str]) -> str:
    if "ipykernel_launcher" in command:
        return "kernel"
    words = [Path(word).name for word in command]
    if "laghu" in words:
        after = words[words.index("laghu") + 1:]
        return {"study": "study", "run": "run", "backbone": "run"}.get(after[0] if after else "", "other")
    return "snakemake" if "snakemake" in words else "other"


def _path(event: str, arguments: tuple) -> str | None:
    """What the event is about, the new name for a rename; None where nothing is written."""
    path = arguments[1] if event == "os.rename" else arguments[0]
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
        return None
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else None
