"""What others offer to classify texts with on a CPU: the ways that Laghu's own is measured against.

Each takes a folder with a Hugging Face classifier and its fast tokenizer, and loads it before it is timed. PyTorch
takes as many threads as `torch.set_num_threads` says.

Sources: the documentation of transformers (pipelines), PyTorch (`quantize_dynamic`, `torch.nn.utils.prune`) and Optimum
ONNX (ONNX Runtime); Fang et al. 2023 (arXiv 2301.12900) for Torch-Pruning.
"""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from tempfile import TemporaryFile
from typing import Any
from weakref import finalize

import torch
import transformers
from torch import nn
from torch.nn.utils import prune
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laghu import classical, deployment, inference, paths, quantization
from laghu.compression.layout import layers
from laghu.engines import padded
from laghu.errors import LaghuError
from laghu.inference import by_length
from laghu.throughput import Classify
from laghu.tokenization import library_threads

# Seconds that a process is given to end by itself once it is told to.
_PATIENCE = 10


# ------------------------------------------------------------------------------------------------ PyTorch


def pipeline(folder: Path, max_length: int, batch_size: int, device: str | torch.device = "cpu") -> Classify:
    """`transformers.pipeline("text-classification")`, in fp32, which PyTorch multiplies as fp32 unless told otherwise.

    Args:
        max_length: tokens read of a text.
        batch_size: texts of a batch, in the order in which they come.

    Raises:
        LaghuError: no classifier there, or a number out of bounds.
    """
    model, tokenizer = load(folder, max_length)
    refuse_below_one(batch_size=batch_size)
    ready = transformers.pipeline(
        "text-classification", model=model, tokenizer=tokenizer, device=torch.device(device), batch_size=batch_size
    )

    def classify(texts: Sequence[str]) -> list[str]:
        if not texts:  # which a pipeline does not survive
            return []
        # A pipeline turns them off by itself, and for good.
        with library_threads(False):
            return [each["label"] for each in ready(list(texts), truncation=True, max_length=max_length)]

    return classify


def sorted_batches(folder: Path, max_length: int, tokens: int) -> Classify:
    """PyTorch eager, fp32, in batches of texts of about one length.

    Args:
        max_length: tokens read of a text.
        tokens: of a batch at most, padding included.

    Raises:
        LaghuError: no classifier there, or a number out of bounds.
    """
    return _in_batches(*load(folder, max_length), max_length, tokens)


def torch_dynamic_int8(folder: Path, max_length: int, tokens: int) -> Classify:
    """`sorted_batches` of what PyTorch's one line of dynamic quantisation makes of the model.

    A text's logits depend a little on what else is in its batch.

    Raises:
        LaghuError: as `sorted_batches`, or a PyTorch that has this quantisation no more.
    """
    model, tokenizer = load(folder, max_length)
    return _in_batches(dynamic_int8(model), tokenizer, max_length, tokens)


def dynamic_int8(model: PreTrainedModel) -> PreTrainedModel:
    """A copy whose linear layers have 8-bit weights, and turn what enters them into 8 bits batch by batch.

    Raises:
        LaghuError: a PyTorch that has this quantisation no more.
    """
    try:
        from torch.ao.quantization import quantize_dynamic
    except ImportError:
        raise LaghuError(f"PyTorch {torch.__version__} has no quantize_dynamic; install torch 2.13") from None
    with quantization._muted():
        return quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def save_magnitude_pruned(folder: Path, out_folder: Path, sparsity: float) -> None:
    """Write a checkpoint, with its tokenizer, of the same size: its smallest weights are zeros in dense matrices.

    Args:
        sparsity: fraction of the weights of the encoder's linear layers, biases not counted, from 0 to below 1.

    Raises:
        LaghuError: no classifier there, another architecture, a sparsity out of bounds, or both folders are one.
    """
    model, tokenizer = _load_to_change(folder, out_folder)
    prune_by_magnitude(model, sparsity)
    _save(model, tokenizer, out_folder)


def prune_by_magnitude(model: PreTrainedModel, sparsity: float) -> None:
    """Set the smallest weights of all the encoder's linear layers together to zero, in place and for good.

    Raises:
        LaghuError: another architecture, or a sparsity that is not from 0 to below 1.
    """
    _refuse_fraction(sparsity=sparsity)
    linear = [(module, "weight") for layer in layers(model) for module in vars(layer).values()]
    prune.global_unstructured(linear, pruning_method=prune.L1Unstructured, amount=float(sparsity))
    for module, name in linear:
        prune.remove(module, name)


def torch_pruning(folder: Path, out_folder: Path, level: float) -> None:
    """Write a checkpoint, with its tokenizer, of which Torch-Pruning removed neurons: a plain model, only narrower.

    Of every layer the FFN neurons go that are the smallest by the library's own measure: the mean of the squared
    lengths of a neuron's incoming and outgoing weights.

    Args:
        level: fraction of the neurons of each layer that go, from 0 to below 1.

    Raises:
        LaghuError: no classifier there, another architecture, a level out of bounds or under which no neuron is left,
            both folders are one, or Torch-Pruning is not installed.
    """
    if find_spec("torch_pruning") is None:
        raise LaghuError("Torch-Pruning is not installed; install it with pip install 'laghu[peers]'")
    import torch_pruning as library

    _refuse_fraction(level=level)
    model, tokenizer = _load_to_change(folder, out_folder)
    encoder = layers(model)
    if int(encoder[0].up.out_features * (1 - level)) < 1:
        raise LaghuError(f"level {level} leaves none of {encoder[0].up.out_features} neurons; give a smaller one")
    ids = torch.full((1, 8), 5)
    library.pruner.BasePruner(
        model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        library.importance.GroupMagnitudeImportance(), pruning_ratio=0.0, root_module_types=[nn.Linear],
        pruning_ratio_dict={layer.up: level for layer in encoder},
    ).step()
    model.config.intermediate_size = encoder[0].up.out_features
    _save(model, tokenizer, out_folder)


def load(folder: Path, max_length: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A folder's classifier and tokenizer in PyTorch.

    Raises:
        LaghuError: no classifier there, or a length that it has no positions for.
    """
    inference.max_length_of(folder, inference.config_of(folder), max_length)
    return deployment.load(folder)


def _load_to_change(folder: Path, out_folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if folder.resolve() == out_folder.resolve():
        raise LaghuError(f"{out_folder} holds the model that is to be pruned; give another folder for the result")
    return deployment.load(folder)


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _in_batches(model: nn.Module, tokenizer: PreTrainedTokenizerBase, max_length: int, tokens: int) -> Classify:
    refuse_below_one(tokens=tokens)
    names = model.config.id2label

    def classify(texts: Sequence[str]) -> list[str]:
        labels = [""] * len(texts)
        rows = tokenizer(
            list(texts), truncation=True, max_length=max_length, return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"] if texts else []
        with torch.inference_mode():
            for places in by_length([len(row) for row in rows], tokens):
                ids, mask = map(torch.from_numpy, padded([rows[place] for place in places]))
                best = model(input_ids=ids, attention_mask=mask).logits.argmax(dim=-1)
                for place, label in zip(places, best.tolist(), strict=True):
                    labels[place] = names[label]
        return labels

    return classify


def refuse_below_one(**counts: int) -> None:
    """
    Raises:
        LaghuError: a count, by its name, that is below 1.
    """
    for name, count in counts.items():
        if count < 1:
            raise LaghuError(f"{name} {count} must be at least 1")


def _refuse_fraction(**fractions: float) -> None:
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise LaghuError(f"{name} {fraction} must be from 0 to below 1")


# ------------------------------------------------------------------------------------------------ no encoder


def tfidf(texts: Sequence[str], labels: Sequence[str], seed: int) -> Classify:
    """Laghu's own classical classifier (`laghu.classical`), fitted here.

    Args:
        texts: to learn from.
        labels: their names, one for each.

    Raises:
        LaghuError: fewer than two different labels.
    """
    names = sorted(set(labels))
    fitted = classical.fit(texts, [names.index(label) for label in labels], seed)

    def classify(texts: Sequence[str]) -> list[str]:
        return [names[label] for label in fitted.predict(texts)] if texts else []

    return classify


# ------------------------------------------------------------------------------------------------ another environment


def optimum_onnx(
    folder: Path, max_length: int, batch_size: int, python: Path, *, threads: int | None = None,
    worker: Path | None = None,
) -> "Elsewhere":
    """Optimum's default export to ONNX Runtime, fp32, in Optimum's own pipeline.

    Optimum wants a transformers older than Laghu's. So it works in a process of another environment, texts and labels
    going through pipes as JSON: a few microseconds a text. The process ends with the way, or with this one.

    Args:
        max_length: tokens read of a text.
        batch_size: texts of a batch, in the order in which they come.
        python: the interpreter of an environment with `benchmarks/peers/requirements.txt`.
        threads: of ONNX Runtime. None: as it decides.
        worker: the program that is run there. None: `benchmarks/peers/optimum_worker.py`.

    Raises:
        LaghuError: a number out of bounds, no such interpreter, or a worker that ends, now or when it is asked.
    """
    inference.max_length_of(folder, inference.config_of(folder), max_length)
    refuse_below_one(batch_size=batch_size, threads=1 if threads is None else threads)
    program = worker or paths.root() / "benchmarks" / "peers" / "optimum_worker.py"
    settings = [str(folder.resolve()), str(max_length), str(batch_size), *([] if threads is None else [str(threads)])]
    return Elsewhere(python, program, settings)


class Elsewhere:
    """A classifier in a process that says in a line of JSON that it is ready, and then answers each line with a line.

    Attributes:
        versions: of the libraries that work there, which is what it said first.
    """

    def __init__(self, python: Path, program: Path, arguments: Sequence[str]) -> None:
        self._name = program.name
        with ExitStack() as stack:
            # Notes go to a file: a pipe that nobody reads would fill up, and the worker wait for ever.
            self._notes = stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace"))
            try:
                # Isolated (-I), so that nothing of this environment is imported there.
                self._process = Popen(
                    [str(python), "-I", str(program), *arguments], stdin=PIPE, stdout=PIPE, stderr=self._notes,
                    encoding="utf-8", env=os.environ | {"HF_HUB_OFFLINE": "1"},
                )
            except OSError as error:
                raise LaghuError(f"{python} can't be run ({error.strerror}); give the interpreter of an environment "
                                 "with benchmarks/peers/requirements.txt") from None
            stack.callback(_end, self._process)
            self.versions: dict[str, str] = self._answer()
            finalize(self, stack.pop_all().close)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Their labels.

        Raises:
            LaghuError: it ended, or says what is no JSON.
        """
        if self._process.stdin.closed:
            raise self._ended()
        with suppress(BrokenPipeError):  # then it doesn't answer either
            self._process.stdin.write(json.dumps(list(texts)) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        try:
            return json.loads(line)
        except ValueError:
            raise LaghuError(f"{self._name} said {line.strip()!r}; it must answer in JSON") from None

    def _ended(self) -> LaghuError:
        _end(self._process)
        self._notes.seek(0)
        last = ([line.strip() for line in self._notes if line.strip()] or ["it said nothing"])[-1]
        return LaghuError(f"{self._name} ended with exit code {self._process.returncode} ({last}); does its "
                          "environment have benchmarks/peers/requirements.txt?")


def _end(process: Popen) -> None:
    """End it: by itself, or else by force."""
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
