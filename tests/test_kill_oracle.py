"""The kill test would find what it looks for: each harm to a finished study is seen, and a finished one is not."""

import json
from random import Random

import nbformat
import numpy as np
import pytest
from fake_records import fake_record
from kill import attack, study
from kill.study import State
from kill.tally import Tally
from safetensors.numpy import save_file

from laghu.spec import RunSpec

RUN = "baseline-seed0"
STAGE = "baseline-0123456789abcdef"


@pytest.fixture
def home(tmp_path):
    """A folder with one finished run and its stage."""
    results = tmp_path / "results" / study.NAME
    fake_record(RunSpec(study=study.NAME, technique="baseline")).save(results)
    cell = nbformat.v4.new_code_cell("1", execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), str(results / f"{RUN}.ipynb"))
    model = tmp_path / "checkpoints" / STAGE / "model"
    model.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (model / name).write_text('{"a": 1}')
    (model.parent / "report.json").write_text('{"steps": 1}')
    save_file({"weight": np.arange(4.0)}, model / "model.safetensors")
    return tmp_path


def test_a_finished_study_is_as_it_should_be(home):
    state = study.look(home)
    assert not state.wrong and not state.leftovers
    assert list(state.records) == list(state.pairs) == [RUN] and list(state.stages) == [STAGE]
    assert not study.against(state, state) and not study.lost(state, state)


@pytest.mark.parametrize(
    "file",
    [f"results/{study.NAME}/{RUN}.json", f"results/{study.NAME}/{RUN}.ipynb", f"checkpoints/{STAGE}/report.json",
     f"checkpoints/{STAGE}/model/model.safetensors", f"checkpoints/{STAGE}/model/tokenizer.json"],
)
def test_half_of_a_file_is_seen(home, file):
    content = (home / file).read_bytes()
    (home / file).write_bytes(content[: len(content) // 2])
    assert study.look(home).wrong


@pytest.mark.parametrize("name", [f"results/{study.NAME}/.{RUN}.json.4711", f"checkpoints/{STAGE}.half"])
def test_what_nobody_knows_of_is_seen(home, name):
    (home / name).touch()
    assert study.look(home).wrong


def test_a_notebook_without_its_record_or_not_to_its_end_is_seen(home):
    notebook = home / "results" / study.NAME / f"{RUN}.ipynb"
    content = json.loads(notebook.read_text())
    content["cells"][0]["execution_count"] = None
    notebook.write_text(json.dumps(content))
    assert "not executed to its end" in study.look(home).wrong[0]
    notebook.with_suffix(".json").unlink()
    assert "has no record" in study.look(home).wrong[1]


def test_what_is_gone_or_another_is_lost_or_differs(home):
    before = study.look(home)
    save_file({"weight": np.arange(4.0) + 1}, home / "checkpoints" / STAGE / "model" / "model.safetensors")
    record = home / "results" / study.NAME / f"{RUN}.json"
    record.write_text(record.read_text().replace('"technique": "baseline"', '"technique": "pruning"'))
    after = study.look(home)
    assert len(study.against(after, before)) == 2 and study.lost(before, after) == [f"{RUN} was finished"]
    assert study.lost(before, State()) == [f"{RUN} was finished", f"stage {STAGE} was finished"]


def test_a_tally_passes_only_without_losses():
    assert Tally().passed
    assert not any(Tally(**{name: 1}).passed for name in ("lost", "half_written", "differing", "stuck", "orphans"))


def test_the_same_seed_gives_the_same_blows():
    def blows(seed: int) -> list[attack.Blow]:
        random = Random(seed)
        counts = {("study", "open"): 9, ("kernel", "os.rename"): 4}
        return [attack.blow(random, number % 5 == 0, 20.0, counts, lambda *told: None) for number in range(50)]

    assert blows(1) == blows(1) != blows(2)
    assert {blow.whom for blow in blows(1)} == {attack.EVERYTHING, attack.FIRST, attack.GROUP, attack.KERNEL}
