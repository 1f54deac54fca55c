"""Gradual unfreezing: which weights move in which epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from tests import tiny_generators
from tests.toys import write_toy
from tests.trainer.conftest import MakeRecipe, fit
from trainer.recipe.recipe import load_recipe
from trainer.recipe.training import Training

PARTS = ("embeddings.", "layer.0.", "layer.1.", "classifier")


class Moved(TrainerCallback):  # type: ignore[misc]
    """Notes the parts of the model that each epoch changes."""

    def __init__(self, *parts: str) -> None:
        self.parts, self.epochs = parts, list[set[str]]()
        self.before: dict[str, torch.Tensor] = {}

    def on_epoch_begin(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Keep the weights."""
        self.before = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Compare them."""
        moved = [name for name, weight in model.named_parameters() if not torch.equal(weight, self.before[name])]
        self.epochs.append({part for part in self.parts for name in moved if part in name})


@pytest.mark.slow
def test_epochs(toy: MakeRecipe, tmp_path: Path) -> None:
    """The head alone, then the last layer too, then the first, then the embeddings; and all is trainable at the end."""
    moved = Moved(*PARTS)
    fit(toy(training={"num_train_epochs": 4, "gradual_unfreezing": 1}), tmp_path / "run", moved)
    assert moved.epochs == [set(PARTS[3:]), set(PARTS[2:]), set(PARTS[1:]), set(PARTS)]


@pytest.mark.slow
def test_without_a_head(tmp_path: Path) -> None:
    """A generator has no head to begin with: its last layer comes first."""
    moved = Moved("wte", "h.0.", "h.1.")
    training = {"num_train_epochs": 2, "gradual_unfreezing": 1}
    backbone = tiny_generators.make_gpt2(tmp_path / "backbone")
    fit(load_recipe(write_toy(tmp_path, backbone, "text-generation", training=training)), tmp_path / "run", moved)
    assert moved.epochs == [{"h.1."}, {"h.0.", "h.1."}]


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"gradual_unfreezing": 1, "num_train_epochs": 1}, "one epoch would train the head alone"),
        ({"layerwise_lr_decay": 0.9, "trainable": "last_layers", "last_layers": 1}, "a single layer learns"),
        ({"ema_decay": 0.9, "weight_averaging_epochs": 2}, "leave training.weight_averaging_epochs out"),
    ],
)
def test_refused(training: dict[str, Any], message: str) -> None:
    """Where nothing would be unfrozen, or no layer learns."""
    with pytest.raises(ValueError, match=message):
        Training.model_validate(training)
