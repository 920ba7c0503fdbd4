"""What tokenising takes: by the library as it is, and as the path's last step puts it to work."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from laghu import quiet
from laghu.benchmark.record import Tokenising
from laghu.inference import in_chunks, in_order, tokenizer_of
from laghu.throughput import spread
from laghu.tokenization import Prepared, TextByText, Tokens, library_threads

REPEATS = 5
# Headlines that are tokenised at a time, the given ones again and again: long against the start of threads.
HEADLINES = 10_000


def measure(folder: Path, texts: Sequence[str], max_length: int, threads: int) -> Tokenising:
    """Microseconds a text, for a tokenizer that can be prepared."""
    tokenizer = tokenizer_of(folder)
    library, prepared = TextByText(tokenizer, max_length), Prepared(tokenizer, max_length)
    some = spread(texts, HEADLINES)
    with quiet.measuring():
        with library_threads(True):
            in_its_own = _microseconds(library, some, 1)
        with library_threads(False):
            return Tokenising(
                library_threads=in_its_own, chunks=_microseconds(library, some, threads),
                prepared=_microseconds(prepared, some, threads),
            )


def _microseconds(tokens: Tokens, texts: Sequence[str], threads: int) -> float:
    times = []
    for _ in range(REPEATS):
        began = perf_counter()
        for _ in in_order(tokens, in_chunks(texts, threads), threads):
            pass
        times.append(perf_counter() - began)
    return 1e6 * median(times) / len(texts)
