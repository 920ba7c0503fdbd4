"""GPUs are handed out once each, and come back however their holder ends; the devices here are only names."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from checkout import REPOSITORY

from laghu import devices
from laghu.errors import LaghuError
from laghu.spec import Study

GIVEN = "python -m laghu.devices"
# Says what it was given and holds it until its standard input ends.
HOLDER = "import os, sys; print(os.environ.get('CUDA_VISIBLE_DEVICES'), flush=True); sys.stdin.read()"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Three devices, and locks that only this test's processes see."""
    without = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return without | {"CUDA_VISIBLE_DEVICES": "0,GPU-4f,7", "TMPDIR": str(tmp_path)}


def started(environment: dict[str, str], count: int, *command: str) -> subprocess.Popen:
    call = "import sys; from laghu import devices; devices.run_on(int(sys.argv[1]), sys.argv[2:])"
    return subprocess.Popen(
        [sys.executable, "-c", call, str(count), *(command or (sys.executable, "-c", HOLDER))], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


@contextmanager
def holding(environment: dict[str, str], count: int) -> Iterator[tuple[subprocess.Popen, set[str]]]:
    process = started(environment, count)
    try:
        yield process, set(process.stdout.readline().strip().split(","))
    finally:
        process.kill()
        process.communicate()


def test_each_device_goes_to_one_command(environment):
    with ExitStack() as stack:
        given = [stack.enter_context(holding(environment, 1))[1] for _ in range(3)]
        assert sorted(name for names in given for name in names) == ["0", "7", "GPU-4f"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_device_comes_back_when_its_holder_is_killed(environment, end):
    with holding(environment, 2) as (first, taken), holding(environment, 1) as (_, rest):
        assert not taken & rest
        waiting = started(environment, 2)  # one is free at no time before the kill
        first.send_signal(end)
        first.wait()
        assert set(waiting.stdout.readline().strip().split(",")) == taken
        waiting.communicate("")


def test_a_grandchild_does_not_keep_a_device(environment):
    """A notebook's kernel may outlive the command that was killed."""
    nest = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {HOLDER!r}]).pid, flush=True)"
    process = started(environment, 3, sys.executable, "-c", nest)
    grandchild = int(process.stdout.readline())
    try:
        process.wait()
        with holding(environment, 3) as (_, given):
            assert given == {"0", "GPU-4f", "7"}
    finally:
        os.kill(grandchild, signal.SIGKILL)
        process.communicate()


def test_more_devices_than_there_are_is_refused(environment):
    process = started(environment, 4)
    _, said = process.communicate()
    assert process.returncode and "4 GPUs are asked for and 3 are here" in said


def test_no_device_and_slurm_leave_the_environment_as_it_is(environment):
    for count, variables in ((0, {}), (1, {"SLURM_JOB_ID": "9"})):
        process = started(environment | variables, count)
        said, _ = process.communicate("")
        assert said.strip() == "0,GPU-4f,7"


def test_an_unknown_command_is_one_line(monkeypatch):
    with pytest.raises(LaghuError, match="no-such-command-of-ours"):
        devices.run_on(0, ["no-such-command-of-ours"])


def test_all_devices_are_those_that_the_driver_lists(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.devices() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: One'\necho 'GPU 1: Another'\n", encoding="utf-8")
    tool.chmod(0o755)
    assert devices.devices() == ["0", "1"]


@pytest.mark.parametrize(("profile", "run", "backbone"), [
    ("gpus", f"{GIVEN} 1 laghu run", f"{GIVEN} 2 laghu backbone quick --processes 2"),
    ("slurm-gpus", f"{GIVEN} 1 laghu run", f"{GIVEN} 2 laghu backbone quick --processes 2"),
    ("slurm", " laghu run", " laghu backbone quick --processes 1"),
])
def test_the_profiles_say_how_many_gpus_a_command_gets(tmp_path: Path, profile: str, run: str, backbone: str):
    """Snakemake's plan of the quick study, with the commands that it would start."""
    for name in ("notebooks", "src", "studies", "pyproject.toml", "requirements.lock", "Snakefile"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    plan = subprocess.run(
        [sys.executable, "-m", "snakemake", "study", "--snakefile", str(tmp_path / "Snakefile"), "--directory",
         str(tmp_path), "--config", "study=quick", "--dry-run", "--printshellcmds", "--executor", "dryrun",
         "--profile", str(REPOSITORY / "profiles" / profile)],
        env=os.environ | {"LAGHU_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )
    commands = [line.partition(" OMP_NUM_THREADS=")[2] for line in (plan.stdout + plan.stderr).splitlines()
                if "OMP_NUM_THREADS" in line]
    runs = [command for command in commands if " run quick " in command]
    assert len(runs) == len(Study.load("quick").runs) + len(Study.load("quick").tokens)
    assert all(command.partition(" ")[2].startswith(run) for command in runs)
    (pretraining,) = set(commands) - set(runs)
    assert pretraining.partition(" ")[2] == backbone
