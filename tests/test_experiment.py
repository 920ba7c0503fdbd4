"""The chain backbone -> teacher -> prune -> distil on a few headlines: what it makes, remembers and goes on with."""

import shutil

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from headlines import HEADLINES
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from laghu import experiment, freshness, provenance
from laghu.compression import movement
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.records import StageReport
from laghu.spec import RunSpec
from laghu.stages import Stage
from laghu.techniques import dispatch, ensemble_distillation, pruning, pruning_distillation

SETTINGS = {
    "architecture": {
        "vocab_size": 200, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 32,
    },
    "pretraining": {"steps": 4, "batch_size": 4, "sequence_length": 16},
    "fine_tuning": {"epochs": 1, "batch_size": 4, "max_length": 16, "learning_rate": 1e-2},
    "pruning": {"epochs": 2, "learning_rate": 1e-2, "score_learning_rate": 5e-2},
    "distilling": {"epochs": 1},
}


def spec_of(technique: str, **parameters) -> RunSpec:
    return RunSpec(technique=technique, **SETTINGS | parameters)


PRUNING = spec_of("pruning", pruning_level=0.75)
AFTER = spec_of("pruning_distillation", pruning_level=0.75, distillation="after")
JOINT = spec_of("pruning_distillation", pruning_level=0.75, distillation="joint")
ENSEMBLE = spec_of("ensemble_distillation", pruning_level=0.75, ensemble={"texts": 8, "epochs": 1})


def split(texts: list[str]) -> Dataset:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b", "c"])})
    return Dataset.from_dict({"text": texts, "label": [i % 3 for i in range(len(texts))]}, features=features)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    splits = DatasetDict({"train": split(HEADLINES * 3), "validation": split(HEADLINES), "test": split(HEADLINES)})
    return Corpus("sample", splits, ["a", "b", "c"], {}, "digest", "CC0-1.0", "nobody", True, "")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory) -> list[Stage]:
    """Backbone, teacher, pruned and distilled stage of one run, made in a checkout that nobody changes."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(provenance.paths.root() / name, folder)
        patch.setenv("LAGHU_HOME", str(folder))
        teacher = experiment.teacher(AFTER, corpus)
        return [experiment.backbone(AFTER), teacher, *dispatch.compress(AFTER, corpus, teacher)]


@pytest.fixture
def checkout(home, trained):
    """A checkout that has these stages already."""
    shutil.copytree(trained[0].folder.parent, home / "checkpoints")
    return home


def weights(stage: Stage) -> dict[str, torch.Tensor]:
    return AutoModelForSequenceClassification.from_pretrained(stage.model).state_dict()


def assert_same(found: Stage, expected: Stage) -> None:
    tensors = weights(expected)
    for name, tensor in weights(found).items():
        assert torch.equal(tensor, tensors[name]), name


# ------------------------------------------------------------------------------------------------ what is made


def test_each_stage_is_a_checkpoint_of_the_right_shape(trained):
    assert [stage.name for stage in trained] == ["backbone", "baseline", "pruned", "distilled"]
    _, *classifiers = [AutoModelForSequenceClassification.from_pretrained(stage.model) for stage in trained]
    assert [model.config.intermediate_size for model in classifiers] == [16, 4, 4]
    for model in classifiers:
        assert list(model.config.id2label.values()) == ["a", "b", "c"]
        assert {layer.intermediate.dense.weight.shape[0] for layer in model.bert.encoder.layer} == {
            model.config.intermediate_size
        }
    teacher, pruned, distilled = ({k: v for k, v in model.state_dict().items()} for model in classifiers)
    assert any(not torch.equal(pruned[name], distilled[name]) for name in pruned)
    assert pruned.keys() == teacher.keys()


def test_report_of_the_pruned_stage(trained):
    report = trained[2].report
    for scores, kept in zip(report["scores"], report["kept"], strict=True):
        assert len(scores) == 16 and len(kept) == 4 == len(set(kept))
        best = sorted(range(16), key=lambda neuron: (-scores[neuron], neuron))[:4]
        assert kept == sorted(best)
    assert len(report["kept"]) == 2
    assert 0 <= report["surgery_error"] < 1e-5
    assert (report["steps"], report["resumed_at_step"]) == (12, 0)
    assert len(report["thresholds"]) == 13
    assert report["thresholds"][:3] == [1.0] * 3  # warm-up: 0.2 of 12 steps
    assert report["thresholds"][8:] == pytest.approx([0.25] * 5)  # cool-down: the last 0.4


def test_reports_hold_what_a_record_takes_and_the_accuracy_of_the_saved_model(trained, corpus):
    for stage in trained[1:]:
        StageReport(name=stage.name, key=stage.key, **{
            name: stage.report[name] for name in StageReport.model_fields if name not in ("name", "key")
        })
        model = AutoModelForSequenceClassification.from_pretrained(stage.model).eval()
        tokenizer = AutoTokenizer.from_pretrained(stage.model)
        right = 0
        for row in corpus.splits["validation"]:
            with torch.no_grad():
                logits = model(**tokenizer(row["text"], truncation=True, max_length=16, return_tensors="pt")).logits
            right += int(logits.argmax()) == row["label"]
        assert stage.report["development_accuracy"] == right / 8


def test_loaded_weights_have_the_precision_of_the_run(trained):
    for precision, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16}.items():
        model, tokenizer = experiment.load(trained[1], precision)
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}
        assert not model.training
        assert tokenizer(HEADLINES[1])["input_ids"][0] == tokenizer.cls_token_id


# ------------------------------------------------------------------------------------------------ what is remembered


def test_nothing_is_trained_twice(checkout, corpus, trained, monkeypatch):
    monkeypatch.setattr(experiment, "train", lambda *args: pytest.fail("trained again"))
    teacher = experiment.teacher(PRUNING, corpus)
    assert teacher.key == experiment.baseline(spec_of("baseline"), corpus).key == trained[1].key
    assert [stage.key for stage in dispatch.compress(AFTER, corpus, teacher)] == [trained[2].key, trained[3].key]
    assert [stage.key for stage in dispatch.compress(PRUNING, corpus, teacher)] == [trained[2].key]
    half = spec_of("mixed_precision", precision="bf16")
    assert experiment.teacher(half, corpus).key == teacher.key


CHANGES = {
    "seed": {"seed": 1},
    "precision": {"precision": "bf16"},
    "pretraining": {"pretraining": SETTINGS["pretraining"] | {"steps": 5}},
    "architecture": {"architecture": SETTINGS["architecture"] | {"vocab_size": 210}},
    "fine_tuning": {"fine_tuning": SETTINGS["fine_tuning"] | {"epochs": 2}},
    "pruning": {"pruning": SETTINGS["pruning"] | {"epochs": 3}},
    "level": {"pruning_level": 0.5},
    "distilling": {"distilling": {"epochs": 1, "temperature": 3}},
    "ensemble": {"ensemble": {"texts": 9, "epochs": 1}},
    "measuring": {"measuring": {"repeats": 5}},
    "model": {"model": "a/b"},
}
# Which keys a change of that parameter must change, of backbone, teacher, and joint, pruned, distilled and ensemble's
# stage; what changes the pruned stage changes the two that start from it.
CHANGED = {
    "seed": "teacher joint pruned", "precision": "joint pruned", "pretraining": "backbone teacher joint pruned",
    "architecture": "backbone teacher joint pruned", "fine_tuning": "teacher joint pruned", "pruning": "joint pruned",
    "level": "joint pruned", "distilling": "joint distilled ensemble", "ensemble": "ensemble", "measuring": "",
    "model": "teacher joint pruned",
}


def test_keys_follow_what_each_stage_depends_on(corpus, monkeypatch):
    def keyed(name, modules, inputs, build) -> Stage:
        return Stage(name, provenance.digest(name, modules, inputs), freshness.paths.root(), {})

    for module in (experiment, pruning, pruning_distillation, ensemble_distillation):
        monkeypatch.setattr(module, "stage", keyed)

    def keys(data: Corpus = corpus, **changes) -> dict[str, str]:
        after, joint = AFTER.model_dump() | changes, JOINT.model_dump() | changes
        after, joint = RunSpec(**after), RunSpec(**joint)
        teacher = experiment.teacher(after, data)
        pruned, distilled = dispatch.compress(after, data, teacher)
        (jointly,) = dispatch.compress(joint, data, teacher)
        before, ensemble = dispatch.compress(RunSpec(**ENSEMBLE.model_dump() | changes), data, teacher)
        assert before.key == pruned.key
        return {"backbone": experiment.backbone(after).key, "teacher": teacher.key, "joint": jointly.key,
                "pruned": pruned.key, "distilled": distilled.key, "ensemble": ensemble.key}

    before = keys()
    assert len(set(before.values())) == 6
    for parameter, changes in CHANGES.items():
        after = keys(**changes)
        expected = set(CHANGED[parameter].split())
        expected |= {"distilled", "ensemble"} if "pruned" in expected else set()
        assert {name for name in before if after[name] != before[name]} == expected, parameter
    other = Corpus(**vars(corpus) | {"sha256": "another digest"})
    classifiers = before.keys() - {"backbone"}
    assert {name for name, key in keys(other).items() if key != before[name]} == classifiers
    monkeypatch.setattr(provenance, "_stripped_module", lambda name: f"{name}, written in another way")
    assert {name for name, key in keys().items() if key != before[name]} == classifiers  # how they are put together


# ------------------------------------------------------------------------------------------------ going on


class Interruption(Exception):
    pass


@pytest.mark.parametrize("interrupted_at", [5, 11])
def test_an_interrupted_pruning_ends_where_an_uninterrupted_one_does(
    checkout, corpus, trained, monkeypatch, interrupted_at
):
    shutil.rmtree(checkout / "checkpoints" / trained[2].folder.name)
    teacher = experiment.teacher(PRUNING, corpus)
    original = movement.ThresholdCallback.on_step_begin

    def stop(callback, args, state, control, **kwargs):
        if state.global_step == interrupted_at:
            raise Interruption
        original(callback, args, state, control, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(movement.ThresholdCallback, "on_step_begin", stop)
        with pytest.raises(Interruption):
            pruning.prune(PRUNING, corpus, teacher)
    resumed = pruning.prune(PRUNING, corpus, teacher)
    assert resumed.report["resumed_at_step"] == interrupted_at - 1
    assert resumed.key == trained[2].key and resumed.folder != trained[2].folder
    for name in ("kept", "scores", "development_accuracy", "surgery_error"):
        assert resumed.report[name] == trained[2].report[name]
    assert_same(resumed, trained[2])


# ------------------------------------------------------------------------------------------------ joint distillation


def test_joint_distillation_without_weight_on_the_teacher_is_plain_pruning(checkout, corpus, trained):
    joint = RunSpec(**JOINT.model_dump() | {"distilling": {"alpha": 0.0}})
    (found,) = dispatch.compress(joint, corpus, experiment.teacher(joint, corpus))
    assert found.key != trained[2].key
    assert_same(found, trained[2])


def test_joint_distillation_does_something(checkout, corpus, trained):
    (found,) = dispatch.compress(JOINT, corpus, experiment.teacher(JOINT, corpus))
    pruned = weights(trained[2])
    assert any(not torch.equal(pruned[name], tensor) for name, tensor in weights(found).items())


@pytest.mark.parametrize("attention", ["heads", "blocks"])
def test_sigmoid_pruning_with_masked_attention_delivers_a_loadable_model(checkout, corpus, trained, attention):
    settings = SETTINGS["pruning"] | {
        "method": "sigmoid", "attention": attention, "block_size": 8, "epochs": 1, "score_learning_rate": 1.0,
        "penalty": 0.002,
    }
    spec = spec_of("pruning", pruning_level=0.5, pruning=settings)
    stage = pruning.prune(spec, corpus, experiment.teacher(spec, corpus))
    model = AutoModelForSequenceClassification.from_pretrained(stage.model)
    kept = [len(neurons) for neurons in stage.report["kept"]]
    assert model.config.intermediate_size == max(kept) < 16
    for scores, neurons in zip(stage.report["scores"], stage.report["kept"], strict=True):
        above = np.flatnonzero(1 / (1 + np.exp(-np.array(scores))) > 0.1)
        assert neurons == (above.tolist() or [int(np.argmax(scores))])
    assert stage.report["surgery_error"] < 1e-5


# ------------------------------------------------------------------------------------------------ an ensemble


def test_the_ensemble_labels_what_nobody_labelled_and_leaves_the_labels_that_there_are(corpus, trained):
    together = ensemble_distillation.assemble(ENSEMBLE, corpus, trained[1])
    rows = ensemble_distillation.labelled_by(together, corpus, ["ज ञ", "ट ठ"])
    train = corpus.splits["train"]
    assert rows["text"][:] == [*train["text"], "ज ञ", "ट ठ"]
    guesses = together.log_probabilities(["ज ञ", "ट ठ"])
    assert rows["label"][:] == [*train["label"], *guesses.argmax(-1)]
    np.testing.assert_allclose(rows["teacher_logits"][-2:], guesses, atol=1e-5)
    np.testing.assert_allclose(np.exp(rows["teacher_logits"][:]).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.75])
def test_an_ensemble_is_distilled_into_the_teacher_or_into_the_pruned_model(checkout, corpus, trained, level):
    spec = spec_of("ensemble_distillation", pruning_level=level, ensemble={"texts": 8, "epochs": 1})
    *before, student = dispatch.compress(spec, corpus, trained[1])
    assert [stage.key for stage in before] == ([trained[2].key] if level else [])
    assert student.report["steps"] == (len(corpus.splits["train"]) + 8) // 4
    started_from = weights(before[0] if before else trained[1])
    assert {name: tensor.shape for name, tensor in weights(student).items()} == {
        name: tensor.shape for name, tensor in started_from.items()
    }
    assert 0 <= student.report["ensemble"]["development_accuracy"] <= 1


# ------------------------------------------------------------------------------------------------ beginning


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can do it")
def test_the_control_is_trained_as_long_as_the_pruned_model_and_loses_nothing(checkout, corpus, trained):
    _, teacher, pruned, _ = trained
    (continued,) = dispatch.compress(spec_of("continued"), corpus, teacher)
    assert continued.report["steps"] == pruned.report["steps"] > 0
    before, after = weights(teacher), weights(continued)
    assert {name: tensor.shape for name, tensor in after.items()} == {name: t.shape for name, t in before.items()}
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])


def test_the_control_starts_from_the_teacher(checkout, corpus, trained):
    still = {"epochs": 2, "learning_rate": 1e-30, "score_learning_rate": 5e-2}
    (continued,) = dispatch.compress(spec_of("continued", pruning=still), corpus, trained[1])
    assert_same(continued, trained[1])


def test_surgery_after_training_in_half_precision_is_checked_in_full(checkout, corpus):
    spec = spec_of("mixed_precision", precision="bf16", pruning_level=0.5)
    pruned = pruning.prune(spec, corpus, experiment.teacher(spec, corpus))
    assert pruned.report["surgery_error"] < 1e-5


def test_fp16_without_a_gpu_is_refused_before_any_work():
    with pytest.raises(LaghuError, match=r"^precision 'fp16': [^\n]+$"):
        experiment.begin(spec_of("mixed_precision", precision="fp16"))


def test_begin_gives_the_corpus():
    data = experiment.begin(spec_of("baseline"))
    assert (data.name, data.synthetic, len(data.labels)) == ("sample", True, 12)
