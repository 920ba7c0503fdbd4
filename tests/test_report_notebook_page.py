"""What a notebook's page says of its record. Oracle of the command: the run that its parameters make."""

import json
import shlex

import pytest
import yaml
from fake_records import fake_record, fake_token_record

from laghu.report import notebook_page
from laghu.spec import RunSpec, Study, TokenRun

NBSP = "\N{NO-BREAK SPACE}"
TAUGHT = RunSpec.model_validate({
    "study": "cpu", "technique": "pruning_distillation", "pruning_level": 0.75, "distillation": "joint", "seed": 2,
    "corpus": "mahanews-open", "fine_tuning": {"epochs": 4.0, "learning_rate": 4e-4},
})


def said(record, bound=None) -> str:
    return "".join(text + number for text, number in notebook_page.result(record, bound)).replace(NBSP, " ")


def parameters(command: str) -> tuple[str, dict]:
    """The template and the parameters of the last line of `commands`, as a shell and papermill read them."""
    words = shlex.split(command.splitlines()[-1])
    assert words[words.index("papermill") + 2] == "out.ipynb"
    return words[words.index("papermill") + 1], yaml.safe_load(words[words.index("-y") + 1])


def test_the_question_names_row_corpus_and_seed():
    asked = notebook_page.question(fake_record(TAUGHT))
    assert asked.startswith("How good, how fast and how large is “Pruning 75 %, distilled jointly” on mahanews-open?")
    assert "seed 2" in asked


def test_the_result_holds_the_record_s_numbers_and_the_bound():
    record = fake_record(TAUGHT)
    clean, speed = record.accuracy.clean, record.speed_up.median
    assert said(record, 1.96) == (
        f"{100 * clean.value:.1f} % of the clean test rows right (95 % interval {100 * clean.low:.1f} to "
        f"{100 * clean.high:.1f} %), with {record.parameters.total / 1e6:.2f} M parameters, at {speed:.2f}× the speed "
        "of the baseline of the same seed, where the saved arithmetic allows 1.96×.")
    assert said(record).endswith("the baseline of the same seed.")


def test_a_record_without_times_says_nothing_of_speed():
    record = fake_record(RunSpec(technique="classical", seed=1))
    assert said(record).endswith("M parameters.")
    assert "Times are" not in " ".join(notebook_page.limits(record.model_copy(update={"timing": None})))


def test_labelled_words_are_scored_by_what_their_task_is_scored_by():
    run = TokenRun(study="quick", corpus="token-sample", seed=1)
    assert said(fake_token_record(run)).startswith("F1 ")
    assert said(fake_token_record(run, "pos")).startswith("accuracy ")


def test_limits_say_that_the_corpus_is_invented_and_how_energy_is_known():
    record = fake_record(TAUGHT)
    written = " ".join(notebook_page.limits(record))
    assert "The corpus is invented" in written
    assert "Energy is estimated for CPU, RAM." in written
    assert "The corpus is invented" not in " ".join(
        notebook_page.limits(record.model_copy(update={"synthetic": False})))


@pytest.mark.parametrize("name", ["quick", "cpu", "cpu-small", "gpu"])
def test_the_parameters_of_the_command_make_the_same_run(home, name):
    """For one run of each technique: what papermill would set over the template's defaults."""
    runs = {run.technique: run for run in Study.load(name).runs}
    for technique, run in runs.items():
        record = fake_record(TAUGHT).model_copy(update={
            "study": name, "run": run.run, "technique": technique, "settings": run.model_dump(mode="json")})
        file, given = parameters(notebook_page.commands(record))
        assert file == f"notebooks/{technique}.ipynb"
        cells = json.loads((home / file).read_text(encoding="utf-8"))["cells"]
        source = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
        namespace: dict = {}
        exec(source, {}, namespace)  # the template's own parameters cell
        made = RunSpec.from_parameters(namespace | given, technique)
        assert made == run.model_copy(update={"study": "manual"})


def test_the_study_s_own_command_comes_first_where_the_study_has_the_run(home):
    run = next(run for run in Study.load("cpu").runs if run.technique == "pruning")
    update = {"study": "cpu", "run": run.run, "technique": "pruning", "settings": run.model_dump(mode="json"),
              "corpus": run.corpus}
    record = fake_record(TAUGHT).model_copy(update=update)
    assert notebook_page.commands(record).splitlines()[0] == f"LAGHU_DATA_DIR=... laghu run cpu {run.run}"
    other = notebook_page.commands(record.model_copy(update={"run": "pruning-33-seed9"}))
    assert len(other.splitlines()) == 1 and "papermill" in other
    invented = notebook_page.commands(record.model_copy(update={"corpus": "sample"}))
    assert "LAGHU_DATA_DIR" not in invented
