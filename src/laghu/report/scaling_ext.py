"""What more workers are worth, for the book's pages.

Directives: `scaling-table` (argument: workers, simulated; measured; or jobs, of the rehearsal on Slurm) and
`scaling-figure` (argument: workers or seeds), with the option `name`. Role: {scaling}`minutes 2`, measured;
{scaling}`hours 1000 64` and {scaling}`times 1000 64`, simulated, by runs and workers; the others are listed below. What
has not been measured yet says so.
"""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from statistics import median
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

import laghu
from laghu import spreadsheets
from laghu.errors import LaghuError
from laghu.report import links, scaling, sources, style
from laghu.report.roles import RecordRole
from laghu.report.sphinx_ext import StudyDirective
from laghu.report.table_nodes import table_of
from laghu.scaling import simulation
from laghu.scaling.record import ScalingRecord, scaling_file
from laghu.scaling.slurm import SlurmRecord, slurm_file

_FIGURES = {"workers": scaling.workers_figure, "seeds": scaling.seeds_figure}
_TABLES = ("workers", "measured", "jobs")
_FOLDER = "scaling"


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_directive("scaling-table", ScalingTable)
    app.add_directive("scaling-figure", ScalingFigure)
    app.add_role("scaling", ScalingRole())
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class ScalingTable(StudyDirective):
    """One table."""

    has_content = False
    option_spec: ClassVar = {"name": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument not in _TABLES:
            raise LaghuError(f"no scaling table {argument!r}; there are {', '.join(_TABLES)}")
        return getattr(self, argument)()

    def workers(self) -> list[nodes.Node]:
        file = self.written(_FOLDER, "scaling.csv", partial(spreadsheets.write, scaling.frame(), index=False))
        link = self.data_link(file, sources.study_anchor(scaling.ORIGIN))
        return [self.titled(scaling.by_workers(), scaling.by_workers_caption()), link]

    def measured(self) -> list[nodes.Node]:
        if not scaling_file().is_file():
            return [_unmade("The time of a whole study has not been measured in this checkout; ",
                            "python -m laghu.scaling.measure")]
        record = ScalingRecord.load(scaling_file())
        rows = pd.DataFrame([{"workers": trial.workers, "trial_seconds": trial.seconds, **run.model_dump()}
                             for trial in record.trials for run in trial.runs])
        file = self.written(_FOLDER, "measured.csv", partial(spreadsheets.write, rows, index=False))
        link = self.data_link(file, sources.of_scaling(record).anchor)
        return [self.titled(scaling.measured(record), scaling.measured_caption(record)), link]

    def jobs(self) -> list[nodes.Node]:
        if not slurm_file().is_file():
            return [_unmade("The rehearsal on Slurm has not been run in this checkout; ", "make slurm-test")]
        record = SlurmRecord.load(slurm_file())
        link = nodes.paragraph("", "", self.download(slurm_file(), "Record (JSON)"), classes=["laghu-data"])
        return [self.titled(scaling.jobs(record), scaling.jobs_caption(record)), link]

    def titled(self, text: pd.DataFrame, caption: str) -> nodes.table:
        table = table_of(text)
        table.insert(0, nodes.title("", caption))
        self.add_name(table)
        return table


class ScalingFigure(StudyDirective):
    """One figure."""

    has_content = False
    option_spec: ClassVar = {"name": directives.unchanged}

    def content_of(self, argument: str) -> list[nodes.Node]:
        if argument not in _FIGURES:
            raise LaghuError(f"no scaling figure {argument!r}; there are {', '.join(_FIGURES)}")
        drawing = _FIGURES[argument]()
        image = self.written(_FOLDER, f"scaling-{argument}.svg", partial(style.save, drawing.figure))
        data = self.written(_FOLDER, "scaling.csv", partial(spreadsheets.write, drawing.data, index=False))
        anchor = sources.study_anchor(scaling.ORIGIN)
        return [self.figure(image, data, drawing.alt, drawing.caption, anchor)]


class ScalingRole(RecordRole):
    """A number of this page in running text."""

    pattern = r"(?P<what>[a-z-]+)(?: (?P<first>\d+))?(?: (?P<second>\d+))?"
    example = "minutes 2 or hours 1000 64"

    def number(self, what: str, first: str | None, second: str | None) -> nodes.Node:
        given = [int(each) for each in (first, second) if each]
        if what in _SIMULATED:
            explanation = f"simulated from the records of {scaling.ORIGIN}, median of {scaling.DRAWS} drawn studies"
            anchor = sources.study_anchor(scaling.ORIGIN)
            return links.explained(self.env, _made(_SIMULATED[what], *given), anchor, explanation)
        if what in _REHEARSED:
            if not slurm_file().is_file():
                return links.missing()
            return nodes.Text(_made(_REHEARSED[what], SlurmRecord.load(slurm_file()), *given))
        if what not in _MEASURED:
            raise LaghuError(f"no number {what!r}; there are {', '.join([*_MEASURED, *_REHEARSED, *_SIMULATED])}")
        if not scaling_file().is_file():
            return links.missing()
        record = ScalingRecord.load(scaling_file())
        source = sources.of_scaling(record)
        text = _made(_MEASURED[what], record, *given)
        return links.number(self.env, text, source.anchor, "time of a whole study", [source])


def _made(number: Callable[..., str], *arguments: Any) -> str:
    if len(arguments) != (takes := len(signature(number).parameters)):
        raise LaghuError(f"{len(arguments)} values are given where {takes} are needed")
    return number(*arguments)


def _hours(runs: int, workers: int) -> str:
    return _unit(scaling.hours(_simulated(runs, workers)), "h")


def _times(runs: int, workers: int) -> str:
    return f"{_simulated(runs, 1) / _simulated(runs, workers):.1f}×"


def _simulated(runs: int, workers: int) -> float:
    seeds, left = divmod(runs, scaling.RUNS_OF_SEED)
    if left:
        raise LaghuError(f"{runs} runs are no whole number of seeds of {scaling.RUNS_OF_SEED}")
    return median(scaling.simulated(seeds, workers))


def _rest() -> str:
    found = scaling.durations()
    low, high = found.rest_quartiles
    return f"{_unit(f'{found.rest:.0f}', 's')} (quartiles {low:.0f} and {high:.0f}, {found.rest_runs} runs)"


def _error(record: ScalingRecord, workers: int) -> str:
    return _unit(f"{100 * scaling.error(record, workers):+.1f}".replace("-", "−"), "%")


def _unit(number: str, unit: str) -> str:
    return f"{number}\N{NO-BREAK SPACE}{unit}"


_MEASURED: Mapping[str, Callable[..., str]] = {
    "minutes": lambda record, workers: _unit(f"{record.mean(workers) / 60:.1f}", "min"),
    "faster": lambda record, workers: f"{record.mean(1) / record.mean(workers):.2f}×",
    "error": _error,
    "timing-share": lambda record: _unit(f"{100 * scaling.share_of_timing(record):.0f}", "%"),
}
_REHEARSED: Mapping[str, Callable[[SlurmRecord], str]] = {
    "records": lambda record: f"{record.records}",
    "interrupted": lambda record: f"{len(record.started_anew)}",
}
_SIMULATED: Mapping[str, Callable[..., str]] = {
    "hours": _hours,
    "times": _times,
    "rest": _rest,
    "backbone": lambda: _unit(f"{scaling.durations().backbone / 60:.0f}", "min"),
    "bound": lambda workers: f"{simulation.bound(workers):.2f}×",
}


def _unmade(text: str, command: str) -> nodes.note:
    parts = [nodes.Text(text), nodes.literal("", command), nodes.Text(" does it.")]
    return nodes.note("", nodes.paragraph("", "", *parts))
