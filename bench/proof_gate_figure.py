"""The operating curve of the proof's metric gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from export.proof.statistics.metric_change import LEVEL

INK, GRID, LIMIT = "#22303c", "#e6e9ec", "#c44e52"
BLUES = ("#a9cce3", "#7fb3d5", "#4292c6", "#2171b5", "#08306b")
"""Light to dark with the number of rows."""


def draw_figure(curves: Mapping[int, Sequence[float]], drops: Sequence[float], path: Path, budget: float) -> None:
    """Write an SVG: pass probability by true drop, a line for each number of rows; on the right near the budget."""
    with plt.rc_context({"svg.hashsalt": "tuneship", "axes.edgecolor": INK, "text.color": INK, "font.size": 10}):
        figure, (whole, near) = plt.subplots(
            1, 2, figsize=(8.6, 3.8), layout="constrained", gridspec_kw={"width_ratios": (3, 2)}
        )
        for axes in (whole, near):
            _draw_curves(axes, curves, drops, budget)
        whole.set_ylabel("variants that pass, %")
        whole.set_xlim(0, 100 * drops[-1])
        whole.set_ylim(0, 101)
        whole.legend(frameon=False, fontsize=9, loc="upper right", reverse=True)
        whole.annotate("budget", (100 * budget, 3), (4, 4), textcoords="offset points", color=LIMIT, fontsize=9)
        near.set_xlim(80 * budget, 100 * drops[-1])
        near.set_ylim(0, 8)
        near.set_title("near the budget", fontsize=9, loc="left")
        place = (100 * drops[-1], 100 * LEVEL)
        near.annotate(
            f"level, {100 * LEVEL:g} %", place, (0, 4), textcoords="offset points", color=LIMIT, fontsize=9, ha="right"
        )
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


def _draw_curves(axes: Axes, curves: Mapping[int, Sequence[float]], drops: Sequence[float], budget: float) -> None:
    for (rows, curve), colour in zip(curves.items(), BLUES, strict=True):
        points = [100 * drop for drop in drops], [100 * each for each in curve]
        axes.plot(*points, color=colour, linewidth=2, label=f"{rows:,} test rows")
    axes.axvline(100 * budget, color=LIMIT, linewidth=1)
    axes.axhline(100 * LEVEL, color=LIMIT, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlabel("true drop of accuracy, points")
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
