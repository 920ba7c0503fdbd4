"""What the notebook templates show: figures of one training, and small tables in HTML with all text escaped."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.pylabtools import print_figure
from IPython.display import HTML
from matplotlib.figure import Figure

from laghu import spreadsheets
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report import formats, style
from laghu.report.languages import attribute

_KEPT, _GONE = style.LOOKS["pruning"].color, "#c4c4c4"

# Fields of a record in the order of its summary, and what each is called there.
_SUMMARY = {
    "parameters.total": "Parameters",
    "documents_per_second": "Throughput",
    "latency_ms.p50": "Latency, one text",
    "speed_up.median": "Speed-up over the baseline",
    "agreement": "Agreement with the teacher",
    "mcnemar.p_value": "McNemar's p against the baseline",
    "train_seconds": "Training time",
    "energy_kwh": "Training energy",
    "co2e_kg": "Training CO₂e",
    "surgery_error": "Largest logit change at surgery",
}


@dataclass(frozen=True)
class Plot:
    """A figure and the numbers that it shows: an executed notebook keeps both, and the book offers them to download."""

    figure: Figure
    data: pd.DataFrame

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook's cell puts out (IPython)."""
        png = b64encode(print_figure(self.figure)).decode()
        return {"image/png": png, "text/csv": spreadsheets.write(self.data, index=False, float_format="%.6g")}


def training(report: dict[str, Any]) -> Plot | str:
    """`loss_curve` of the stage that makes a model, which may have been cut and not trained."""
    return loss_curve(report) if report["steps"] else "Nothing was trained: the model is as it was cut."


def loss_curve(report: dict[str, Any]) -> Plot | str:
    """Training loss and learning rate by optimiser step, from the `log` of a stage's report.

    A stage that trained nothing has a sentence in its place.

    Raises:
        LaghuError: it trained, and the log is empty.
    """
    if not report["steps"]:
        return "Nothing was trained in this stage."
    log = report["log"]
    if not log:
        raise LaghuError("the log of this stage has 0 entries; a loss curve needs at least one")
    data = pd.DataFrame(log)[["step", "loss", "learning_rate"]]
    figure, axes = style.canvas(height=3.2)
    axes.plot(data["step"], data["loss"], color=_KEPT, linewidth=1.6)
    axes.set(xlabel="Optimiser step", ylabel="Training loss", ylim=(0, None))
    axes.yaxis.label.set_color(_KEPT)
    rates = axes.twinx()
    rates.plot(data["step"], data["learning_rate"], color=style.MUTED, linewidth=1, linestyle="--")
    rates.set(ylabel="Learning rate", ylim=(0, None))
    rates.yaxis.label.set_color(style.MUTED)
    rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rates.grid(visible=False)
    return Plot(figure, data)


def neurons(report: dict[str, Any]) -> Plot:
    """Learned scores of the FFN neurons, one strip per layer, and which of them stay; its data are the bars.

    Args:
        report: of a pruning stage: `scores`, a list of numbers per layer, and `kept`, the indices that stay.
    """
    layers = [np.asarray(layer, dtype=float) for layer in report["scores"]]
    figure, axes = style.canvas(height=0.9 + 0.8 * len(layers), nrows=len(layers), sharex=True, squeeze=False)
    edges = np.histogram_bin_edges(np.concatenate(layers), bins=60)
    bars = []
    for number, (strip, scores, kept) in enumerate(zip(axes[:, 0], layers, report["kept"], strict=True), start=1):
        stays = np.zeros(len(scores), dtype=bool)
        stays[kept] = True
        strip.hist([scores[stays], scores[~stays]], bins=edges, stacked=True, color=[_KEPT, _GONE], linewidth=0,
                   label=["stays", "goes"])
        bars.append(pd.DataFrame({
            "layer": number, "from": edges[:-1], "to": edges[1:],
            "stays": np.histogram(scores[stays], edges)[0], "goes": np.histogram(scores[~stays], edges)[0],
        }))
        strip.set_ylabel(f"Layer {number}", rotation=0, ha="right", va="center")
        strip.set_yticks([])
        strip.grid(visible=False)
        strip.text(0.995, 0.9, f"{stays.sum()} of {len(scores)} stay", transform=strip.transAxes, ha="right", va="top",
                   fontsize=8, color=style.MUTED)
    axes[-1, 0].set_xlabel("Score of a neuron")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=9)
    return Plot(figure, pd.concat(bars))


def schedule(densities: Sequence[float]) -> Plot:
    """Fraction of the neurons in use at each optimiser step."""
    data = pd.DataFrame({"step": range(len(densities)), "density": densities})
    figure, axes = style.canvas(height=2.8)
    axes.plot(data["step"], 100 * data["density"], color=_KEPT, linewidth=1.6)
    axes.set(xlabel="Optimiser step", ylabel="Neurons in use (%)", ylim=(0, 104))
    return Plot(figure, data)


def confusion(labels: Sequence[int], predictions: Sequence[int], names: Sequence[str]) -> Plot:
    """Counts by true label (rows) and predicted label (columns), shaded by the share of the row."""
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (np.asarray(labels), np.asarray(predictions)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.8 + 0.36 * len(names)
    figure, axes = style.canvas(width=side + 0.4, height=side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8,
                  color="white" if shares[row, column] > 0.5 else "#222222")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="Predicted", ylabel="True")
    axes.grid(visible=False)
    return Plot(figure, pd.DataFrame(counts, columns=list(names)).assign(true=list(names))[["true", *names]])


def headlines(texts: Sequence[str], labels: Sequence[str], predictions: Sequence[str] | None = None) -> HTML:
    """A table of texts with their labels and, if given, the predicted ones."""
    headings = ["Headline", "Label"] + (["Predicted"] if predictions is not None else [])
    lines = zip(texts, labels, *([predictions] if predictions is not None else []), strict=True)
    body = "".join(
        f"<tr><td{attribute(text)}>{escape(text)}</td>{''.join(f'<td>{escape(label)}</td>' for label in rest)}</tr>"
        for text, *rest in lines
    )
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    return HTML(f'<table class="dataframe laghu-texts"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def summary(record: RunRecord) -> HTML:
    """The main numbers of a record; fields without a value in this run are left out."""
    lines = [
        (f"{statistic}, {view} ({rows:,} rows)", _estimate(getattr(getattr(record, field), view)))
        for field, statistic in (("accuracy", "Accuracy"), ("macro_f1", "Macro-F1"))
        for view, rows in record.rows.model_dump().items()
    ]
    values = record.model_dump()
    for field, name in _SUMMARY.items():
        value: Any = values
        for part in field.split("."):
            value = value and value[part]
        if value is not None:
            lines.append((name, formats.show(field, value)))
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in lines)
    caption = escape(f"{record.run}: {record.hardware.get('gpu') or record.hardware.get('cpu')}")
    return HTML(f'<table class="dataframe laghu-summary"><caption>{caption}</caption><tbody>{body}</tbody></table>')


def _estimate(estimate: Any) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
