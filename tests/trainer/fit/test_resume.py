"""An interrupted run of any task is resumed to the same weights, metrics and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_generators
from tests.toys import TOYS, write_toy
from tests.trainer.conftest import StopAt, Stopped, fit, weights
from trainer.fit.resume import newest_state
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
@pytest.mark.parametrize(
    "training",
    [
        {"trainable": "lora"},
        {"trainable": "last_layers", "last_layers": 1},
        {"optim": "adafactor", "lr_scheduler_type": "warmup_stable_decay", "max_steps": 13, "num_train_epochs": None},
        {"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {"patience": 0, "threshold": 9.0}},
        {"ema_decay": 0.7, "load_best_model_at_end": False, "layerwise_lr_decay": 0.8},
        {"gradual_unfreezing": 1, "num_train_epochs": 4},
    ],
    ids=["lora", "last-layers", "adafactor", "plateau", "ema", "unfreezing"],
)
def test_resume_of_other_states(tiny_backbone: Path, tmp_path: Path, training: dict[str, Any]) -> None:
    """Adapters, last layers, and what optimisers and schedules remember are resumed too."""
    assert_goes_on(tmp_path, tiny_backbone, "text-classification", **training)


@pytest.mark.slow
def test_interrupted_after_the_last_step(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the recipe keeps the last weights, or their average, a resumed run does so too, and not the best ones."""
    last = {"load_best_model_at_end": False, "num_train_epochs": 8, "learning_rate": 2e-2, "ema_decay": 0.99}
    recipe = load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification", training=last))
    whole = fit(recipe, tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr("trainer.fit.validation.save_checkpoint", _stop)
        with pytest.raises(Stopped):
            fit(recipe, tmp_path / "stopped")
    best = newest_state(tmp_path / "stopped" / "state")
    assert best is not None
    assert best.best != best.folder
    assert weights(fit(recipe, tmp_path / "stopped")) == weights(whole)


def _stop(*_: object) -> None:
    raise Stopped
