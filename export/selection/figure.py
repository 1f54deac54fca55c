"""A figure of the variants' size, speed and quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from export.proof.judge import agreement
from export.selection.search import Candidate

PROVEN, FAILED, SLOWER, INK, LEADER = "#1f77b4", "#c44e52", "#7b8794", "#22303c", "#c3cad1"
KEY = "ringed: served · blue: proven · grey: slower, judged on validation rows · red: failed"
APART = 0.08
"""Least distance of two names, as a share of the figure's height."""


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    name: str
    colour: str
    ringed: bool


def draw_figure(candidates: Sequence[Candidate], selected: Candidate, path: Path) -> None:
    """Write an SVG: the graph's size on x, speed on y, and each point's share of equal answers."""
    points = [point for each in candidates if (point := _create_point(each, selected))]
    points.sort(key=lambda point: point.y)
    with plt.rc_context({"svg.hashsalt": "tuneship", "axes.edgecolor": INK, "text.color": INK, "font.size": 10}):
        figure, axes = plt.subplots(figsize=(8.6, 4.2), layout="constrained")
        axes.set_title(KEY, fontsize=9, loc="left")
        axes.set_xlabel("size of the graph, MB")
        axes.set_ylabel("queries per second relative to fp32 (one core)")
        axes.set_xlim(0, 1.08 * max(point.x for point in points))
        axes.set_ylim(0, 1.15 * max(point.y for point in points))
        _draw_points(axes, points)
        axes.grid(color="#e6e9ec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


def _create_point(candidate: Candidate, selected: Candidate) -> _Point | None:
    if not (candidate.size and candidate.result and candidate.pace):
        return None
    colour = PROVEN if not candidate.reason else SLOWER if candidate.slower else FAILED
    name = f"{candidate.variant.name}, {agreement(candidate.result):.2%} equal"
    return _Point(candidate.size / 1e6, candidate.pace.ratio, name, colour, candidate is selected)


def _draw_points(axes: Axes, points: Sequence[_Point]) -> None:
    """The points, and their names right of the axes, where no point can hide them; thin lines connect both."""
    width, height = axes.get_xlim()[1], axes.get_ylim()[1]
    for point, level in zip(points, spread_levels([point.y / height for point in points]), strict=True):
        place = 1.04 * width, level * height
        axes.plot([point.x, place[0]], [point.y, place[1]], color=LEADER, linewidth=0.8, clip_on=False, zorder=1)
        axes.plot(point.x, point.y, "o", color=point.colour, markersize=8)
        if point.ringed:
            axes.plot(point.x, point.y, "o", color=INK, markersize=15, fillstyle="none")
        axes.annotate(
            point.name, place, (4, 0), textcoords="offset points", va="center", fontsize=9, color=point.colour,
            annotation_clip=False,
        )  # fmt: skip


def spread_levels(levels: Sequence[float]) -> list[float]:
    """Move ascending levels as little as needed for a distance of APART between any two."""
    groups: list[list[float]] = []
    for level in levels:
        groups.append([level])
        while len(groups) > 1 and _space_evenly(groups[-1])[0] < _space_evenly(groups[-2])[-1] + APART - 1e-9:
            last = groups.pop()
            groups[-1] += last
    return [level for group in groups for level in _space_evenly(group)]


def _space_evenly(group: Sequence[float]) -> list[float]:
    """The levels of a group, APART from each other, around their mean."""
    middle = sum(group) / len(group)
    return [middle + (index - (len(group) - 1) / 2) * APART for index in range(len(group))]
