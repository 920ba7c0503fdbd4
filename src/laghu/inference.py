"""Labels for texts by a compressed classifier: the way from a headline to its topic that a deployment takes.

    texts -> chunks -> [tokens -> batches of about one length -> engine -> probabilities] -> labels, in order

A chunk goes all the way in one thread, and as many chunks at once as there are threads. So tokenising and computing
overlap, a small model needs no threads within a product, and memory is that of a few chunks however long the stream.
Within a chunk texts are sorted by length, so that hardly any time goes into padding.

Neither PyTorch nor transformers is loaded: a folder is read by the tokenizers library and an engine (`laghu.engines`).
"""

import json
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from tokenizers import Tokenizer

from laghu import engines, tokenization
from laghu.errors import LaghuError, shown
from laghu.tokenization import Tokens

# Texts that one thread takes at a time: enough to sort by length, few enough for a short first answer. Fewer than the
# second are not worth a thread of their own.
CHUNK, SMALLEST_CHUNK = 512, 32
# Chunks under way or waiting, for each thread.
_AHEAD = 2
# No model has as many positions; the tokenizers library counts them in 64 bits.
_LARGEST = 10**9
# RoBERTa and its kin count positions from the one after padding.
_OFFSET_BY_PADDING = ("roberta", "xlm-roberta", "camembert")

Done = TypeVar("Done")


class Prediction(NamedTuple):
    """The likeliest label of a text and its probability by the model, which need not be calibrated."""

    label: str
    probability: float


class Classifier:
    """A classifier of whole texts, loaded from a folder.

    Attributes:
        labels: in the order of the columns of `probabilities`.
        max_length: tokens that are read of a text, special ones among them; what follows is cut.
        threads: processor threads in use.
    """

    def __init__(
        self, folder: str | Path, *, engine: str = "onnxruntime", threads: int | None = None,
        max_length: int | None = None, tokens: Callable[[Tokenizer, int], Tokens] = tokenization.tokens,
    ) -> None:
        """Load a model. The tokenizers library's own threads are turned off, as a transformers pipeline does, too.

        Args:
            folder: with `config.json`, `tokenizer.json` and the file that the engine reads.
            engine: a name in `engines.ENGINES`.
            threads: None: one for each core that this process may use.
            max_length: None: as many as the model has positions.
            tokens: how the tokenizer is put to work.

        Raises:
            LaghuError: a file is missing or of another kind, the model is for another task, the engine is not
                installed, or a value is out of bounds.
        """
        folder = Path(folder)
        config = config_of(folder)
        self.labels = labels_of(folder, config)
        self.max_length = max_length_of(folder, config, max_length)
        self.threads = len(os.sched_getaffinity(0)) if threads is None else threads
        if self.threads < 1:
            raise LaghuError(f"threads {threads} must be at least 1")
        read = tokenizer_of(folder)
        with _refused(f"{folder.name}/tokenizer.json can't be put to work"):
            self._tokens = tokens(read, self.max_length)
        tokenization.leave_threads_to_chunks()
        self._run, self._batch_tokens = engines.load(engine, folder, self.threads)

    def __call__(self, text: str) -> Prediction:
        """The label of one text."""
        return next(self.stream([text]))

    def stream(self, texts: Iterable[str]) -> Iterator[Prediction]:
        """A prediction for each text, in their order, while they come; a warning at the end if any had to be cut."""
        cut = 0
        for probabilities, longer in in_order(self._classify, in_chunks(texts, self.threads), self.threads):
            cut += longer
            best = probabilities.argmax(axis=1)
            for label, probability in zip(best.tolist(), probabilities.max(axis=1).tolist(), strict=True):
                yield Prediction(self.labels[label], probability)
        if cut:
            warnings.warn(f"{cut:,} texts have more than {self.max_length} tokens; what follows these was not read",
                          stacklevel=2)

    def probabilities(self, texts: Iterable[str]) -> np.ndarray:
        """Of each text (rows) and label, (texts, labels) float32."""
        parts = [part for part, _ in in_order(self._classify, in_chunks(texts, self.threads), self.threads)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.labels)), dtype=np.float32)

    def _classify(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        """Probabilities of a chunk, (texts, labels) float32, and how many of its texts were cut.

        Raises:
            LaghuError: a text is none, or tokenizer, weights and labels do not belong together.
        """
        with _refused("the tokenizer can't read these texts"):
            try:
                ids, cut = self._tokens(texts)
            except TypeError:  # from the library, which doesn't say of which text
                ids, cut = self._tokens([_without_halves(text) for text in texts])
        logits = np.empty((len(ids), len(self.labels)), dtype=np.float32)
        for rows in by_length([len(row) for row in ids], self._batch_tokens):
            with _refused("the model can't read the tokenizer's tokens"):
                scores = self._run([ids[row] for row in rows])
            if np.shape(scores) != (len(rows), len(self.labels)) or not np.isfinite(scores).all():
                raise LaghuError(f"the model gives scores of shape {np.shape(scores)} for {len(rows)} texts and "
                                 f"{len(self.labels)} labels, or some that are no numbers; export it again")
            logits[rows] = scores
        return softmax(logits), cut


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """What a library throws at a file of others becomes our error; a panic of one in Rust is not even an `Exception`.

    Raises:
        LaghuError: with `what` went wrong and the library's own words.
    """
    try:
        yield
    except (LaghuError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise LaghuError(f"{what} ({(str(error).splitlines() or [type(error).__name__])[0]})") from None


def _without_halves(text: Any) -> str:
    """The text, halves of characters joined if they belong together, else replaced: JSON can write single ones.

    Raises:
        LaghuError: it is no text.
    """
    if not isinstance(text, str):
        raise LaghuError(f"{text!r} is no text; give strings")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def by_length(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Rows in batches of about one length, the longest first.

    A batch holds at most that many tokens with its padding, or a single row.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        end = start + max(1, tokens // max(1, lengths[order[start]]))
        yield order[start:end]
        start = end


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def in_chunks(texts: Iterable[str], threads: int) -> Iterator[list[str]]:
    """As many texts as one thread takes at a time; of the last ones as many as leave none without work."""
    texts = iter(texts)
    while block := list(islice(texts, CHUNK * threads)):
        size = max(SMALLEST_CHUNK, -(-len(block) // threads))
        yield from (block[start:start + size] for start in range(0, len(block), size))


def in_order(work: Callable[[list[str]], Done], chunks: Iterator[list[str]], threads: int) -> Iterator[Done]:
    """`work` of each chunk, several at once, in the order of the chunks, which are drawn shortly before their turn."""
    first = list(islice(chunks, 2))
    if len(first) < 2:  # to start threads would take longer
        yield from map(work, first)
        return
    waiting: deque[Future[Done]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="laghu")
    try:
        for chunk in chain(first, chunks):
            waiting.append(pool.submit(work, chunk))
            if len(waiting) > _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


# ------------------------------------------------------------------------------------------------ a model's folder


def config_of(folder: Path) -> dict[str, Any]:
    """The configuration as it stands in the folder.

    Raises:
        LaghuError: there is none, or it is no mapping.
    """
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaghuError(f"{folder} has no config.json; give the folder of a model") from None
    except (OSError, ValueError, RecursionError) as error:
        raise LaghuError(f"{file} can't be read as JSON ({error})") from None
    if not isinstance(config, dict):
        raise LaghuError(f"{file} holds no configuration of a model")
    return config


def labels_of(folder: Path, config: dict[str, Any]) -> list[str]:
    """Labels in the order of their ids.

    Raises:
        LaghuError: the model is no classifier of whole texts, or its labels are not numbered from 0.
    """
    kinds = config.get("architectures") or ["model without a head"]
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        raise LaghuError(f"{folder.name} is a {', '.join(map(str, kinds))}; give a classifier of whole texts "
                         "(...ForSequenceClassification)")
    names = config.get("id2label")
    if not isinstance(names, dict) or not names or sorted(names) != sorted(map(str, range(len(names)))):
        raise LaghuError(f"{folder.name}/config.json: id2label must name the labels 0, 1, 2, ...")
    return [str(names[str(index)]) for index in range(len(names))]


def max_length_of(folder: Path, config: dict[str, Any], wanted: int | None) -> int:
    """Tokens to read of a text.

    Raises:
        LaghuError: more than the model has positions, or too few for a token between the special ones.
    """
    most = _whole_number(folder, config, "max_position_embeddings", 512)
    if config.get("model_type") in _OFFSET_BY_PADDING:
        most -= _whole_number(folder, config, "pad_token_id", 1) + 1
    length = most if wanted is None else wanted
    if not 3 <= length <= most:
        raise LaghuError(f"max_length {length} must be from 3 to {most}, the positions of {folder.name}")
    return length


def _whole_number(folder: Path, config: dict[str, Any], name: str, usual: int) -> int:
    """A field of the configuration, bounded as the tokenizers library bounds its lengths.

    Raises:
        LaghuError: it is another kind of value.
    """
    number = config.get(name, usual)
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) > _LARGEST:
        raise LaghuError(f"{folder.name}/config.json: {name} = {shown(number)} must be a whole number up to "
                         f"{_LARGEST:,}")
    return number


def tokenizer_of(folder: Path) -> Tokenizer:
    """The folder's tokenizer.

    Raises:
        LaghuError: there is none that can be read.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise LaghuError(f"{folder.name} has no tokenizer.json; save the model with its fast tokenizer")
    with _refused(f"{folder.name}/tokenizer.json can't be read"):
        return Tokenizer.from_file(str(file))
