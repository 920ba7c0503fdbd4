"""What a page of an executed notebook says of its record: question, result, limits, and how to run it again."""

import ast
import shlex
from typing import Any

import nbformat
import yaml

from laghu import paths
from laghu.records import CostRecord, RunRecord, TokenRecord
from laghu.report import formats, tokens
from laghu.report.rows import Row, row_of
from laghu.spec import CostRun, RunSpec, Study, TokenRun

Record = RunRecord | TokenRecord | CostRecord
_SAMPLES = {"sample", "token-sample"}


def question(record: Record) -> str:
    """What the page answers."""
    match record:
        case CostRecord():
            return f"What do the rows of the paper's Table I cost to use in {record.precision}, at its encoder's shape?"
        case TokenRecord():
            label, unit = Row.parse(tokens.row(record)).label, "labelled words of "
        case _:
            label, unit = Row.parse(row_of(record.run)).label, ""
    return (f"How good, how fast and how large is “{label}” on {unit}{record.corpus}? One run with seed {record.seed}, "
            "from its parameters to its record.")


def result(record: Record, bound: float | None) -> list[tuple[str, str]]:
    """The page's result in one line: texts, each with the number that follows it, which may be empty.

    Args:
        bound: what speed-up the saved arithmetic allows against the baseline of the same seed, if that is known.
    """
    match record:
        case CostRecord():
            return _cost_result(record)
        case TokenRecord():
            score = tokens.HEADLINE[record.task]
            estimate, tested = record.scores[score].clean, "on the clean test sentences"
            first = "F1 " if score == "f1" else "accuracy "
        case _:
            estimate, first, tested = record.accuracy.clean, "", "of the clean test rows right"
    parts = [(first, formats.show("accuracy", estimate.value)),
             (f" {tested} (95 % interval ", f"{100 * estimate.low:.1f}"),
             (" to ", formats.show("accuracy", estimate.high)),
             ("), with ", formats.show("parameters.total", record.parameters.total))]
    if record.speed_up is None:
        return [*parts, (" parameters.", "")]
    parts.append((" parameters, at ", formats.show("speed_up.median", record.speed_up.median)))
    if bound is None:
        return [*parts, (" the speed of the baseline of the same seed.", "")]
    return [*parts, (" the speed of the baseline of the same seed, where the saved arithmetic allows ",
                     formats.show("flop_bound", bound)), (".", "")]


def limits(record: Record) -> list[str]:
    """What the page does not show, one paragraph each."""
    if isinstance(record, CostRecord):
        energy = next((cell.energy.source for cell in record.cells if cell.energy), {})
        return ["The weights are random, so nothing here is about accuracy. One machine and one engine: another has "
                f"other ratios. {_energy(energy)}"]
    invented = ["The corpus is invented: scores on it say nothing about Marathi."] if record.synthetic else []
    timed = ""
    if record.timing:
        timing = record.timing
        timed = (f"Times are of this machine and of one engine ({timing.engine}), at {timing.sequence_length} tokens "
                 f"and batches of {timing.throughput_batch_size}, {timing.repeats} turns. ")
    return [
        *invented,
        "One run with one seed. Another seed gives another score, and the interval is over test rows alone: how far "
        "seeds differ, and whether two rows can be told apart, is in the tables of the study, not here.",
        timed + _energy(record.energy_source),
    ]


def commands(record: Record) -> str:
    """The commands that run the page again: by its study, if that is there, and by papermill, which needs no study."""
    data = "" if isinstance(record, CostRecord) or record.corpus in _SAMPLES else "LAGHU_DATA_DIR=... "
    template, given = _template(record)
    written = yaml.safe_dump(given, default_flow_style=True, width=float("inf"), sort_keys=False).strip()
    by_hand = f"{data}papermill notebooks/{template}.ipynb out.ipynb -y {shlex.quote(written)}"
    by_study = _by_study(record)
    if not by_study:
        return by_hand
    return f"{data}{by_study}\n# or with its parameters written out, as a record of the study 'manual':\n{by_hand}"


def without_corpus(record: Record) -> str:
    """How a reader who has not the notebook's corpus runs it; empty where it needs none."""
    if isinstance(record, CostRecord) or record.corpus in _SAMPLES:
        return ""
    return (f"It reads {record.corpus} and the texts of its encoder from LAGHU_DATA_DIR (see the chapter on data). If "
            "you have not got them, delete the cell that begins with “# Parameters”: it then runs, smaller, on "
            "invented texts that come with it.")


def _by_study(record: Record) -> str:
    if not (paths.studies() / f"{record.study}.yaml").is_file():
        return ""
    if isinstance(record, CostRecord):
        return f"laghu cost {record.study}"
    study = Study.load(record.study)
    if record.run not in {spec.run for spec in (*study.runs, *study.tokens)}:
        return ""
    return f"laghu run {record.study} {record.run}"


def _template(record: Record) -> tuple[str, dict[str, Any]]:
    """The notebook's template, and those parameters of the run that differ from what it would take by itself."""
    match record:
        case CostRecord():
            settings = {**record.settings, "precisions": [record.precision]}
            run = CostRun.model_validate({"study": record.study, "precision": record.precision, "settings": settings})
            template = "cost"
        case TokenRecord():
            run, template = TokenRun.model_validate(record.settings), "token_classification"
        case _:
            run, template = RunSpec.model_validate(record.settings), record.technique
    every = run.model_dump(mode="json")
    given = run.model_dump(mode="json", exclude_defaults=True, exclude={"study", "technique"})
    # A template may start from another value than the spec does: `pruning` from half of the neurons, for one.
    for name, default in _parameters(template).items():
        if name != "study" and default != {} and every.get(name, default) != default:
            given.setdefault(name, every[name])
    return template, given


def _parameters(template: str) -> dict[str, Any]:
    """What the template's parameters cell assigns; nothing where there is no such template."""
    file = paths.templates() / f"{template}.ipynb"
    if not file.is_file():
        return {}
    cells = nbformat.read(file, as_version=4).cells
    source = next(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(source).body}


def _cost_result(record: CostRecord) -> list[tuple[str, str]]:
    measured = [cell for cell in record.cells if cell.speed_up and cell.pruning_level]
    if not measured:
        return [("nothing was measured.", "")]
    cell = max(measured, key=lambda each: (each.sequence_length, each.batch_size, each.pruning_level))
    return [(f"without {100 * cell.pruning_level:g} % of the feed-forward neurons the encoder runs ",
             formats.show("speed_up.median", cell.speed_up.median)),
            (f" as fast at {cell.sequence_length} tokens and batches of {cell.batch_size}, where the saved arithmetic "
             "allows ", formats.show("flop_bound", cell.flop_bound)), (".", "")]


def _energy(known: dict[str, str]) -> str:
    parts = {how: [part.upper() for part, of in known.items() if of == how] for how in ("measured", "estimated")}
    said = " and ".join(f"{how} for {', '.join(names)}" for how, names in parts.items() if names)
    return f"Energy is {said}." if said else ""
