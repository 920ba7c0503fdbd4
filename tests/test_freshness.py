import pytest
from fake_records import fake_record
from pydantic import Field, create_model

from laghu import freshness, provenance
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.spec import FineTuning, Pruning, RunSpec

SPEC = RunSpec(study="quick", technique="pruning", pruning_level=0.5, fine_tuning=FineTuning(epochs=2))
CODE = "its template, code or pinned versions changed"


def recorded(spec: RunSpec = SPEC, data: str = "data") -> RunRecord:
    """The record that this run on data of this digest would have left."""
    return fake_record(spec).model_copy(update={
        "data_sha256": data, "settings": spec.model_dump(mode="json"), "run_key": freshness.run_key(spec, data),
    })



def test_fresh_from_memory_and_from_disk(tmp_path):
    assert freshness.why_stale(recorded(), SPEC, "data") is None
    assert freshness.why_stale(RunRecord.load(recorded().save(tmp_path)), SPEC, "data") is None
    assert freshness.why_stale(recorded(), RunSpec.model_validate(recorded().settings), "data") is None


def test_changed_data():
    assert freshness.why_stale(recorded(), SPEC, "other data") == "the data changed"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"pruning_level": 0.25}, "pruning_level"), ({"seed": 3}, "seed"), ({"model": "a/b"}, "model"),
        ({"fine_tuning": FineTuning(epochs=3)}, "fine_tuning.epochs"),
        ({"fine_tuning": FineTuning()}, "fine_tuning.epochs"),  # back to the default is a change too
        ({"pruning": Pruning(attention="heads", epochs=1)}, "pruning.attention, pruning.epochs"),
    ],
)
def test_changed_parameters_are_named(changes, named):
    spec = SPEC.model_copy(update=changes)
    assert freshness.why_stale(recorded(), spec, "data") == f"parameters changed: {named}"


def test_a_parameter_written_out_at_its_default_changes_nothing():
    spelt = RunSpec(**SPEC.model_dump() | {"seed": 0, "pruning": Pruning().model_dump()})
    assert freshness.run_key(spelt, "data") == freshness.run_key(SPEC, "data")
    assert freshness.why_stale(recorded(), spelt, "data") is None


def test_the_study_is_no_part_of_the_key():
    assert freshness.run_key(SPEC.model_copy(update={"study": "cpu"}), "data") == freshness.run_key(SPEC, "data")


@pytest.fixture
def another_default():
    """`RunSpec` as it would be if somebody changed a default, made by pydantic and not by the code under test."""
    tuning = create_model("FineTuning", __base__=FineTuning, weight_decay=(float, 0.02))
    return create_model("RunSpec", __base__=RunSpec, fine_tuning=(tuning, tuning()))


@pytest.fixture
def one_more_parameter():
    """`RunSpec` as it would be if somebody added a parameter."""
    pruning = create_model("Pruning", __base__=Pruning, regrowth=(float, Field(0.0)))
    return create_model("RunSpec", __base__=RunSpec, pruning=(pruning, pruning()))


PLAIN = {"study": "quick", "technique": "pruning", "pruning_level": 0.5}


def test_a_default_that_changed_makes_old_records_stale(another_default):
    old, now = recorded(RunSpec(**PLAIN)), another_default(**PLAIN)
    assert freshness.run_key(now, "data") == old.run_key  # which is why the settings are compared as well
    assert freshness.why_stale(old, now, "data") == "parameters changed: fine_tuning.weight_decay"


def test_a_parameter_that_was_added_leaves_old_records_fresh(one_more_parameter):
    old = recorded(RunSpec(**PLAIN))
    assert freshness.why_stale(old, one_more_parameter(**PLAIN), "data") is None
    used = one_more_parameter(**PLAIN, pruning={"regrowth": 0.1})
    assert freshness.why_stale(old, used, "data") is not None


def test_a_parameter_that_was_removed_makes_old_records_stale():
    old = recorded()
    settings = old.settings | {"pruning": old.settings["pruning"] | {"gone": 1}}
    old = old.model_copy(update={"settings": settings})
    assert freshness.why_stale(old, SPEC, "data") == "parameters changed: pruning.gone"


def test_changed_code_template_and_pins(home, monkeypatch):
    record = recorded()
    assert freshness.why_stale(record, SPEC, "data") is None
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "_stripped_module", lambda name: "another program")
        assert freshness.why_stale(record, SPEC, "data") == CODE
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "pins", lambda: {"torch": "1.0.0"})
        assert freshness.why_stale(record, SPEC, "data") == CODE
    template = home / "notebooks" / "pruning.ipynb"
    before = template.read_text(encoding="utf-8")
    template.write_text(before.replace("experiment.teacher(spec, data)", "experiment.teacher(spec, 0)"))
    assert freshness.why_stale(record, SPEC, "data") == CODE
    template.write_text(before)
    assert freshness.why_stale(record, SPEC, "data") is None


def test_current_needs_record_and_notebook(home, monkeypatch):
    monkeypatch.setattr(freshness, "data_sha256", lambda spec: "data")
    folder = home / "results" / "quick"
    assert not freshness.is_current(SPEC)
    file = recorded().save()
    assert not freshness.is_current(SPEC)
    (folder / f"{SPEC.run}.ipynb").write_text("{}")
    assert freshness.is_current(SPEC)
    assert not freshness.is_current(SPEC.model_copy(update={"fine_tuning": FineTuning()}))
    file.write_text(file.read_text()[:50])
    assert not freshness.is_current(SPEC)


def test_data_digest_follows_what_the_run_reads(monkeypatch):
    def of(**parameters) -> str:
        return freshness.data_sha256(RunSpec(**parameters))

    baseline = of(technique="baseline")
    assert of(technique="pruning", pruning_level=0.5, seed=4) == baseline
    # Neither the classical row nor a downloaded encoder reads the unlabelled text.
    assert of(technique="classical") == of(technique="baseline", model="a/b") != baseline
    monkeypatch.delenv("LAGHU_DATA_DIR", raising=False)
    with pytest.raises(LaghuError, match="marathi-text"):
        of(technique="baseline", pretraining={"text": "marathi-text"})
