"""A Slurm of one node, made of Debian's packages in a scratch folder: with accounting, without systemd or cgroups.

It listens on free ports and keeps its keys, database, logs and configuration in a folder of its own. Outside stands one
link while it runs: /etc/slurm/slurm.conf, because Snakemake's executor starts `srun` without the variable that would
lead elsewhere. The daemons are children of this process, and are stopped with it.

    python tests/slurm/one_node.py sinfo        # start it, run a command in it, stop it
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

CLUSTER = "laghu"
NODE = "node"  # what sacct calls it, whatever the machine is called
PATIENCE = 60.0  # seconds for a daemon to answer

_PROGRAMS = (
    "mariadb-install-db", "mariadbd", "munged", "mungekey", "sacct", "sacctmgr", "sbatch", "scontrol", "slurmctld",
    "slurmd", "slurmdbd",
)
_CONFIGURATION = Path("/etc/slurm/slurm.conf")
_PACKAGES = "mariadb-server munge slurm-wlm slurmdbd"


def unavailable() -> str:
    """Why no Slurm can be started here; empty where one can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "a Slurm of one node needs Linux and root"
    if _CONFIGURATION.exists():
        return f"this machine has a Slurm of its own: {_CONFIGURATION}"
    missing = [program for program in _PROGRAMS if not shutil.which(program, path=_path())]
    return f"{', '.join(missing)} not found: apt-get install --no-install-recommends {_PACKAGES}" if missing else ""


@contextmanager
def one_node(cpus: int, memory: int) -> Iterator[dict[str, str]]:
    """Run a cluster of one node; gives the variables with which Slurm's commands find it.

    Args:
        cpus: how many the node is said to have.
        memory: MB it is said to have.

    Raises:
        RuntimeError: a daemon ended or didn't answer; its last lines are in the message.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="laghu-slurm-")))
        folder.chmod(0o755)  # munge refuses a socket that others can't reach
        ports = dict(zip(("slurmctld", "slurmd", "slurmdbd"), _free_ports(3), strict=True))
        _write_configuration(folder, ports, cpus, memory)
        variables = {"PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}
        environment = os.environ | variables | {"MYSQL_UNIX_PORT": str(folder / "mysql.sock")}

        stack.enter_context(_linked(folder / "slurm.conf"))

        def start(name: str, command: list[str], answers: Callable[[], bool]) -> None:
            log = (folder / f"{name}.log").open("wb")
            stack.callback(log.close)
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder)
            stack.callback(_stop, process)
            _wait(name, process, answers, Path(log.name))

        def succeeds(*command: str) -> Callable[[], bool]:
            return lambda: subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

        start("munged", _munged(folder), succeeds("munge", "--no-input", f"--socket={folder / 'munge.sock'}"))
        start("mariadbd", _mariadbd(folder), (folder / "mysql.sock").exists)
        start("slurmdbd", ["slurmdbd", "-D"], succeeds("sacctmgr", "-n", "show", "cluster"))
        # Known to the database before the controller registers; where it does so by itself, this says "nothing new".
        subprocess.run(["sacctmgr", "-i", "add", "cluster", CLUSTER], env=environment, capture_output=True, check=False)
        start("slurmctld", ["slurmctld", "-D", "-i"], succeeds("scontrol", "ping"))
        start("slurmd", ["slurmd", "-D"], lambda: "idle" in _output(environment, "sinfo", "-h", "-o", "%T"))
        try:
            yield variables
        finally:
            subprocess.run(["scancel", f"--user={os.geteuid()}"], env=environment, capture_output=True, check=False)
            _until(lambda: not _output(environment, "squeue", "-h").strip(), PATIENCE)


@contextmanager
def _linked(configuration: Path) -> Iterator[None]:
    _CONFIGURATION.parent.mkdir(exist_ok=True)
    _CONFIGURATION.unlink(missing_ok=True)  # a link that a killed rehearsal left leads nowhere
    _CONFIGURATION.symlink_to(configuration)
    try:
        yield
    finally:
        _CONFIGURATION.unlink()


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def _output(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _munged(folder: Path) -> list[str]:
    subprocess.run(["mungekey", "--create", f"--keyfile={folder / 'munge.key'}"], check=True, env={"PATH": _path()})
    files = {"socket": "munge.sock", "key-file": "munge.key", "pid-file": "munge.pid", "seed-file": "munge.seed",
             "log-file": "munge.own.log"}
    return ["munged", "--foreground", *(f"--{option}={folder / file}" for option, file in files.items())]


def _mariadbd(folder: Path) -> list[str]:
    data = [f"--datadir={folder / 'mysql'}", "--user=root"]
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", *data, "--auth-root-authentication-method=socket", "--skip-test-db"],
        check=True, capture_output=True, env={"PATH": _path()},
    )
    return ["mariadbd", "--no-defaults", *data, "--skip-networking", f"--socket={folder / 'mysql.sock'}"]


def _write_configuration(folder: Path, ports: dict[str, int], cpus: int, memory: int) -> None:
    host = socket.gethostname().split(".")[0]
    # A requeued job waits until the credential of its first start has expired: two minutes, if nothing is said.
    munge = f"socket={folder / 'munge.sock'}"
    (folder / "slurm.conf").write_text(f"""\
ClusterName={CLUSTER}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports["slurmctld"]}
SlurmdPort={ports["slurmd"]}
SlurmUser=root
AuthType=auth/munge
AuthInfo={munge},cred_expire=5
StateSaveLocation={folder / "state"}
SlurmdSpoolDir={folder / "spool"}
SlurmctldPidFile={folder / "slurmctld.pid"}
SlurmdPidFile={folder / "slurmd.pid"}
# No cgroups: a container lends none.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
AccountingStorageType=accounting_storage/slurmdbd
AccountingStoreFlags=job_comment
AccountingStorageHost=127.0.0.1
AccountingStoragePass={folder / "munge.sock"}
AccountingStoragePort={ports["slurmdbd"]}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=5,sched_min_interval=0
KillWait=5
MailProg=/bin/true
ReturnToService=2
# The node has what is said here, not what slurmd counts.
SlurmdParameters=config_overrides
NodeName={NODE} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes={NODE} Default=YES MaxTime=INFINITE State=UP
""", encoding="utf-8")
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n", encoding="utf-8")
    slurmdbd = folder / "slurmdbd.conf"
    slurmdbd.write_text(f"""\
AuthType=auth/munge
AuthInfo={munge}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports["slurmdbd"]}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
PidFile={folder / "slurmdbd.pid"}
""", encoding="utf-8")
    slurmdbd.chmod(0o600)
    for name in ("state", "spool", "mysql"):
        (folder / name).mkdir()


def _until(true: Callable[[], bool], seconds: float) -> bool:
    end = monotonic() + seconds
    while not (reached := true()) and monotonic() < end:
        sleep(0.2)
    return reached


def _wait(name: str, process: subprocess.Popen, answers: Callable[[], bool], log: Path) -> None:
    if not _until(lambda: process.poll() is not None or answers(), PATIENCE) or process.poll() is not None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        raise RuntimeError("\n".join([f"{name} did not start:", *lines]))


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE / 2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if reason := unavailable():
        sys.exit(reason)
    with one_node(os.cpu_count() or 1, 4000) as inside:
        sys.exit(subprocess.run(sys.argv[1:], env=os.environ | inside, check=False).returncode)
