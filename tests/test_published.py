"""What is committed under results/: every published record is current, complete and clean, and small enough."""

import json
import re
import subprocess

import nbformat
import pytest

from laghu import cost, cost_runner, freshness, paths, records, token_freshness
from laghu.report import tables
from laghu.report.book import PUBLISHED
from laghu.spec import Study, TokenRun

STUDIES = sorted(name for name in PUBLISHED if paths.results(name).is_dir())
# An absolute path of some machine, or the name of a host.
OF_A_MACHINE = re.compile(r"/(?:home|root|work|tmp|Users|opt|usr)/\w|[A-Za-z]:\\\\|localhost|127\.0\.0\.1")

# Kinds of output that pages show or offer.
SHOWN = {"text/plain", "text/html", "image/png", "text/csv"}

# Techniques whose pruning level is reached under masks, before anything is cut; the others cut at once.
PRUNED_BY_MOVEMENT = {
    "pruning", "pruning_distillation", "mixed_precision", "ensemble_distillation", "vocabulary_trimming"}


def every_record(study: str) -> list[records.RunRecord | records.TokenRecord]:
    return [*records.load_study(study), *records.load_tokens(study)]


def test_the_cpu_study_is_published():
    assert "cpu" in STUDIES


@pytest.mark.parametrize("study", STUDIES)
def test_every_run_is_there_as_the_study_lists_it_and_none_is_stale(study):
    there = {record.run: record for record in records.load_study(study)}
    listed = {spec.run: spec for spec in Study.load(study).runs}
    assert sorted(there) == sorted(listed)
    stale = {run: freshness.why_stale(there[run], spec, there[run].data_sha256) for run, spec in listed.items()}
    assert {run: reason for run, reason in stale.items() if reason} == {}


@pytest.mark.parametrize("study", STUDIES)
def test_every_run_on_labelled_words_is_there_and_none_is_stale(study):
    there = {record.run: record for record in records.load_tokens(study)}
    listed = {run.run: run for run in Study.load(study).tokens}
    assert sorted(there) == sorted(listed)
    stale = {run: token_freshness.why_stale(there[run], each, there[run].data_sha256) for run, each in listed.items()}
    assert {run: reason for run, reason in stale.items() if reason} == {}


@pytest.mark.parametrize("study", STUDIES)
def test_costs_and_pretraining_are_there_where_the_study_has_them_and_current(study):
    loaded = Study.load(study)
    reasons = {
        each.precision: cost.why_stale(records.CostRecord.load(records.cost_file(study, each.precision)), each)
        for each in (cost_runner.runs(loaded) if loaded.cost else [])
    }
    assert {precision: reason for precision, reason in reasons.items() if reason} == {}
    pretraining = records.PretrainingRecord.load(records.pretraining_file(study))
    first = (*loaded.runs, *loaded.tokens)[0]
    assert pretraining.settings["pretraining"] == first.pretraining.model_dump()
    assert re.fullmatch(r"[0-9a-f]{40}", pretraining.commit)
    assert not pretraining.resumed_at_step


@pytest.mark.parametrize("study", STUDIES)
def test_no_cost_of_an_interrupted_training_is_shown(study):
    """It is only known in part; and most trainings, those of baselines and of words all, ran through."""
    resumed = {record.run for record in every_record(study) if any(stage.resumed_at_step for stage in record.stages)}
    if (shown := tables.study(study)).empty:
        assert not resumed
        return
    cost = ["train_seconds", "energy_kwh", "co2e_kg", "co2e_kg_with_teacher"]
    assert resumed <= set(shown.index) and shown.loc[sorted(resumed), cost].isna().all(axis=None)
    assert shown.drop(sorted(resumed))[cost].notna().all(axis=None)
    assert not resumed & {f"baseline-seed{seed}" for seed in shown["seed"]} and len(resumed) < 0.1 * len(shown)


@pytest.mark.parametrize("study", STUDIES)
def test_records_come_from_a_clean_commit(study):
    commits = {record.commit for record in every_record(study)}
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in commits), commits


@pytest.mark.parametrize("study", STUDIES)
def test_pages_hold_no_error_and_nothing_of_a_machine(study):
    for page in sorted(paths.results(study).rglob("*.ipynb")):
        notebook = nbformat.read(str(page), as_version=4)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output.output_type == "error"], page.name
        # Of others the book would show nothing, and not say so.
        assert {kind for output in outputs for kind in output.get("data", {})} <= SHOWN, page.name
        texts = "".join(cell.source for cell in notebook.cells) + json.dumps(
            [output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs]
        )
        assert not OF_A_MACHINE.search(texts), page.name
        assert not OF_A_MACHINE.search(page.with_suffix(".json").read_text(encoding="utf-8")), page.stem


@pytest.mark.parametrize("study", STUDIES)
def test_a_pruned_model_has_the_size_asked_for_and_lost_nothing_in_surgery(study):
    listed = Study.load(study)
    specs = {spec.run: spec for spec in (*listed.runs, *listed.tokens)}
    for record in every_record(study):
        spec = specs[record.run]
        spec = spec.on_texts if isinstance(spec, TokenRun) else spec
        technique, asked = spec.trained_as, spec.pruning_level
        if technique == "two_step_distillation":  # its neurons are counted, not a share of them
            asked = 1 - spec.two_step.intermediate_size / spec.architecture.intermediate_size
        assert record.pruning_level == pytest.approx(asked)
        assert (record.surgery_error is not None) == (spec.pruning_level > 0 and technique in PRUNED_BY_MOVEMENT)
        assert (record.surgery_error or 0) < 1e-5


@pytest.mark.parametrize(("part", "mebibytes"), [
    # 30 for results and code, 8 for the model in the page and 6 for what shows formulas and runs it without network.
    ("", 44), ("results/", 30), ("book/_static/model/", 8), ("book/_static/lib/", 7),
])
def test_the_repository_stays_small(part, mebibytes):
    """So that a clone stays quick: of all tracked files, and of the parts that grow."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=paths.root(), capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [paths.root() / name for name in listed.stdout.decode().split("\0") if name.startswith(part)]
    assert sum(file.stat().st_size for file in files if file.is_file()) < mebibytes * 2**20
