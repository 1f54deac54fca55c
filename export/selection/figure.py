"""A figure of the variants' size, speed and quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from export.selection.candidate import Candidate

PROVEN, FAILED, SLOWER, INK, LEADER = "#1f77b4", "#c44e52", "#7b8794", "#22303c", "#c3cad1"
MARKS = {PROVEN: "o", SLOWER: "s", FAILED: "X"}
"""A shape for each colour, for who does not see one."""
KEY = "ringed: served · blue circle: proven · grey square: too slow to be proven · red cross: failed"
APART = 0.08
"""Least distance of two names, as a share of the figure's height."""


def draw_figure(candidates: Sequence[Candidate], selected: Candidate, path: Path) -> None:
    """Write an SVG with size on the x axis and speed on the y axis."""
    measured = sorted((each for each in candidates if each.size and each.pace), key=lambda each: each.ratio)
    with plt.rc_context({"svg.hashsalt": "tuneship", "axes.edgecolor": INK, "text.color": INK, "font.size": 10}):
        figure, axes = plt.subplots(figsize=(8.6, 4.2), layout="constrained")
        axes.set_title(KEY, fontsize=9, loc="left")
        axes.set_xlabel("size of the graph, MB")
        axes.set_ylabel("queries per second relative to fp32 (one core)")
        axes.set_xlim(0, 1.08 * max(each.megabytes for each in measured))
        axes.set_ylim(0, 1.15 * max(each.ratio for each in measured))
        axes.grid(color="#e6e9ec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        height = axes.get_ylim()[1]
        for each, level in zip(measured, spread_levels([each.ratio / height for each in measured]), strict=True):
            _draw_candidate(axes, each, level * height, ringed=each is selected)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


def _draw_candidate(axes: Axes, candidate: Candidate, name_height: float, ringed: bool) -> None:
    """The name is right of the axes, where no point hides it."""
    colour = PROVEN if not candidate.reason else SLOWER if candidate.slower else FAILED
    x, y, place = candidate.megabytes, candidate.ratio, (1.04 * axes.get_xlim()[1], name_height)
    axes.plot([x, place[0]], [y, place[1]], color=LEADER, linewidth=0.8, clip_on=False, zorder=1)
    axes.plot(x, y, MARKS[colour], color=colour, markersize=8)
    if ringed:
        axes.plot(x, y, "o", color=INK, markersize=15, fillstyle="none")
    agreement = candidate.result.agreement if candidate.result else None
    name = candidate.name + ("" if agreement is None else f", {agreement:.2%} equal")
    axes.annotate(
        name,
        place,
        (4, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=colour,
        annotation_clip=False,
        parse_math=False,
    )


def spread_levels(levels: Sequence[float]) -> list[float]:
    """Move ascending levels APART, as little as needed."""
    groups: list[list[float]] = []
    for level in levels:
        groups.append([level])
        while len(groups) > 1 and _space_evenly(groups[-1])[0] < _space_evenly(groups[-2])[-1] + APART - 1e-9:
            last = groups.pop()
            groups[-1] += last
    return [level for group in groups for level in _space_evenly(group)]


def _space_evenly(group: Sequence[float]) -> list[float]:
    middle = sum(group) / len(group)
    return [middle + (index - (len(group) - 1) / 2) * APART for index in range(len(group))]
