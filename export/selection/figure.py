"""Size, speed and quality of the variants in one figure."""

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

HOLDS, DROPPED, SLOWER, INK, LEAD = "#1f77b4", "#c44e52", "#7b8794", "#22303c", "#c3cad1"
KEY = "ringed: served · blue: proven · grey: slower, judged on validation rows · red: failed"


APART = 0.08
"""Of the figure's height, between two names."""


def draw(candidates: Sequence[Candidate], chosen: Candidate, path: Path) -> None:
    """A point a variant: its graph's size across, its speed upwards, beside it its share of equal answers."""
    points = sorted((_Point.of(each, chosen) for each in candidates if _complete(each)), key=lambda point: point.y)
    with plt.rc_context({"svg.hashsalt": "tuneship", "axes.edgecolor": INK, "text.color": INK, "font.size": 10}):
        figure, axes = plt.subplots(figsize=(8.6, 4.2), layout="constrained")
        axes.set_title(KEY, fontsize=9, loc="left")
        axes.set_xlabel("size of the graph, MB")
        axes.set_ylabel("queries a second, times fp32's (one core)")
        axes.set_xlim(0, 1.08 * max(point.x for point in points))
        axes.set_ylim(0, 1.15 * max(point.y for point in points))
        _mark(axes, points)
        axes.grid(color="#e6e9ec", linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    name: str
    colour: str
    ringed: bool

    @classmethod
    def of(cls, candidate: Candidate, chosen: Candidate) -> _Point:
        assert candidate.size
        assert candidate.found
        assert candidate.pace
        colour = HOLDS if not candidate.reason else SLOWER if candidate.slower else DROPPED
        name = f"{candidate.variant.name}, {agreement(candidate.found):.2%} equal"
        return cls(candidate.size / 1e6, candidate.pace.ratio, name, colour, candidate is chosen)


def _complete(candidate: Candidate) -> bool:
    return bool(candidate.size and candidate.found and candidate.pace)


def _mark(axes: Axes, points: Sequence[_Point]) -> None:
    """The points, and right of the axes their names, a thin line to each: there no point can lie on a name."""
    wide, high = axes.get_xlim()[1], axes.get_ylim()[1]
    for point, level in zip(points, spread([point.y / high for point in points]), strict=True):
        place = 1.04 * wide, level * high
        axes.plot([point.x, place[0]], [point.y, place[1]], color=LEAD, linewidth=0.8, clip_on=False, zorder=1)
        axes.plot(point.x, point.y, "o", color=point.colour, markersize=8)
        if point.ringed:
            axes.plot(point.x, point.y, "o", color=INK, markersize=15, fillstyle="none")
        axes.annotate(
            point.name, place, (4, 0), textcoords="offset points", va="center", fontsize=9, color=point.colour,
            annotation_clip=False,
        )  # fmt: skip


def spread(levels: Sequence[float]) -> list[float]:
    """Rising levels moved as little apart as it takes for each two to be APART."""
    groups: list[list[float]] = []
    for level in levels:
        groups.append([level])
        while len(groups) > 1 and _placed(groups[-1])[0] < _placed(groups[-2])[-1] + APART - 1e-9:
            last = groups.pop()
            groups[-1] += last
    return [place for group in groups for place in _placed(group)]


def _placed(group: Sequence[float]) -> list[float]:
    """The levels of a group, APART, around their own mean."""
    middle = sum(group) / len(group)
    return [middle + (at - (len(group) - 1) / 2) * APART for at in range(len(group))]
