"""The mean of the last epochs' weights: what it is, when it is kept, and that a resumed run has the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, WholeRun, fit, toy_recipe, weights
from trainer.fit.trainer import TaskTrainer
from trainer.fit.weight_averaging import copy_trainable
from trainer.run.run import Run

MEANS: dict[str, Any] = {"weight_averaging_epochs": 2, "load_best_model_at_end": False}


class Ends(TrainerCallback):  # type: ignore[misc]
    """Remembers the weights at the end of each epoch."""

    def __init__(self) -> None:
        self.seen: list[dict[str, torch.Tensor]] = []

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Remember them."""
        self.seen.append(copy_trainable(model))


def worse_and_worse(trainer: TaskTrainer, **_: Any) -> dict[str, float]:
    """A validation that prefers the first epoch, logged as a real one is."""
    found = {"eval_accuracy": 0.5 / (1 + trainer.state.global_step), "eval_loss": 1.0}
    trainer.log(found)
    return found


@pytest.mark.slow
def test_mean(toy: MakeRecipe, tmp_path: Path) -> None:
    """With load_best_model_at_end: false the run's weights are the mean of those at the last two epochs' ends."""
    ends = Ends()
    run = fit(toy(training=MEANS), tmp_path / "run", ends)
    head = load_file(run.checkpoint / "head.safetensors")["weight"]
    second, third = (each["classifier.weight"] for each in ends.seen[1:])
    assert torch.allclose(head, (second + third) / 2, atol=1e-7)
    assert not torch.allclose(head, third, atol=1e-4)
    record = run.read_record()
    assert (record["averaged"]["epochs"], record["averaged"]["kept"], record["best_step"]) == ([2, 3], True, None)
    assert "the mean of the weights at the ends of epochs 2 to 3" in run.report.read_text()
    assert not run.state.exists()


@pytest.fixture(scope="module")
def plain(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run without a mean, whose validation prefers the first epoch."""
    folder = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.fit.trainer.TaskTrainer.evaluate", worse_and_worse)
        return fit(toy_recipe(folder, tiny_backbone), folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("better", [True, False])
def test_validation_chooses(
    toy: MakeRecipe, plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    """The mean is kept exactly where validation finds it no worse than the best epoch."""
    score = 1.0 if better else -1.0
    monkeypatch.setattr("trainer.fit.trainer.TaskTrainer.validate", lambda self: {"accuracy": score, "loss": 1.0})
    monkeypatch.setattr("trainer.fit.trainer.TaskTrainer.evaluate", worse_and_worse)
    run = fit(toy(training={"weight_averaging_epochs": 3}), tmp_path / "run")
    record = run.read_record()
    assert record["averaged"]["kept"] is better
    assert (weights(run) == weights(plain)) is not better
    assert record["best_step"] == (None if better else plain.read_record()["best_step"])
    assert ("; not the mean of the weights" in run.report.read_text()) is not better


@pytest.mark.slow
@pytest.mark.parametrize("stop", [4, 8, 13, 18])
def test_resume(toy: MakeRecipe, whole: WholeRun, tmp_path: Path, stop: int) -> None:
    """A run stopped in any epoch and started again averages the same weights."""
    recipe = toy(training=MEANS)
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(stop))
    assert weights(fit(recipe, tmp_path / "stopped")) == weights(whole(**MEANS))


@pytest.mark.slow
def test_evaluating_more_often(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """The mean does not depend on when validation runs."""
    often = fit(toy(training={**MEANS, "eval_strategy": "steps", "eval_steps": 2}), tmp_path / "often")
    assert weights(often) == weights(whole(**MEANS))


@pytest.mark.slow
@pytest.mark.parametrize("toy_settings", [{"trainable": "lora"}, {"freeze_embeddings": True}])
def test_what_learns_is_averaged(toy: MakeRecipe, tmp_path: Path, toy_settings: dict[str, Any]) -> None:
    """Adapters are averaged before they are merged; frozen weights are left alone."""
    settings = {**MEANS, "num_train_epochs": 2, **toy_settings}
    assert fit(toy(training=settings), tmp_path / "run").read_record()["averaged"]["kept"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"weight_averaging_epochs": 4}, "4 of 3 epochs cannot be averaged"),
        ({"weight_averaging_epochs": 2, "early_stopping_patience": 1}, "needs every epoch"),
    ],
)
def test_refused(toy: MakeRecipe, settings: dict[str, Any], expected: str) -> None:
    """More epochs than there are, and epochs that may not be reached, are refused."""
    with pytest.raises(InputError, match=expected):
        toy(training=settings)
