import datetime
import itertools
import math
import types

import pytest
import yaml

from laghu.errors import LaghuError
from laghu.spec import Architecture, CostRun, CostSpec, FineTuning, Pruning, RunSpec, Study, checked


def refusal(technique: str = "pruning", **parameters) -> str:
    with pytest.raises(LaghuError) as caught:
        RunSpec.from_parameters(parameters, technique)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ------------------------------------------------------------------------------------------------ wrong input


@pytest.mark.parametrize(
    ("value", "shown", "right"),
    [
        (1.5, "1.5", "less than 1"), (1, "1", "less than 1"), (-0.1, "-0.1", "greater than or equal to 0"),
        ("half", "'half'", "number"), (None, "None", "number"), (math.nan, "nan", "finite"), ([0.5], "[0.5]", "number"),
    ],
)
def test_pruning_level_out_of_bounds(value, shown, right):
    message = refusal(pruning_level=value)
    assert message.startswith(f"pruning_level = {shown}: ")
    assert right in message


def test_misspelt_parameter():
    message = refusal(pruning_level=0.5, prunning_level=0.25)
    assert message.startswith("unknown parameter 'prunning_level'; RunSpec takes study, technique, pruning_level, ")


def test_misspelt_nested_parameter():
    message = refusal(pruning_level=0.5, fine_tuning={"epoch": 3})
    assert message == f"unknown parameter 'fine_tuning.epoch'; FineTuning takes {', '.join(FineTuning.model_fields)}"


def test_every_mistake_is_named():
    message = refusal(pruning_level=0.5, seeds=1, pruning={"method": "magnitude"}, fine_tuning={"batch_size": 0})
    assert [part.split(" = ")[0] for part in sorted(message.split("; ")) if " = " in part] == [
        "fine_tuning.batch_size", "pruning.method",
    ]
    assert "'magnitude'" in message and "unknown parameter 'seeds'" in message


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("corpus", "mahanews", "'sib200-marathi', 'mahasent' or 'sample'"),
        ("precision", "int8", "'fp32', 'fp16' or 'bf16'"), ("distillation", True, "'none', 'joint' or 'after'"),
        ("seed", -1, "greater than or equal to 0"), ("seed", 0.5, "integer"), ("study", "My study", "pattern"),
        ("study", "../elsewhere", "pattern"), ("fine_tuning", 5, "FineTuning"), ("model", 3, "string"),
    ],
)
def test_wrong_value_of_any_parameter(name, value, right):
    message = refusal(**{"pruning_level": 0.5, name: value})
    assert message.startswith(f"{name} = {value!r}: ")
    assert right in message


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("pruning", {"warm_up": 0.7, "cool_down": 0.4}, "warm_up 0.7 + cool_down 0.4 must not exceed 1"),
        ("architecture", {"hidden_size": 30}, "hidden_size 30 must be a multiple of num_attention_heads 4"),
    ],
)
def test_settings_that_do_not_go_together(name, values, message):
    assert refusal(**{"pruning_level": 0.5, name: values}) == f"{name} = {values}: {message}"


@pytest.mark.parametrize(
    ("technique", "parameters"),
    [
        ("baseline", {"pruning_level": 0.5}), ("baseline", {"distillation": "joint"}),
        ("classical", {"pruning_level": 0.5}), ("classical", {"distillation": "after"}),
        ("pruning", {}), ("pruning", {"pruning_level": 0.0}),
        ("pruning", {"pruning_level": 0.5, "distillation": "after"}),
        ("pruning_distillation", {"pruning_level": 0.5}), ("pruning_distillation", {"distillation": "joint"}),
        ("mixed_precision", {}), ("mixed_precision", {"pruning_level": 0.5}),
    ],
)
def test_technique_and_parameters_that_contradict_each_other(technique, parameters):
    assert refusal(technique, **parameters).startswith(f"{technique} takes ")


def test_unknown_technique():
    assert "'quantisation'" in refusal("quantisation")


# ------------------------------------------------------------------------------------------------ namespaces


def test_what_a_notebook_holds_besides_its_parameters_is_ignored():
    def function():
        pass

    namespace = {
        "pruning_level": 0.5, "seed": 3, "fine_tuning": {"epochs": 1},
        "__name__": "__main__", "__builtins__": {}, "_": 4, "_i1": "seed = 3", "_dh": ["/"],
        "In": ["", "seed = 3"], "Out": {}, "get_ipython": function, "exit": object(), "quit": object(), "open": open,
        "math": math, "function": function, "RunSpec": RunSpec, "date": datetime.datetime, "types": types,
    }
    spec = RunSpec.from_parameters(namespace, "pruning")
    assert spec == RunSpec(technique="pruning", pruning_level=0.5, seed=3, fine_tuning=FineTuning(epochs=1))
    assert spec.model_fields_set == {"technique", "pruning_level", "seed", "fine_tuning"}


def test_the_cell_can_be_run_again():
    """The template's own imports stand above the call, and its results below it."""
    namespace = {"pruning_level": 0.5, "UTC": datetime.UTC}
    namespace["spec"] = RunSpec.from_parameters(namespace, "pruning")
    namespace["started"] = datetime.datetime.now(datetime.UTC)
    assert RunSpec.from_parameters(namespace, "pruning") == namespace["spec"]


@pytest.mark.parametrize("value", [0.25, "x", [1], {"a": 1}, None, True, 3])
def test_any_plain_value_of_another_name_is_refused(value):
    assert "unknown parameter 'levels'" in refusal(pruning_level=0.5, levels=value)


def test_the_template_and_not_the_parameters_say_the_technique():
    assert RunSpec.from_parameters({"technique": "pruning"}, "baseline").technique == "baseline"


def test_a_spec_does_not_change():
    spec = RunSpec(technique="baseline")
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 1
    assert checked(Architecture, {"hidden_size": 64}).hidden_size == 64
    assert checked(Pruning, {"warm_up": 0.5, "cool_down": 0.5}).warm_up == 0.5


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"technique": "baseline"}, "baseline-seed0"), ({"technique": "classical", "seed": 2}, "classical-seed2"),
        ({"technique": "pruning", "pruning_level": 0.25}, "pruning-25-seed0"),
        ({"technique": "pruning", "pruning_level": 0.125}, "pruning-12p5-seed0"),
        ({"technique": "pruning_distillation", "pruning_level": 0.5, "distillation": "joint", "seed": 1},
         "pruning-50-joint-seed1"),
        ({"technique": "mixed_precision", "precision": "bf16"}, "mixed-precision-bf16-seed0"),
        ({"technique": "mixed_precision", "precision": "fp16", "pruning_level": 0.75, "distillation": "after"},
         "mixed-precision-75-after-fp16-seed0"),
    ],
)
def test_run_names(parameters, name):
    assert RunSpec(**parameters).run == name


def test_run_names_tell_all_runs_apart():
    names, specs = set(), 0
    for technique, level, distillation, precision, seed in itertools.product(
        ["baseline", "pruning", "pruning_distillation", "mixed_precision", "classical"],
        [0.0, 0.1, 0.25, 0.255, 0.5, 0.75, 0.9], ["none", "joint", "after"], ["fp32", "fp16", "bf16"], [0, 1, 11],
    ):
        try:
            spec = checked(RunSpec, {
                "technique": technique, "pruning_level": level, "distillation": distillation, "precision": precision,
                "seed": seed,
            })
        except LaghuError:
            continue
        names.add(spec.run)
        specs += 1
    assert len(names) == specs > 100


# ------------------------------------------------------------------------------------------------ studies


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Writes `studies/mine.yaml` and loads it."""
    (tmp_path / "studies").mkdir()
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))

    def load(content: dict | str) -> Study:
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (tmp_path / "studies" / "mine.yaml").write_text(text, encoding="utf-8")
        return Study.load("mine")

    return load


CONTENT = {
    "title": "A study", "seeds": [1, 2], "common": {"corpus": "mahanews-open", "fine_tuning": {"epochs": 2}},
    "runs": [{"technique": "baseline"}, {"technique": "pruning", "pruning_level": 0.5}],
}


def test_a_study_is_its_runs_for_each_seed(study):
    loaded = study(CONTENT)
    assert (loaded.name, loaded.title) == ("mine", "A study")
    assert [(spec.technique, spec.pruning_level, spec.seed) for spec in loaded.runs] == [
        ("baseline", 0, 1), ("pruning", 0.5, 1), ("baseline", 0, 2), ("pruning", 0.5, 2),
    ]
    shared = {(spec.study, spec.corpus, spec.fine_tuning.epochs) for spec in loaded.runs}
    assert shared == {("mine", "mahanews-open", 2)}
    assert loaded.find("pruning-50-seed2") == loaded.runs[3]
    with pytest.raises(LaghuError, match=r"^study 'mine' has no run 'pruning-25-seed1'; it has baseline-seed1, "):
        loaded.find("pruning-25-seed1")


def test_a_row_may_have_fewer_seeds_than_its_study(study):
    rows = [CONTENT["runs"][0], CONTENT["runs"][1] | {"seeds": [2]}]
    loaded = study(CONTENT | {"runs": rows})
    assert [spec.run for spec in loaded.runs] == ["baseline-seed1", "baseline-seed2", "pruning-50-seed2"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (CONTENT | {"runs": [{"technique": "baseline", "seeds": [3]}]}, "a row's seeds = [3] must be a list of"),
        (CONTENT | {"runs": [{"technique": "baseline", "seeds": 1}]}, "a row's seeds = 1 must be a list of"),
        (CONTENT | {"runs": [{"technique": "baseline", "seeds": []}]}, "a row's seeds = [] must be a list of"),
        (CONTENT | {"seeds": [1, 1]}, "mine.yaml: lists baseline-seed1, pruning-50-seed1 more than once"),
        (CONTENT | {"runs": CONTENT["runs"][:1] * 2}, "mine.yaml: lists baseline-seed1, baseline-seed2 more than once"),
        (CONTENT | {"sedes": [1]}, "mine.yaml: unknown key sedes; it takes title, seeds, common and runs"),
        ({k: v for k, v in CONTENT.items() if k != "seeds"}, "mine.yaml: needs title, seeds, common and runs"),
        ("just text", "mine.yaml: needs title, seeds, common and runs"),
        ("", "mine.yaml: needs title, seeds, common and runs"),
        ("runs: [", "mine.yaml: needs title, seeds, common and runs"),
        (CONTENT | {"runs": [{"technique": "pruning", "pruning_level": 2}]}, "pruning_level = 2"),
        (CONTENT | {"common": {"corpora": "sample"}}, "unknown parameter 'corpora'"),
        (CONTENT | {"common": {"fine_tuning": {"epoch": 2}}}, "unknown parameter 'fine_tuning.epoch'"),
        (CONTENT | {"seeds": ["one"]}, "seed = 'one'"),
        (CONTENT | {"cost": 3}, "mine.yaml: cost = 3 must be a mapping"),
        (CONTENT | {"cost": {"precision": "fp32"}}, "unknown parameter 'precision'; CostSpec takes precisions, "),
        (CONTENT | {"cost": {"precisions": ["fp8"]}}, "precisions.0 = 'fp8': "),
        (CONTENT | {"cost": {"batch_sizes": [1, 1]}}, "batch_sizes [1, 1] must not name one twice"),
        (CONTENT | {"cost": {"sequence_lengths": [32, 513]}}, "must not exceed the shape's 512 positions"),
        (CONTENT | {"ships": "pruning-50"}, "ships = 'pruning-50' is none of its runs; they are baseline-seed1, "),
        (CONTENT | {"runs": [{"technique": "quantization"}], "ships": "quantization-int8-weights-seed1"},
         "ships = 'quantization-int8-weights-seed1' gives no checkpoint for transformers"),
        (CONTENT | {"common": None}, "mine.yaml"),
        (CONTENT | {"seeds": 3}, "mine.yaml"),
        (CONTENT | {"runs": ["baseline"]}, "mine.yaml"),
    ],
)
def test_mistakes_in_a_study_are_one_line(study, content, expected):
    with pytest.raises(LaghuError) as caught:
        study(content)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message


def test_a_study_may_have_a_cost_track(study):
    assert study(CONTENT).cost is None
    assert study(CONTENT | {"cost": {}}).cost == CostSpec()
    given = {"precisions": ["bf16"], "levels": [0.5], "shape": {"hidden_size": 24}}
    settings = study(CONTENT | {"cost": given}).cost
    assert (settings.precisions, settings.levels, settings.shape.hidden_size) == (("bf16",), (0.5,), 24)
    assert settings.shape.vocab_size == 197_285  # what is left out stays the paper's


def test_a_cost_run_is_built_from_a_namespace():
    namespace = {"precision": "tf32", "settings": {"repeats": 5}, "CostRun": CostRun, "__name__": "__main__"}
    assert CostRun.from_parameters(namespace) == CostRun(precision="tf32", settings=CostSpec(repeats=5))
    with pytest.raises(LaghuError, match=r"^unknown parameter 'repeats'; CostRun takes study, precision, settings$"):
        CostRun.from_parameters(namespace | {"repeats": 5})


def test_a_study_that_is_not_there(study):
    study(CONTENT)
    with pytest.raises(LaghuError, match=r"^no study 'your' in studies/; there are: mine$"):
        Study.load("your")


@pytest.mark.parametrize(
    "name", ["quick", "cpu", "cpu-ablations", "cpu-words", "cpu-sib200", "cpu-mahasent", "cpu-bengali", "cpu-english"]
)
def test_studies_of_this_repository(name):
    loaded = Study.load(name)
    assert len({spec.run for spec in loaded.runs}) == len(loaded.runs)
    for spec in loaded.runs:
        # McNemar, speed-up and agreement are against the baseline of the same seed.
        assert loaded.find(f"baseline-seed{spec.seed}")
    settings = [spec.model_dump(include={"corpus", "measuring", "architecture", "pretraining"}) for spec in loaded.runs]
    assert all(other == settings[0] for other in settings)


@pytest.mark.parametrize("name", ["cpu-ablations", "cpu-words", "cpu-sib200", "cpu-mahasent"])
def test_other_marathi_tasks_take_the_encoder_of_the_cpu_study(name):
    encoder = {"architecture", "pretraining"}
    loaded = Study.load(name)
    first, of_cpu = (*loaded.runs, *loaded.tokens)[0], Study.load("cpu").runs[0]
    assert first.model_dump(include=encoder) == of_cpu.model_dump(include=encoder)
