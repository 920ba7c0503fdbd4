"""Commands: `laghu compress`, `study`, `run`, `backbone`, `cost`, `tokens`, `campaign`, `table`, `check`, `declare`,
`export`, `classify`, `bench`, `ship`, `schema`, `book` and `pdf`."""

import argparse
import os
import re
import sys
from pathlib import Path

from laghu import paths, records
from laghu.errors import LaghuError
from laghu.spec import Study
from laghu.terminal import plain

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of IPython's tracebacks
_HEADLINE = "cpu"  # the study that README and first page begin with


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

    runner.run_study(arguments.study, arguments.extra)
    table(arguments)
    _draw_headline(arguments.study)


def run(arguments: argparse.Namespace) -> None:
    from papermill import PapermillExecutionError

    from laghu import runner, token_runner

    loaded = Study.load(arguments.study)
    words = {each.run: each for each in loaded.tokens}
    try:
        if arguments.run in words:
            token_runner.execute_with_progress(words[arguments.run])
        else:
            runner.execute_with_progress(loaded, loaded.find(arguments.run))
    except PapermillExecutionError as error:
        reason = _COLOURS.sub("", str(error)).strip()
        last = reason.splitlines()[-1]
        raise LaghuError(f"{arguments.run}: {last if error.ename == 'LaghuError' else reason}") from None


def backbone(arguments: argparse.Namespace) -> None:
    from laghu import pretraining, runner

    if arguments.processes > 1:
        from laghu import parallel

        parallel.launch(arguments.study, arguments.processes)
    with runner.watched(f"[{arguments.study}] backbone"):
        record = pretraining.record(Study.load(arguments.study))
    print(f"[{arguments.study}] backbone: {record.steps:,} steps", flush=True)


def cost(arguments: argparse.Namespace) -> None:
    from laghu import cost_runner

    cost_runner.run(Study.load(arguments.study))


def tokens(arguments: argparse.Namespace) -> None:
    from laghu import token_runner

    token_runner.run(Study.load(arguments.study))


def campaign(arguments: argparse.Namespace) -> None:
    from laghu import campaign

    campaign.run(arguments.studies, arguments.stage or [], arguments.jobs)


def table(arguments: argparse.Namespace) -> None:
    from laghu.report import tables, tokens

    name = Study.load(arguments.study).name
    results = tables.study(name)
    texts = [*([] if results.empty else [tables.terminal(results)]), *tokens.terminal(name)]
    if not texts:
        raise LaghuError(f"study {name!r} has no results; run `laghu study {name}` first")
    print(plain("\n\n".join(texts)))


def check(arguments: argparse.Namespace) -> None:
    """Fail if a run of the study has no record or a stale one, or if its notebook is missing or ends in an error.

    The cost track and the token classifiers, if the study has any, count like its runs.
    """
    from laghu import cost, cost_runner, freshness, token_freshness
    from laghu.report.book import refuse_errors

    loaded = Study.load(arguments.study)
    folder = paths.results(loaded.name)
    stale = []
    for spec in loaded.runs:
        record = records.RunRecord.load(folder / f"{spec.run}.json")
        if reason := freshness.why_stale(record, spec, record.data_sha256):
            stale.append(f"{spec.run}: {reason}")
        refuse_errors(folder / f"{spec.run}.ipynb")
    for each in cost_runner.runs(loaded) if loaded.cost else []:
        file = records.cost_file(loaded.name, each.precision)
        if reason := cost.why_stale(records.CostRecord.load(file), each):
            stale.append(f"cost in {each.precision}: {reason}")
        refuse_errors(file.with_suffix(".ipynb"))
    for each in loaded.tokens:
        file = records.token_file(loaded.name, each.run)
        record = records.TokenRecord.load(file)
        if reason := token_freshness.why_stale(record, each, record.data_sha256):
            stale.append(f"{each.run}: {reason}")
        refuse_errors(file.with_suffix(".ipynb"))
    if stale:
        raise LaghuError(f"study {loaded.name!r} is stale: " + "; ".join(stale))
    print(f"study {loaded.name!r}: every record is what its code and parameters would give")


def declare(arguments: argparse.Namespace) -> None:
    from laghu import equality

    print(equality.declare(arguments.name, arguments.commit, Path(arguments.home), arguments.runs, arguments.why))


def schema(arguments: argparse.Namespace) -> None:
    (paths.root() / "results" / "record.schema.json").write_text(records.json_schema(), encoding="utf-8")


def book(arguments: argparse.Namespace) -> None:
    from laghu.report.book import build

    print(build())


def pdf(arguments: argparse.Namespace) -> None:
    from laghu.report.pdf import make

    print(make())


def export(arguments: argparse.Namespace) -> None:
    import transformers

    from laghu import deployment

    texts = _texts(Path(arguments.texts)) if arguments.texts else []
    transformers.utils.logging.disable_progress_bar()
    folder = Path(arguments.folder)
    deployment.export(Path(arguments.checkpoint), folder, arguments.precision, texts, arguments.max_length)
    print(folder)


def classify(arguments: argparse.Namespace) -> None:
    from laghu import lines
    from laghu.inference import Classifier

    classifier = Classifier(
        arguments.model, engine=arguments.engine, threads=arguments.threads, max_length=arguments.max_length
    )
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        lines.classify(classifier, sys.stdin.buffer, sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read along has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def bench(arguments: argparse.Namespace) -> None:
    from laghu.benchmark import gpu_run, run

    study = Study.load(arguments.study)
    if arguments.check:
        run.check(study)
    elif arguments.gpu:
        print(gpu_run.summary(gpu_run.run(study)))
    else:
        print(run.summary(run.run(study)))


def compress(arguments: argparse.Namespace) -> None:
    from laghu import runner
    from laghu.own.compress import compress
    from laghu.own.settings import Settings

    names = Settings.model_fields
    given = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    with runner.watched("training"):
        page = compress(Settings.of(given), lambda line: print(line, flush=True))
    print(page)


def ship(arguments: argparse.Namespace) -> None:
    from laghu.shipping import make

    folder = Path(arguments.folder) if arguments.folder else paths.shipped()
    made = make.ship(Study.load(arguments.study), folder)
    for model in filter(None, (made.small, made.teacher)):
        print(f"{model.run}: {model.bytes / 1e6:.1f} MB, accuracy {model.accuracy.clean.value:.1%} on clean test texts")
    print(folder)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """An option for each of a reader's settings, which check its value."""
    from laghu.own.settings import Settings

    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() or field.default is None else f"; {field.default} by default"
        parser.add_argument(
            f"--{name.replace('_', '-')}", required=field.is_required(), nargs="+" if name == "levels" else None,
            metavar=name.upper(), help=f"{field.description or name}{default}".replace("%", "%%"),
        )


def _texts(file: Path) -> list[str]:
    """The texts of a file, one a line; blank lines are none."""
    try:
        return [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise LaghuError(f"{file} can't be read as lines of UTF-8 ({error})") from None


def _draw_headline(name: str) -> None:
    """Keep the figure of the book's first page beside the records of the study that it is of, for the README."""
    from laghu.report import figures, style, tables

    if name == _HEADLINE:
        style.save(figures.answer(tables.study(name)).figure, paths.results(name) / "accuracy-speed-up.svg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="laghu", description="Compress text encoders and report on it reproducibly.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command, text: str, *names: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(command.__name__, help=text, description=text)
        for name in names:
            sub.add_argument(name)
        sub.set_defaults(command=command)
        return sub

    add(study, "bring a study up to date and print its table; further arguments go to snakemake", "study")
    add(run, "execute one run of a study", "study", "run")
    pretrained = add(backbone, "pretrain the encoder of a study", "study")
    pretrained.add_argument("--processes", type=int, default=1, help="that share the work, as one for each GPU does")
    add(cost, "measure what the rows of a study cost at the paper's exact shape", "study")
    add(tokens, "bring the token classifiers of a study up to date, and nothing else", "study")
    staged = add(campaign, "run whole studies on one machine, stage by stage; call again to go on")
    staged.add_argument("studies", nargs="+", metavar="STUDY")
    staged.add_argument("--stage", action="append", help="only this stage; may be given more than once")
    staged.add_argument("--jobs", type=int, default=1, help="processes side by side where that is of use")
    add(table, "print the results of a study", "study")
    add(check, "fail if a published study is stale", "study")
    exported = add(export, "write a checkpoint as a folder for `laghu classify`", "checkpoint", "folder")
    exported.add_argument("--precision", default="fp32", help="fp32, the default, or int8, which needs texts")
    exported.add_argument("--texts", metavar="FILE", help="texts to calibrate int8 on: UTF-8, one a line")
    exported.add_argument("--max-length", type=int, help="tokens read of each; the model's positions by default")
    labelled = add(classify, "label lines of text from standard input, as lines of JSON", "model")
    labelled.add_argument("--engine", default="onnxruntime", help="onnxruntime, or openvino where it is installed")
    labelled.add_argument("--threads", type=int, help="processor threads; all by default")
    labelled.add_argument("--max-length", type=int, help="tokens read of a text; the model's positions by default")
    measured = add(bench, "measure documents per second from a pipeline to what is deployed, step by step", "study")
    other = measured.add_mutually_exclusive_group()
    other.add_argument("--check", action="store_true", help="only fail if a step is worth less than published")
    other.add_argument("--gpu", action="store_true", help="the teacher on a GPU, from a pipeline to packed texts")
    _add_settings(add(compress, "prune and distil a classifier of your own on texts of your own"))
    shipped = add(ship, "write the model that a study gives away as files for the book's live page", "study")
    shipped.add_argument("folder", nargs="?", help="receives them; the book's own by default")
    declared = add(declare, "declare that a change of code alters no number, by runs made again", "name")
    declared.add_argument("commit", help="whose code made the published results")
    declared.add_argument("home", help="another checkout, with the code as it is, in which the runs were made again")
    declared.add_argument("runs", nargs="+", metavar="STUDY/RUN")
    declared.add_argument("--why", required=True, help="what changed, in a sentence")
    add(schema, "write the JSON Schema of a record")
    add(book, "render the book and print the path of its first page")
    add(pdf, "print the book with Chromium or Chrome, without its notebooks, and print the path of the PDF")
    return parser
