"""Weights between the base model's and the fine-tuned ones: what they are, which are chosen, and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, WholeRun, fit, weights
from trainer.fit.trainer import TaskTrainer
from trainer.fit.wise_ft import FRACTIONS, interpolate


def prefer(monkeypatch: pytest.MonkeyPatch, accuracies: list[float], losses: list[float]) -> None:
    """Give validation these metrics, fraction by fraction, once training is over."""
    found = iter(zip(accuracies, losses, strict=True))

    def validated(_: TaskTrainer) -> dict[str, float]:
        accuracy, loss = next(found)
        return {"accuracy": accuracy, "loss": loss}

    def interpolated(trainer: TaskTrainer, base: nn.Module) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            patch.setattr("trainer.fit.trainer.TaskTrainer.validate", validated)
            return interpolate(trainer, base)

    monkeypatch.setattr("trainer.fit.fine_tune.interpolate", interpolated)


def backbone(folder: Path) -> dict[str, Tensor]:
    """A folder's backbone weights, without the empty ones, which stop other tools' heads."""
    return {name: weight for name, weight in load_file(folder / "model.safetensors").items() if weight.numel()}


@pytest.mark.slow
def test_chosen(
    toy: MakeRecipe, whole: WholeRun, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the fractions within a standard error of the best, the one with the lowest loss is taken; the head stays."""
    plain = whole()
    prefer(monkeypatch, [0.5, 0.6, 0.8, 0.78, 0.8, 0.5], [0.1, 0.1, 0.4, 0.2, 0.3, 0.1])
    run = fit(toy(training={"weight_interpolation": True}), tmp_path / "run")
    start, end = backbone(tiny_backbone), backbone(plain.checkpoint)
    for name, weight in backbone(run.checkpoint).items():
        assert torch.allclose(weight, start[name] + 0.7 * (end[name] - start[name]), atol=1e-6), name
    heads = [load_file(each.checkpoint / "head.safetensors") for each in (plain, run)]
    assert all(torch.equal(weight, heads[1][name]) for name, weight in heads[0].items())
    record = run.read_record()["interpolated"]
    assert (record["fraction"], record["validation"]["0.9"], record["losses"]["0.8"]) == (0.7, 0.6, 0.4)
    assert "the backbone at 0.7 of the way from the base model's weights" in run.report.read_text()


@pytest.mark.slow
def test_none_better(toy: MakeRecipe, whole: WholeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where validation prefers the fine-tuned weights, they are kept to the bit."""
    plain = whole()
    prefer(monkeypatch, [0.9, *[0.5] * (len(FRACTIONS) - 1)], [0.1] * len(FRACTIONS))
    assert weights(fit(toy(training={"weight_interpolation": True}), tmp_path / "run")) == weights(plain)


@pytest.mark.slow
def test_resume(toy: MakeRecipe, tmp_path: Path) -> None:
    """A run stopped and started again ends at the same weights."""
    recipe = toy(training={"weight_interpolation": True, "weight_averaging_epochs": 2})
    whole = fit(recipe, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(13))
    resumed = fit(recipe, tmp_path / "stopped")
    assert weights(resumed) == weights(whole)
    assert resumed.read_record()["interpolated"] == whole.read_record()["interpolated"]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"trainable": "lora"}, {"freeze_embeddings": True}])
def test_what_learned_goes_back(
    toy: MakeRecipe, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Merged adapters are interpolated too; frozen weights stay the base model's to the bit."""
    prefer(monkeypatch, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [1.0] * len(FRACTIONS))
    run = fit(toy(training={"weight_interpolation": True, "num_train_epochs": 1, **settings}), tmp_path / "run")
    start, found = backbone(tiny_backbone), backbone(run.checkpoint)
    assert torch.equal(found["embeddings.word_embeddings.weight"], start["embeddings.word_embeddings.weight"])
    query = "encoder.layer.1.attention.self.query.weight"
    assert not torch.equal(found[query], start[query])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"load_best_model_at_end": False}, "goes with training.load_best_model_at_end: true"),
        ({"trainable": "classifier"}, "the backbone does not learn"),
    ],
)
def test_refused(toy: MakeRecipe, settings: dict[str, Any], expected: str) -> None:
    """Without a validation that chooses, or a backbone that learns, there is nothing to interpolate."""
    with pytest.raises(InputError, match=expected):
        toy(training={"weight_interpolation": True, **settings})
