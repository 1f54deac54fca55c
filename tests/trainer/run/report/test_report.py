"""The report: made from run.json alone, readable, with figures that hold up at many labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainer.run.report.figures import confusion_figure
from trainer.run.report.report import write_report
from trainer.run.run import Run


@pytest.fixture
def rewritten(tiny_run: Run, tmp_path: Path) -> tuple[Run, dict[str, Any]]:
    """Another folder with the tiny run's recipe, and its record to change."""
    run = Run(tmp_path)
    run.recipe.write_text(tiny_run.recipe.read_text())
    return run, tiny_run.read_record()


@pytest.mark.slow
def test_from_record(tiny_run: Run, rewritten: tuple[Run, dict[str, Any]]) -> None:
    """The record and the recipe are enough to write the same report again."""
    run, record = rewritten
    write_report(run, record)
    before = tiny_run.report.read_text().splitlines()
    after = run.report.read_text().splitlines()
    assert [line for line in after if "Time:" not in line] == [line for line in before if "Time:" not in line]


def test_content(tiny_run: Run) -> None:
    """The report has the headline with n and interval, the figures, every label and the recipe."""
    text, record = tiny_run.report.read_text(), tiny_run.read_record()
    test = record["metrics"]["test"]
    low, high = test["accuracy_interval_95"]
    assert f"| test | 18 | {test['accuracy']:.2%} | {low:.2%} – {high:.2%} |" in text
    assert "figures/learning-curve.png" in text
    assert "figures/confusion-matrix.png" in text
    assert (tiny_run.root / "figures" / "calibration.png").is_file()
    for when in ("before", "after"):
        figures = test["calibration"][when]
        low, high = figures["ece_interval_95"]
        assert f"| {when} calibration | 18 | {figures['ece']:.4f} ({low:.4f} – {high:.4f})" in text
    assert all(f"| `{label}` |" in text for label in record["labels"])
    assert tiny_run.recipe.read_text() in text
    assert "tuneship replay ." in text


@pytest.mark.slow
def test_hostile_text(rewritten: tuple[Run, dict[str, Any]]) -> None:
    """Markdown, HTML or line ends in a text stay in one cell of its table; long texts are shortened."""
    run, record = rewritten
    label = "a|b`c"
    record["errors"] = {
        "measure": "confidence",
        "missed": [],
        "confused_pairs": [{"expected": label, "answered": "track", "count": 3}],
        "worst": [
            {
                "row": 7,
                "line": 7,
                "text": "<script>x</script> | *bold*\n\n# head [l](u)" + "y" * 500,
                "expected": label,
                "answered": "track",
                "confidence": 0.99,
            }
        ],
    }
    write_report(run, record)
    lines = run.report.read_text().splitlines()
    row = next(line for line in lines if line.startswith("| 0.990"))
    assert "\\<script\\>" in row
    assert row.replace("\\|", "").count("|") == 6
    assert len(row) < 250
    assert not any(line.startswith("# head") for line in lines)


@pytest.mark.slow
def test_no_mistakes(rewritten: tuple[Run, dict[str, Any]]) -> None:
    """A run without a mistake says so."""
    run, record = rewritten
    record["errors"] = {"measure": "confidence", "confused_pairs": [], "worst": [], "missed": []}
    write_report(run, record)
    assert "No test row was answered wrongly." in run.report.read_text()


@pytest.mark.parametrize("labels", [2, 30, pytest.param(150, marks=pytest.mark.slow)])
def test_confusion_figure(tmp_path: Path, labels: int) -> None:
    """The matrix is drawn at any number of labels: right answers blue, mistakes red, no huge picture."""
    matrix = np.eye(labels, dtype=int) * 10
    matrix[0, 1] = 5
    record = {
        "labels": [f"label_{at}" for at in range(labels)],
        "metrics": {"test": {"confusion_matrix": matrix}},
    }
    confusion_figure(record, tmp_path / "matrix.png")
    with Image.open(tmp_path / "matrix.png") as picture:
        assert max(picture.size) < 3000
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    assert ((pixels[:, 2] - pixels[:, 0]) > 60).any()
    assert ((pixels[:, 0] - pixels[:, 2]) > 60).any()


@pytest.mark.slow
def test_untuned_settings_are_not_called_tuned(rewritten: tuple[Run, dict[str, Any]]) -> None:
    """Only what validation changed stands among the tuned settings."""
    run, record = rewritten
    write_report(run, {**record, "tuned": {}})
    assert "Tuned on validation" not in run.report.read_text()
    write_report(run, {**record, "tuned": {"temperature": 1.5}})
    assert 'Tuned on validation, and used by the server: `{"temperature": 1.5}`' in run.report.read_text()


@pytest.mark.slow
def test_legends_stand_beside_the_curves(rewritten: tuple[Run, dict[str, Any]]) -> None:
    """Whatever the curves do, no legend covers them."""
    from matplotlib import pyplot as plt

    from trainer.run.report.figures import draw_curves

    figure = draw_curves(rewritten[1])
    figure.canvas.draw()
    for axes in figure.axes:
        legend, plot = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert legend.y0 >= plot.y1
    plt.close(figure)


def test_cost(tiny_run: Run) -> None:
    """The report tells times and sizes."""
    text, record = tiny_run.report.read_text(), tiny_run.read_record()
    assert f"| parameters | – | {record['size']['parameters']:,} |" in text
    assert "| training time |" in text
