"""Students beside their teacher: how much faster they answer, and what they lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

INK, GRID, REACH = "#22303c", "#e6e9ec", "#c44e52"
COLOURS = ("#2171b5", "#e6862b", "#4d9a51", "#7b5aa6")

FASTER, LOST = 1.8, 0.5
"""What is aimed at: times the throughput of the teacher's int8, and points of its score."""


class Point(NamedTuple):
    """``faster``: relative to the teacher's int8; ``lost``: points of its score."""

    name: str
    faster: float
    lost: float


def draw_figure(points: Mapping[str, Sequence[Point]], path: Path) -> None:
    """Write an SVG; ``points`` by data set. The teacher is at 1 and 0 points."""
    with plt.rc_context({"svg.hashsalt": "tuneship", "axes.edgecolor": INK, "text.color": INK, "font.size": 10}):
        figure, axes = plt.subplots(figsize=(8.6, 4.2), layout="constrained")
        axes.set_title("dashed: the aim, right of it and above", fontsize=9, loc="left")
        axes.plot(1, 0, "o", color=INK, markersize=8)
        axes.annotate("teacher, int8", (1, 0), (8, 0), textcoords="offset points", va="center", fontsize=9)
        for (name, each), colour in zip(points.items(), COLOURS, strict=False):
            axes.plot([p.faster for p in each], [-p.lost for p in each], "o", color=colour, markersize=8, label=name)
            for point in each:
                place = point.faster, -point.lost
                axes.annotate(point.name, place, (8, 0), textcoords="offset points", va="center", fontsize=9)
        axes.axvline(FASTER, color=REACH, linewidth=1, linestyle=(0, (4, 3)))
        axes.axhline(-LOST, color=REACH, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.set_xlim(0.8, 1.6 * max([FASTER, *(point.faster for each in points.values() for point in each)]))
        axes.set_xlabel("throughput relative to the teacher's int8, one core")
        axes.set_ylabel("points above the teacher's score")
        axes.set_xticks([1, 2, 5, 10, 20], ["1 ×", "2 ×", "5 ×", "10 ×", "20 ×"])
        axes.minorticks_off()
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=9, loc="lower left")
        axes.spines[["top", "right"]].set_visible(False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)
