"""An interrupted run of any task is resumed to the same weights, metrics and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_generators
from tests.toys import TOYS, write_toy
from tests.trainer.conftest import StopAt, Stopped, fit, weights
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run


def assert_goes_on(folder: Path, backbone: Path, toy: str, **training: Any) -> None:
    """Stopped in its second epoch and started again, a run ends as one that was never stopped."""
    recipe = load_recipe(write_toy(folder, backbone, toy, training={"num_train_epochs": 2, **training}))
    whole = fit(recipe, folder / "whole")
    steps = whole.read_record()["history"][-1]["step"]
    with pytest.raises(Stopped):
        fit(recipe, folder / "stopped", StopAt(steps - 2))
    assert Run(folder / "stopped").status() == "running"
    resumed = fit(recipe, folder / "stopped")
    assert weights(resumed) == weights(whole)
    first, second = whole.read_record(), resumed.read_record()
    assert all(first[key] == second[key] for key in ("metrics", "settings", "history"))


@pytest.mark.slow
@pytest.mark.parametrize("toy", [toy for toy in TOYS if toy != "text-classification"])
def test_resume(tiny_backbone: Path, tmp_path: Path, toy: str) -> None:
    """Tasks that read: what is tuned on validation is the same too."""
    assert_goes_on(tmp_path, tiny_backbone, toy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "make"),
    [("text2text-generation", tiny_generators.make_t5), ("text-generation", tiny_generators.make_gpt2)],
)
def test_resume_generating(tmp_path: Path, toy: str, make: Callable[[Path], Path]) -> None:
    """Tasks that generate text."""
    assert_goes_on(tmp_path, make(tmp_path / "backbone"), toy)


@pytest.mark.slow
@pytest.mark.parametrize("training", [{"trainable": "lora"}, {"trainable": "last_layers", "last_layers": 1}])
def test_resume_of_some_weights(tiny_backbone: Path, tmp_path: Path, training: dict[str, Any]) -> None:
    """Adapters and last layers are resumed as all weights are."""
    assert_goes_on(tmp_path, tiny_backbone, "text-classification", **training)
