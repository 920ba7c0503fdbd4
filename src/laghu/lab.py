"""Controls for a notebook: a run of the quick study with other settings, made there and shown beside the baseline.

What the controls say is a `RunSpec`, whose bounds and choices they take and whose refusals they show. A run goes
through the same steps as a template in `notebooks/`, and leaves its record where those leave theirs, in
`results/manual`.
"""

from collections.abc import Callable
from html import escape
from typing import Any, get_args

import ipywidgets as widgets
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import formats
from laghu.spec import Distilling, RunSpec, Study, Technique, checked

STUDY = "quick"
_STEPS = ("Corpus", "Teacher", "Compression", "Measurement")
_COLUMNS = ("Run", "Temperature", "Accuracy, clean", "Speed-up", "Parameters", "Training time")


def technique(pruning_level: float, distillation: str, precision: str) -> Technique:
    """The technique that such settings belong to; whether they fit it, `RunSpec` says."""
    if precision != "fp32":
        return "mixed_precision"
    if distillation != "none":
        return "pruning_distillation"
    return "pruning" if pruning_level else "baseline"


def changed(run: RunSpec, pruning_level: float, distillation: str, temperature: float, precision: str) -> RunSpec:
    """A run with these settings, and all else as in `run`.

    Raises:
        LaghuError: a value out of bounds, or values that do not go together.
    """
    settings = run.model_dump(mode="json", exclude_unset=True)
    return checked(RunSpec, {
        **settings, "technique": technique(pruning_level, distillation, precision), "pruning_level": pruning_level,
        "distillation": distillation, "precision": precision,
        "distilling": {**settings.get("distilling", {}), "temperature": temperature},
    })


def make(run: RunSpec, begin: Callable[[str], None], tell: Callable[[str], None]) -> RunRecord:
    """`making.make`, its record saved.

    Args:
        tell: is told how far a training has come.
    """
    # Seconds, and a gigabyte of libraries, which looking at the controls does not take.
    from laghu import making, progress

    with progress.told(tell):
        record = making.make(run, begin).record
    record.save()
    return record


class Lab:
    """The controls, and what was run with them.

    Args:
        run: whose settings are the starting point; the quick study's baseline if not given.

    Attributes:
        controls: to be shown by a cell.
        records: of all runs so far, the baseline's first.
    """

    def __init__(self, run: RunSpec | None = None) -> None:
        self._start = (run or _quick()).model_copy(update={"study": "manual"})
        self.records: list[RunRecord] = []
        self.pruning_level = _slider(RunSpec, "pruning_level", "Pruning level", step=0.05, value=0.5)
        self.distillation = _choice(RunSpec, "distillation", "Distillation", value="joint")
        self.temperature = widgets.FloatText(
            value=self._start.distilling.temperature, step=0.5, description="Temperature",
            tooltip=_about(Distilling, "temperature"), style=_STYLE,
        )
        self.precision = _choice(RunSpec, "precision", "Precision", value=self._start.precision)
        self.button = widgets.Button(description="Run", button_style="primary", icon="play")
        self.message, self.table, self.log = widgets.HTML(), widgets.HTML(), widgets.Output()
        self.bar = widgets.IntProgress(max=len(_STEPS), description="Step", style=_STYLE)
        self.progress = widgets.HTML()
        self._inputs = (self.pruning_level, self.distillation, self.temperature, self.precision)
        self.controls = widgets.VBox([
            *self._inputs, self.button, self.message, widgets.HBox([self.bar, self.progress]), self.table, self.log,
        ])
        for control in self._inputs:
            control.observe(lambda _: self._look(), "value")
        self.button.on_click(lambda _: self._press())
        self._look()

    @property
    def run(self) -> RunSpec:
        """What the controls say.

        Raises:
            LaghuError: what they say is no run.
        """
        return changed(self._start, **self._values())

    def _values(self) -> dict[str, Any]:
        return {
            "pruning_level": self.pruning_level.value, "distillation": self.distillation.value,
            "temperature": self.temperature.value, "precision": self.precision.value,
        }

    def _look(self) -> None:
        """Say what the button would run, or why there is nothing to run."""
        self.temperature.disabled = self.distillation.value == "none"
        try:
            self._say(f"Ready to run {self.run.run}.")
            self.button.disabled = False
        except LaghuError as error:
            self._refuse(error)
            self.button.disabled = True

    def _press(self) -> None:
        self.button.disabled = True
        try:
            with self.log:
                self._compare(self.run)
        finally:
            self.button.disabled = False

    def _compare(self, run: RunSpec) -> None:
        """Make the run and, before the first of them, the baseline that it stands beside."""
        baseline = changed(self._start, 0.0, "none", run.distilling.temperature, "fp32")
        wanted = [run] if self.records or run.technique == "baseline" else [baseline, run]
        try:
            for each in wanted:
                self._say(f"Running {each.run}.")
                self.records.append(make(each, self._begin, self._tell))
                self.table.value = _table(self.records)
            self._say(f"Done: {run.run}. Its record is in results/{run.study}.")
        except LaghuError as error:
            self._refuse(error)
        finally:
            self.bar.value = 0
            self._tell("")

    def _begin(self, step: str) -> None:
        self.bar.value = 1 + _STEPS.index(step)
        self._tell(step)

    def _tell(self, line: str) -> None:
        self.progress.value = escape(line)

    def _say(self, text: str) -> None:
        self.message.value = escape(text)

    def _refuse(self, error: LaghuError) -> None:
        self.message.value = f"<strong>Not possible:</strong> {escape(str(error))}"


def _quick() -> RunSpec:
    return next(run for run in Study.load(STUDY).runs if run.technique == "baseline")


_STYLE = {"description_width": "8em"}


def _slider(model: type[BaseModel], field: str, label: str, step: float, value: float) -> widgets.FloatSlider:
    """A slider between the bounds of a field that has two; one that is itself out of bounds is a step away."""
    ends = {}
    for bound in model.model_fields[field].metadata:
        match bound:
            case Ge(ge=least):
                ends["min"] = least
            case Gt(gt=least):
                ends["min"] = least + step
            case Le(le=most):
                ends["max"] = most
            case Lt(lt=most):
                ends["max"] = most - step
    return widgets.FloatSlider(
        value=value, step=step, description=label, tooltip=_about(model, field), style=_STYLE,
        readout_format=".2f", **ends,
    )


def _choice(model: type[BaseModel], field: str, label: str, value: str) -> widgets.Dropdown:
    options = get_args(model.model_fields[field].annotation)
    return widgets.Dropdown(
        options=options, value=value, description=label, tooltip=_about(model, field), style=_STYLE
    )


def _about(model: type[BaseModel], field: str) -> str | None:
    return model.model_fields[field].description


def _table(records: list[RunRecord]) -> str:
    """What was measured, a line for each run, as HTML."""
    lines = [_cells(record) for record in records]
    head = "".join(f'<th scope="col" align="left">{escape(name)}</th>' for name in _COLUMNS)
    cell = '<td style="padding-right: 1.5em">{}</td>'
    body = "".join("<tr>" + "".join(cell.format(escape(text)) for text in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(record: RunRecord) -> list[str]:
    temperature = record.settings["distilling"]["temperature"]
    return [
        record.run,
        f"{temperature:g}" if record.distilled else "–",
        formats.show("accuracy.clean.value", record.accuracy.clean.value),
        formats.show("speed_up.median", record.speed_up.median) if record.technique != "baseline" else "–",
        formats.show("parameters.total", record.parameters.total),
        formats.show("train_seconds", record.train_seconds),
    ]
