"""The report's figures, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from serving.errors import shorten
from serving.files import replace_file
from trainer.metrics.display import NAMES, metric_title
from trainer.run.report.glyphs import drawable

RIGHT, WRONG, THIRD, INK = "#2463a5", "#c8442c", "#7a8a99", "#30363d"
"""Told apart with every colour vision, which a test simulates; curves differ in marks and dashes too."""
MOST_LABELS = 100
_COUNTS_UP_TO = 20
_STYLE: Any = {
    "axes.edgecolor": "#b8c0c8",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def learning_curve(record: dict[str, Any], path: Path) -> None:
    with plt.rc_context(_STYLE):
        _save(draw_curves(record), path)


def draw_curves(record: dict[str, Any]) -> Figure:
    """Losses and up to two validation metrics over epochs."""
    history = record["history"]
    with plt.rc_context(_STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
        _curve(left, history, "loss", "training (label smoothing included)", THIRD, marker="", dashes="--")
        _curve(left, history, "validation_loss", "validation", RIGHT)
        _format_axes(left, "loss")
        left.set_ylim(bottom=0)
        looks = ((RIGHT, "o", "-"), (WRONG, "s", "--"))
        for metric, (colour, marker, dashes) in zip(_metrics(record), looks, strict=False):
            _curve(right, history, f"validation_{metric}", metric_title(metric), colour, marker, dashes)
        _mark_best(right, record)
        _format_axes(right, "validation")
    return figure


def confusion_figure(record: dict[str, Any], path: Path) -> None:
    """Of more than 100 labels the most confused are drawn."""
    matrix = np.array(record["metrics"]["test"]["confusion_matrix"])
    kept = _most_confused(matrix)
    names, families = drawable([shorten(record["labels"][at], 40) for at in kept])
    counts = matrix[np.ix_(kept, kept)]
    size = max(4.2, 0.17 * len(kept) + 2.6)
    with plt.rc_context({**_STYLE, "font.family": families}):
        figure, axes = plt.subplots(figsize=(size + 0.4, size), layout="constrained")
        axes.imshow(_colours(counts, matrix[kept].sum(axis=1)), interpolation="nearest")
        _label_axes(axes, names)
        if len(kept) <= _COUNTS_UP_TO:
            _write_counts(axes, counts)
        _save(figure, path)


def reliability_figure(calibration: Mapping[str, Any], path: Path) -> None:
    """Scores beside the share of answers that is right, before and after calibration; SVG or PNG."""
    with plt.rc_context({**_STYLE, "svg.hashsalt": "tuneship"}):
        figure, panels = plt.subplots(1, len(calibration), figsize=(7.2, 3.8), layout="constrained", sharey=True)
        for axes, (when, figures) in zip(panels, calibration.items(), strict=True):
            scores, shares, _ = zip(*figures["bins"], strict=True)
            axes.plot([0, 1], [0, 1], color=THIRD, linewidth=1)
            axes.vlines(scores, scores, shares, color=WRONG, linewidth=3, alpha=0.5)
            axes.plot(scores, shares, "o", color=RIGHT, markersize=5)
            axes.set_title(f"{when} calibration, error {figures['ece']:.3f}", fontsize=10)
            axes.set_xlabel("mean score")
            axes.set_xlim(0, 1.02)
            axes.set_ylim(0, 1.02)
            axes.set_aspect("equal")
        panels[0].set_ylabel("share that is right")
        _save(figure, path)


def _curve(
    axes: Axes,
    history: list[dict[str, float]],
    key: str,
    name: str,
    colour: str,
    marker: str = "o",
    dashes: str = "-",
) -> None:
    points = [(point["epoch"], point[key]) for point in history if key in point]
    style: Any = {"marker": marker, "markersize": 4, "linewidth": 1.6, "linestyle": dashes}
    axes.plot(*zip(*points, strict=True), color=colour, label=name, **style)


def _metrics(record: dict[str, Any]) -> list[str]:
    """The metric that chose the checkpoint, and another of its scale."""
    metrics = {
        key.removeprefix("validation_") for point in record["history"] for key in point if key[:11] == "validation_"
    }
    others = sorted(metrics - {"loss", "rmse", "perplexity", record["metric"]}, key=list(NAMES).index)
    return [record["metric"], *others[:1]]


def _format_axes(axes: Axes, name: str) -> None:
    """The legend stands above: inside, it would cover a curve sooner or later."""
    axes.set_xlabel("epoch")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_ylabel(name)
    axes.grid(axis="y", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9, borderaxespad=0.2)


def _mark_best(axes: Axes, record: dict[str, Any]) -> None:
    key = f"validation_{record['metric']}"
    best = [point for point in record["history"] if point["step"] == record["best_step"] and key in point]
    for point in best[:1]:
        axes.plot(point["epoch"], point[key], "o", markersize=11, fillstyle="none", color=INK, label="kept")


def _most_confused(matrix: NDArray[Any]) -> list[int]:
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    return sorted(np.argsort(-mistakes, kind="stable")[:MOST_LABELS].tolist())


def _colours(counts: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """RGB [labels, labels, 3]; mistakes by the square root of their share."""
    shares = counts / np.maximum(rows, 1)[:, None]
    right = np.eye(len(counts), dtype=bool)
    strength = np.where(right, 0.15 + 0.85 * shares, np.sqrt(shares)) * (counts > 0)
    full = np.where(right[..., None], matplotlib.colors.to_rgb(RIGHT), matplotlib.colors.to_rgb(WRONG))
    return np.uint8(255 * (1 - strength[..., None] * (1 - full)))  # type: ignore[return-value]


def _label_axes(axes: Axes, names: list[str]) -> None:
    font = 9 if len(names) <= 30 else 6.5
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=font, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=font, parse_math=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(True)
    edges = np.arange(len(names) - 1) + 0.5
    for draw_lines in (axes.hlines, axes.vlines):
        draw_lines(edges, -0.5, len(names) - 0.5, colors="#eef0f2", linewidth=0.6)
    axes.set_xlabel("answered")
    axes.set_ylabel("expected")


def _write_counts(axes: Axes, counts: NDArray[Any]) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = row == column and counts[row, column] > 0.5 * counts[row].sum()
        colour = "white" if dark else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color=colour)


def _save(figure: Any, path: Path) -> None:
    kind = path.suffix.removeprefix(".")
    with replace_file(path) as file:
        figure.savefig(file, format=kind, dpi=130, metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)
