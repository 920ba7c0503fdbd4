"""What to run: every parameter of a run, typed and bounded, and the studies that list runs."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from laghu import paths
from laghu.errors import LaghuError, shown

Technique = Literal[
    "baseline", "continued", "pruning", "pruning_distillation", "mixed_precision", "classical", "ensemble_distillation",
    "one_shot", "minitron", "from_scratch", "vocabulary_trimming", "two_step_distillation", "student", "quantization",
]
TextName = Literal["sample", "marathi-text", "marathi-licensed", "indicnews-bengali", "indicnews-english"]
Precision = Literal["fp32", "fp16", "bf16"]
CostPrecision = Literal["fp32", "tf32", "fp16", "bf16"]
Distillation = Literal["none", "joint", "after"]
TokenCorpusName = Literal["mahaner", "ud-marathi", "token-sample"]

CorpusName = Literal[
    "mahanews-shc", "mahanews-open", "mahanews-clean", "indicnews-bengali", "indicnews-english", "sib200-marathi",
    "mahasent", "sample",
]

# What names a corpus of the reader's own begins with; the rest is its folder.
OWN = "own:"

Model = TypeVar("Model", bound=BaseModel)


def _or_own(names: Any) -> Any:
    """One of those names, or `own:` and a folder in which `laghu.own` has checked and split a reader's texts."""

    def check(value: Any) -> str:
        known = get_args(names)
        if value in known or (_is_own(value) and value != OWN):
            return value
        *first, last = map(repr, known)
        raise ValueError(f"Input should be {', '.join(first)} or {last}, or {OWN!r} and the folder of a corpus that "
                         "laghu compress made")

    return Annotated[str, BeforeValidator(check)]


def _is_own(name: Any) -> bool:
    return isinstance(name, str) and name.startswith(OWN)


# What runs on labelled words take from the settings that are common to a study's runs on labelled texts.
_SHARED_WITH_TOKENS = ("model", "architecture", "pretraining", "measuring")

# Of a study: it becomes part of paths.
_STUDY_NAME = r"[a-z0-9][a-z0-9-]{0,99}"

# Names that IPython itself puts beside the parameters in a notebook's namespace.
_IPYTHON_NAMES = {"In", "Out", "get_ipython", "exit", "quit", "open"}


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Architecture(_Settings):
    """Shape of the encoder pretrained here; field names are those of `transformers.BertConfig`."""

    vocab_size: int = Field(3000, ge=100)
    hidden_size: int = Field(128, ge=8)
    num_hidden_layers: int = Field(2, ge=1)
    num_attention_heads: int = Field(4, ge=1)
    intermediate_size: int = Field(512, ge=4)
    max_position_embeddings: int = Field(128, ge=16)

    @model_validator(mode="after")
    def _heads_divide_hidden_size(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"hidden_size {self.hidden_size} must be a multiple of num_attention_heads "
                             f"{self.num_attention_heads}")
        return self


class Pretraining(_Settings):
    """Masked-language modelling from scratch (Devlin et al. 2019, section 3.1, without next-sentence prediction)."""

    text: _or_own(TextName) = "sample"
    steps: int = Field(250, ge=0)
    batch_size: int = Field(16, ge=1)
    sequence_length: int = Field(64, ge=8)
    learning_rate: float = Field(1e-3, gt=0)
    warm_up: float = Field(0.1, ge=0, lt=1, description="fraction of the steps")
    mask_probability: float = Field(0.15, gt=0, lt=1)
    precision: Precision = "fp32"
    compile: bool = Field(False, description="compile the encoder with torch.compile: minutes at first, then faster")
    workers: int = Field(0, ge=0, description="processes that prepare batches beside the training")
    seed: int = Field(0, ge=0, description="one backbone serves every seed of a study")


class FineTuning(_Settings):
    """Supervised training of the classifier; also the optimiser settings of the distillation that follows pruning."""

    epochs: float = Field(5, ge=0)
    batch_size: int = Field(32, ge=1)
    max_length: int = Field(48, ge=8, description="tokens; longer texts are cut")
    learning_rate: float = Field(3e-4, gt=0)
    warm_up: float = Field(0.1, ge=0, lt=1, description="fraction of the steps")
    weight_decay: float = Field(0.01, ge=0)


class Pruning(_Settings):
    """Block movement pruning (Lagunas et al. 2021); defaults follow the authors' top-k notebook."""

    method: Literal["topk", "sigmoid"] = "topk"
    attention: Literal["none", "blocks", "heads"] = "none"
    block_size: int = Field(32, ge=1, description="side of a square attention block")
    epochs: float = Field(5, gt=0)
    learning_rate: float = Field(3e-4, gt=0)
    score_learning_rate: float = Field(1e-2, gt=0)
    warm_up: float = Field(0.2, ge=0, lt=1, description="fraction of the steps at the initial density")
    cool_down: float = Field(0.4, ge=0, lt=1, description="fraction of the steps at the final density")
    penalty: float = Field(10.0, ge=0, description="lambda of the L1 term, sigmoid method only")

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.warm_up + self.cool_down > 1:
            raise ValueError(f"warm_up {self.warm_up} + cool_down {self.cool_down} must not exceed 1")
        return self


class Distilling(_Settings):
    """Knowledge distillation on logits (Hinton et al. 2015)."""

    temperature: float = Field(2.0, gt=0)
    alpha: float = Field(0.9, ge=0, le=1, description="weight of the teacher; 1 - alpha goes to the labels")
    epochs: float = Field(3, gt=0, description="length of the second stage, where distillation follows pruning")


class Ensembling(_Settings):
    """Distillation of an ensemble over unlabelled text (`laghu.techniques.ensemble_distillation`)."""

    text: TextName = Field("sample", description="source of the unlabelled text")
    texts: int = Field(2000, ge=1, description="drawn from it at random")
    epochs: float = Field(2, gt=0, description="over these and the training split")
    learning_rate: float = Field(3e-4, gt=0)


class OneShot(_Settings):
    """FFN neurons cut at once by a score, then trained for a while (`laghu.techniques.one_shot`)."""

    criterion: Literal["magnitude", "random", "first_order"] = "magnitude"
    epochs: float = Field(5, ge=0, description="of training afterwards; 0: as it was cut")
    learning_rate: float = Field(3e-4, gt=0)
    texts: int = Field(256, ge=1, description="of the training split, over which `first_order` is taken")


class Minitron(_Settings):
    """Width and depth pruned by activations, then distilled on logits (Muralidharan et al. 2024)."""

    num_hidden_layers: int | None = Field(None, ge=1, description="layers that stay; None: all")
    num_attention_heads: int | None = Field(
        None, ge=1, description="heads that stay in each layer, and as large a share of the hidden size; None: all"
    )
    epochs: float = Field(5, ge=0, description="of distillation afterwards; 0: as it was cut")
    learning_rate: float = Field(3e-4, gt=0)
    texts: int = Field(256, ge=1, description="of the training split, over which importance is taken")

    @property
    def shape(self) -> dict[str, int]:
        """What is asked of the encoder's shape, by the names of `transformers.BertConfig`."""
        return self.model_dump(include={"num_hidden_layers", "num_attention_heads"}, exclude_none=True)


class VocabularyTrimming(_Settings):
    """The embeddings of rare tokens cut away (`laghu.techniques.vocabulary_trimming`)."""

    size: int = Field(1500, ge=1, description="tokens that stay, special ones among them")
    text: TextName = Field("sample", description="source whose tokens are counted, beside the training split")


class TwoStep(_Settings):
    """Extreme compression of the encoder before it is fine-tuned (Gurgurov et al. 2025, arXiv 2505.16956)."""

    name: str = Field("small", pattern=r"^[a-z][a-z0-9]*$", description="tells runs of one study apart")
    order: tuple[Literal["depth", "width", "vocabulary"], ...] = Field(
        ("depth", "width", "vocabulary"), description="what is made smaller first, second and third"
    )
    num_hidden_layers: int = Field(1, ge=1, description="that stay")
    layers: Literal["stride", "last", "random"] = Field("stride", description="which the student starts from")
    intermediate_size: int = Field(256, ge=1, description="neurons that stay, by first-order importance")
    hidden_size: int = Field(64, ge=1, description="dimensions that stay")
    width: Literal["truncated", "head_aligned", "svd"] = "truncated"
    vocab_size: int = Field(1500, ge=1, description="tokens that stay, special ones among them")
    steps: int = Field(250, ge=0, description="of each of the two distillations")
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warm_up: float = Field(0.1, ge=0, lt=1, description="fraction of the steps")
    mask_probability: float = Field(0.15, gt=0, lt=1)
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the labels; 1 - alpha goes to the teacher's logits")
    rows: Literal["packed", "padded"] = Field("packed", description="running text, or a text a row as the authors do")
    positions: Literal["all_real", "with_padding", "masked_only"] = Field(
        "all_real", description="where the teacher's logits are matched; the authors' is with_padding"
    )
    texts: int = Field(256, ge=1, description="held out from the distillations; first-order importance is over them")
    seed: int = Field(0, ge=0, description="one student serves every seed of a study")
    classifier_learning_rate: float = Field(1e-3, gt=0, description="a small model takes larger steps")
    taught_by: Literal["labels", "ensemble"] = Field(
        "labels", description="of the classifier: fine-tuned alone, or then distilled as `ensemble` says"
    )

    @model_validator(mode="after")
    def _each_step_once(self) -> Self:
        if sorted(self.order) != ["depth", "vocabulary", "width"]:
            raise ValueError(f"order {list(self.order)} must name depth, width and vocabulary once each")
        return self

    @model_validator(mode="after")
    def _padding_is_there(self) -> Self:
        if self.positions == "with_padding" and self.rows == "packed":
            raise ValueError("positions 'with_padding' needs rows 'padded': packed rows have no padding")
        return self

    def refuse_growth(self, shape: Architecture) -> None:
        """Before anything is trained: does the small encoder come out of one of that shape?

        Raises:
            ValueError: a size exceeds the shape's, or its heads can't share the hidden size.
        """
        if self.hidden_size % shape.num_attention_heads:
            raise ValueError(f"two_step.hidden_size {self.hidden_size} must be a multiple of "
                             f"num_attention_heads {shape.num_attention_heads}")
        names = ("num_hidden_layers", "intermediate_size", "hidden_size", "vocab_size")
        _refuse_growth([(f"two_step.{name}", getattr(self, name), name) for name in names], shape)


class Student(Architecture):
    """Shape of a student that takes nothing from the teacher but its answers (`laghu.techniques.student`)."""

    name: str = Field("words", pattern=r"^[a-z][a-z0-9]*$", description="tells runs of one study apart")
    hidden_size: int = Field(64, ge=8)
    num_hidden_layers: int = Field(1, ge=1)
    num_attention_heads: int = Field(2, ge=1)
    intermediate_size: int = Field(256, ge=4)
    max_position_embeddings: int = Field(48, ge=16, description="none beyond fine_tuning.max_length would be trained")
    batch_size: int = Field(32, ge=1, description="of its training")

    @property
    def shape(self) -> Architecture:
        return Architecture(**self.model_dump(include=set(Architecture.model_fields)))


class Quantization(_Settings):
    """A classifier as integers, run by ONNX Runtime (`laghu.quantization`)."""

    scheme: Literal["fp32", "int8-weights", "int4-weights", "int8-dynamic"] = Field(
        "int8-weights", description="fp32 is the control: the same engine, nothing quantised"
    )
    of: Literal[
        "baseline", "pruning_distillation", "vocabulary_trimming", "two_step_distillation", "ensemble_distillation",
    ] = Field("baseline", description="technique whose model is quantised; its own settings apply")
    device: Literal["cpu", "cuda"] = Field("cpu", description="that is to run it; none but cpu does so yet")


class Measuring(_Settings):
    """How cost and quality are measured; equal for all runs of a study, or their timings can't be compared."""

    batch_size: int = Field(32, ge=1)
    sequence_length: int = Field(32, ge=1)
    repeats: int = Field(20, ge=3)
    warm_up: int = Field(3, ge=0)
    energy_window: float = Field(2.0, gt=0, description="seconds of inference over which energy is read")
    country: str = Field("IND", description="ISO code of the grid whose carbon intensity is assumed")
    bootstrap: int = Field(1000, ge=10, description="resamples of the test rows")


class RunSpec(_Settings):
    """One run: one technique at one level on one corpus with one seed.

    A notebook builds it from its parameters cell and refuses names it doesn't know, because papermill itself only
    warns about them.
    """

    study: str = Field("manual", pattern=r"^[a-z0-9][a-z0-9-]*$")
    technique: Technique
    pruning_level: float = Field(0.0, ge=0, lt=1, description="fraction of the FFN neurons removed")
    distillation: Distillation = "none"
    precision: Precision = "fp32"
    seed: int = Field(0, ge=0)
    corpus: _or_own(CorpusName) = "sample"
    model: str | None = Field(None, description="Hugging Face name or path; None: pretrain the architecture here")
    architecture: Architecture = Architecture()
    pretraining: Pretraining = Pretraining()
    fine_tuning: FineTuning = FineTuning()
    pruning: Pruning = Pruning()
    distilling: Distilling = Distilling()
    ensemble: Ensembling = Ensembling()
    one_shot: OneShot = OneShot()
    minitron: Minitron = Minitron()
    vocabulary: VocabularyTrimming = VocabularyTrimming()
    two_step: TwoStep = TwoStep()
    student: Student = Student()
    quantization: Quantization = Quantization()
    measuring: Measuring = Measuring()

    @field_validator("corpus", mode="before")
    @classmethod
    def _texts_are_labelled(cls, name: Any) -> Any:
        if name in get_args(TokenCorpusName):
            raise ValueError(f"{name} has a label for every word; use the template token_classification")
        return name

    @model_validator(mode="after")
    def _technique_fits_its_parameters(self) -> Self:
        pruned, distilled = self.pruning_level > 0, self.distillation != "none"
        wrong = {
            "baseline": (pruned or distilled) and "baseline takes pruning_level 0 and distillation 'none'",
            "continued": (pruned or distilled) and "continued takes pruning_level 0 and distillation 'none'",
            "classical": (pruned or distilled) and "classical takes pruning_level 0 and distillation 'none'",
            "pruning": (not pruned or distilled) and "pruning takes pruning_level above 0 and distillation 'none'",
            "pruning_distillation": not (pruned and distilled)
            and "pruning_distillation takes pruning_level above 0 and distillation 'joint' or 'after'",
            "ensemble_distillation": distilled and "ensemble_distillation takes distillation 'none': it has its own",
            "one_shot": not pruned and "one_shot takes pruning_level above 0",
            "minitron": (distilled or not (pruned or self.minitron.shape))
            and "minitron takes distillation 'none', and pruning_level above 0, minitron.num_hidden_layers or "
            "minitron.num_attention_heads",
            "from_scratch": (not pruned or distilled or self.model)
            and "from_scratch takes pruning_level above 0, distillation 'none' and no model",
            "vocabulary_trimming": distilled and not pruned
            and "vocabulary_trimming takes distillation 'none' unless pruning_level is above 0",
            "two_step_distillation": (pruned or distilled or self.model)
            and "two_step_distillation takes pruning_level 0, distillation 'none' and no model",
            "student": (pruned or distilled) and "student takes pruning_level 0 and distillation 'none'",
            "mixed_precision": self.precision == "fp32" and "mixed_precision takes precision 'fp16' or 'bf16'",
        }[self.trained_as]
        if self.technique == "quantization":
            wrong = wrong and f"quantization.of {self.trained_as!r}: {wrong}"
            if self.precision != "fp32":
                wrong = "quantization takes precision 'fp32': its scheme says what becomes of the weights"
        if wrong:
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    def _sizes_fit_the_architecture(self) -> Self:
        """What is pretrained here has a known shape, so that no part of it can be asked to grow."""
        shape, smaller = self.architecture, []
        match self.trained_as:
            case "minitron" if not self.model:
                smaller = [(f"minitron.{name}", number, name) for name, number in self.minitron.shape.items()]
            case "vocabulary_trimming" if not self.model:
                smaller = [("vocabulary.size", self.vocabulary.size, "vocab_size")]
            case "two_step_distillation":
                self.two_step.refuse_growth(shape)
            case "student":
                self._student_reads_what_it_is_given()
        _refuse_growth(smaller, shape)
        return self

    def _student_reads_what_it_is_given(self) -> None:
        positions = self.student.max_position_embeddings
        for name, length in [("fine_tuning.max_length", self.fine_tuning.max_length),
                             ("measuring.sequence_length", self.measuring.sequence_length)]:
            if length > positions:
                raise ValueError(f"{name} {length} must not exceed student.max_position_embeddings {positions}")

    @classmethod
    def from_parameters(cls, namespace: Mapping[str, Any], technique: Technique) -> Self:
        """Build the spec from a notebook's `globals()`, right after its parameters cell.

        Every plain value defined there counts as a parameter, so that a misspelt one is refused.

        Raises:
            LaghuError: an unknown name, a wrong type or a value out of bounds, on one line.
        """
        return checked(cls, {**plain_values(namespace), "technique": technique})

    @property
    def trained_as(self) -> Technique:
        """The technique that trains the model: the run's own, or the one whose model is quantised."""
        return self.quantization.of if self.technique == "quantization" else self.technique

    @property
    def unquantized(self) -> Self:
        """The run whose model is quantised; of any other technique the run itself."""
        return self.model_copy(update={"technique": self.trained_as})

    @property
    def run(self) -> str:
        """Name of the run within its study, e.g. `pruning-50-joint-seed1`; also the stem of its files."""
        if self.technique == "quantization":
            quantized = f"quantization-{self.quantization.scheme}"
            of = self.unquantized.run
            return quantized + (of.removeprefix("baseline") if self.trained_as == "baseline" else f"-of-{of}")
        short = {"pruning_distillation": "pruning", "two_step_distillation": "two-step"}
        parts = [short.get(self.technique, self.technique.replace("_", "-")), *self._variant()]
        if self.pruning_level:
            parts.append(f"{100 * self.pruning_level:g}".replace(".", "p"))
        if self.distillation != "none":
            parts.append(self.distillation)
        if self._untrained():
            parts.append("untrained")
        if self.precision != "fp32":
            parts.append(self.precision)
        return "-".join([*parts, f"seed{self.seed}"])

    def _variant(self) -> list[str]:
        """What tells runs of one technique apart beside level, distillation, precision and seed."""
        match self.technique:
            case "one_shot":
                return [self.one_shot.criterion.replace("_", "-")]
            case "minitron":
                units = {"num_hidden_layers": "layers", "num_attention_heads": "heads"}
                return [f"{number}{units[name]}" for name, number in self.minitron.shape.items()]
            case "vocabulary_trimming":
                return [f"{self.vocabulary.size}tokens"]
            case "two_step_distillation":
                return [self.two_step.name]
            case "student":
                return [self.student.name]
        return []

    def _untrained(self) -> bool:
        """Whether nothing follows a cut: no training, no distillation."""
        settings = {"one_shot": self.one_shot, "minitron": self.minitron}.get(self.technique)
        return settings is not None and not settings.epochs and self.distillation != "after"

    @property
    def distilled(self) -> bool:
        if self.technique == "quantization":
            return self.unquantized.distilled
        taught = self.technique in ("ensemble_distillation", "minitron", "two_step_distillation", "student")
        return self.distillation != "none" or (taught and not self._untrained())


def _refuse_growth(smaller: list[tuple[str, int, str]], shape: Architecture) -> None:
    """Refuse a value that exceeds the shape's; each has its name, itself and the shape's field."""
    for name, value, field in smaller:
        if value > (most := getattr(shape, field)):
            raise ValueError(f"{name} {value} must not exceed the architecture's {field} {most}")


class PaperShape(Architecture):
    """`Architecture` with the shape of arXiv 2409.14162's encoder, l3cube-pune/marathi-bert-v2, as its defaults."""

    vocab_size: int = Field(197_285, ge=100)
    hidden_size: int = Field(768, ge=8)
    num_hidden_layers: int = Field(12, ge=1)
    num_attention_heads: int = Field(12, ge=1)
    intermediate_size: int = Field(3072, ge=4)
    max_position_embeddings: int = Field(512, ge=16)


class CostSpec(_Settings):
    """What `laghu.cost` times: every precision, sequence length and batch size with every other."""

    precisions: tuple[CostPrecision, ...] = Field(("fp32", "bf16"), min_length=1)
    sequence_lengths: tuple[Annotated[int, Field(ge=1)], ...] = Field((32, 128), min_length=1)
    batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 8), min_length=1)
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.25, 0.5, 0.75), description="fractions of the FFN neurons removed"
    )
    repeats: int = Field(15, ge=3, description="turns in which every row is timed once")
    warm_up: int = Field(1, ge=0, description="untimed turns before them")
    energy_window: float = Field(5.0, gt=0, description="seconds of inference over which energy is read")
    country: str = Field("IND", description="ISO code of the grid whose carbon intensity is assumed")
    shape: PaperShape = PaperShape()

    @model_validator(mode="after")
    def _each_once_and_short_enough(self) -> Self:
        for name in ("precisions", "sequence_lengths", "batch_sizes", "levels"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} {list(values)} must not name one twice")
        if max(self.sequence_lengths) > self.shape.max_position_embeddings:
            raise ValueError(f"sequence_lengths {list(self.sequence_lengths)} must not exceed the shape's "
                             f"{self.shape.max_position_embeddings} positions")
        return self


class CostRun(_Settings):
    """The cost of one study's rows in one precision: what the template `cost` is given."""

    study: str = Field("manual", pattern=r"^[a-z0-9][a-z0-9-]*$")
    precision: CostPrecision
    settings: CostSpec = CostSpec()

    @classmethod
    def from_parameters(cls, namespace: Mapping[str, Any]) -> Self:
        """Build it from a notebook's `globals()`, as `RunSpec.from_parameters` does.

        Raises:
            LaghuError: an unknown name, a wrong type or a value out of bounds, on one line.
        """
        return checked(cls, plain_values(namespace))


class BenchStep(_Settings):
    """A model on the way from the teacher to what is deployed: it differs from the one before in one thing."""

    step: str = Field(description="what that is, for readers")
    run: str = Field(description="a run of the study, without its seed")


class BenchSpec(_Settings):
    """What `laghu bench` measures of a study (`laghu.benchmark`)."""

    path: tuple[BenchStep, ...] = Field(min_length=1)
    seed: int = Field(0, ge=0, description="whose models are timed")
    turns: int = Field(7, ge=3, description="in each of which everything is timed once")
    energy_window: float = Field(10.0, gt=0, description="seconds of classifying over which energy is read")
    growth: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1_000, 10_000, 100_000, 1_000_000), min_length=1, description="headlines of one stream"
    )
    country: str = Field("IND", description="ISO code of the grid whose carbon intensity is assumed")


class TokenFineTuning(FineTuning):
    """`FineTuning` with defaults for some hundred sentences and the small encoder pretrained here."""

    epochs: float = Field(10, ge=0)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    max_length: int = Field(128, ge=8, description="tokens; of longer sentences the last words are not read")


class TokenPruning(Pruning):
    """`Pruning` of the FFN neurons alone, and to a density that is asked for."""

    method: Literal["topk"] = "topk"
    attention: Literal["none"] = "none"
    epochs: float = Field(10, gt=0)


class TokenRun(_Settings):
    """One run on a corpus with a label for every word: a token classifier at one pruning level with one seed.

    At level 0 it is the baseline, fine-tuned and no more; above it, the baseline of the same seed is pruned by block
    movement pruning, and with distillation "joint" taught by it meanwhile. With `two_step` an encoder is made smaller
    before it sees a label, and then fine-tuned.
    """

    study: str = Field("manual", pattern=r"^[a-z0-9][a-z0-9-]*$")
    corpus: TokenCorpusName = "token-sample"
    pruning_level: float = Field(0.0, ge=0, lt=1, description="fraction of the FFN neurons removed")
    distillation: Literal["none", "joint"] = "none"
    seed: int = Field(0, ge=0)
    model: str | None = Field(None, description="Hugging Face name or path; None: pretrain the architecture here")
    architecture: Architecture = Architecture()
    pretraining: Pretraining = Pretraining()
    fine_tuning: TokenFineTuning = TokenFineTuning()
    pruning: TokenPruning = TokenPruning()
    distilling: Distilling = Distilling()
    two_step: TwoStep | None = Field(None, description="the encoder made smaller first; None: as it was pretrained")
    measuring: Measuring = Measuring()

    @field_validator("corpus", mode="before")
    @classmethod
    def _words_are_labelled(cls, name: Any) -> Any:
        if name in get_args(CorpusName) or _is_own(name):
            raise ValueError(f"{name} has one label for a whole text; use another template, such as baseline")
        return name

    @model_validator(mode="after")
    def _teaching_comes_with_pruning(self) -> Self:
        if self.distillation == "joint" and not self.pruning_level:
            raise ValueError("distillation 'joint' takes pruning_level above 0: the baseline is the teacher")
        return self

    @model_validator(mode="after")
    def _small_encoder_fits(self) -> Self:
        if self.two_step is None:
            return self
        if self.pruning_level or self.model:
            raise ValueError("two_step takes pruning_level 0 and no model")
        if self.two_step.taught_by != "labels":
            raise ValueError("two_step.taught_by 'ensemble' needs a classical classifier, and there is none of words; "
                             "use 'labels'")
        self.two_step.refuse_growth(self.architecture)
        return self

    @model_validator(mode="after")
    def _lengths_fit_the_architecture(self) -> Self:
        most = self.architecture.max_position_embeddings
        lengths = {"fine_tuning.max_length": self.fine_tuning.max_length,
                   "measuring.sequence_length": self.measuring.sequence_length}
        for name, length in lengths.items():
            if not self.model and length > most:
                raise ValueError(f"{name} {length} must not exceed the architecture's max_position_embeddings {most}")
        return self

    @classmethod
    def from_parameters(cls, namespace: Mapping[str, Any]) -> Self:
        """Build it from a notebook's `globals()`, as `RunSpec.from_parameters` does.

        Raises:
            LaghuError: an unknown name, a wrong type or a value out of bounds, on one line.
        """
        return checked(cls, plain_values(namespace))

    @property
    def on_texts(self) -> RunSpec:
        """A run on texts of the same name, seed, encoder and measuring: what the two kinds share goes by it."""
        shared = ("study", "pruning_level", "distillation", "seed", "model", "architecture", "pretraining", "measuring")
        return RunSpec(technique=self._technique, two_step=self.two_step or TwoStep(),
                       **{name: getattr(self, name) for name in shared})

    @property
    def _technique(self) -> Technique:
        if self.two_step:
            return "two_step_distillation"
        if not self.pruning_level:
            return "baseline"
        return {"none": "pruning", "joint": "pruning_distillation"}[self.distillation]

    @property
    def run(self) -> str:
        """Name of the run within its study, e.g. `mahaner-pruning-50-joint-seed1`; also the stem of its files."""
        return f"{self.corpus}-{self.on_texts.run}"


class Study(_Settings):
    """A named list of runs that share their settings: one file in `studies/`."""

    name: str
    title: str
    runs: tuple[RunSpec, ...]
    cost: CostSpec | None = None
    tokens: tuple[TokenRun, ...] = ()
    ships: str | None = Field(None, description="run whose model is exported for readers")
    bench: BenchSpec | None = None

    @classmethod
    def load(cls, name: str) -> Self:
        """Read `studies/<name>.yaml`: `title`, `seeds`, `common` settings and `runs`; each run is made for each seed,
        or for those of its own `seeds`.

        Beside them may stand `cost`, the settings of a `CostSpec`; `bench`, those of a `BenchSpec`; `tokens`, a list of
        `TokenRun`s, each made for each seed with what `common` says of the encoder and of measuring; and `ships`, the
        run whose model is given away.

        Raises:
            LaghuError: no such study, invalid YAML, an unknown key, a value out of bounds or two runs of one name.
        """
        if not re.fullmatch(_STUDY_NAME, name):
            raise LaghuError(f"no study can be called {shown(name)}; a name has small letters, digits and hyphens")
        file = paths.studies() / f"{name}.yaml"
        if not file.is_file():
            known = ", ".join(sorted(path.stem for path in paths.studies().glob("*.yaml")))
            raise LaghuError(f"no study {name!r} in {paths.studies().name}/; there are: {known}")
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LaghuError(f"{file.name} can't be read as UTF-8 ({error})") from None
        return cls._parsed(name, text)

    @classmethod
    @lru_cache(maxsize=16)  # the book asks for a study at each of its runs
    def _parsed(cls, name: str, text: str) -> Self:
        """The study that a file of that name with that text holds."""
        file = f"{name}.yaml"
        try:
            content = yaml.safe_load(text)
            title, seeds, common, rows = (content.pop(key) for key in ("title", "seeds", "common", "runs"))
            cost, ships, bench = (content.pop(key, None) for key in ("cost", "ships", "bench"))
            words = content.pop("tokens", [])
        # The library lets errors of its conversions through, such as those of a date in month 13, and of deep nesting.
        except (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError, ArithmeticError,
                RecursionError) as error:
            reason = " ".join(str(error).split())[:500]
            raise LaghuError(f"{file}: needs title, seeds, common and runs as YAML; {reason}") from error
        if not (isinstance(seeds, list) and isinstance(common, dict) and isinstance(rows, list)
                and all(isinstance(row, dict) for row in rows)):
            raise LaghuError(f"{file}: seeds must be a list, common a mapping and runs a list of mappings")
        for key, value in {"cost": cost, "bench": bench}.items():
            if not isinstance(value, dict | None):
                raise LaghuError(f"{file}: {key} = {shown(value)} must be a mapping")
        if not (isinstance(words, list) and all(isinstance(row, dict) for row in words)):
            raise LaghuError(f"{file}: tokens must be a list of mappings")
        for own in (row["seeds"] for row in rows if "seeds" in row):
            if not (isinstance(own, list) and own and all(seed in seeds for seed in own)):
                raise LaghuError(f"{file}: a row's seeds = {shown(own)} must be a list of some of the study's "
                                 f"{shown(seeds)}")
        if content:
            raise LaghuError(f"{file}: unknown key {', '.join(map(str, content))}; it takes title, seeds, common and "
                             "runs, and optionally cost, bench, tokens and ships")
        runs = tuple(
            checked(RunSpec, {**_merged(common, row), "study": name, "seed": seed})
            for seed in seeds for row in _of_seed(rows, seed)
        )
        encoder = {name: common[name] for name in _SHARED_WITH_TOKENS if name in common}
        tokens = tuple(
            checked(TokenRun, {**_merged(encoder, row), "study": name, "seed": seed}) for seed in seeds for row in words
        )
        names = [run.run for run in runs]
        listed = [*names, *(run.run for run in tokens)]
        if repeated := sorted({run for run in listed if listed.count(run) > 1}):
            raise LaghuError(f"{file}: lists {', '.join(repeated)} more than once")
        if ships is not None and ships not in names:
            raise LaghuError(f"{file}: ships = {shown(ships)} is none of its runs; they are {', '.join(names)}")
        if any(run.run == ships and run.technique in ("classical", "quantization") for run in runs):
            raise LaghuError(f"{file}: ships = {ships!r} gives no checkpoint for transformers; name another run")
        cost = None if cost is None else checked(CostSpec, cost)
        bench = None if bench is None else checked(BenchSpec, bench)
        for row in [step.run for step in bench.path] if bench else []:
            if f"{row}-seed{bench.seed}" not in names:
                raise LaghuError(f"{file}: bench.path names {row!r}, which has no run with seed {bench.seed}")
        return checked(cls, {"name": name, "title": title, "runs": runs, "cost": cost, "tokens": tokens, "ships": ships,
                             "bench": bench})

    def find(self, run: str) -> RunSpec:
        """The run of that name on labelled texts.

        Raises:
            LaghuError: the study has no such run; the message names those on labelled words too.
        """
        for spec in self.runs:
            if spec.run == run:
                return spec
        names = [spec.run for spec in (*self.runs, *self.tokens)]
        raise LaghuError(f"study {self.name!r} has no run {run!r}; it has {', '.join(names)}")


def _of_seed(rows: list[dict[str, Any]], seed: Any) -> list[dict[str, Any]]:
    """The rows that are made for that seed, without their own lists of seeds."""
    return [{name: value for name, value in row.items() if name != "seeds"} for row in rows
            if seed in row.get("seeds", [seed])]


def _merged(common: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a row over those of all rows; in a group that both name, the row's fields over the others."""
    groups = {name: {**common[name], **value} for name, value in row.items()
              if isinstance(value, dict) and isinstance(common.get(name), dict)}
    return {**common, **row, **groups}


def plain_values(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """What a notebook's parameters cell defines: every plain value but IPython's own."""
    return {
        name: value for name, value in namespace.items()
        if not name.startswith("_") and name not in _IPYTHON_NAMES
        and isinstance(value, str | int | float | list | tuple | dict | None)
    }


def checked(model: type[Model], values: Mapping[str, Any]) -> Model:
    """`model(**values)` with pydantic's report folded into one line.

    Raises:
        LaghuError: names each offending parameter, its value and what would be right.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise LaghuError("; ".join(_explain(model, item) for item in error.errors())) from None


def _explain(model: type[BaseModel], item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        fields = _group(model, item["loc"][:-1])
        return f"unknown parameter {shown(where)}; {fields.__name__} takes {', '.join(fields.model_fields)}"
    if not where:
        return item["msg"].removeprefix("Value error, ")
    return f"{where} = {shown(item['input'])}: {item['msg'].removeprefix('Value error, ')}"


def _group(model: Any, path: tuple[int | str, ...]) -> type[BaseModel]:
    """The group of settings that stands there: a field may hold one, none or several."""
    for part in path:
        kinds = [model.model_fields[part].annotation] if isinstance(part, str) else [model]
        while not any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds):
            kinds = [inner for kind in kinds for inner in get_args(kind)]
        model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return model
