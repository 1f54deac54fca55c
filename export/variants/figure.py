"""Size, speed and quality of the variants in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from export.variants.agreement import agreement
from export.variants.search import Candidate

HOLDS, DROPPED, SLOWER, INK = "#1f77b4", "#c44e52", "#7b8794", "#22303c"


def draw(candidates: Sequence[Candidate], chosen: Candidate, path: Path) -> None:
    """A point a variant: its graph's size across, its speed upwards, its answers that equal the checkpoint's beside it.

    What failed is red, what is not proven because another is faster grey; a ring marks what is served.
    """
    with plt.rc_context({"svg.hashsalt": "tuneship", "axes.edgecolor": INK, "text.color": INK, "font.size": 10}):
        figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
        for each in candidates:
            if each.size and each.found and each.pace:
                _point(axes, each, each is chosen)
        axes.set_xlabel("size of the graph, MB")
        axes.set_ylabel("queries a second, times fp32's (one core)")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.25, y=0.15)
        axes.grid(color="#e6e9ec", linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


def _point(axes: Axes, candidate: Candidate, chosen: bool) -> None:
    assert candidate.size
    assert candidate.found
    assert candidate.pace
    place = candidate.size / 1e6, candidate.pace.ratio
    colour = HOLDS if not candidate.reason else SLOWER if candidate.slower else DROPPED
    axes.plot(*place, "o", color=colour, markersize=8)
    if chosen:
        axes.plot(*place, "o", color=INK, markersize=15, fillstyle="none")
    text = f"{candidate.variant.name}, {agreement(candidate.found):.2%} equal"
    axes.annotate(text, place, xytext=(10, 6), textcoords="offset points", fontsize=9, color=colour)
