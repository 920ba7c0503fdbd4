"""Disks that are full or write-protected, records that were damaged, clocks that jump, processes that are killed."""

import json
import os
import resource
import shutil
import signal
from datetime import timedelta
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
import yaml
from disks import fill, read_only, resize, small_disk
from fake_records import fake_record
from safetensors.numpy import save_file
from sphinx_pages import render

from laghu import campaign, cli, freshness, paths, runner, stages
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import book
from laghu.spec import RunSpec, Study

SPEC = RunSpec(study="s", technique="baseline")


@pytest.fixture
def study(home) -> Study:
    """A study of two classical runs, not run."""
    content = {"title": "s", "seeds": [0, 1], "common": {}, "runs": [{"technique": "classical"}]}
    (home / "studies" / "s.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return Study.load("s")


def save_notebook(target: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), str(target))


# ------------------------------------------------------------------------------------------------ a full disk


def megabytes(size: int):
    def build(working: Path) -> dict:
        (working / "model").mkdir(exist_ok=True)
        save_file({"weight": np.zeros(size << 18, dtype=np.float32)}, working / "model" / "model.safetensors")
        return {"steps": 1}

    return build


def test_a_stage_on_a_full_disk_leaves_none_and_is_made_when_there_is_space(home):
    with small_disk(home / "checkpoints", 1024):
        with pytest.raises(LaghuError, match=r"can't be written to .*checkpoints: No space left on device; mend that"):
            stages.stage("teacher", [], {}, megabytes(2))
        assert not [path for path in (home / "checkpoints").iterdir() if path.is_dir() and not path.suffix]
        resize(home / "checkpoints", 8192)
        made = stages.stage("teacher", [], {}, megabytes(2))
        assert made.report == {"steps": 1} and (made.model / "model.safetensors").stat().st_size > 2 << 20


def test_a_record_on_a_full_disk_leaves_the_earlier_with_its_notebook(home):
    with small_disk(home / "results" / "s", 64):
        earlier = fake_record(SPEC)
        file = earlier.save()
        save_notebook(file.with_suffix(".ipynb"), "1")
        ballast = fill(file.parent)
        with pytest.raises(LaghuError, match=r"record baseline-seed0.json can't be written to .*: No space"):
            earlier.model_copy(update={"commit": "another"}).save()
        assert RunRecord.load(file) == earlier
        assert {path.name for path in file.parent.iterdir()} == {file.name, "baseline-seed0.ipynb", ballast.name}
        ballast.unlink()
        earlier.model_copy(update={"commit": "another"}).save()
        assert RunRecord.load(file).commit == "another"


def test_a_notebook_on_a_full_disk_leaves_none(home, monkeypatch):
    monkeypatch.setattr(papermill, "execute_notebook", lambda given, to, **options: shutil.copy(given, to))
    with small_disk(home / "results" / "s", 64):
        target = home / "results" / "s" / "baseline-seed0.ipynb"
        ballast = fill(target.parent)
        with pytest.raises(LaghuError, match=r"notebook baseline-seed0.ipynb can't be written to .*: No space"):
            runner.execute_template("baseline", "Baseline", {}, target)
        assert [path.name for path in target.parent.iterdir()] == [ballast.name]
        ballast.unlink()
        assert nbformat.read(runner.execute_template("baseline", "Baseline", {}, target), 4).cells[0].source[:10]


def test_a_file_too_large_for_its_limit_is_said_as_a_full_disk_is(home):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = fake_record(SPEC).save()
    kept = file.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (256, before[1]))
    try:
        with pytest.raises(LaghuError, match=r"can't be written to .*: File too large"):
            fake_record(SPEC).save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_bytes() == kept and [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_book_on_a_full_disk_is_none_and_is_built_when_there_is_space(home):
    (home / "book").mkdir()
    (home / "book" / "index.md").write_text("# A book\n\nOne page.\n", encoding="utf-8")
    config = {"title": "A book", "execute": {"execute_notebooks": "off"}, "only_build_toc_files": True}
    toc = {"format": "jb-book", "root": "book/index", "parts": [{"chapters": [{"file": "book/more"}]}]}
    for name, content in (("_config.yml", config), ("_toc.yml", toc)):
        (home / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    (home / "book" / "more.md").write_text("# More\n\nAnother page.\n", encoding="utf-8")
    with small_disk(home / "out", 512):
        with pytest.raises(LaghuError, match="No space left on device"):
            book.build(home / "out")
        assert not (home / "out" / "_build" / "sources.sha256").exists()
        resize(home / "out", 65536)
        first = book.build(home / "out")
        assert first.is_file() and "One page." in (first.parent / "book" / "index.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------ no writing


def test_a_finished_stage_can_be_used_where_nothing_can_be_written(home):
    with small_disk(home / "checkpoints", 4096):
        made = stages.stage("teacher", [], {}, megabytes(1))
        with read_only(home / "checkpoints"):
            assert stages.stage("teacher", [], {}, megabytes(1)) == made
            with pytest.raises(LaghuError, match=r"stage student-.* can't be written to .*: Read-only file system"):
                stages.stage("student", [], {}, megabytes(1))


def test_results_that_can_t_be_written_are_one_line(home):
    with small_disk(home / "results", 256):
        file = fake_record(SPEC).save()
        with read_only(home / "results"):
            with pytest.raises(LaghuError, match=r"record baseline-seed0.json can't be written to .*: Read-only file"):
                fake_record(SPEC).save()
            with pytest.raises(LaghuError, match=r"results of study 's' can't be written to .*: Read-only file"):
                runner.only_one("s").__enter__()
            assert RunRecord.load(file).run == SPEC.run


def test_a_study_is_worked_on_by_one_process_at_a_time(home):
    with runner.only_one("s"):
        with pytest.raises(LaghuError, match="another process is at work on study 's'; wait for it or stop it"):
            runner.only_one("s").__enter__()
        with runner.only_one("another"):
            pass
    with runner.only_one("s"):
        pass


# ------------------------------------------------------------------------------------------------ damaged records


@pytest.fixture(params=["truncated", "emptied", "without a field"])
def damaged(request, study) -> Path:
    """The record of a run, with its notebook beside it, after something happened to it."""
    spec = study.runs[0]
    record = fake_record(spec)
    data = freshness.data_sha256(spec)
    current = {"data_sha256": data, "run_key": freshness.run_key(spec, data), "settings": spec.model_dump(mode="json")}
    file = record.model_copy(update=current).save()
    save_notebook(file.with_suffix(".ipynb"))
    assert freshness.is_current(spec)
    content = file.read_text(encoding="utf-8")
    match request.param:
        case "truncated":
            file.write_text(content[: len(content) // 2], encoding="utf-8")
        case "emptied":
            file.write_text("", encoding="utf-8")
        case "without a field":
            file.write_text(json.dumps({k: v for k, v in json.loads(content).items() if k != "seed"}), encoding="utf-8")
    return file


def test_a_damaged_record_counts_as_missing(study, damaged):
    assert not freshness.is_current(study.runs[0])


@pytest.mark.parametrize("command", ["table", "check"])
def test_commands_name_a_damaged_record_and_say_what_to_do(damaged, monkeypatch, command):
    monkeypatch.setattr("sys.argv", ["laghu", command, "s"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = str(ended.value)
    assert str(damaged) in said and "delete it and run it again" in said and "\n" not in said


def test_a_page_names_a_damaged_record(damaged, tmp_path):
    text = "# Page\n\n{value}`s/classical-seed0#accuracy.clean.value`\n"
    _, warnings = render(tmp_path / "page", text, "laghu.report.sphinx_ext")
    assert damaged.name in warnings and "delete it and run it again" in warnings


def test_a_torn_notebook_is_named(tmp_path):
    save_notebook(tmp_path / "run.ipynb", "1")
    content = (tmp_path / "run.ipynb").read_text(encoding="utf-8")
    for length in (0, len(content) // 2):
        (tmp_path / "run.ipynb").write_text(content[:length], encoding="utf-8")
        with pytest.raises(LaghuError, match=r"run.ipynb is no notebook; delete it and run it again"):
            book.refuse_errors(tmp_path / "run.ipynb")


def test_a_new_record_takes_the_notebook_of_the_earlier_along(home):
    """Or the run would pass for finished, with the earlier page, if it were killed before its own is there."""
    file = fake_record(SPEC).save()
    save_notebook(file.with_suffix(".ipynb"))
    fake_record(SPEC).save()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


# ------------------------------------------------------------------------------------------------ killed processes


def test_a_kernel_that_is_killed_is_one_line_and_the_earlier_notebook_stays(home):
    """As the system does that has no memory left."""
    save_notebook(home / "notebooks" / "greedy.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    target = home / "results" / "s" / "greedy-seed0.ipynb"
    save_notebook(target, "1")
    earlier = target.read_bytes()
    with pytest.raises(LaghuError, match="greedy-seed0: its process was killed, by lack of memory perhaps; call again"):
        runner.execute_template("greedy", "Greedy", {}, target)
    assert target.read_bytes() == earlier and [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_kernel_that_is_killed_as_it_starts_is_one_line_too(home, monkeypatch):
    def never_answers(*args, **options):
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(papermill, "execute_notebook", never_answers)
    with pytest.raises(LaghuError, match="baseline-seed0: its process was killed"):
        runner.execute(SPEC)


def test_a_kernel_whose_ports_were_taken_is_started_again(home, monkeypatch):
    calls = []

    def second_time_lucky(given, to, **options):
        calls.append(given)
        if len(calls) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        shutil.copy(given, to)

    monkeypatch.setattr(papermill, "execute_notebook", second_time_lucky)
    assert runner.execute(SPEC).is_file() and len(calls) == 2


def test_a_run_without_memory_says_so(study, monkeypatch, capsys):
    source = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\nbytes(3 << 30)"
    save_notebook(paths.templates() / "classical.ipynb", source)
    monkeypatch.setattr("sys.argv", ["laghu", "run", "s", "classical-seed0"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert str(ended.value).startswith("laghu: classical-seed0: ") and "MemoryError" in str(ended.value)
    assert not list(paths.results("s").glob("*.json"))


def test_a_training_that_is_killed_is_named_and_those_beside_it_are_trained(home, monkeypatch, capsys):
    specs = tuple(RunSpec(study="s", technique="baseline", seed=seed) for seed in range(3))
    monkeypatch.setattr(campaign, "_train", _killed_on_seed_1)
    with pytest.raises(LaghuError, match="1 of 3 trainings failed: s/baseline-seed1: its process was killed, by lack"):
        campaign.train([Study(name="s", title="s", runs=specs)], jobs=2)
    printed = capsys.readouterr().out
    assert all(f"s/baseline-seed{seed}: development accuracy 50.0%" in printed for seed in (0, 2))


def _killed_on_seed_1(spec: RunSpec) -> float:
    if spec.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.5


# ------------------------------------------------------------------------------------------------ clocks


def test_durations_are_not_taken_from_the_time_of_day(study, monkeypatch, capsys):
    """The clock was set back by an hour during the run: its record ends before it began, and that is all."""
    record = fake_record(study.runs[0])
    record = record.model_copy(update={"finished": record.started - timedelta(hours=1)})
    monkeypatch.setattr(runner, "execute", lambda spec: record.save())
    runner.execute_with_progress(study, study.runs[0])
    assert "classical-seed0: finished in 0 s" in capsys.readouterr().out
    assert RunRecord.load(record.file) == record
