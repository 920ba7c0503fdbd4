"""The files that install Laghu agree with each other, and say nothing of the machine they were written on."""

import ast
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *chain.from_iterable(EXTRAS.values())]
LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCKED = dict(line.split("==") for line in LOCK)
ENVIRONMENT = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------------ lock


def test_every_line_of_the_lock_is_a_name_and_a_public_version():
    """Neither a local version (2.13.0+cpu, found on one index only) nor a URL, a path or an option."""
    for line in LOCK:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9a-z.]*", line), line
        assert Version(line.split("==")[1]).local is None
    names = [canonicalize_name(name) for name in LOCKED]
    assert len(set(names)) == len(LOCK)
    assert "laghu" not in names


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_the_lock_satisfies(requirement):
    wanted = Requirement(requirement)
    assert wanted.url is None and wanted.marker is None
    locked = {canonicalize_name(name): version for name, version in LOCKED.items()}
    assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)], prereleases=True)


# ------------------------------------------------------------------------------------------------ conda


def test_environment_installs_the_lock_and_every_extra():
    assert ENVIRONMENT["name"] == PROJECT["name"]
    assert "nodefaults" in ENVIRONMENT["channels"]
    (pip,) = [entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict)]
    assert pip[0] == "--requirement requirements.lock"
    extras = re.fullmatch(r"--editable \.\[([a-z,]+)\]", pip[1])[1]
    assert sorted(extras.split(",")) == sorted(EXTRAS)
    assert len(pip) == 2


def test_environment_and_project_want_the_same_python():
    conda = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]
    (python,) = [entry for entry in conda if entry.startswith("python")]
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(PROJECT["requires-python"])
    assert [entry for entry in conda if entry != python] == ["pip"]


# ------------------------------------------------------------------------------------------------ package


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "src" / "laghu").rglob("__init__.py")), ids=lambda file: file.parent.name
)
def test_packages_hold_a_docstring_and_at_most_the_version(file):
    """Keys skip `__init__` files, so nothing that computes may stand there."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    assert isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    assert [ast.unparse(node.targets[0]) for node in body[1:]] in ([], ["__version__"])


def test_version_is_stated_once():
    import laghu

    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?((a|b|rc|\.dev)\d+)?", laghu.__version__)


@pytest.mark.parametrize("name", ["Makefile", "environment.yml", "pyproject.toml", "requirements.lock", "Snakefile"])
def test_no_paths_of_a_machine_and_no_host(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|file:|/home/|/Users/|/work/|/tmp/|--(extra-)?index-url", text)


# ------------------------------------------------------------------------------------------------ workflow


@pytest.fixture(scope="module")
def workflow() -> dict:
    text = (REPOSITORY / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text) | {"text": text}


def test_actions_are_pinned_by_major_version(workflow):
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert steps and all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in steps)


def test_only_the_job_that_publishes_may_write_and_only_from_main(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    writing = [name for name, job in workflow["jobs"].items() if "write" in str(job.get("permissions"))]
    assert writing == ["publish"]
    publish = workflow["jobs"]["publish"]
    assert "refs/heads/main" in publish["if"] and "push" in publish["if"] and publish["needs"] == "book"


def test_what_is_of_others_gets_no_token(workflow):
    for name, job in workflow["jobs"].items():
        others = [step for step in job["steps"] if not step.get("uses", "actions/").startswith("actions/")]
        for step in others:
            assert step["with"]["token"] == "" and job["permissions"] == {"contents": "read"}, name
            (checkout,) = [each for each in job["steps"] if each.get("uses", "").startswith("actions/checkout@")]
            assert checkout["with"]["persist-credentials"] is False
    assert "lycheeverse/lychee-action" in workflow["text"]


def test_the_workflow_shows_what_tests_would_be_skipped_without(workflow):
    runs = [step.get("run") for step in workflow["jobs"]["book"]["steps"]]
    assert runs.index("google-chrome --version") < runs.index("node --version") < runs.index(".ci/run")


def test_the_workflow_runs_what_any_machine_can_run(workflow):
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert ".ci/run" in runs
    assert "make pdf" in runs
    assert set(runs) <= {".ci/run", "make pdf", "google-chrome --version", "node --version"}
    assert "secrets." not in workflow["text"]
