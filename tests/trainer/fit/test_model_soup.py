"""The mean of trainings that differ in their seed: what it is, when it is kept, and resuming at any point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe, Stopped, WholeRun, fit, weights
from trainer.fit.model_soup import ModelSoup
from trainer.fit.trainer import TaskTrainer


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """A checkpoint's weights, the head's too."""
    return load_file(folder / "model.safetensors") | load_file(folder / "head.safetensors")


def with_losses(monkeypatch: pytest.MonkeyPatch, *losses: float) -> None:
    """Give validation these losses: one for each seed, then the mean's."""
    found, add, serve = iter(losses), ModelSoup._add, ModelSoup.apply

    def validated(_: TaskTrainer) -> dict[str, float]:
        return {"accuracy": 0.5, "loss": next(found)}

    def patched(method: Any) -> Any:
        def call(*args: Any) -> Any:
            with monkeypatch.context() as patch:
                patch.setattr("trainer.fit.trainer.TaskTrainer.validate", validated)
                return method(*args)

        return call

    monkeypatch.setattr("trainer.fit.model_soup.ModelSoup._add", patched(add))
    monkeypatch.setattr("trainer.fit.model_soup.ModelSoup.apply", patched(serve))


@pytest.mark.slow
def test_mean(toy: MakeRecipe, whole: WholeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first training is the recipe's own; the run's weights are the mean of all, each with the next seed."""
    alone = tensors(whole(seed=3).checkpoint)
    with_losses(monkeypatch, 0.4, 0.6, 0.45)
    seen: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr("trainer.fit.model_soup.mean_of", lambda files: seen.extend(files) or _mean(files))
    run = fit(toy(training={"seed": 3, "weight_soup_runs": 2}), tmp_path / "run")
    query = "encoder.layer.0.attention.self.query.weight"
    first, second = ({name.removeprefix("backbone."): weight for name, weight in each.items()} for each in seen)
    assert torch.equal(first[query], alone[query])
    assert not torch.allclose(second[query], alone[query], atol=1e-4)
    assert torch.allclose(tensors(run.checkpoint)[query], (first[query] + second[query]) / 2, atol=1e-7)
    record = run.read_record()
    assert (record["soup"]["kept"], [*record["soup"]["seeds"]], record["best_step"]) == (True, ["3", "4"], None)
    assert "the mean of the weights of 2 trainings, seeds 3 to 4" in run.report.read_text()
    assert not run.state.exists()


def _mean(files: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: sum((file[name] for file in files[1:]), weight) / len(files) for name, weight in files[0].items()}


@pytest.mark.slow
@pytest.mark.parametrize("always", [False, True])
def test_the_best_alone(
    toy: MakeRecipe, whole: WholeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: bool
) -> None:
    """A mean with a higher validation loss than its members' average gives way to the best of them."""
    settings = {"load_best_model_at_end": False} if always else {}
    best = whole(**settings)
    with_losses(monkeypatch, 0.2, 0.4, 0.35)
    run = fit(toy(training={"weight_soup_runs": 2, **settings}), tmp_path / "run")
    assert (weights(run) == weights(best)) is not always
    assert run.read_record()["soup"]["kept"] is always
    assert (", of seed 0; not the mean of the weights of 2 trainings" in run.report.read_text()) is not always


@pytest.mark.slow
@pytest.mark.parametrize("stop", [4, 13, 21])
def test_resume(toy: MakeRecipe, whole: WholeRun, tmp_path: Path, stop: int) -> None:
    """A run stopped in either training and started again ends at the same weights; what was finished stays so."""
    settings = {"weight_soup_runs": 2, "weight_interpolation": True}
    recipe, expected = toy(training=settings), whole(**settings)
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAtTotal(stop))
    resumed = fit(recipe, tmp_path / "stopped")
    assert weights(resumed) == weights(expected)
    assert resumed.read_record()["soup"] == expected.read_record()["soup"]


class StopAtTotal(TrainerCallback):  # type: ignore[misc]
    """Stops after so many steps of all trainings together."""

    def __init__(self, step: int) -> None:
        self.left = step

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Count, and stop."""
        self.left -= 1
        if not self.left:
            raise Stopped


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"trainable": "lora"}, {"freeze_embeddings": True}, {"weight_averaging_epochs": 2}]
)
def test_with_other_settings(toy: MakeRecipe, tmp_path: Path, settings: dict[str, Any]) -> None:
    """Adapters are merged before they are mixed; frozen weights stay; each training may be a mean of epochs itself."""
    run = fit(toy(training={"weight_soup_runs": 2, "num_train_epochs": 2, **settings}), tmp_path / "run")
    assert [*run.read_record()["soup"]["seeds"]] == ["0", "1"]


def test_refused(toy: MakeRecipe) -> None:
    """One training is no soup."""
    with pytest.raises(InputError, match="weight_soup_runs"):
        toy(training={"weight_soup_runs": 1})
