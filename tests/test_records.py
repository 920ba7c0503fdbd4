import errno
import json
import os
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from fake_records import fake_record, fake_study

from laghu import records
from laghu.errors import LaghuError
from laghu.records import CostRecord, RunRecord, StageReport
from laghu.report import tables
from laghu.spec import RunSpec

REPOSITORY = Path(__file__).parents[1]
NOT_IN_THE_FRAME = {"predictions", "right", "row_views", "settings", "stages"}


@pytest.fixture
def record() -> RunRecord:
    spec = RunSpec(study="quick", technique="pruning", pruning_level=0.5, model="l3cube-pune/marathi-bert-v2")
    return fake_record(spec).model_copy(update={"hardware": {"cpu": "दुसर्‍या पिढीचा प्रोसेसर™"}})


# ------------------------------------------------------------------------------------------------ saving, loading


def test_round_trip(record, tmp_path):
    file = record.save(tmp_path / "new" / "folder")
    assert file == tmp_path / "new" / "folder" / "pruning-50-seed0.json"
    assert RunRecord.load(file) == record
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_record_goes_to_the_results_of_its_study(record, home):
    assert record.save() == home / "results" / "quick" / "pruning-50-seed0.json"
    assert records.load_study("quick") == [record]
    assert records.load_study("cpu") == []


def test_the_file_is_readable_json(record, tmp_path):
    text = record.save(tmp_path).read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["predictions"] == record.predictions
    assert content["accuracy"]["clean"]["value"] == record.accuracy.clean.value
    (line,) = [line for line in text.splitlines() if '"predictions"' in line]
    assert [int(number) for number in re.findall(r"\d+", line)] == record.predictions
    assert "दुसर्‍या पिढीचा प्रोसेसर™" in text
    assert len(text.splitlines()) < 250 and text.endswith("}\n")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_record(record, tmp_path, monkeypatch, failing):
    file = record.save(tmp_path)
    before = file.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LaghuError) as caught:
        record.model_copy(update={"seed": 7}).save(tmp_path)
    assert str(caught.value) == f"record {file.name} can't be written to {tmp_path}: No space left on device"
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_the_old_record_stands_until_the_new_one_is_whole(record, tmp_path, monkeypatch):
    """What another process would read at the moment the new text is complete and synced, but not renamed."""
    file = record.save(tmp_path)
    seen = []
    original = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (original(handle), seen.append(RunRecord.load(file))))
    changed = record.model_copy(update={"commit": "another"})
    changed.save(tmp_path)
    assert seen == [record, changed]  # before the new name, and after it for the folder
    assert RunRecord.load(file) == changed


def one_line(file: Path) -> str:
    with pytest.raises(LaghuError) as caught:
        RunRecord.load(file)
    message = str(caught.value)
    assert "\n" not in message and file.name in message
    return message


def test_a_truncated_record_is_one_line(record, tmp_path):
    file = record.save(tmp_path)
    content = file.read_bytes()
    for length in (0, 1, len(content) // 3, len(content) // 2, len(content) - 3):
        file.write_bytes(content[:length])
        assert "is not a record: content: Invalid JSON" in one_line(file)


def test_a_record_truncated_within_a_letter_is_one_line(record, tmp_path):
    file = record.save(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[: content.index("प".encode()) + 1])
    assert "is not a record" in one_line(file)


def test_a_record_of_other_fields_names_them(record, tmp_path):
    file = record.save(tmp_path)
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"accurracy": 1}))
    assert "accurracy: Extra inputs are not permitted" in one_line(file)
    del content["seed"]
    file.write_text(json.dumps(content))
    assert "seed: Field required" in one_line(file)
    content |= {"seed": 0, "accuracy": content["accuracy"] | {"clean": {"value": 91.4, "low": 0.9, "high": 0.92}}}
    file.write_text(json.dumps(content))  # a percentage where a fraction belongs
    assert "accuracy.clean.value: Input should be less than or equal to 1" in one_line(file)


def test_a_missing_record_is_one_line(tmp_path):
    assert one_line(tmp_path / "baseline-seed0.json").startswith("no record baseline-seed0.json in ")


# ------------------------------------------------------------------------------------------------ cost


@pytest.fixture
def cost_record() -> CostRecord:
    when = "2026-11-20T12:00:00Z"
    lost = {"row": "baseline", "pruning_level": 0.0, "sequence_length": 128, "batch_size": 256,
            "outcome": "out of memory", "parameters": 10, "weight_bytes": 40, "flops_per_token": 7, "flop_bound": 1.0}
    return CostRecord.model_validate({
        "study": "gpu", "precision": "tf32", "engine": "invented", "cells": [lost], "settings": {"repeats": 3},
        "grid_g_per_kwh": 700.0, "hardware": {"gpu": "Invented"}, "versions": {}, "commit": "0", "run_key": "0",
        "started": when, "finished": when,
    })


def test_a_cost_record_lies_in_a_folder_of_its_own(cost_record, home):
    file = cost_record.save()
    assert file == home / "results" / "gpu" / "cost" / "tf32.json"
    assert CostRecord.load(file) == cost_record
    fp32 = cost_record.model_copy(update={"precision": "fp32"})
    fp32.save()
    assert records.load_costs("gpu") == [fp32, cost_record]
    assert records.load_study("gpu") == [] == records.load_costs("cpu")


def test_a_cost_record_that_is_none_is_one_line(cost_record, tmp_path):
    file = cost_record.save(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"out of memory", b"lost"))
    with pytest.raises(LaghuError, match=r"tf32.json is not a record: cells.0.outcome: Input should be 'measured' or"):
        CostRecord.load(file)


# ------------------------------------------------------------------------------------------------ frame


def flat(content: dict, prefix: str = "") -> dict:
    """Dotted names and values, by hand."""
    values = {}
    for name, value in content.items():
        if isinstance(value, dict):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


def test_frame_has_a_column_for_each_dotted_name():
    study = fake_study()
    table = records.frame(study)
    expected = [
        flat({name: value for name, value in record.model_dump().items() if name not in NOT_IN_THE_FRAME})
        | {"resumed": False, "taught_by_ensemble": False}
        for record in study
    ]
    assert set(table.columns) == set().union(*expected)
    assert {"accuracy.clean.value", "mcnemar.p_value", "timing.precision", "versions.torch"} <= set(table.columns)
    assert len(table) == len(study)
    for (_, row), values in zip(table.iterrows(), expected, strict=True):
        for name in table.columns:
            value = values.get(name)
            missing = value is None and (row[name] is None or row[name] != row[name])
            assert missing or np.all(row[name] == value), name


def test_the_frame_says_whose_training_was_interrupted_and_tables_hide_its_cost():
    study = fake_study()
    own = next(record for record in study if record.run == "pruning-50-seed1")
    whole = next(record for record in study if record.run == "pruning-50-seed2")
    stages = [StageReport(name="pruned", key="k", steps=9, seconds=1, resumed_at_step=3, energy_kwh=1, co2e_kg=1)]
    frame = tables.derived(records.frame(
        [record.model_copy(update={"stages": stages}) if record is own else record for record in study]
    ))
    assert frame["resumed"].sum() == 1 and frame.loc[own.run, "resumed"]
    assert np.isnan(frame.loc[own.run, ["train_seconds", "energy_kwh", "co2e_kg"]].astype(float)).all()
    assert frame.loc[whole.run, "train_seconds"] == whole.train_seconds
    assert frame.loc[own.run, "documents_per_second"] == own.documents_per_second


def test_frame_of_nothing_is_empty():
    assert records.frame([]).empty


# ------------------------------------------------------------------------------------------------ schema


def test_committed_schema_is_the_current_one():
    committed = (REPOSITORY / "results" / "record.schema.json").read_text(encoding="utf-8")
    assert committed == records.json_schema(), "write it anew: laghu schema"


def test_schema_accepts_what_is_saved_and_refuses_a_percentage(record, tmp_path):
    schema = json.loads(records.json_schema())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for other in [record, *fake_study(seeds=(1,))]:
        content = json.loads(other.save(tmp_path).read_text(encoding="utf-8"))
        validator.validate(content)
    content["accuracy"]["clean"]["value"] = 91.4
    assert [error.json_path for error in validator.iter_errors(content)] == ["$.accuracy.clean.value"]
    assert not validator.is_valid(content | {"another": 1})
