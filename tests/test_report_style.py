"""Colours and markers. Oracle: vision without one kind of cone, as Machado, Oliveira & Fernandes (2009) model it, and
distances in CIELAB, both written out here."""

from itertools import combinations

import numpy as np
import pytest

from laghu.report import explorer, figures, style
from laghu.report.rows import GROUPS, Row
from laghu.report.style import LOOKS, Look

# Of linear RGB; the paper's matrices of severity 1.
VISIONS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# Of sRGB with the white of D65.
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])
# About five times the difference that is just seen where two colours touch.
ENOUGH = 11
# Markers that are told apart at a glance, whatever their colours: no two of one kind are.
KINDS = {
    "round": {"o", "h", "H", "p", "8"}, "square": {"s"}, "diamond": {"D", "d", (4, 1, 0)},
    "triangle": {"^", "v", "<", ">"}, "star": {"*", (6, 1, 0)}, "plus": {"P"}, "cross": {"X"},
}
# Light pages are white, and on dark ones the same colour is another.
PAGES = {"light": lambda color: color, "dark": style.on_dark}


def lab(color, vision):
    """CIELAB of a colour "#rrggbb" as that vision has it."""
    signal = np.array([int(color[at:at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISIONS[vision]) @ linear, 0, 1)
    relative = TO_XYZ @ seen / TO_XYZ.sum(axis=1)
    x, y, z = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_difference(one, other, page):
    shown = [PAGES[page](color) for color in (one, other)]
    return min(np.linalg.norm(np.subtract(*(lab(color, vision) for color in shown))) for vision in VISIONS)


def kind(look):
    (found,) = [name for name, markers in KINDS.items() if look.marker in markers]
    return found


def too_alike(looks, page, by_shape):
    """Pairs of keys that somebody cannot tell apart."""
    return [(one, other) for one, other in combinations(looks, 2)
            if least_difference(looks[one].color, looks[other].color, page) < ENOUGH
            and not (by_shape and kind(looks[one]) != kind(looks[other]))]


def test_the_differences_are_those_of_the_definitions():
    # Black and white are 100 apart, to everybody.
    assert least_difference("#000000", "#ffffff", "light") == pytest.approx(100, abs=0.01)
    # Red and green of one lightness are one colour without the cones that tell them apart, and two to others.
    assert np.linalg.norm(lab("#c00000", "normal") - lab("#4d6000", "normal")) > 50
    assert least_difference("#c00000", "#4d6000", "light") < 12
    assert lab("#ff0000", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # as printed in many tables


@pytest.mark.parametrize("page", PAGES)
def test_anyone_tells_any_two_techniques_apart(page):
    assert not too_alike(explorer.MARKS, page, by_shape=True)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("rows", [
    [row for _, rows, *_ in figures._ANSWER for row in rows],
    ["baseline", "continued", "pruning-50", "pruning-50-joint", "pruning-50-after", "ensemble-distillation",
     "mixed-precision-bf16"],
], ids=["answer", "first paper"])
def test_techniques_whose_lines_stand_in_one_figure_differ_in_colour(page, rows):
    looks = {group: LOOKS[group] for group in ("classical", *(Row.parse(row).group for row in rows))}
    assert len(looks) > 5
    assert not too_alike(looks, page, by_shape=False)


def test_the_check_finds_what_is_alike():
    looks = {"octagon": Look("#8c2d04", "8"), "hexagon": Look("#2e7d00", "H"), "square": Look("#8c2d04", "s")}
    assert too_alike(looks, "light", by_shape=True) == [("octagon", "hexagon")]
    assert len(too_alike(looks, "light", by_shape=False)) == 3


def test_every_technique_has_a_look_and_its_colour_can_be_read_as_text():
    assert list(LOOKS) == list(GROUPS)
    for look in explorer.MARKS.values():
        assert style.contrast(look.color, "white") >= 4.5
    assert LOOKS["pruning"].color == "#0072b2"  # as the executed notebooks show it
