"""Runs the cost track of a study: its template once for each precision."""

from pathlib import Path
from time import monotonic

from laghu import cost, runner
from laghu.errors import LaghuError
from laghu.records import cost_file
from laghu.spec import CostRun, Study


def runs(study: Study) -> list[CostRun]:
    """The study's cost runs, one for each precision.

    Raises:
        LaghuError: the study has no cost track.
    """
    if study.cost is None:
        raise LaghuError(f"study {study.name!r} has no cost track; give studies/{study.name}.yaml a key cost")
    return [CostRun(study=study.name, precision=precision, settings=study.cost) for precision in study.cost.precisions]


def run(study: Study) -> None:
    """Bring the cost track of a study up to date; a precision whose record is current is left as it is.

    Raises:
        LaghuError: the study has no cost track, this machine lacks one of the precisions that are to be run, or another
            process is at work on the study.
        papermill.PapermillExecutionError: a cell failed.
    """
    with runner.only_one(study.name):
        stale = [each for each in runs(study) if not cost.is_current(each)]
        for each in stale:
            cost.refuse_unsupported(each.precision)
        for each in stale:
            print(f"[{study.name}] cost in {each.precision}: started", flush=True)
            began = monotonic()
            execute(each)
            print(f"[{study.name}] cost in {each.precision}: finished in {monotonic() - began:.0f} s", flush=True)


def execute(run: CostRun) -> Path:
    """Execute the template into `results/<study>/cost/<precision>.ipynb`; the notebook itself writes the record.

    Raises:
        papermill.PapermillExecutionError: a cell failed.
    """
    heading = f"Cost of the paper's encoder in {run.precision}"
    parameters = run.model_dump(mode="json", exclude_unset=True)
    target = cost_file(run.study, run.precision).with_suffix(".ipynb")
    return runner.execute_template("cost", heading, parameters, target)
