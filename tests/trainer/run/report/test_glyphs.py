"""Labels in figures: whatever they hold, the figure is drawn, and nothing is printed about it."""

from __future__ import annotations

import warnings
from pathlib import Path

from trainer.run.report.figures import confusion_figure
from trainer.run.report.glyphs import MISSING, drawable

LABELS = [
    "a|b <b>x</b>\nsecond",
    "C:\\new\tpath 😀 %s",
    "$x_{",
    "שלום",
    "👩\u200d🔬\ufe0f",
    "\U000105fe",
    "l" * 300,
    "中文",
    "`t` [red]",
]


def test_a_figure_of_unusual_labels(tmp_path: Path) -> None:
    """Line ends, emoji, formulas that are none, scripts without a font here: without a warning."""
    counts = [[1] * len(LABELS) for _ in LABELS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        confusion_figure({"labels": LABELS, "metrics": {"test": {"confusion_matrix": counts}}}, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_drawable() -> None:
    """One line each, without joiners and selectors; what no font has is marked."""
    lines, families = drawable(["a\n b\t c", "x\u200dy\ufe0f", "\U000105fe", "שלום $5"])
    assert lines == ["a b c", "xy", MISSING, "שלום $5"]
    assert families == ["DejaVu Sans"]
