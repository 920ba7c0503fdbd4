"""What `make fuzz` does a hundred thousand times, a few thousand times: only our own error comes out of a reader.

Hypothesis chooses the accidents here, and so shows the smallest input that goes wrong.
"""

import json
import re
import sys
from random import Random

import pytest
from fuzz import __main__ as command
from fuzz import runner
from fuzz.mutations import damaged
from fuzz.targets import TARGETS, Target
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laghu.errors import LaghuError

FOUND = sorted(file for file in runner.FOUND.rglob("*") if file.is_file())


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.weight > 1])
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(st.randoms(use_true_random=False))
def test_only_our_own_error_comes_out(name, rng):
    given = TARGETS[name].produce(rng)
    assert runner.foreign(name, given) is None


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_what_was_found_once_is_refused_now(file):
    assert runner.foreign(file.parent.name, file.read_bytes()) is None


@pytest.mark.parametrize("name", TARGETS)
def test_some_inputs_of_a_target_are_sound_enough_to_be_read(name):
    """Otherwise nothing behind the first check would be tried."""
    if name in ("names", "unlabelled texts"):  # nothing that is made up is a name or the published texts
        return
    read = 0
    for number in range(300):
        try:
            TARGETS[name].read(runner.content(name, 0, number))
        except LaghuError:
            continue
        read += 1
        break
    assert read


def test_an_input_is_known_by_its_seed_and_number():
    assert runner.content("studies", 7, 3) == runner.content("studies", 7, 3)
    assert len({runner.content("studies", seed, number) for seed in (1, 2) for number in range(20)}) > 30


def test_accidents_change_bytes():
    rng = Random(0)
    assert sum(damaged(b"text,label\na,b\n", rng) != b"text,label\na,b\n" for _ in range(100)) > 80


def test_shares_are_no_fewer_than_asked_for():
    for inputs in (1, 100, 100_000):
        assert sum(command.shares(inputs, list(TARGETS)).values()) >= inputs


def test_what_comes_out_is_counted_and_kept(tmp_path, monkeypatch):
    """A reader that throws something else at every input, one that ends its process, and one that refuses."""
    monkeypatch.setattr(runner, "FOUND", tmp_path)
    readers = {"wrong": "int('x')", "gone": "os.kill(os.getpid(), 9)", "refused": "throw(LaghuError('no'))"}
    for name, body in readers.items():
        monkeypatch.setitem(TARGETS, name, Target(lambda rng: rng.randbytes(8), _reader(body)))
    monkeypatch.setattr(runner, "_PROCESSES", runner.multiprocessing.get_context("fork"))
    tallies = {name: runner.run(name, 4, seed=0) for name in readers}
    assert {name: tally.inputs for name, tally in tallies.items()} == dict.fromkeys(readers, 4)
    assert {name: tally.foreign.total() for name, tally in tallies.items()} == {"wrong": 4, "gone": 4, "refused": 0}
    assert list(tallies["gone"].foreign) == ["ended by SIGKILL"]
    kept = {file.read_bytes() for file in (tmp_path / "wrong").iterdir()}
    assert kept == {runner.content("wrong", 0, number) for number in range(4)}


def _reader(body: str):
    def throw(error: Exception) -> None:
        raise error

    return lambda given: eval(body, {"os": __import__("os"), "throw": throw, "LaghuError": LaghuError})


@pytest.mark.parametrize(("body", "foreign"), [("None", 0), ("int('x')", 60)])
def test_the_command_prints_a_tally_and_fails_where_something_comes_out(tmp_path, monkeypatch, capsys, body, foreign):
    monkeypatch.setattr(runner, "FOUND", tmp_path)
    monkeypatch.setattr(runner, "_PROCESSES", runner.multiprocessing.get_context("fork"))
    monkeypatch.setitem(TARGETS, "ours", Target(lambda rng: rng.randbytes(8), _reader(body)))
    file = tmp_path / "fuzz.json"
    monkeypatch.setattr(sys, "argv", ["fuzz", "--inputs", "60", "--seed", "5", "--target", "ours", "--json", str(file)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert bool(ended.value.code) == bool(foreign)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "seed 5"
    assert re.fullmatch(rf"ours +60 +{foreign} +\d+", lines[2])
    assert re.fullmatch(rf"total +60 +{foreign} +\d+", lines[-1])
    written = json.loads(file.read_text())
    assert written["counts"] == {
        "inputs": 60, "inputs by what was to read them": {"ours": 60}, "foreign exceptions": foreign}
    assert written["command"] == "make fuzz INPUTS=60 SEED=5" and written["commit"]
