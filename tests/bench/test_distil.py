"""The figures of students beside their teacher."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench import distil
from trainer.run.run import Run


@pytest.mark.slow
def test_students_of_a_run_of_ones_own(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each student is trained, exported and timed beside the teacher's int8, and its loss is told."""
    monkeypatch.setattr(distil, "WORK", tmp_path)
    monkeypatch.setattr(distil, "STUDENTS", {"1 layer": ("fp32", ["distil.layers=1", "training.num_train_epochs=2"])})
    speed, lost = distil.measure_distil(tiny_run.root, Console(quiet=True))
    assert len(speed.samples) == distil.ROUNDS
    assert all(ratio > 0 for ratio in speed.samples)
    assert lost.value is not None
    assert -100 <= lost.value <= 100
