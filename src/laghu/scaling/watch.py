"""What the runs of a study do with their machine, seen from outside: nothing in them is changed or slowed down.

Linux says in /proc which processes there are and which locks they hold; the locks of `laghu.quiet` say who is training
and who is being timed. Both are looked at several times a second.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from laghu.scaling.record import Observed

SECONDS_BETWEEN_LOOKS = 0.1
_PROC = Path("/proc")


@dataclass
class _Seen:
    began: float
    ended: float
    training: float = 0.0
    timing: float = 0.0
    waiting: float = 0.0


class Watch:
    """The runs that were seen, by name."""

    def __init__(self, locks: Path) -> None:
        """Watch the runs whose `TMPDIR` is `locks`, the folder that holds their locks of `laghu.quiet`."""
        self._locks = locks
        self._seen: dict[str, _Seen] = {}
        self._of_process: dict[int, str | None] = {}

    def look(self, now: float, since: float) -> None:
        """Look once; `since` is the time of the look before."""
        processes = {int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()}
        for process in processes - self._of_process.keys():
            self._of_process[process] = _run_of(process, self._locks)
        for process in self._of_process.keys() - processes:
            del self._of_process[process]
        for name in {name for name in self._of_process.values() if name}:
            self._seen.setdefault(name, _Seen(began=now, ended=now)).ended = now
        for process, doing in _holders(self._locks).items():
            if name := self._of_process.get(process) or self._name_of_parent(process):
                seen = self._seen[name]
                setattr(seen, doing, getattr(seen, doing) + now - since)

    def runs(self) -> list[Observed]:
        return [
            Observed(name=name, seconds=seen.ended - seen.began, training=seen.training, timing=seen.timing,
                     waiting=seen.waiting)
            for name, seen in self._seen.items()
        ]

    def _name_of_parent(self, process: int) -> str | None:
        """A notebook's kernel is a child of the command."""
        try:
            return self._of_process.get(int((_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()[1]))
        except OSError:
            return None


@contextmanager
def watching(locks: Path) -> Iterator[Watch]:
    """Watch runs begin and end until the block is left."""
    watch, over = Watch(locks), threading.Event()

    def go() -> None:
        since = perf_counter()
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            now = perf_counter()
            watch.look(now, since)
            since = now

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _run_of(process: int, locks: Path) -> str | None:
    """The run that a process is the command of, `backbone` for that of the backbone; None if it is something else.

    Other studies on this machine have another `TMPDIR`.
    """
    try:
        words = (_PROC / str(process) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        variables = (_PROC / str(process) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    if f"TMPDIR={locks}".encode() not in variables:
        return None
    names = [Path(word).name for word in words[:2]]
    if "laghu" not in names:
        return None
    arguments = words[names.index("laghu") + 1:]
    if arguments[:1] == ["run"] and len(arguments) > 2:
        return arguments[2]
    return "backbone" if arguments[:1] == ["backbone"] else None


def _holders(folder: Path) -> dict[int, str]:
    """What each process does that holds a lock of `laghu.quiet` or waits for one."""
    room = _inode(folder, "room")
    found: dict[int, str] = {}
    for line in (_PROC / "locks").read_text(encoding="ascii").splitlines():
        fields = line.split()
        waits = fields[1] == "->"
        kind, access, process, file = fields[1 + waits], fields[3 + waits], int(fields[4 + waits]), fields[5 + waits]
        inode = int(file.rpartition(":")[2])
        if kind != "FLOCK" or inode not in (room, _inode(folder, "turnstile")):
            continue
        if waits:
            found[process] = "waiting"
        elif inode == room:
            found.setdefault(process, "timing" if access == "WRITE" else "training")
    return found


def _inode(folder: Path, name: str) -> int | None:
    return next((file.stat().st_ino for file in folder.glob(f"laghu-quiet-*-{name}.lock")), None)
