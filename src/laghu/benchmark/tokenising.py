"""What tokenising takes: by the library text by text, and by Laghu with fewer or more words known."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from laghu import quiet
from laghu.benchmark.record import Tokenising
from laghu.inference import CHUNK, tokenizer_of
from laghu.wordwise import TextByText, Tokens, WordByWord

REPEATS = 5


def measure(folder: Path, texts: Sequence[str], training: Sequence[str], max_length: int) -> Tokenising:
    """Microseconds a text, for a tokenizer that divides words; the library is given no thread but its own."""
    tokenizer = tokenizer_of(folder)
    library, words = TextByText(tokenizer, max_length), WordByWord(tokenizer, max_length)

    def read_training() -> None:
        words.forget()
        _through(words, training)

    with quiet.measuring():
        return Tokenising(
            library=_microseconds(library, texts, library.forget),
            nothing_known=_microseconds(words, texts, words.forget),
            training_headlines_known=_microseconds(words, texts, read_training),
            all_known=_microseconds(words, texts, lambda: _through(words, texts)),
            words_known_from_training=known(texts, training),
        )


def known(texts: Sequence[str], before: Sequence[str]) -> float:
    """Share of the words of the texts that stand in those before."""
    seen = {word for text in before for word in text.split(" ")}
    words = [word for text in texts for word in text.split(" ")]
    return sum(word in seen for word in words) / len(words)


def _microseconds(tokens: Tokens, texts: Sequence[str], prepare: Callable[[], None]) -> float:
    times = []
    for _ in range(REPEATS):
        prepare()
        began = perf_counter()
        _through(tokens, texts)
        times.append(perf_counter() - began)
    return 1e6 * median(times) / len(texts)


def _through(tokens: Tokens, texts: Sequence[str]) -> None:
    for start in range(0, len(texts), CHUNK):
        tokens(texts[start:start + CHUNK])
