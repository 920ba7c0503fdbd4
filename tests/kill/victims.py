"""Studies that run to be killed: `laghu study` itself, and forks of this process that take the same steps."""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import nbformat
import psutil
from checkout import Checkout
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.provisioning import local_provisioner

from kill.site import hook
from kill.site.hook import Plan
from kill.study import NAME, RUNS, checkout
from laghu import freshness, paths, pretraining, runner
from laghu.errors import LaghuError
from laghu.spec import Study

_SITE = Path(hook.__file__).parent


class Victim:
    """A study that is running, and every process that belongs to it."""

    def __init__(self, pid: int, poll: Callable[[], int | None], log: Path) -> None:
        self.pid, self.poll, self.log = pid, poll, log
        self._process = psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        """The first one and all that it started, themselves or through others."""
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def warm_up(home: Path) -> None:
    """Take all steps once in this process: what is imported and cached by that, its forks have."""
    os.environ["LAGHU_HOME"] = str(checkout(home).folder)
    study = Study.load(NAME)
    pretraining.record(study)
    for spec in study.runs:
        names: dict[str, object] = {}
        template = nbformat.read(str(paths.templates() / f"{spec.technique}.ipynb"), as_version=4)
        for cell in template.cells:
            if cell.cell_type == "code":
                exec(cell.source, names)
                if "parameters" in cell.metadata.get("tags", []):
                    names |= runner.parameters(spec)


def cold(home: Checkout, plan: Plan | None, log: Path) -> Victim:
    """`laghu study`, as a user gives it, on one core."""
    environment = home.environment | {"PYTHONPATH": os.pathsep.join([str(_SITE), *sys.path])}
    if plan:
        environment["LAGHU_KILL"] = json.dumps(asdict(plan))
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "laghu", "study", NAME, "--cores", "1"], cwd=home.folder, env=environment,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )
    return Victim(process.pid, process.poll, log)


def warm(home: Checkout, plan: Plan | None, log: Path) -> Victim:
    """A fork of this process that takes the steps of `laghu study`."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            _become(home, log)
            status = _study(plan)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return Victim(pid, _poll(pid), log)


def _become(home: Checkout, log: Path) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(home.folder)
    os.environ |= {"LAGHU_HOME": str(home.folder), "OMP_NUM_THREADS": "1"}
    os.environ.pop("LAGHU_DATA_DIR", None)


def _study(plan: Plan | None) -> int:
    kernels = [_Kernel(plan) for _ in RUNS]
    local_provisioner.launch_kernel = lambda command, **options: kernels.pop(0).start(command, **options)
    if plan:
        hook.install(plan, "study")
    study = Study.load(NAME)
    status = 0
    with runner.only_one(NAME):
        pretraining.record(study)
        for spec in study.runs:
            if not freshness.is_current(spec):
                try:
                    runner.execute_with_progress(study, spec)
                except LaghuError as error:  # as `laghu run` says it; the others go on
                    print(f"laghu: {error}", flush=True)
                    status = 1
    return status


class _Kernel:
    """A fork that waits to become the kernel of a notebook; does for jupyter_client what a `Popen` would.

    It is forked before its parent has any thread, and ends when its parent does.
    """

    _pipes: tuple[int, ...] = ()
    stdin = stdout = stderr = None

    def __init__(self, plan: Plan | None) -> None:
        reading, self._writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setsid()
                for pipe in (*_Kernel._pipes, self._writing):  # an open end would keep the others waiting for ever
                    os.close(pipe)
                _wait_and_be_kernel(reading, plan)
            finally:
                os._exit(1)
        os.close(reading)
        _Kernel._pipes += (self._writing,)
        self.poll = _poll(self.pid)

    def start(self, command: list[str], env: dict[str, str], **options: object) -> "_Kernel":
        os.write(self._writing, json.dumps([command, env]).encode() + b"\n")
        return self

    def wait(self) -> int | None:
        while self.poll() is None:
            os.sched_yield()
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _wait_and_be_kernel(pipe: int, plan: Plan | None) -> None:
    with os.fdopen(pipe) as told:
        line = told.readline()
    if not line:
        return
    command, environment = json.loads(line)
    os.environ.clear()
    os.environ.update(environment)
    if plan:
        hook.install(plan, "kernel")
    # It reads its parent from the environment when it is imported, which was before the fork.
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"
    IPKernelApp.launch_instance(argv=[*command[command.index("ipykernel_launcher") + 1:], parent])
    os._exit(0)


def _poll(pid: int) -> Callable[[], int | None]:
    """`Popen.poll` for a child that was forked."""
    status: int | None = None

    def poll() -> int | None:
        nonlocal status
        if status is None:
            ended, how = os.waitpid(pid, os.WNOHANG)
            if ended:
                status = os.waitstatus_to_exitcode(how)
        return status

    return poll
