"""One look for all figures: font, colours, markers, and labels that don't cover each other."""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

_FONTS = Path(__file__).parent / "fonts"


@dataclass(frozen=True)
class Look:
    """A colour that text can have on white, and a marker as matplotlib takes it.

    `size` is the area of the marker's box over that of a circle's which looks as large: a star is mostly corners.
    """

    color: str
    marker: str | tuple[int, int, int]
    size: float = 1


# Keys as in `rows.GROUPS`. Techniques whose lines stand in one figure have colours that every kind of colour vision
# tells apart, on white and, by `on_dark`, on a dark page; any other two differ in colour or in the shape of their
# markers. A test measures it. The colour of pruning is also in the executed notebooks.
LOOKS = {
    "classical": Look("#6e6e6e", "X"),
    "baseline": Look("#000000", "D"),
    "continued": Look("#430ebb", (6, 1, 0), 1.5),
    "pruning": Look("#0072b2", "o"),
    "joint": Look("#9d2b00", "s"),
    "after": Look("#0e6a46", "^"),
    "ensemble-distillation": Look("#967000", "v"),
    "one-shot": Look("#505e04", "<"),
    "minitron": Look("#bb3850", ">"),
    "from-scratch": Look("#4d4d4d", "h"),
    "vocabulary-trimming": Look("#2b4d78", "p"),
    "two-step": Look("#7c3112", "P", 1.2),
    "student": Look("#a3187e", "*", 2),
    "quantization": Look("#007d8c", "d"),
    "mixed-precision": Look("#8f40cd", "H"),
}
MUTED = "#6e6e6e"
# Behind the text of a dark page, and how much lighter than it a colour has to be there: the contrast that WCAG asks of
# text.
_DARK_PAGE, _CONTRAST = "#14181e", 4.5

_THEME: dict[str, Any] = {
    # 3.11 is the first matplotlib to shape Devanagari; DejaVu has no glyph of it, so the second family is needed.
    "font.family": ["DejaVu Sans", "Noto Sans Devanagari"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
    # Opaque, so that a dark page leaves the figure readable.
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 144,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    # The same records give the same bytes.
    "svg.hashsalt": "laghu",
}


def canvas(width: float = 5.2, height: float = 4.0, **subplots: Any) -> tuple[Figure, Any]:
    """A themed figure and its axes, as from `plt.subplots`; sizes in inches.

    It is closed at once, so that a notebook shows it once: where a cell returns it.
    """
    known = {Path(font.fname) for font in font_manager.fontManager.ttflist}
    for file in set(_FONTS.glob("*.ttf")) - known:
        font_manager.fontManager.addfont(file)
    sns.set_theme(style="whitegrid", palette="colorblind")
    matplotlib.rcParams.update(_THEME)
    figure, axes = plt.subplots(figsize=(width, height), **subplots)
    plt.close(figure)
    return figure, axes


def on_dark(color: str) -> str:
    """The colour for a dark page: as light as it was dark, and lighter if it could not be read; hexadecimal."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*matplotlib.colors.to_rgb(color))
    shades = (colorsys.hls_to_rgb(hue, lighter, saturation) for lighter in np.linspace(1 - lightness, 1, 101))
    readable = next(shade for shade in shades if contrast(shade, _DARK_PAGE) >= _CONTRAST)
    return matplotlib.colors.to_hex(readable)


def contrast(one: Any, other: Any) -> float:
    """Contrast ratio of two colours, 1 to 21, by WCAG 2; each as matplotlib takes it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Any) -> float:
    """Relative luminance of an sRGB colour, 0 to 1, by WCAG 2."""
    rgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def save(figure: Figure, file: Path) -> None:
    """Write an SVG; its text is drawn as outlines, so that it needs no font where it's read."""
    figure.savefig(file, format="svg", metadata={"Date": None})


def label_points(
    axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str], colors: Sequence[str],
    obstacles: Sequence[tuple[float, float]] = (),
) -> list[Annotation]:
    """Write a text beside each point where it covers least: other labels, points, obstacles or the edge.

    Places are tried in rings around the point, nearest first; limits of the axes have to be final.

    Args:
        points: in data coordinates, as are the obstacles.
    """
    axes.figure.draw_without_rendering()
    frame = _corners(axes.get_window_extent())
    marks = axes.transData.transform(np.array([*points, *obstacles], dtype=float))
    places = np.array([place[:2] for place in _PLACES], dtype=float)
    pixels = axes.figure.dpi / 72
    taken = np.empty((0, 4))
    labels = []
    for point, text, color in zip(points, texts, colors, strict=True):
        label = axes.annotate(text, point, xytext=(0, 0), textcoords="offset points", va="center", fontsize=9)
        # A text is laid out once for each alignment: that takes longer than all else here.
        unmoved = {}
        for side in ("left", "right", "center"):
            label.set_ha(side)
            unmoved[side] = _corners(label.get_window_extent().padded(3))
        label.remove()
        boxes = np.array([unmoved[side] for _, _, side in _PLACES]) + pixels * np.tile(places, 2)
        best = np.argmin(_cost(boxes, frame, taken, marks) + np.hypot(*places.T))
        taken = np.vstack([taken, boxes[best]])
        dx, dy, side = _PLACES[best]
        leader = {"arrowstyle": "-", "color": color, "linewidth": 0.6, "alpha": 0.6}
        labels.append(axes.annotate(
            text, point, xytext=(dx, dy), textcoords="offset points", va="center", ha=side, fontsize=9, color=color,
            arrowprops=leader if math.hypot(dx, dy) > 20 else None,
        ))
    return labels


def _corners(box: Bbox) -> np.ndarray:
    """Left, bottom, right and top in pixels."""
    return np.array(box.extents)


def _cost(boxes: np.ndarray, frame: np.ndarray, taken: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """What a label in each box would hide or lose: pixels outside and over other labels, and marks covered.

    Args:
        boxes: by `_corners`, shape (boxes, 4), as are the labels `taken`; `frame` is one.
        marks: shape (marks, 2).
    """
    outside = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - _overlaps(boxes, frame[None])
    within = (marks > boxes[:, None, :2]) & (marks < boxes[:, None, 2:])
    return 10 * (outside + _overlaps(boxes, taken)) + 25 * within.all(axis=2).sum(axis=1)


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pixels that each box, shape (boxes, 4), has in common with the others, each for itself; shape (boxes,)."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    return np.prod(np.maximum(high - low, 0), axis=2).sum(axis=1)


# Offsets in points and the alignment that goes with them: right, left, above and below, then farther out.
_PLACES = [
    (dx, dy, side)
    for ring in (1.0, 1.8, 2.8, 4.0)
    for dx, dy, side in (
        (8, 0, "left"), (-8, 0, "right"), (6, 9 * ring, "left"), (6, -9 * ring, "left"),
        (-6, 9 * ring, "right"), (-6, -9 * ring, "right"), (0, 10 * ring, "center"), (0, -10 * ring, "center"),
        (14 * ring, 10 * ring, "left"), (14 * ring, -10 * ring, "left"),
        (-14 * ring, 10 * ring, "right"), (-14 * ring, -10 * ring, "right"),
    )
]
