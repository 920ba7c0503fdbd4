"""The command line: `laghu study`, `run`, `backbone`, `table`, `check`, `schema` and `book`."""

import argparse
import sys

from laghu import paths, records
from laghu.errors import LaghuError
from laghu.spec import RunSpec, Study


def main() -> None:
    """Entry point; an error that the caller can put right is one line on stderr and exit status 1."""
    arguments, extra = _parser().parse_known_args()
    if extra and arguments.command is not study:
        _parser().error(f"unknown arguments: {' '.join(extra)}")
    arguments.extra = extra
    try:
        arguments.command(arguments)
    except LaghuError as error:
        sys.exit(f"laghu: {error}")


def study(arguments: argparse.Namespace) -> None:
    from laghu import runner

    runner.run_study(arguments.study, "study", arguments.extra)
    table(arguments)


def run(arguments: argparse.Namespace) -> None:
    from papermill import PapermillExecutionError

    from laghu import runner

    loaded = Study.load(arguments.study)
    try:
        runner.execute_with_progress(loaded, loaded.find(arguments.run))
    except PapermillExecutionError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise LaghuError(f"{arguments.run}: {lines[-1] if error.ename == 'LaghuError' else error}") from None


def backbone(arguments: argparse.Namespace) -> None:
    from laghu import experiment, runner

    spec = _first_encoder(Study.load(arguments.study))
    experiment.begin(spec)
    with runner.watched(f"[{arguments.study}] backbone"):
        stage = experiment.backbone(spec)
    print(f"[{arguments.study}] backbone: {stage.report['steps']:,} steps", flush=True)


def table(arguments: argparse.Namespace) -> None:
    from laghu.report import tables

    print(tables.terminal(records.frame(records.load_study(arguments.study))))


def check(arguments: argparse.Namespace) -> None:
    """Fail if a published record is stale or doesn't load, or if an executed notebook ends in an error."""
    from laghu import freshness

    problems = [
        f"{record.run}: {reason}"
        for record in records.load_study(arguments.study) if (reason := freshness.why_unpublishable(record))
    ]
    if problems:
        raise LaghuError(f"study {arguments.study!r} is stale: " + "; ".join(problems))
    print(f"study {arguments.study!r}: every record is what its code and parameters would give")


def schema(arguments: argparse.Namespace) -> None:
    (paths.root() / "results" / "record.schema.json").write_text(records.json_schema(), encoding="utf-8")


def book(arguments: argparse.Namespace) -> None:
    from laghu.report.book import build

    print(build())


def _first_encoder(study: Study) -> RunSpec:
    for spec in study.runs:
        if spec.technique != "classical" and spec.model is None:
            return spec
    raise LaghuError(f"study {study.name!r} pretrains no backbone")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="laghu", description="Compress text encoders and report on it reproducibly.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command, text: str, *names: str) -> None:
        sub = commands.add_parser(command.__name__, help=text, description=text)
        for name in names:
            sub.add_argument(name)
        sub.set_defaults(command=command)

    add(study, "bring a study up to date and print its table; further arguments go to snakemake", "study")
    add(run, "execute one run of a study", "study", "run")
    add(backbone, "pretrain the encoder of a study", "study")
    add(table, "print the results of a study", "study")
    add(check, "fail if a published study is stale", "study")
    add(schema, "write the JSON Schema of a record")
    add(book, "render the book and print the path of its first page")
    return parser
