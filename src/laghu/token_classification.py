"""Token classification: a label for every word, by an encoder that is trained and pruned as on whole texts.

    corpus -> backbone -> baseline -> block movement pruning, with or without the baseline as its teacher
                       -> encoder in two steps made smaller -> fine-tuned

The backbone is that of the study's classifiers of texts. Every step that trains is a stage: made once, kept under the
key of all it depends on, resumed when interrupted. A stage's model is a plain checkpoint for
`AutoModelForTokenClassification`, its labels in the configuration. How it is measured is `laghu.token_assessment`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BatchEncoding,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from laghu import (
    distillation,
    evaluation,
    experiment,
    measurement,
    provenance,
    quiet,
    sequence_labels,
    token_corpora,
)
from laghu.compression import movement, surgery
from laghu.errors import LaghuError
from laghu.sequence_labels import IGNORED, UNREAD, Encoded, Tags
from laghu.spec import TokenRun
from laghu.stages import Stage, stage
from laghu.techniques import two_step_distillation
from laghu.token_corpora import TokenCorpus
from laghu.training import ClassifierTrainer, Objective, arguments, cross_entropy, train

# Modules whose code the stages depend on, beside this one.
TRAINING = ["sequence_labels", "training"]
PRUNING = [*TRAINING, "compression.movement", "compression.surgery", "distillation"]

# What the encoder is made smaller by, as `TwoStep.order` names it.
_STEPS = {
    "depth": two_step_distillation.make_shallow,
    "width": two_step_distillation.make_narrow,
    "vocabulary": two_step_distillation.trim,
}

# Functions of counts, (..., kinds, 3): the score that stands for a task where there is room for one.
_HEADLINE = {"ner": sequence_labels.micro_f1, "pos": sequence_labels.recall}


# ------------------------------------------------------------------------------------------------ before training


def begin(run: TokenRun) -> TokenCorpus:
    """Check what can be checked before any work, then load the corpus.

    Raises:
        LaghuError: the precision of the pretraining is not to be had on this machine, or the corpus is not.
    """
    experiment.begin(run.on_texts)
    return token_corpora.load(run.corpus)


def load_classifier(name: str, labels: list[str]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder in fp32 with a head that gives each token one of `labels`, in that order.

    A token classifier of exactly these labels keeps its head; any other checkpoint gets a new one. Weights are read
    from safetensors only and no remote code is run.

    Args:
        name: Hugging Face name or a local folder.

    Raises:
        LaghuError: nothing of that name can be had, it is no encoder that transformers can label tokens with, or its
            head is one for whole texts.
    """
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        keeps_head = [str(config.id2label[index]) for index in range(config.num_labels)] == labels
        model = AutoModelForTokenClassification.from_pretrained(
            name, num_labels=len(labels), id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)}, dtype=torch.float32,
            ignore_mismatched_sizes=not keeps_head, use_safetensors=True, trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(name, padding_side="right", trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise LaghuError(
            f"model {name!r} can't be loaded: it is neither a folder with config.json and model.safetensors nor a name "
            f"that the Hugging Face hub answers to from here ({reason})"
        ) from error
    for architecture in config.architectures or []:
        if architecture.endswith("ForSequenceClassification"):
            raise LaghuError(f"model {name!r} is a {architecture}, whose head labels whole texts; name an encoder "
                             "without a head, or a token classifier")
    if not keeps_head:  # from_pretrained makes one only where the number of labels differs
        nn.init.normal_(model.classifier.weight, std=model.config.initializer_range)
        nn.init.zeros_(model.classifier.bias)
    return model, tokenizer


# ------------------------------------------------------------------------------------------------ stages


def baseline(run: TokenRun, corpus: TokenCorpus) -> Stage:
    """The unpruned classifier, fine-tuned: where pruning starts from, and its teacher."""
    name, origin = (run.model, run.model) if run.model else _from_backbone(run)
    return _fine_tuned("token-baseline", run, corpus, name, origin, run.fine_tuning.learning_rate)


def compress(run: TokenRun, corpus: TokenCorpus, teacher: Stage) -> list[Stage]:
    """The stages that lead from the teacher or the backbone to the run's model, which is that of the last.

    At pruning level 0 it is the teacher itself, above it the pruned one, with `two_step` a small encoder fine-tuned.
    """
    if run.two_step:
        return distil_in_two_steps(run, corpus)
    return [prune(run, corpus, teacher) if run.pruning_level else teacher]


def distil_in_two_steps(run: TokenRun, corpus: TokenCorpus) -> list[Stage]:
    """The encoders of `laghu.techniques.two_step_distillation`, which know no task, and the last of them fine-tuned."""
    spec = run.on_texts
    encoders = [experiment.backbone(spec)]
    for step in spec.two_step.order:
        encoders.extend(_STEPS[step](spec, encoders[-1]))
    small = encoders[-1]
    classifier = _fine_tuned(
        "token-two-step", run, corpus, str(small.model), small.key, spec.two_step.classifier_learning_rate
    )
    return [*encoders[1:], classifier]


def prune(run: TokenRun, corpus: TokenCorpus, teacher: Stage) -> Stage:
    """Block movement pruning of the teacher to `1 - pruning_level` of its FFN neurons, then surgery.

    As `laghu.techniques.pruning`, by top-k. With `distillation="joint"` the teacher's logits at the words are learned
    meanwhile (Lagunas et al. 2021, section 3.4); otherwise the labels alone.
    """
    settings, joint = run.pruning, run.distillation == "joint"

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = _start(run, corpus, str(teacher.model))
        collate, objective = DataCollatorForTokenClassification(tokenizer), cross_entropy
        if joint:
            rows = with_teacher_logits(rows, *load(teacher), run.measuring.batch_size)
            collate = CollatorWithTeacher(tokenizer)
            objective = distillation.objective(run.distilling.temperature, run.distilling.alpha)
        scores = movement.attach(model, movement.TOPK)
        schedule = partial(
            movement.cubic_schedule, initial=movement.TOPK.initial, final=1 - run.pruning_level,
            warm_up=settings.warm_up, cool_down=settings.cool_down,
        )
        optimizer = movement.optimizer(
            model, scores, settings.learning_rate, settings.score_learning_rate, run.fine_tuning.weight_decay
        )
        report = _fit(
            run, working, model, rows, collate, at_words(objective), settings.epochs, settings.learning_rate,
            callbacks=[movement.ThresholdCallback(scores, schedule)], optimizers=(optimizer, None),
        )
        report["thresholds"] = [schedule(step, report["steps"]) for step in range(report["steps"] + 1)]
        report["scores"] = [layer.values.detach().flatten().tolist() for layer in scores.neurons]
        report["kept"] = [indices.tolist() for indices in scores.kept_neurons()]
        probe = _encode(run, corpus.splits["validation"]["tokens"][:256], tokenizer)
        with measurement.fp32_products("highest"):
            masked = _logits(run, probe, model, tokenizer)
            surgery.excise(model, scores)
            cut = _logits(run, probe, model, tokenizer)
        report["surgery_error"] = max(float(np.abs(a - b).max()) for a, b in zip(masked, cut, strict=True))
        return _finish(run, corpus, working, model, tokenizer, report)

    depends = {
        **_inputs(run, corpus), "teacher": teacher.key, "pruning_level": run.pruning_level,
        "pruning": settings.model_dump(), "distilling": run.distilling.model_dump() if joint else None,
    }
    return stage("token-pruned", PRUNING, depends, build)


def _fine_tuned(
    stage_name: str, run: TokenRun, corpus: TokenCorpus, name: str, origin: str, learning_rate: float
) -> Stage:
    """The checkpoint of that name, or in that folder, with a head for the corpus, trained whole on the labels."""

    def build(working: Path) -> dict[str, Any]:
        model, tokenizer, rows = _start(run, corpus, name)
        collate = DataCollatorForTokenClassification(tokenizer)
        report = _fit(
            run, working, model, rows, collate, at_words(cross_entropy), run.fine_tuning.epochs, learning_rate
        )
        return _finish(run, corpus, working, model, tokenizer, report)

    depends = {**_inputs(run, corpus), "origin": origin, "learning_rate": learning_rate}
    return stage(stage_name, TRAINING, depends, build)


def _from_backbone(run: TokenRun) -> tuple[str, str]:
    pretrained = experiment.backbone(run.on_texts)
    return str(pretrained.model), pretrained.key


def _inputs(run: TokenRun, corpus: TokenCorpus) -> dict[str, Any]:
    return {
        "recipe": provenance.module_digest("token_classification"),
        "corpus": corpus.sha256,
        "seed": run.seed,
        "country": run.measuring.country,
        "fine_tuning": run.fine_tuning.model_dump(),
    }


def _start(run: TokenRun, corpus: TokenCorpus, name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Dataset]:
    """The model that a training starts from, its tokenizer and the training rows."""
    set_seed(run.seed)
    model, tokenizer = load_classifier(name, corpus.labels)
    split = corpus.splits["train"]
    return model, tokenizer, training_rows(_encode(run, split["tokens"][:], tokenizer), split["tags"][:])


def _fit(
    run: TokenRun, working: Path, model: PreTrainedModel, rows: Dataset, collate: DataCollatorForTokenClassification,
    objective: Objective, epochs: float, learning_rate: float, **trainer_options: Any,
) -> dict[str, Any]:
    """Train with what all trainings of a run share; returns the training's report."""
    settings = run.fine_tuning
    args = arguments(
        working / "trainer", epochs=epochs, batch_size=settings.batch_size, learning_rate=learning_rate,
        warm_up=settings.warm_up, weight_decay=settings.weight_decay, precision="fp32", seed=run.seed,
    )
    trainer = ClassifierTrainer(
        model, args, collate, rows, processing_class=collate.tokenizer, objective=objective, **trainer_options
    )
    return train(trainer, run.measuring.country).as_dict()


def _finish(
    run: TokenRun, corpus: TokenCorpus, working: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
    report: dict[str, Any],
) -> dict[str, Any]:
    """Save the checkpoint and add its headline score on the development split to the report."""
    model.save_pretrained(working / "model")
    tokenizer.save_pretrained(working / "model")
    split = corpus.splits["validation"]
    words, _ = predict(run, split["tokens"][:], model, tokenizer)
    counted = counts(corpus, split["tags"][:], words).sum(0)
    return report | {"development_score": float(_HEADLINE[corpus.task](counted))}


def load(stage: Stage) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The stage's classifier, ready for inference, and its tokenizer."""
    model = AutoModelForTokenClassification.from_pretrained(stage.model, dtype=torch.float32)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval(), AutoTokenizer.from_pretrained(stage.model, padding_side="right")


# ------------------------------------------------------------------------------------------------ rows and objectives


def training_rows(encoded: Encoded, tags: Tags) -> Dataset:
    """`input_ids`, `attention_mask` and `labels` of the sentences; one of which no word is read teaches nothing.

    Raises:
        LaghuError: not one tag for each word, or no word is read at all.
    """
    labels = sequence_labels.subword_labels(encoded, tags)
    read = [row for row, first in enumerate(encoded.first) if (first != UNREAD).any()]
    if not read:
        raise LaghuError(f"the tokenizer reads no word of {len(labels)} training sentences; choose another model")
    columns = {**{name: encoded.inputs[name] for name in ("input_ids", "attention_mask")}, "labels": labels}
    return Dataset.from_dict({name: [values[row] for row in read] for name, values in columns.items()})


def at_words(objective: Objective) -> Objective:
    """An objective of classifiers of texts, over the labelled positions of a batch as if each were a text.

    Its mean is then over words: padding, special tokens and subwords after a word's first enter nothing.
    """

    def loss(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        labelled = batch["labels"] != IGNORED
        return objective(logits[labelled], {name: values[labelled] for name, values in batch.items()})

    return loss


def with_teacher_logits(
    rows: Dataset, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int
) -> Dataset:
    """Add the frozen teacher's logits to tokenized rows, shape (tokens, labels) per row."""
    inputs = {name: rows[name][:] for name in ("input_ids", "attention_mask")}
    logits = token_logits(teacher, tokenizer, inputs, batch_size)
    return rows.add_column("teacher_logits", [sentence.tolist() for sentence in logits])


class CollatorWithTeacher(DataCollatorForTokenClassification):
    """Pads the teacher's logits as well; their padding is at positions without a label."""

    def torch_call(self, features: list[dict[str, Any]]) -> BatchEncoding:
        logits = [torch.tensor(feature["teacher_logits"]) for feature in features]
        batch = super().torch_call(
            [{name: value for name, value in feature.items() if name != "teacher_logits"} for feature in features]
        )
        batch["teacher_logits"] = pad_sequence(logits, batch_first=True)
        return batch


def token_logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, inputs: Mapping[str, Sequence[list[int]]],
    batch_size: int,
) -> list[np.ndarray]:
    """Scores before the softmax, (tokens, labels) float32 per sentence, special tokens included and padding not.

    Sentences are batched by length, longest first, as in `laghu.evaluation.logits`.

    Args:
        inputs: as `Encoded.inputs`.
    """
    lengths = [len(ids) for ids in inputs["input_ids"]]
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    collate = DataCollatorWithPadding(tokenizer)
    logits: list[np.ndarray] = [np.empty(0)] * len(lengths)
    with evaluation.inference(model):
        for start in range(0, len(lengths), batch_size):
            rows = by_length[start : start + batch_size]
            batch = collate([{name: values[row] for name, values in inputs.items()} for row in rows])
            with quiet.working():
                scores = model(**batch.to(model.device)).logits.float().cpu().numpy()
            for row, sentence in zip(rows, scores, strict=True):
                logits[row] = sentence[: lengths[row]]
    return logits


def _encode(run: TokenRun, sentences: list[list[str]], tokenizer: PreTrainedTokenizerBase) -> Encoded:
    return sequence_labels.encode(tokenizer, sentences, run.fine_tuning.max_length)


def _logits(
    run: TokenRun, encoded: Encoded, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[np.ndarray]:
    return token_logits(model, tokenizer, encoded.inputs, run.measuring.batch_size)


def predict(
    run: TokenRun, sentences: list[list[str]], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[np.ndarray], Encoded]:
    """The predicted label of every word, and the sentences as the model read them."""
    encoded = _encode(run, sentences, tokenizer)
    logits = _logits(run, encoded, model, tokenizer)
    return sequence_labels.word_predictions(encoded, [scores.argmax(-1) for scores in logits]), encoded


def counts(corpus: TokenCorpus, truth: Tags, words: Tags) -> np.ndarray:
    """Counts of the entities or words of a task, (sentences, kinds, 3)."""
    if corpus.task == "ner":
        return sequence_labels.entity_counts(truth, words, corpus.labels)
    return sequence_labels.word_counts(truth, words, len(corpus.labels))
