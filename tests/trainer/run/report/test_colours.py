"""The colours of figures and pages are told apart by people who see red and green, or blue and yellow, alike.

Simulated as Machado, Oliveira and Fernandes (2009) do for the full lack of one kind of cone; distances are CIE76.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.selection import figure as variants
from serving.http.page import STYLE
from trainer.run.report import figures

VISIONS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])

TOLD_APART = 20
"""About ten times the least difference that can be seen side by side."""

REPORT = (Path(figures.__file__).parent / "page.css").read_text(encoding="utf-8")
MARKS = re.compile(r"--for: (#\w{6}); --against: (#\w{6});")
BARS = re.compile(r"--(?:for|against): light-dark\((#\w{6}), (#\w{6})\)")


def sets_of_colours() -> dict[str, tuple[str, ...]]:
    """The colours that mean different things side by side."""
    light, dark = MARKS.findall(REPORT)
    against = list(zip(*BARS.findall(STYLE), strict=True))
    return {
        "the report's curves": (figures.RIGHT, figures.WRONG, figures.THIRD),
        "the report's words, light": light,
        "the report's words, dark": dark,
        "the variants": (variants.PROVEN, variants.FAILED, variants.SLOWER),
        "the page's words, light": against[0],
        "the page's words, dark": against[1],
    }


def distance(one: str, other: str, vision: NDArray[Any]) -> float:
    """How far apart two colours are to somebody's eyes."""
    return float(np.linalg.norm(_lab(vision @ _linear(one)) - _lab(vision @ _linear(other))))


def _linear(colour: str) -> NDArray[Any]:
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _lab(linear: NDArray[Any]) -> NDArray[Any]:
    ratios = XYZ @ np.clip(linear, 0, 1) / WHITE
    x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("name", sets_of_colours())
def test_colours_are_told_apart(name: str, vision: str) -> None:
    """Every two of a set."""
    pairs = combinations(sets_of_colours()[name], 2)
    assert [pair for pair in pairs if distance(*pair, VISIONS[vision]) < TOLD_APART] == []


def test_red_and_green_are_not() -> None:
    """The report's former marks: this test would have found them."""
    assert distance("#d8ecd9", "#f8d9d3", VISIONS["deuteranopia"]) < 5


def test_each_state_of_a_variant_has_a_shape() -> None:
    """So that the figure can be read in grey."""
    assert len(set(variants.MARKS.values())) == len(variants.MARKS) == 3
