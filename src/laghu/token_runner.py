"""Runs token classifiers: their template once for each run, alone or all those of a study."""

from pathlib import Path
from time import monotonic

from papermill import PapermillExecutionError

from laghu import runner, token_freshness
from laghu.errors import LaghuError
from laghu.records import TokenRecord, token_file
from laghu.report.rows import Row, row_of
from laghu.report.tokens import HEADLINE
from laghu.spec import Study, TokenRun


def run(study: Study) -> None:
    """Bring the token classifiers of a study up to date and nothing else; a current record is left as it is.

    Raises:
        LaghuError: the study has none, a corpus can't be had, a run was refused, or another process is at work on the
            study.
        papermill.PapermillExecutionError: a cell failed for another reason.
    """
    if not study.tokens:
        raise LaghuError(f"study {study.name!r} has no token classifiers; give studies/{study.name}.yaml a list tokens")
    for each in study.tokens:  # before anything is trained
        token_freshness.data_sha256(each)
    with runner.only_one(study.name):
        for each in study.tokens:
            if not token_freshness.is_current(each):
                execute_with_progress(each)


def execute_with_progress(run: TokenRun) -> None:
    """`execute`, with a line in the terminal now and then, as `runner.execute_with_progress`.

    Raises:
        LaghuError: the run was refused.
        papermill.PapermillExecutionError: a cell failed for another reason.
    """
    head = f"[{run.study}] {run.run}"
    print(f"{head}: started", flush=True)
    began = monotonic()
    try:
        with runner.watched(head):
            execute(run)
    except PapermillExecutionError as error:
        if error.ename != "LaghuError":
            raise
        raise LaghuError(f"{run.run}: {error.evalue}") from None
    record = TokenRecord.load(token_file(run.study, run.run))
    seconds, name = monotonic() - began, HEADLINE[record.task]
    print(f"{head}: finished in {seconds:.0f} s, clean {name} {record.scores[name].clean.value:.1%}", flush=True)


def execute(run: TokenRun) -> Path:
    """Execute the template into `results/<study>/tokens/<run>.ipynb`; the notebook itself writes the record.

    Raises:
        papermill.PapermillExecutionError: a cell failed.
    """
    heading = f"{Row.parse(row_of(run.on_texts.run)).label} on {run.corpus} (seed {run.seed})"
    parameters = run.model_dump(mode="json", exclude_unset=True)
    target = token_file(run.study, run.run).with_suffix(".ipynb")
    return runner.execute_template("token_classification", heading, parameters, target)
