"""Schedules against closed forms, and durations against records made by hand."""

import os
import random
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkout import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from laghu.scaling import simulation, studies
from laghu.scaling.record import Observed
from laghu.scaling.simulation import Job
from laghu.scaling.watch import Watch
from laghu.spec import Study

BOTH = [simulation.on_own_machines, simulation.on_one_machine]


@st.composite
def graphs(draw: st.DrawFn, timed: bool = False) -> list[Job]:
    """Jobs with whole seconds; each waits for some of those before it."""
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 12))):
        after = draw(st.sets(st.sampled_from([job.name for job in jobs]), max_size=2)) if jobs else set()
        free, training, timing = (draw(st.integers(0, 20)) for _ in range(3))
        jobs.append(Job(f"{number}", free + 1, training, timing if timed else 0, tuple(sorted(after)),
                        priority=draw(st.integers(-3, 0))))
    return jobs


@given(graphs(timed=True))
@settings(deadline=None)
def test_one_worker_takes_the_sum(jobs):
    for makespan in BOTH:
        assert makespan(jobs, 1) == pytest.approx(sum(job.free + job.training + job.timing for job in jobs))


@given(graphs())
@settings(deadline=None)
def test_enough_workers_take_the_longest_chain(jobs):
    """The oracle goes through all chains."""
    def chains(job: Job) -> list[float]:
        followers = [other for other in jobs if job.name in other.after]
        return [job.seconds + rest for other in followers for rest in chains(other)] or [job.seconds]

    longest = max(seconds for job in jobs if not job.after for seconds in chains(job))
    assert simulation.critical_path(jobs) == longest
    for makespan in BOTH:
        assert makespan(jobs, len(jobs)) == pytest.approx(longest)


@given(graphs(), st.integers(1, 6))
@settings(deadline=None)
def test_no_schedule_beats_the_two_limits_or_misses_grahams(jobs, workers):
    """Any schedule takes at least the longest chain and an even share; a list schedule at most 2 - 1/m of the best."""
    least = max(simulation.critical_path(jobs), simulation.total(jobs) / workers)
    graham = simulation.total(jobs) / workers + (1 - 1 / workers) * simulation.critical_path(jobs)
    for makespan in BOTH:
        assert least - 1e-6 <= makespan(jobs, workers) <= graham + 1e-6
    assert graham <= simulation.bound(workers) * least + 1e-6


def test_grahams_bound_is_reached_by_his_example():
    """m(m-1) short jobs first, then one as long as m of them: 2m - 1 where the best is m."""
    for workers in (2, 3, 5):
        jobs = [Job(f"{number}", 1.0) for number in range(workers * (workers - 1))] + [Job("long", float(workers))]
        for makespan in BOTH:
            assert makespan(jobs, workers) == pytest.approx(2 * workers - 1)
            assert makespan(jobs[::-1], workers) == pytest.approx(workers)
        assert (2 * workers - 1) / workers == pytest.approx(simulation.bound(workers))


def test_equal_jobs_go_in_rounds():
    jobs = [Job(f"{number}", 3.0) for number in range(10)]
    for makespan in BOTH:
        assert makespan(jobs, 4) == pytest.approx(9.0)


def test_a_higher_priority_goes_first_and_then_the_order_given():
    """The long job last costs its whole length; first, next to nothing."""
    short = [Job(f"{number}", 1.0, priority=-1) for number in range(4)]
    for makespan in BOTH:
        assert makespan([*short, Job("long", 4.0, priority=-2)], 2) == pytest.approx(6.0)
        assert makespan([*short, Job("long", 4.0, priority=0)], 2) == pytest.approx(4.0)


def test_timings_on_one_machine_follow_each_other_and_stop_training():
    """By hand: a trains 0-2 and is timed 2-5; b, at 3 of 6 s of training... stands still from 2 to 5, ends at 9."""
    jobs = [Job("a", 0.0, training=2.0, timing=3.0), Job("b", 0.0, training=6.0)]
    assert simulation.on_one_machine(jobs, 2) == pytest.approx(9.0)
    assert simulation.on_own_machines(jobs, 2) == pytest.approx(6.0)
    timed = [Job(f"{number}", 1.0, timing=4.0) for number in range(5)]
    assert simulation.on_one_machine(timed, 5) == pytest.approx(1 + 5 * 4)
    assert simulation.on_own_machines(timed, 5) == pytest.approx(5.0)
    free = [Job("a", 0.0, timing=3.0), Job("b", 5.0)]  # what is neither trained nor timed goes on
    assert simulation.on_one_machine(free, 2) == pytest.approx(5.0)


def test_a_wide_job_has_one_machine_to_itself_and_one_worker_of_many():
    jobs = [Job("wide", 4.0, wide=True, priority=1), Job("a", 4.0)]
    assert simulation.on_one_machine(jobs, 2) == pytest.approx(8.0)
    assert simulation.on_own_machines(jobs, 2) == pytest.approx(4.0)


# ------------------------------------------------------------------------------------------------ studies


def record(run: str, start: float, seconds: float, technique: str = "pruning", **stages: float) -> SimpleNamespace:
    begun = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=start)
    return SimpleNamespace(
        run=run, technique=technique, started=begun, finished=begun + timedelta(seconds=seconds),
        train_seconds=sum(stages.values()),
        stages=[SimpleNamespace(key=key, seconds=value) for key, value in stages.items()],
    )


def test_a_shared_stage_counts_for_the_run_that_was_begun_first():
    records = [record("after", 50, 60, pruned=30.0, distilled=10.0), record("pruned", 0, 45, pruned=30.0),
               record("classical", 200, 10)]
    assert studies.own_training(records) == {"pruned": 30.0, "after": 10.0, "classical": 0.0}


def test_what_training_leaves_is_taken_from_runs_that_nothing_disturbed():
    records = [
        record("baseline", 0, 100, "baseline", a=60.0),  # 40 besides
        record("one", 100, 90, b=40.0),  # 50
        record("two", 190, 120, c=60.0),  # 60
        record("three", 400, 500, d=10.0), record("four", 500, 300, e=20.0),  # beside each other
    ]
    found = studies.durations(records, SimpleNamespace(train_seconds=7.0))
    assert found.rest == 50.0 and found.rest_runs == 3 and found.rest_quartiles == (45.0, 55.0)
    assert found.baselines == [60.0] and sorted(found.others) == [10.0, 20.0, 40.0, 60.0] and found.backbone == 7.0


def test_a_drawn_study_has_the_runs_asked_for_and_a_backbone():
    durations = studies.Durations(100.0, [10.0], [1.0, 2.0], 5.0, (5.0, 5.0), 3)
    jobs = studies.drawn(durations, seeds=3, runs_of_seed=4, draw=random.Random(0))
    assert len(jobs) == 1 + 3 * 4
    assert sum(job.name.startswith("baseline") for job in jobs) == 3
    assert simulation.critical_path(jobs) in (100 + 15 + 6, 100 + 15 + 7)


def test_the_graph_is_that_of_the_snakefile(tmp_path: Path):
    """Snakemake's own plan of the quick study is the oracle: which run waits for which, directly."""
    for name in ("notebooks", "src", "studies", "pyproject.toml", "requirements.lock", "Snakefile"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    plan = subprocess.run(
        [sys.executable, "-m", "snakemake", "study", "--snakefile", str(tmp_path / "Snakefile"), "--directory",
         str(tmp_path), "--config", "study=quick", "--dag", "--quiet", "all", "--cores", "2"],
        env=os.environ | {"LAGHU_HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    ).stdout
    names = {}
    for node, rule, rest in re.findall(r'(\d+)\[label = "(\w+)([^"]*)"', plan):
        found = re.search(r"run: ([\w-]+)", rest)
        names[node] = found[1] if found else rule
    edges = {(names[one], names[other]) for one, other in re.findall(r"(\d+) -> (\d+)", plan)}
    study = Study.load("quick")
    seen = {name: Observed(name=name, seconds=1, training=0, timing=0, waiting=0) for name in names.values()}
    jobs = studies.graph(study, seen, overhead=0.0)
    ours = {(earlier, job.name) for job in jobs for earlier in job.after if earlier != studies.OVERHEAD}
    assert ours == {(one, other) for one, other in edges if other != "study"}
    assert {job.name for job in jobs} - {studies.OVERHEAD} == set(names.values()) - {"study"}


# ------------------------------------------------------------------------------------------------ watching

# Called like the command `laghu`: holds the room's lock exclusively, as a timing does, until its standard input ends.
TIMED = """
import fcntl, os, sys
with open(os.path.join(os.environ["TMPDIR"], "laghu-quiet-0-room.lock"), "w") as room:
    fcntl.flock(room, fcntl.LOCK_EX)
    print("timing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/locks").is_file(), reason="only Linux says in /proc who holds which lock")
def test_a_run_is_seen_from_outside_and_another_study_is_not(tmp_path: Path):
    command = tmp_path / "laghu"
    command.write_text(TIMED, encoding="utf-8")
    processes = []
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        processes.append(subprocess.Popen(
            [sys.executable, str(command), "run", "quick", f"run-of-{name}"], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path / name)},
        ))
    for process in processes:
        assert process.stdout.readline() == "timing\n"
    watch = Watch(tmp_path / "ours")
    watch.look(now=10.0, since=9.0)
    watch.look(now=12.0, since=10.0)
    for process in processes:
        process.communicate("")
    watch.look(now=15.0, since=12.0)
    (seen,) = watch.runs()
    assert (seen.name, seen.seconds, seen.timing, seen.training, seen.waiting) == ("run-of-ours", 2.0, 3.0, 0.0, 0.0)
