"""Techniques on a few headlines: each model against one put together by hand from the teacher."""

import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from headlines import HEADLINES
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from laghu import (
    backbones,
    corpora,
    experiment,
    measurement,
    paths,
    quantization,
    quantized_assessment,
    sample,
    student_assessment,
    texts,
    trimmed_assessment,
)
from laghu.compression import importance
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.spec import RunSpec, checked
from laghu.stages import Stage
from laghu.techniques import calibration, dispatch, ensemble_distillation, minitron
from laghu.techniques import quantization as techniques_quantization

SHAPE = {
    "vocab_size": 200, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16,
    "max_position_embeddings": 32,
}
SETTINGS = {
    "architecture": SHAPE,
    "pretraining": {"steps": 4, "batch_size": 4, "sequence_length": 16},
    "fine_tuning": {"epochs": 1, "batch_size": 4, "max_length": 16, "learning_rate": 1e-2},
    "distilling": {"epochs": 1},
}
SIZES = {"num_hidden_layers": 2, "intermediate_size": 8, "hidden_size": 8, "vocab_size": 180}


def spec_of(technique: str, **parameters) -> RunSpec:
    return RunSpec(technique=technique, **SETTINGS | parameters)


def split(texts: list[str]) -> Dataset:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b", "c"])})
    return Dataset.from_dict({"text": texts, "label": [i % 3 for i in range(len(texts))]}, features=features)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    splits = DatasetDict({"train": split(HEADLINES * 2), "validation": split(HEADLINES), "test": split(HEADLINES)})
    return Corpus("sample", splits, ["a", "b", "c"], {}, "digest", "CC0-1.0", "nobody", True, "")


@pytest.fixture(scope="module")
def teacher(corpus, tmp_path_factory):
    """A teacher in a checkout of its own, where the tests of this module go on."""
    folder = tmp_path_factory.mktemp("techniques")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(paths.root() / name, folder)
        shutil.copytree(paths.templates(), folder / "notebooks")
        patch.setenv("LAGHU_HOME", str(folder))
        yield experiment.teacher(spec_of("baseline"), corpus)


def model_of(stage: Stage) -> torch.nn.Module:
    return AutoModelForSequenceClassification.from_pretrained(stage.model).eval()


def logits(stage: Stage, model: torch.nn.Module | None = None) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(stage.model)
    with torch.no_grad():
        return (model or model_of(stage))(**tokenizer(HEADLINES, padding=True, return_tensors="pt")).logits


def onnx_logits(folder: Path) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return quantization.OnnxClassifier(folder)(**tokenizer(HEADLINES, padding=True, return_tensors="pt")).logits


def without_neurons(stage: Stage, kept: list[list[int]]) -> torch.nn.Module:
    """The stage's model with all but the kept neurons silenced where they are read."""
    model = model_of(stage)
    for layer, indices in zip(model.bert.encoder.layer, kept, strict=True):
        gone = [neuron for neuron in range(16) if neuron not in indices]
        layer.output.dense.weight.data[:, gone] = 0
    return model


# ------------------------------------------------------------------------------------------------ cut at once


@pytest.mark.parametrize("criterion", ["magnitude", "random", "first_order"])
def test_one_shot_cuts_the_neurons_of_lowest_score_and_nothing_else(corpus, teacher, criterion):
    spec = spec_of("one_shot", pruning_level=0.75, one_shot={"criterion": criterion, "epochs": 0})
    (cut,) = dispatch.compress(spec, corpus, teacher)
    assert [len(indices) for indices in cut.report["kept"]] == [4, 4, 4]
    assert cut.report["steps"] == 0 and cut.report["energy_kwh"] > 0
    torch.testing.assert_close(logits(cut), logits(cut, without_neurons(teacher, cut.report["kept"])))
    if criterion == "magnitude":
        layer = model_of(teacher).bert.encoder.layer[1]
        up, down = (dense.weight.detach().double() for dense in (layer.intermediate.dense, layer.output.dense))
        bias = layer.intermediate.dense.bias.detach().double()
        sizes = [float((up[i] ** 2).sum() + bias[i] ** 2 + (down[:, i] ** 2).sum()) for i in range(16)]
        assert sorted(sorted(range(16), key=sizes.__getitem__)[-4:]) == cut.report["kept"][1]


def test_one_shot_neurons_do_not_depend_on_what_follows(corpus, teacher):
    settings = {"criterion": "random", "epochs": 1}
    trained = spec_of("one_shot", pruning_level=0.5, one_shot=settings)
    after = spec_of("one_shot", pruning_level=0.5, one_shot=settings, distillation="after")
    joint = spec_of("one_shot", pruning_level=0.5, one_shot=settings, distillation="joint")
    (plain,) = dispatch.compress(trained, corpus, teacher)
    same, distilled = dispatch.compress(after, corpus, teacher)
    (jointly,) = dispatch.compress(joint, corpus, teacher)
    assert same.key == plain.key and len({plain.key, distilled.key, jointly.key}) == 3
    assert plain.report["kept"] == jointly.report["kept"]
    assert plain.report["steps"] == len(HEADLINES) * 2 // 4
    other = dispatch.compress(trained.model_copy(update={"seed": 1}), corpus, teacher)
    assert other[0].report["kept"] != plain.report["kept"]


def test_minitron_keeps_the_layers_that_turn_their_input_most(corpus, teacher):
    spec = spec_of("minitron", pruning_level=0.5, minitron={"num_hidden_layers": 2, "epochs": 0})
    (cut,) = dispatch.compress(spec, corpus, teacher)
    influence = cut.report["influence"]
    assert cut.report["layers"] == sorted(sorted(range(3), key=influence.__getitem__)[1:])
    by_hand = model_of(teacher)
    by_hand.bert.encoder.layer = torch.nn.ModuleList(by_hand.bert.encoder.layer[i] for i in cut.report["layers"])
    for layer, indices in zip(by_hand.bert.encoder.layer, cut.report["kept"], strict=True):
        gone = [neuron for neuron in range(16) if neuron not in indices]
        layer.output.dense.weight.data[:, gone] = 0
    torch.testing.assert_close(logits(cut), logits(cut, by_hand))


def test_minitron_keeps_the_heads_and_hidden_dimensions_that_are_most_active(corpus, teacher):
    settings = {"num_hidden_layers": 2, "num_attention_heads": 1, "epochs": 0}
    (cut,) = dispatch.compress(spec_of("minitron", pruning_level=0.5, minitron=settings), corpus, teacher)
    layers, neurons, heads, hidden = (cut.report[name] for name in ("layers", "kept", "heads", "hidden"))

    rows = experiment.start(spec_of("baseline"), corpus, str(teacher.model))[2]
    batches = calibration.batches(rows, AutoTokenizer.from_pretrained(teacher.model), count=256, seed=0)
    scores = importance.hidden_importance(model_of(teacher), batches).tolist()
    assert hidden == sorted(sorted(range(16), key=scores.__getitem__)[8:])
    of_heads = importance.head_importance(model_of(teacher), batches)
    assert heads == [[int(of_heads[layer].argmax())] for layer in layers]

    # the whole model by indices, under the names of transformers; a head has 8 channels
    wide = model_of(teacher).state_dict()
    weights = {
        name.replace(f"layer.{layer}.", f"layer.{index}.") if ".layer." in name else name: weight
        for index, layer in enumerate(layers) for name, weight in wide.items()
        if ".layer." not in name or f".layer.{layer}." in name
    }
    for name, weight in weights.items():
        if "embeddings" in name or name == "classifier.weight":
            weights[name] = weight[..., hidden]
        elif name.startswith("bert.pooler"):
            weights[name] = weight[hidden] if weight.dim() == 1 else weight[hidden][:, hidden]
        elif ".layer." in name:
            index = int(name.split(".")[3])
            channels = [8 * heads[index][0] + channel for channel in range(8)]
            kind = name.split(".", 4)[4].rsplit(".", 1)[0]
            written, read = {
                "intermediate.dense": (neurons[index], hidden), "output.dense": (hidden, neurons[index]),
                "attention.output.dense": (hidden, channels),
            }.get(kind, (channels, hidden) if "self" in kind else (hidden, None))
            weights[name] = weight[written] if weight.dim() == 1 else weight[written][:, read]
    config = AutoConfig.from_pretrained(
        teacher.model, num_hidden_layers=2, num_attention_heads=1, hidden_size=8, intermediate_size=8
    )
    by_hand = BertForSequenceClassification(config).eval()
    by_hand.load_state_dict(weights)
    torch.testing.assert_close(logits(cut), logits(cut, by_hand))
    loaded = AutoConfig.from_pretrained(cut.model)
    assert (loaded.hidden_size, loaded.num_attention_heads, loaded.num_hidden_layers) == (8, 1, 2)


def test_minitron_with_fewer_heads_is_distilled_too(corpus, teacher):
    spec = spec_of("minitron", minitron={"num_attention_heads": 1, "epochs": 1})
    (distilled,) = dispatch.compress(spec, corpus, teacher)
    (cut,) = dispatch.compress(
        spec_of("minitron", minitron={"num_attention_heads": 1, "epochs": 0}), corpus, teacher
    )
    assert distilled.report["steps"] == len(HEADLINES) * 2 // 4
    assert distilled.report["heads"] == cut.report["heads"] and len(cut.report["heads"]) == 3
    weights = [model_of(stage).state_dict() for stage in (distilled, cut)]
    assert {name: weight.shape for name, weight in weights[0].items()} == {
        name: weight.shape for name, weight in weights[1].items()
    }
    assert not torch.equal(logits(distilled), logits(cut))


def test_minitron_of_a_model_from_elsewhere_is_refused_before_anything_is_trained(teacher, tmp_path):
    def begin(model, **settings):
        minitron.begin(spec_of("minitron", model=str(model), pruning_level=0.5, minitron=settings))

    begin(teacher.model, num_hidden_layers=3, num_attention_heads=2)
    with pytest.raises(LaghuError, match=r"^minitron\.num_attention_heads 3 must not exceed 2, which .*model has$"):
        begin(teacher.model, num_attention_heads=3)
    with pytest.raises(LaghuError, match=r"^minitron\.num_hidden_layers 4 must not exceed 3, which .*model has$"):
        begin(teacher.model, num_hidden_layers=4)
    shape = DistilBertConfig(vocab_size=200, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    DistilBertForSequenceClassification(shape).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(teacher.model).save_pretrained(tmp_path)
    with pytest.raises(LaghuError, match=r"^model type 'distilbert' can't be cut but in its FFN neurons"):
        begin(tmp_path, num_attention_heads=1)


def test_minitron_is_then_distilled(corpus, teacher):
    spec = spec_of("minitron", pruning_level=0.5, minitron={"epochs": 1})
    (distilled,) = dispatch.compress(spec, corpus, teacher)
    assert distilled.report["steps"] == len(HEADLINES) * 2 // 4
    assert len(distilled.report["layers"]) == 3
    assert not torch.equal(logits(distilled), logits(distilled, without_neurons(teacher, distilled.report["kept"])))


# ------------------------------------------------------------------------------------------------ from scratch


def test_from_scratch_has_the_pruned_shape_from_the_beginning(corpus, teacher):
    backbone, classifier = dispatch.compress(spec_of("from_scratch", pruning_level=0.75), corpus, teacher)
    assert AutoConfig.from_pretrained(backbone.model).intermediate_size == 4
    assert backbone.report["steps"] == 4
    (pruned,) = dispatch.compress(
        spec_of("one_shot", pruning_level=0.75, one_shot={"epochs": 0}), corpus, teacher
    )
    shapes = [{name: p.shape for name, p in model_of(stage).named_parameters()} for stage in (classifier, pruned)]
    assert shapes[0] == shapes[1]


# ------------------------------------------------------------------------------------------------ vocabulary


def test_texts_whose_tokens_survive_are_classified_as_before(corpus, teacher):
    size = len(AutoTokenizer.from_pretrained(teacher.model)) - 20
    spec = spec_of("vocabulary_trimming", vocabulary={"size": size})
    counted, trimmed = dispatch.compress(spec, corpus, teacher)
    before, after = (AutoTokenizer.from_pretrained(stage.model) for stage in (teacher, trimmed))
    same = [i for i, text in enumerate(HEADLINES) if before.tokenize(text) == after.tokenize(text)]
    assert len(after) == size == model_of(trimmed).config.vocab_size
    assert same
    for index in same:
        one = [HEADLINES[index]]
        with torch.no_grad():
            was, now = (
                model_of(stage)(**tokenizer(one, return_tensors="pt")).logits
                for stage, tokenizer in ((teacher, before), (trimmed, after))
            )
        assert torch.equal(was, now)
    kept = [token for token in after.get_vocab() if token not in after.all_special_tokens and len(token) > 3]
    texts = [*corpus.splits["train"]["text"], *(headline.text for headline in sample.splits()["train"])]
    counted_by_hand = Counter(token for text in texts for token in before.tokenize(text))
    rarest = min(counted_by_hand[token] for token in kept)
    assert all(counted_by_hand[token] <= rarest for token in set(before.get_vocab()) - set(after.get_vocab()))
    assert counted.report["seconds"] > 0
    assert trimmed.report["tokens_per_text"]["after"] >= trimmed.report["tokens_per_text"]["before"]


def test_a_trimmed_model_and_its_teacher_each_read_with_their_own_tokenizer():
    corpus = corpora.load("sample")
    teacher = experiment.teacher(spec_of("baseline"), corpus)
    spec = spec_of(
        "vocabulary_trimming", vocabulary={"size": 190}, measuring={"repeats": 3, "energy_window": 0.01}
    )
    stages = dispatch.compress(spec, corpus, teacher)
    record = trimmed_assessment.measure(spec, corpus, stages, teacher, datetime.now(UTC))
    clean = record.views["clean"]
    theirs, ours = (
        experiment.predict_logits(spec, corpus.splits["test"]["text"], *experiment.load(stage, "fp32")).argmax(-1)
        for stage in (teacher, stages[-1])
    )
    labels = np.array(corpus.splits["test"]["label"])
    assert record.agreement == pytest.approx((theirs == ours)[clean].mean())
    assert record.mcnemar.only_baseline_right == ((theirs == labels) & (ours != labels))[clean].sum()
    assert record.mcnemar.only_run_right == ((theirs != labels) & (ours == labels))[clean].sum()
    assert record.predictions == ours.tolist()


def test_a_pruned_model_can_be_trimmed(corpus, teacher):
    spec = spec_of("vocabulary_trimming", pruning_level=0.5, distillation="after", vocabulary={"size": 180})
    stages = dispatch.compress(spec, corpus, teacher)
    assert [stage.name for stage in stages] == ["pruned", "distilled", "counted", "trimmed"]
    config = AutoConfig.from_pretrained(stages[-1].model)
    assert (config.intermediate_size, config.vocab_size) == (8, 180)


# ------------------------------------------------------------------------------------------------ two steps


def closed_form(layers: int, ffn: int, hidden: int, vocabulary: int) -> int:
    """Parameters of a masked language model with tied embeddings, 32 positions and 2 token types."""
    embeddings = (vocabulary + 32 + 2) * hidden + 2 * hidden
    layer = 4 * (hidden * hidden + hidden) + 2 * hidden + 2 * hidden * ffn + ffn + hidden + 2 * hidden
    return embeddings + layers * layer + hidden * hidden + 3 * hidden + vocabulary


@pytest.mark.parametrize(("layers", "width", "rows", "positions"), [
    ("stride", "truncated", "packed", "all_real"), ("last", "head_aligned", "padded", "with_padding"),
    ("random", "svd", "packed", "masked_only"),
])
def test_each_step_has_the_size_of_the_closed_form(corpus, teacher, layers, width, rows, positions):
    two_step = {
        **SIZES, "layers": layers, "width": width, "rows": rows, "positions": positions, "steps": 2, "texts": 8,
        "batch_size": 4,
    }
    stages = dispatch.compress(spec_of("two_step_distillation", two_step=two_step), corpus, teacher)
    vocabulary = len(AutoTokenizer.from_pretrained(teacher.model))
    wanted = [(2, 16, 16, vocabulary), (2, 8, 8, vocabulary), (2, 8, 8, 180)]
    for stage, sizes in zip([*stages[:2], stages[3]], wanted, strict=True):
        model = BertForMaskedLM.from_pretrained(stage.model)
        assert sum(parameter.numel() for parameter in model.parameters()) == closed_form(*sizes)
    assert [stage.report["steps"] for stage in stages[:4]] == [2, 2, 0, 0]
    config = AutoConfig.from_pretrained(stages[4].model)
    assert isinstance(config, BertConfig)
    assert {name: getattr(config, name) for name in SIZES} == SIZES


def test_the_small_encoder_serves_every_seed_and_each_step_only_what_it_depends_on(corpus, teacher):
    two_step = {**SIZES, "steps": 0, "texts": 8}
    spec = spec_of("two_step_distillation", two_step=two_step)
    first = dispatch.compress(spec, corpus, teacher)
    second = dispatch.compress(spec.model_copy(update={"seed": 1}), corpus, teacher)
    assert [a.key == b.key for a, b in zip(first, second, strict=True)] == [True, True, True, True, False]
    narrower = spec_of("two_step_distillation", two_step={**two_step, "hidden_size": 4, "name": "narrower"})
    third = dispatch.compress(narrower, corpus, teacher)
    assert [a.key == b.key for a, b in zip(first, third, strict=True)] == [True, False, True, False, False]


def test_without_distillation_the_shallow_encoder_is_the_teachers_chosen_layers(corpus, teacher):
    spec = spec_of("two_step_distillation", two_step={**SIZES, "layers": "last", "steps": 0, "texts": 8})
    shallow = dispatch.compress(spec, corpus, teacher)[0]
    backbone = BertForMaskedLM.from_pretrained(experiment.backbone(spec).model)
    student = BertForMaskedLM.from_pretrained(shallow.model)
    for index in (0, 1):
        theirs, ours = backbone.bert.encoder.layer[index + 1], student.bert.encoder.layer[index]
        assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))


def test_holding_out_all_text_is_refused(corpus, teacher):
    spec = spec_of("two_step_distillation", two_step={**SIZES, "texts": 10**6, "name": "greedy"})
    with pytest.raises(LaghuError, match=r"two_step\.texts 1000000 must be below the"):
        dispatch.compress(spec, corpus, teacher)


def test_steps_in_another_order_give_the_same_shape(corpus, teacher):
    two_step = {**SIZES, "order": ["vocabulary", "width", "depth"], "steps": 2, "texts": 8, "batch_size": 4}
    stages = dispatch.compress(spec_of("two_step_distillation", two_step=two_step), corpus, teacher)
    assert [stage.name for stage in stages] == ["counted", "small", "narrow", "shallow", "two-step"]
    wanted = [(3, 16, 16, 180), (3, 8, 8, 180), (2, 8, 8, 180)]
    for stage, sizes in zip(stages[1:], wanted, strict=False):
        model = BertForMaskedLM.from_pretrained(stage.model)
        assert sum(parameter.numel() for parameter in model.parameters()) == closed_form(*sizes)


def test_the_ensemble_teaches_the_fine_tuned_classifier(corpus, teacher):
    two_step = {**SIZES, "steps": 0, "texts": 8}
    fine_tuned = dispatch.compress(spec_of("two_step_distillation", two_step=two_step), corpus, teacher)
    spec = spec_of(
        "two_step_distillation", two_step={**two_step, "taught_by": "ensemble"}, ensemble={"texts": 8, "epochs": 1}
    )
    stages = dispatch.compress(spec, corpus, teacher)
    assert [stage.key for stage in stages[:-1]] == [stage.key for stage in fine_tuned]
    assert stages[-1].report["steps"] == -(-(2 * len(HEADLINES) + 8) // 4)
    assert set(stages[-1].report["ensemble"]["weights"]) == {"classical", "encoder"}


# ------------------------------------------------------------------------------------------------ integers


def test_an_export_answers_as_the_teacher_does_and_integers_nearly_so(corpus, teacher):
    wanted = logits(teacher)
    for scheme, tolerance in (("fp32", 1e-5), ("int8-weights", 0.02)):
        stages = dispatch.compress(spec_of("quantization", quantization={"scheme": scheme}), corpus, teacher)
        assert [stage.name for stage in stages] == ["exported", "quantized"][: len(stages)]
        assert stages[-1].report["steps"] == 0
        torch.testing.assert_close(onnx_logits(stages[-1].model), wanted, atol=tolerance, rtol=0)


def test_what_another_technique_made_is_quantised_and_survives_a_copy(corpus, teacher, tmp_path):
    settings = {"pruning_level": 0.5, "distillation": "joint", "vocabulary": {"size": 180}}
    spec = spec_of("quantization", quantization={"scheme": "int4-weights", "of": "vocabulary_trimming"}, **settings)
    stages = dispatch.compress(spec, corpus, teacher)
    trained = dispatch.compress(spec_of("vocabulary_trimming", **settings), corpus, teacher)
    assert [stage.key for stage in stages[:-2]] == [stage.key for stage in trained]
    config = AutoConfig.from_pretrained(stages[-1].model)
    assert (config.intermediate_size, config.vocab_size) == (8, 180)
    copy = shutil.copytree(stages[-1].model, tmp_path / "copy")
    assert torch.equal(onnx_logits(copy), onnx_logits(stages[-1].model))


def test_a_quantised_run_is_measured_against_the_baseline_in_its_own_engine(teacher):
    corpus = corpora.load("sample")  # the one that flags what views leave out
    teacher = experiment.teacher(spec_of("baseline"), corpus)
    spec = spec_of(
        "quantization", quantization={"scheme": "int8-weights"}, measuring={"repeats": 3, "energy_window": 0.01}
    )
    stages = dispatch.compress(spec, corpus, teacher)
    record = quantized_assessment.measure(spec, corpus, stages, teacher, datetime.now(UTC))
    model = model_of(teacher)
    assert record.parameters.total == sum(parameter.numel() for parameter in model.parameters())
    assert record.weight_bytes < 0.55 * measurement.weight_bytes(model)
    assert record.timing.engine.startswith("ONNX Runtime")
    assert set(quantization.LIBRARIES) < set(record.versions)
    texts, labels = corpus.splits["test"]["text"], corpus.splits["test"]["label"]
    by_hand = experiment.predict_logits(
        spec, texts, quantization.OnnxClassifier(stages[-1].model), AutoTokenizer.from_pretrained(stages[-1].model)
    ).argmax(-1)
    assert record.predictions == by_hand.tolist()
    assert record.accuracy.published.value == pytest.approx(sum(by_hand == labels) / len(labels))
    assert record.mcnemar.against == "baseline-seed0"
    assert record.train_seconds == pytest.approx(sum(stage.report["seconds"] for stage in stages))


def test_an_integer_scheme_on_a_gpu_is_refused_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr(experiment, "begin", lambda spec: pytest.fail("work began"))
    spec = spec_of("quantization", quantization={"scheme": "int4-weights", "device": "cuda"})
    with pytest.raises(LaghuError, match="int4-weights does not run on 'cuda'; choose cpu"):
        techniques_quantization.begin(spec)


# ------------------------------------------------------------------------------------------------ a student of its own

STUDENT = {
    "name": "words", "vocab_size": 260, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
    "intermediate_size": 12, "max_position_embeddings": 16, "batch_size": 4,
}


def student_spec(**parameters) -> RunSpec:
    settings = {"ensemble": {"texts": 8, "epochs": 1}, "student": STUDENT, "measuring": {"sequence_length": 8}}
    return spec_of("student", **settings | parameters)


def test_a_student_has_the_shape_and_the_vocabulary_that_it_is_given(corpus, teacher):
    *_, taught = dispatch.compress(student_spec(), corpus, teacher)
    model = model_of(taught)
    assert {name: getattr(model.config, name) for name in STUDENT if hasattr(model.config, name)} | {
        "name": "words", "batch_size": 4} == STUDENT
    assert len(AutoTokenizer.from_pretrained(taught.model)) == 260 > len(AutoTokenizer.from_pretrained(teacher.model))
    # 8 drawn texts and the training split, in batches of 4
    assert taught.report["steps"] == (8 + len(corpus.splits["train"])) // 4


def test_a_student_starts_from_counts_and_is_never_trained_to_fill_in_words(corpus, teacher):
    untrained, *_ = dispatch.compress(student_spec(), corpus, teacher)
    assert untrained.report["steps"] == 0
    tokenizer = AutoTokenizer.from_pretrained(untrained.model)
    rows = backbones.pack(texts.load("sample"), tokenizer, SETTINGS["pretraining"]["sequence_length"])
    vectors = backbones.cooccurrence_embeddings(np.array(rows["input_ids"][:])[:, 1:-1], len(tokenizer), 8)
    weight = model_of(untrained).bert.embeddings.word_embeddings.weight.detach().numpy()
    # what is left of it is BERT's own random start, of standard deviation 0.02
    assert np.abs(weight - vectors).max() < 0.1 < np.abs(weight).max()


def test_students_of_two_shapes_are_taught_by_the_same_scores(corpus, teacher):
    first, second = (
        dispatch.compress(student_spec(student={**STUDENT, "hidden_size": size, "name": f"h{size}"}), corpus, teacher)
        for size in (8, 16)
    )
    assert first[1].folder == second[1].folder
    assert first[-1].folder != second[-1].folder
    scored = Dataset.load_from_disk(first[1].folder / "rows")
    together = ensemble_distillation.assemble(student_spec(), corpus, teacher)
    assert len(scored) == 8 + len(corpus.splits["train"])
    np.testing.assert_allclose(
        np.array(scored["teacher_logits"][:]), together.log_probabilities(scored["text"][:]), rtol=1e-4, atol=1e-4
    )


def test_a_student_and_its_teacher_each_read_with_their_own_tokenizer():
    corpus = corpora.load("sample")
    teacher = experiment.teacher(spec_of("baseline"), corpus)
    spec = student_spec(measuring={"repeats": 3, "energy_window": 0.01, "sequence_length": 8})
    stages = dispatch.compress(spec, corpus, teacher)
    record = student_assessment.measure(spec, corpus, stages, teacher, datetime.now(UTC))
    test = corpus.splits["test"]["text"]
    ours, theirs = (
        np.array(experiment.predict_logits(spec, test, *experiment.load(stage, "fp32")).argmax(-1))
        for stage in (stages[-1], teacher)
    )
    clean = np.array(list(record.row_views)) == "2"
    assert record.predictions == ours.tolist()
    assert record.agreement == pytest.approx((ours == theirs)[clean].mean())
    assert record.weight_bytes == 4 * record.parameters.total


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(("technique", "parameters", "reason"), [
    ("one_shot", {}, "one_shot takes pruning_level above 0"),
    ("minitron", {}, "pruning_level above 0, minitron.num_hidden_layers or minitron.num_attention_heads"),
    ("minitron", {"minitron": {"num_hidden_layers": 4}}, "minitron.num_hidden_layers 4 must not exceed"),
    ("minitron", {"minitron": {"num_attention_heads": 3}},
     "minitron.num_attention_heads 3 must not exceed the architecture's num_attention_heads 2"),
    ("minitron", {"minitron": {"num_attention_heads": 0}}, "minitron.num_attention_heads = 0"),
    ("from_scratch", {"pruning_level": 0.5, "model": "a/b"}, "and no model"),
    ("vocabulary_trimming", {"vocabulary": {"size": 201}}, "vocabulary.size 201 must not exceed .* vocab_size 200"),
    ("vocabulary_trimming", {"distillation": "after"}, "unless pruning_level is above 0"),
    ("two_step_distillation", {"two_step": {**SIZES, "hidden_size": 7}}, "hidden_size 7 must be a multiple of .* 2"),
    ("two_step_distillation", {"two_step": {**SIZES, "hidden_size": 32}}, "hidden_size 32 must not exceed"),
    ("two_step_distillation", {"two_step": {**SIZES, "num_hidden_layers": 4}}, "num_hidden_layers 4 must not exceed"),
    ("two_step_distillation", {"two_step": {**SIZES, "positions": "with_padding"}}, "needs rows 'padded'"),
    ("two_step_distillation", {"two_step": SIZES, "pruning_level": 0.5}, "takes pruning_level 0"),
    ("two_step_distillation", {"two_step": {**SIZES, "order": ["depth", "width"]}}, r"order \['depth', 'width'\] must"),
    ("student", {"pruning_level": 0.5}, "student takes pruning_level 0"),
    ("student", {"student": {"max_position_embeddings": 16}, "fine_tuning": {"max_length": 17}},
     "fine_tuning.max_length 17 must not exceed student.max_position_embeddings 16"),
    ("student", {"student": {"max_position_embeddings": 24}, "measuring": {"sequence_length": 32}},
     "measuring.sequence_length 32 must not exceed student.max_position_embeddings 24"),
    ("student", {"student": {"num_attention_heads": 3}}, "hidden_size 64 must be a multiple of num_attention_heads 3"),
    ("quantization", {"pruning_level": 0.5}, "quantization.of 'baseline': baseline takes pruning_level 0"),
    ("quantization", {"precision": "bf16"}, "quantization takes precision 'fp32'"),
    ("quantization", {"quantization": {"scheme": "int2"}}, "quantization.scheme = 'int2'"),
    ("quantization", {"quantization": {"of": "two_step_distillation"}, "two_step": {**SIZES, "vocab_size": 201}},
     "two_step.vocab_size 201 must not exceed"),
])
def test_what_cannot_be_is_refused_by_name(technique, parameters, reason):
    with pytest.raises(LaghuError, match=reason) as caught:
        checked(RunSpec, {"technique": technique, **SETTINGS, **parameters})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("technique", "parameters", "name"), [
    ("one_shot", {"pruning_level": 0.75}, "one-shot-magnitude-75-seed0"),
    ("one_shot", {"pruning_level": 0.75, "one_shot": {"epochs": 0, "criterion": "first_order"}},
     "one-shot-first-order-75-untrained-seed0"),
    ("one_shot", {"pruning_level": 0.5, "distillation": "after", "one_shot": {"epochs": 0}},
     "one-shot-magnitude-50-after-seed0"),
    ("minitron", {"minitron": {"num_hidden_layers": 2}}, "minitron-2layers-seed0"),
    ("minitron", {"minitron": {"num_attention_heads": 1}, "pruning_level": 0.5}, "minitron-1heads-50-seed0"),
    ("minitron", {"minitron": {"num_hidden_layers": 2, "num_attention_heads": 1, "epochs": 0}},
     "minitron-2layers-1heads-untrained-seed0"),
    ("from_scratch", {"pruning_level": 0.5}, "from-scratch-50-seed0"),
    ("vocabulary_trimming", {"vocabulary": {"size": 190}, "pruning_level": 0.5, "distillation": "joint"},
     "vocabulary-trimming-190tokens-50-joint-seed0"),
    ("two_step_distillation", {"two_step": {**SIZES, "name": "tiny"}}, "two-step-tiny-seed0"),
    ("student", {}, "student-words-seed0"),
    ("quantization", {}, "quantization-int8-weights-seed0"),
    ("quantization", {"quantization": {"scheme": "int8-dynamic", "of": "pruning_distillation"}, "pruning_level": 0.5,
                      "distillation": "joint"}, "quantization-int8-dynamic-of-pruning-50-joint-seed0"),
])
def test_names_of_runs(technique, parameters, name):
    assert spec_of(technique, **parameters).run == name


def test_importance_is_not_taken_over_more_rows_than_there_are(corpus, teacher):
    spec = spec_of("one_shot", pruning_level=0.5, one_shot={"criterion": "first_order", "epochs": 0, "texts": 10**6})
    (cut,) = dispatch.compress(spec, corpus, teacher)
    assert [len(indices) for indices in cut.report["kept"]] == [8, 8, 8]
