"""Files and folders that are there whole or not at all, whatever ends the process or the machine meanwhile.

A rename puts them in their place. Where a process is killed that would do; against a power cut what is renamed has to
be on the disk before, and the new name after.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What a disk may lack, in the system's words. Where only the words are left of an error, permission could be anyone's.
_LACKS = {code: os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)}
_REFUSED = {**_LACKS, errno.EACCES: os.strerror(errno.EACCES)}
_LITTLE_SPACE = 1 << 20


@contextmanager
def replacing(file: Path, *outdated: Path) -> Iterator[Path]:
    """A path to write to, beside `file`: it takes the place of `file` when the block ends, and is gone if that fails.

    There is one such path for each file. Who comes second waits, and what a killed process left there is written over:
    nothing piles up.

    Args:
        outdated: files that tell of the earlier content; removed once the new one is safe and before it is in place.

    Raises:
        OSError: the folder or the file can't be written to.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    with _owned(part):
        try:
            yield part
            flush(part)
            for other in outdated:
                other.unlink(missing_ok=True)
            part.replace(file)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    flush(file.parent)


def rename(folder: Path, target: Path) -> None:
    """Rename a folder, for good: no power cut takes that back."""
    folder.rename(target)
    flush(target.parent)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write to, beside `folder`: it takes its place when the block ends, and is gone if that fails.

    Killed in the moment between the two renames, it leaves neither; the next call puts the earlier one back first. One
    process at a time.

    Raises:
        OSError: it can't be written to.
    """
    made, earlier = (folder.with_name(f".{folder.name}.{state}") for state in ("made", "earlier"))
    if earlier.exists() and not folder.exists():
        earlier.rename(folder)
    for left in (made, earlier):
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        yield made
        for path in (*made.rglob("*"), made):
            flush(path)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(earlier)
    rename(made, folder)
    shutil.rmtree(earlier, ignore_errors=True)


def discard(folder: Path) -> None:
    """Remove a folder so that no part of it ever stands under its name; also what a killed call left of one."""
    going = folder.with_suffix(".broken")
    shutil.rmtree(going, ignore_errors=True)
    if folder.exists():
        folder.rename(going)
        shutil.rmtree(going, ignore_errors=True)


def flush(path: Path) -> None:
    """See that a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------------------------------------ what a disk lacks


def lack(error: BaseException, folder: Path) -> str | None:
    """What the disk of a folder lacks, if that is why the error came up; else None.

    Libraries wrap what the system says, or drop it: then a disk with next to no space left counts as full.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            elsewhere = seen.filename is not None and not Path(os.fsdecode(seen.filename)).is_relative_to(folder)
            return None if elsewhere else _REFUSED.get(seen.errno)
        if named := next((text for text in _LACKS.values() if text in str(seen)), None):
            return named
        seen = seen.__cause__ or seen.__context__
    with suppress(OSError):
        if shutil.disk_usage(folder).free < _LITTLE_SPACE:
            return _LACKS[errno.ENOSPC]
    return None


# ------------------------------------------------------------------------------------------------ parts of the above


@contextmanager
def _owned(part: Path) -> Iterator[None]:
    """An empty file of that name that is this process's alone, until it is renamed or the block ends."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, part):  # who held it may have renamed it meanwhile
                os.truncate(descriptor, 0)
                yield
                return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
