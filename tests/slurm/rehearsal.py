"""A study on a Slurm of one node: a job is requeued and another cancelled half-way, and the results are the local ones.

    python tests/slurm/rehearsal.py [FOLDER]      # or: make slurm-test

The study is tiny and its headlines are invented. It is run here first, then with `profiles/slurm` in a checkout of its
own. Prints what `sacct` says of every start of every job, and writes it to FOLDER/slurm.json; fails where a metric or a
prediction differs. Where no Slurm can be started it says why and does nothing.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from time import monotonic, sleep

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from checkout import REPOSITORY, Checkout
from slurm.one_node import NODE, one_node, unavailable

from laghu import measurement, provenance
from laghu.scaling.slurm import FIELDS, Job, SlurmRecord

STUDY = "tiny"
BASELINE = {"technique": "baseline"}
PRUNED = {"technique": "pruning", "pruning_level": 0.5}
RUNS = [BASELINE, PRUNED]
REQUEUED, CANCELLED = "pruning-50-seed0", "baseline-seed1"
# What must not depend on where a run was made, nor on how often it was begun.
METRICS = ("accuracy", "macro_f1", "predictions", "parameters", "pruning_level", "agreement", "mcnemar", "run_key")

CPUS, MEMORY = 2, 4000
# What a user would set for a small cluster: the profile is for larger ones, and waits longer between questions.
SIZE = [
    "--cores", str(CPUS), "--default-resources", "runtime=10", "mem_mb=1500", "--set-resources", "backbone:mem_mb=3000",
    "--latency-wait", "20", "--slurm-init-seconds-before-status-checks", "3",
]
PATIENCE = 900.0  # seconds until a run that is to be interrupted has begun


def metrics(checkout: Checkout) -> dict[str, dict]:
    contents = {name: json.loads(content) for name, content in checkout.records(STUDY).items()}
    return {name: {key: content[key] for key in METRICS} for name, content in contents.items()}


def prepare(folder: Path) -> Checkout:
    (folder / "tmp").mkdir(parents=True)
    checkout = Checkout(folder)
    # Locks of its own: the timings of other studies on this machine stop nothing here.
    checkout.environment["TMPDIR"] = str(folder / "tmp")
    # Long enough that a training is met while it is under way.
    checkout.write_study(STUDY, RUNS, {"pruning": {"epochs": 3}}, seeds=[0, 1])
    return checkout


def locally(checkout: Checkout) -> None:
    subprocess.run([sys.executable, "-m", "laghu", "study", STUDY], cwd=checkout.folder, env=checkout.environment,
                   check=True)


def on_slurm(checkout: Checkout) -> None:
    """The study with the shipped profile, and two jobs interrupted while their runs are under way."""
    profile = ["--profile", str(REPOSITORY / "profiles" / "slurm")]
    command = [sys.executable, "-m", "laghu", "study", STUDY, *profile, *SIZE]
    environment = checkout.environment
    study = subprocess.Popen(command, cwd=checkout.folder, env=environment, start_new_session=True)
    try:
        cancelled = _when_under_way(study, environment, CANCELLED, checkout.folder)
        subprocess.run(["scancel", cancelled], env=environment, check=True)
        requeued = _when_under_way(study, environment, REQUEUED, checkout.folder)
        subprocess.run(["scontrol", "requeue", requeued], env=environment, check=True)
        if study.wait():
            raise SystemExit("the study did not finish on Slurm")
    finally:
        if study.poll() is None:  # as Ctrl-C does, to Snakemake too
            os.killpg(study.pid, signal.SIGINT)
            study.wait()


def sacct(environment: dict[str, str], *options: str) -> str:
    """What Slurm's accounting holds of every start of every job, oldest first."""
    command = ["sacct", "--allocations", "--duplicates", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def _jobs(environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Number and run of every running job."""
    answer = subprocess.run(
        ["squeue", "--noheader", "--states=RUNNING", "--format=%i|%k"], env=environment, capture_output=True, text=True,
        check=True,
    ).stdout
    for line in answer.splitlines():
        number, _, comment = line.partition("|")
        yield number, comment.rpartition("wildcards_")[2]


def _when_under_way(study: subprocess.Popen, environment: dict[str, str], run: str, folder: Path) -> str:
    """The number of the run's job, once its training has left a checkpoint and goes on."""
    end = monotonic() + PATIENCE
    while monotonic() < end and study.poll() is None:
        if run in _trained(folder) and (number := dict((of, job) for job, of in _jobs(environment)).get(run)):
            return number
        sleep(0.1)
    raise SystemExit(f"{run} was not met while its training was under way")


def _trained(folder: Path) -> set[str]:
    """The runs that are at a training which has left a checkpoint: who holds the lock of such a stage, by Linux."""
    stages = {file.parents[1] for file in (folder / "checkpoints").glob("*.working/trainer/checkpoint-*")}
    locks = [stage.with_suffix(".lock") for stage in stages]
    inodes = {f"{lock.stat().st_ino}" for lock in locks if lock.is_file()}
    held = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    runs = set()
    for process in [int(words[4]) for words in held if words[1] != "->" and words[5].rpartition(":")[2] in inodes]:
        with suppress(psutil.NoSuchProcess):
            # The command is the parent of the notebook's kernel: laghu run STUDY RUN.
            runs |= {words[-1] for parent in psutil.Process(process).parents() if "run" in (words := parent.cmdline())}
    return runs


def main(record: Path | None) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # as any other end, so that the daemons end too
    if reason := unavailable():
        print(f"slurm-test skipped: {reason}")
        return
    with tempfile.TemporaryDirectory() as scratch, one_node(CPUS, MEMORY) as variables:
        here, there = prepare(Path(scratch) / "local"), prepare(Path(scratch) / "slurm")
        environment = there.environment = there.environment | variables
        locally(here)
        on_slurm(there)
        print(sacct(environment, "--format=JobIDRaw,Comment%50,State%12,ExitCode,AllocCPUS,ReqMem,Start,End,NodeList"))
        lines = sacct(environment, "--noheader", "--parsable2", f"--format={','.join(FIELDS)}").splitlines()
        version = subprocess.run(["sinfo", "--version"], env=environment, capture_output=True, text=True, check=True)
        expected, seen = metrics(here), metrics(there)
    jobs = [Job.of_sacct(line) for line in lines]
    if seen != expected:
        raise SystemExit(f"results differ: {sorted(name for name in expected if seen.get(name) != expected[name])}")
    for run, state in ((REQUEUED, "REQUEUED"), (CANCELLED, "CANCELLED")):
        states = [job.state for job in jobs if job.run == run]
        if states != [state, "COMPLETED"]:
            raise SystemExit(f"{run}: {', '.join(states)}; {state}, COMPLETED were expected")
    print(f"{len(seen)} records equal those of the local study in {', '.join(METRICS)}")
    if record:
        made(jobs, version.stdout.split()[-1], len(seen)).save(record)


def made(jobs: list[Job], slurm: str, records: int) -> SlurmRecord:
    packages = ("snakemake", "snakemake-executor-plugin-slurm")
    return SlurmRecord(
        study=STUDY, node=NODE, slurm=slurm, versions={name: metadata.version(name) for name in packages}, jobs=jobs,
        records=records, equal=METRICS, commit=provenance.commit(), hardware=measurement.hardware(),
        recorded=datetime.now(UTC),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
