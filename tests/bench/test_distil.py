"""The figures of students beside their teacher."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console

from bench import distil
from bench.distil_figure import Point, draw_figure
from trainer.run.run import Run


@pytest.mark.slow
def test_students_of_a_run_of_ones_own(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each student is trained, exported and timed beside the teacher's int8, and its loss is told."""
    monkeypatch.setattr(distil, "WORK", tmp_path)
    options = {"distil.layers": 1, "training.num_train_epochs": 2}
    monkeypatch.setattr(distil, "STUDENTS", {"1 layer": distil.Student("fp32", options)})
    speed, lost = distil.measure_distil(tiny_run.root, Console(quiet=True))
    assert len(speed.samples) == distil.ROUNDS
    assert all(ratio > 0 for ratio in speed.samples)
    assert lost.value is not None
    assert -100 <= lost.value <= 100
    assert "1 layer" in (tmp_path / "distil" / distil.FIGURE).read_text(encoding="utf-8")


def test_students_are_drawn_beside_their_teacher(tmp_path: Path) -> None:
    """Every student of every data set has a point with its name."""
    points = {"banking77": [Point("3 layers", 1.9, 0.3), Point("static", 11.0, 5.2)], "sst2": [Point("2 layers", 2, 1)]}
    draw_figure(points, tmp_path / "students.svg")
    texts = re.findall("<!-- (.*) -->", (tmp_path / "students.svg").read_text(encoding="utf-8"))
    assert {"banking77", "sst2", "3 layers", "static", "2 layers", "teacher, int8"} <= set(texts)
