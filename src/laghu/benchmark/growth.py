"""A stream of headlines, longer and longer: how time grows, and that memory does not.

    python -m laghu.benchmark.growth FOLDER HEADLINES DOCUMENTS THREADS

Each stream has a process of its own, because only a new process can say how much memory a stream took.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from laghu.benchmark.record import Growth
from laghu.errors import LaghuError
from laghu.inference import Classifier


def measure(folder: Path, texts: Iterable[str], documents: Iterable[int], threads: Iterable[int]) -> Iterator[Growth]:
    """Streams of so many documents with so many threads, each with each; the texts come again and again.

    Raises:
        LaghuError: a process failed.
    """
    sizes = list(documents)
    with TemporaryDirectory() as temporary:
        headlines = Path(temporary) / "headlines.json"
        headlines.write_text(json.dumps(list(texts)), encoding="utf-8")
        for number in threads:
            for size in sizes:
                yield _measured(folder, headlines, size, number)


def _measured(folder: Path, headlines: Path, documents: int, threads: int) -> Growth:
    arguments = map(str, (folder, headlines, documents, threads))
    command = [sys.executable, "-m", __name__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LaghuError(f"a stream of {documents:,} headlines failed: {done.stderr.strip().rpartition(chr(10))[2]}")
    found = json.loads(done.stdout)
    return Growth(
        documents=documents, threads=threads, documents_per_second=documents / found["seconds"], **found
    )


def _stream(folder: Path, headlines: Path, documents: int, threads: int) -> dict[str, float]:
    texts = json.loads(headlines.read_text(encoding="utf-8"))
    classifier = Classifier(folder, threads=threads)
    classifier(texts[0])
    before = _memory()
    began = time.perf_counter()
    count = sum(1 for _ in classifier.stream(islice(cycle(texts), documents)))
    seconds = time.perf_counter() - began
    if count != documents:
        raise LaghuError(f"{count:,} labels for {documents:,} headlines")
    return {"seconds": seconds, "memory_mb": (_memory() - before) / 1e6}


def _memory() -> int:
    """The most that this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(_stream(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
