"""The times of trainings: what is compared with what, and that both systems really train."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.training import Times, compare, run_training
from tests import tiny

OURS = Times(first_step=8, last_step=28, steps=201, trained=30, ended=40, accuracy=0.92)
THEIRS = Times(first_step=10, last_step=70, steps=301, trained=71, ended=80, accuracy=0.1)


def test_comparison() -> None:
    """A short run of Trainer is extended at its pace; accuracy below the target is an error."""
    figures = {figure.name: figure for figure in compare(OURS, OURS, THEIRS, 1801)}
    ratio = figures["Trainer's time / ours, to trained weights"]
    assert ratio.value == pytest.approx((71 + 1500 * 0.2) / 30)
    assert "301 steps" in ratio.note
    assert figures["samples a second, tuneship / Trainer"].value == pytest.approx(2.0)
    assert not any(figure.is_error for figure in figures.values())
    missed = Times(8, 28, 201, 30, 40, accuracy=0.9)
    assert any(figure.is_error for figure in compare(missed, OURS, THEIRS, 1801))


@pytest.mark.slow
@pytest.mark.parametrize("system", ["tuneship", "transformers"])
def test_both_train(system: str, tiny_backbone: Path, tmp_path: Path) -> None:
    """The same recipe, rows and batch size, in a process of its own."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone)
    test = tiny.write_csv(tmp_path / "test.csv", tiny.toy_rows()[::3])
    steps = ["training.num_train_epochs=null", "training.max_steps=4", f"data.test={test}"]
    times = run_training(system, recipe, tmp_path / "logs", *steps)
    assert times.steps == 4
    assert 0 < times.first_step < times.last_step <= times.trained < times.ended
    assert 0 <= times.accuracy <= 1
