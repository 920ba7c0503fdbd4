"""Code that is declared to give what the code before it gave."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fake_records import fake_record
from safetensors.numpy import save_file

import laghu
from laghu import equality, freshness, provenance
from laghu.errors import LaghuError
from laghu.records import StageReport
from laghu.spec import RunSpec

SOURCE = Path(laghu.__file__).parent
SPEC = RunSpec(study="cpu", technique="pruning", pruning_level=0.5, seed=1)
STAGE = {
    "name": "pruned", "key": "1" * 64, "steps": 9, "seconds": 1, "resumed_at_step": 0, "energy_kwh": 1, "co2e_kg": 1,
}
RECORD = fake_record(SPEC).model_copy(update={"stages": [StageReport(**STAGE)]})


@pytest.fixture(autouse=True)
def nothing_remembered():
    provenance._earlier_sources.cache_clear()
    provenance._stripped_module.cache_clear()
    yield
    provenance._earlier_sources.cache_clear()
    provenance._stripped_module.cache_clear()


# ------------------------------------------------------------------------------------------------ keys


@pytest.fixture
def package(home, monkeypatch) -> Path:
    """Three modules in the place of laghu's; `a` reaches `b`."""
    folder = home / "package"
    folder.mkdir()
    for name, source in {"a": "from laghu import b\n", "b": "x = 1\n", "new": "y = 2\n"}.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.setattr(provenance, "_PACKAGE", folder)
    return folder


def change(package: Path, source: str) -> None:
    (package / "b.py").write_text(source)
    provenance._stripped_module.cache_clear()
    provenance._earlier_sources.cache_clear()


def test_keys_of_the_code_before_are_good_while_the_declared_code_stands(home, package):
    published = provenance.code_digest(["a"])
    folder = home / "results" / "earlier-code" / "change"
    folder.mkdir(parents=True)
    shutil.copy(package / "b.py", folder)
    change(package, "from laghu.new import y\nx = y - 1\n")
    (folder / "equal.json").write_text(json.dumps({"modules": {"b": provenance.module_digest("b")}}))
    provenance._earlier_sources.cache_clear()
    now = provenance.code_digest(["a"])
    assert now != published
    assert provenance.code_digests(["a"]) == [now, published]  # `new`, which the code before does not reach, left out
    assert provenance.code_digests(["new"]) == [provenance.code_digest(["new"])]
    change(package, "from laghu.new import y\nx = y\n")
    assert provenance.code_digests(["a"]) == [provenance.code_digest(["a"])]


def test_a_record_of_the_code_before_is_current_and_a_new_one_has_the_key_of_the_code_as_it_is(home, monkeypatch):
    monkeypatch.setattr(provenance, "code_digests", lambda modules: ["now", "before"])
    keys = provenance.run_keys("pruning", {}, "data")
    assert len(set(keys)) == 2
    monkeypatch.setattr(provenance, "run_keys", lambda *_: keys)
    record = RECORD.model_copy(update={"settings": SPEC.model_dump(mode="json"), "data_sha256": "data"})
    for key, reason in [(keys[0], None), (keys[1], None), ("other", "its template, code or pinned versions changed")]:
        assert freshness.why_stale(record.model_copy(update={"run_key": key}), SPEC, "data") == reason
    assert freshness.run_key(SPEC, "data") == keys[0]


# ------------------------------------------------------------------------------------------------ declaring


@pytest.fixture
def repository(home) -> Path:
    """A checkout under git, whose commit has another `compression/surgery.py` than the code that runs, and a record."""
    shutil.copytree(SOURCE, home / "src" / "laghu", ignore=shutil.ignore_patterns("__pycache__", "fonts"))
    surgery = home / "src" / "laghu" / "compression" / "surgery.py"
    surgery.write_text(surgery.read_text(encoding="utf-8") + "\n\nBEFORE = 1\n", encoding="utf-8")
    git = ["git", "-C", str(home), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "src"], ["commit", "-qm", "before"]):
        subprocess.run([*git, *arguments], check=True)
    write(home, RECORD, b"same")
    return home


@pytest.fixture
def again(tmp_path_factory):
    """Makes a checkout in which the run was made again."""

    def make(weights: bytes = b"same", **changes) -> Path:
        folder = tmp_path_factory.mktemp("again")
        stages = [StageReport(**STAGE | {"key": "2" * 64})]
        update = {"run_key": "another", "train_seconds": 9.0, "commit": "c", "stages": stages} | changes
        write(folder, RECORD.model_copy(update=update), weights)
        return folder

    return make


def write(home: Path, record, weights: bytes) -> None:
    record.save(home / "results" / "cpu")
    for stage in record.stages:
        folder = home / "checkpoints" / f"{stage.name}-{stage.key[:16]}" / "model"
        folder.mkdir(parents=True)
        save_file({"w": np.frombuffer(weights, dtype=np.uint8)}, folder / "model.safetensors")


def test_equal_runs_declare_what_changed_and_keep_the_code_before(repository, again):
    file = equality.declare("change", "HEAD", again(), ["cpu/pruning-50-seed1"], "a reason")
    content = json.loads(file.read_text(encoding="utf-8"))
    assert file == repository / "results" / "earlier-code" / "change" / "equal.json"
    assert content["modules"] == {"compression.surgery": provenance.module_digest("compression.surgery")}
    assert content["why"] == "a reason"
    evidence = content["made_again"]["cpu/pruning-50-seed1"]
    assert {"predictions", "accuracy", "parameters"} <= set(evidence["fields"])
    assert "train_seconds" not in evidence["fields"] and list(evidence["weights_sha256"]) == ["pruned"]
    kept = (file.parent / "compression.surgery.py").read_text(encoding="utf-8")
    assert kept.endswith("BEFORE = 1\n")
    modules = ["techniques.pruning"]
    assert len(provenance.code_digests(modules)) == 2


@pytest.mark.parametrize(("changes", "said"), [
    ({"predictions": [1] * 2761}, "is not what it was: predictions"),
    ({"surgery_error": 0.5}, "is not what it was: surgery_error"),
    ({"run_key": RECORD.run_key}, "was not made with other code"),
    ({"settings": {**RECORD.settings, "seed": 7}}, "with other parameters: seed"),
    ({"weights": b"else"}, "the weights of stage"),
])
def test_unequal_runs_declare_nothing(repository, again, changes, said):
    with pytest.raises(LaghuError, match=said):
        equality.declare("change", "HEAD", again(**changes), ["cpu/pruning-50-seed1"], "a reason")
    assert not (repository / "results" / "earlier-code").exists()


def test_nothing_changed_and_no_such_run(repository, again):
    with pytest.raises(LaghuError, match=r"no record pruning-75-seed1\.json"):
        equality.declare("change", "HEAD", again(), ["cpu/pruning-75-seed1"], "a reason")
    with pytest.raises(LaghuError, match="no module has changed since nowhere"):
        equality.declare("change", "nowhere", again(), ["cpu/pruning-50-seed1"], "a reason")


def test_what_is_declared_in_this_repository_holds():
    """A declaration that has ended has nothing to say, and its folder would only mislead."""
    repository = Path(__file__).parents[1]
    for file in (repository / "results" / "earlier-code").glob("*/equal.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        assert {each.stem for each in file.parent.glob("*.py")} == set(content["modules"])
        for module, then in content["modules"].items():
            assert provenance.module_digest(module) == then, module
            before = file.with_name(f"{module}.py").read_text(encoding="utf-8")
            assert provenance.source_digest(before) != then, module
        assert content["made_again"] and all(each["fields"] for each in content["made_again"].values())
