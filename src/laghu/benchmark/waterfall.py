"""From "transformers pipeline, teacher, fp32" to the path that a user calls, one thing at a time; what others offer.

Every contender labels the same headlines, text to label, on the same threads, in the same turns. What a step could be
worth at best stands beside what it is worth: the ratio of the operations where it saves operations, of the files' bytes
where it stores fewer, and of no tokenising at all where that takes less time.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import AutoConfig, BertForSequenceClassification

from laghu import backbones, engines, paths
from laghu.benchmark import flops, models, peers
from laghu.benchmark.record import Kind
from laghu.corpora import Corpus
from laghu.inference import Classifier, tokenizer_of
from laghu.spec import BenchStep, RunSpec, Study
from laghu.stages import Stage
from laghu.throughput import Classify
from laghu.tokenization import TextByText, Tokens, library_threads

REFERENCE = "pipeline"
# How fast the last step would be if it took no time: its bound.
TOKENISED = "int8, tokenised beforehand"
# Texts of a batch in a pipeline that is told to make batches.
PIPELINE_BATCH = 32
# Share of neurons or weights that peers take away: as much as the strongest level of the study.
LEVEL = 0.75
WEIGHTS = "model.safetensors"
BATCH_TOKENS = engines.Engine(lambda rows: rows).batch_tokens


@dataclass(frozen=True)
class Contender:
    """A way with what is known about it before it is measured; the fields are those of `record.Contender`."""

    name: str
    kind: Kind
    step: str
    run: str | None
    engine: str
    precision: str
    weights: Path | None
    operations: float | None
    bound_by: str | None
    classify: Classify


def build(study: Study, corpus: Corpus, threads: int, scratch: Path) -> list[Contender]:
    """All contenders of a study with their models loaded: the path in its order, then the others.

    Args:
        scratch: a folder for models that are made for a contender alone.
    """
    made, teacher, students = _of(study, corpus, threads)
    return [
        *made.path(teacher, students), *made.alternatives(teacher, students[-1]), *made.peers(teacher, scratch)
    ]


def path(study: Study, corpus: Corpus, threads: int) -> list[Contender]:
    """The contenders of the path alone."""
    made, teacher, students = _of(study, corpus, threads)
    return list(made.path(teacher, students))


def _of(study: Study, corpus: Corpus, threads: int) -> "tuple[_Contenders, Stage, list[tuple[BenchStep, Stage]]]":
    bench = study.bench
    spec, teacher = models.of_run(study, "baseline", bench.seed, corpus)
    students = [(step, models.of_run(study, step.run, bench.seed, corpus)[1]) for step in bench.path]
    return _Contenders(spec, corpus, threads), teacher, students


class _Contenders:
    """Makes contenders of one study."""

    def __init__(self, spec: RunSpec, corpus: Corpus, threads: int) -> None:
        self._corpus, self._threads, self._most = corpus, threads, spec.fine_tuning.max_length
        self._seed = spec.seed
        self._texts = corpus.splits["test"]["text"][:]
        self._training = corpus.splits["train"]["text"][:]

    # -------------------------------------------------------------------------------------------- the path

    def path(self, teacher: Stage, students: Sequence[tuple[BenchStep, Stage]]) -> Iterator[Contender]:
        checkpoint = teacher.model
        lengths = self._lengths(checkpoint)
        config = AutoConfig.from_pretrained(checkpoint)
        in_torch = Contender(
            REFERENCE, "path", "transformers pipeline", "baseline", "PyTorch eager", "fp32",
            checkpoint / WEIGHTS, flops.mean(config, lengths), None,
            peers.pipeline(checkpoint, self._most, 1),
        )
        yield in_torch
        yield replace(
            in_torch, name="pipeline, batches", step=f"batches of {PIPELINE_BATCH}", bound_by="operations",
            operations=flops.mean(config, flops.in_order(lengths, PIPELINE_BATCH)),
            classify=peers.pipeline(checkpoint, self._most, PIPELINE_BATCH),
        )
        sorted_lengths = flops.sorted_by_length(lengths, BATCH_TOKENS)
        yield replace(
            in_torch, name="sorted batches", step="batches of one length", bound_by="operations",
            operations=flops.mean(config, sorted_lengths),
            classify=peers.sorted_batches(checkpoint, self._most, BATCH_TOKENS),
        )
        whole = models.plain(teacher)
        yield self._contender("engine", "ONNX Runtime", "baseline", whole, self._as_it_comes(whole),
                              operations=flops.mean(config, sorted_lengths))
        yield self._deployed("first token", "last layer for the first token", "baseline", teacher)
        for step, student in students:
            yield self._deployed(step.run, step.step, step.run, student)
        last, student = students[-1]
        in_integers = self._deployed("int8", "8-bit integers", last.run, student, "int8")
        yield in_integers
        yield replace(
            in_integers, name="prepared", step="texts prepared for the tokenizer", bound_by="tokenising",
            classify=self._labels_of(models.deployed(student, "int8", self._corpus, self._most)),
        )

    def _deployed(self, name: str, step: str, run: str, model: Stage, precision: str = "fp32") -> Contender:
        folder = models.deployed(model, precision, self._corpus, self._most)
        made = self._contender(name, step, run, folder, self._as_it_comes(folder))
        return replace(made, precision=precision, bound_by="bytes" if precision == "int8" else "operations")

    def _contender(
        self, name: str, step: str, run: str, folder: Path, classify: Classify, operations: float | None = None
    ) -> Contender:
        """One in ONNX Runtime, whose last layer works for the first token only unless its operations are given."""
        if operations is None:
            padded = flops.sorted_by_length(self._lengths(folder), BATCH_TOKENS)
            operations = flops.mean(AutoConfig.from_pretrained(folder), padded, first_token=True)
        return Contender(name, "path", step, run, "ONNX Runtime", "fp32", folder / engines.ONNX, operations, None,
                         classify)

    def _labels_of(self, folder: Path, **settings: Any) -> Classify:
        return labels_of(Classifier(folder, threads=self._threads, max_length=self._most, **settings))

    def _as_it_comes(self, folder: Path) -> Classify:
        """With the tokenizers library as it comes, given whole texts and dividing them among threads of its own."""
        classify = self._labels_of(folder, tokens=TextByText)

        def in_its_threads(texts: Sequence[str]) -> Sequence[str]:
            with library_threads(True):
                return classify(texts)

        return in_its_threads

    # -------------------------------------------------------------------------------------------- beside it

    def alternatives(self, teacher: Stage, student: tuple[BenchStep, Stage]) -> Iterator[Contender]:
        step, small = student
        for run, model in (("baseline", teacher), (step.run, small)):
            whole = models.deployed(model, "fp32", self._corpus, self._most)
            integers = models.deployed(model, "int8", self._corpus, self._most)
            if run == "baseline":
                yield self._beside(f"{run}, int8", run, integers, precision="int8")
            if not engines.is_installed("openvino"):
                continue
            yield self._beside(f"{run}, OpenVINO", run, whole, engine="openvino")
            yield self._beside(f"{run}, OpenVINO bf16", run, whole, engine="openvino-bf16", precision="bf16")
            yield self._beside(f"{run}, OpenVINO int8", run, integers, engine="openvino", precision="int8")
        yield replace(self._beside(TOKENISED, step.run, integers, precision="int8"), classify=self._labels_of(
            integers, tokens=lambda tokenizer, most: _Beforehand(TextByText(tokenizer, most), self._texts)))
        train = self._corpus.splits["train"]
        names = [self._corpus.labels[label] for label in train["label"]]
        yield Contender("TF-IDF", "alternative", "no encoder", "classical", "scikit-learn", "fp64", None, None, None,
                        peers.tfidf(self._training, names, self._seed))

    def _beside(
        self, name: str, run: str, folder: Path, engine: str = "onnxruntime", precision: str = "fp32"
    ) -> Contender:
        classify = self._labels_of(folder, engine=engine)
        made = self._contender(name, name.partition(", ")[2], run, folder, classify)
        title = {"onnxruntime": "ONNX Runtime"}.get(engine, "OpenVINO")
        return replace(made, kind="alternative", engine=title, precision=precision)

    # -------------------------------------------------------------------------------------------- what others offer

    def peers(self, teacher: Stage, scratch: Path) -> Iterator[Contender]:
        """Of the teacher, but for the first: the paper's shape with random weights, for the size that others have."""
        checkpoint = teacher.model
        of_teacher = Contender(
            "", "peer", "", "baseline", "PyTorch eager", "fp32", checkpoint / WEIGHTS, None, None, list
        )
        whole = base_sized(checkpoint, scratch / "base-sized")
        yield replace(
            of_teacher, name="pipeline, BERT-base size", step="random weights of the size of BERT-base", run=None,
            weights=whole / WEIGHTS, classify=peers.pipeline(whole, self._most, 1),
        )
        yield replace(of_teacher, name="torch dynamic int8", step="sorted batches, quantize_dynamic", precision="int8",
                      classify=peers.torch_dynamic_int8(checkpoint, self._most, BATCH_TOKENS), weights=None)
        zeros = scratch / "magnitude"
        peers.save_magnitude_pruned(checkpoint, zeros, LEVEL)
        yield replace(of_teacher, name="magnitude-pruned 75 %", step="sorted batches, zeros in dense weights",
                      classify=peers.sorted_batches(zeros, self._most, BATCH_TOKENS), weights=zeros / WEIGHTS)
        if find_spec("torch_pruning"):
            smaller = scratch / "torch-pruning"
            peers.torch_pruning(checkpoint, smaller, LEVEL)
            yield replace(of_teacher, name="Torch-Pruning 75 %", step="sorted batches, neurons cut by magnitude",
                          classify=peers.sorted_batches(smaller, self._most, BATCH_TOKENS), weights=smaller / WEIGHTS)
        if (python := peers_python()).is_file():
            yield replace(of_teacher, name="optimum-onnx", step="default export, its own pipeline", weights=None,
                          engine="ONNX Runtime", classify=peers.optimum_onnx(
                              checkpoint, self._most, PIPELINE_BATCH, python, threads=self._threads))

    def _lengths(self, folder: Path) -> list[int]:
        """Tokens of each test headline."""
        ids, _ = TextByText(tokenizer_of(folder), self._most)(self._texts)
        return [len(row) for row in ids]


def peers_python() -> Path:
    """The interpreter of the environment that `benchmarks/peers` describes; `make peers` makes it."""
    return paths.root() / "benchmarks" / "peers" / ".venv" / "bin" / "python"


def base_sized(checkpoint: Path, folder: Path) -> Path:
    """A classifier of the paper's encoder's shape but for the vocabulary, which is the checkpoint's; random weights."""
    config = AutoConfig.from_pretrained(checkpoint)
    config.update({**backbones.PAPER_SHAPE, "vocab_size": config.vocab_size})
    BertForSequenceClassification(config).save_pretrained(folder)
    for file in checkpoint.glob("*token*"):
        shutil.copy(file, folder)
    return folder


class _Beforehand:
    """A tokenizer of texts that it has seen."""

    def __init__(self, tokens: Tokens, texts: Sequence[str]) -> None:
        self._ids = dict(zip(texts, tokens(texts)[0], strict=True))

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        return [self._ids[text] for text in texts], 0


def labels_of(classifier: Classifier) -> Classify:
    """The likeliest labels by name, without the warning that texts were cut."""

    def classify(texts: Sequence[str]) -> list[str]:
        best = classifier.probabilities(texts).argmax(axis=1)
        return [classifier.labels[label] for label in best.tolist()]

    return classify
