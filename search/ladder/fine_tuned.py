"""The rungs that train: the classifier alone, low-rank adapters, everything."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from search.durations import minutes
from search.ladder.rung import Rung
from search.ladder.whole_models import measure_model
from search.tuning.space import with_values
from search.tuning.watch import Deadline, TooSlow
from serving.errors import InputError
from trainer.fit.part import train_part
from trainer.fit.trainer import TrainingDiverged
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.applicability import acts
from trainer.recipe.recipe import Recipe
from trainer.setup.training_setup import prepare_setup

NAMES = {"classifier": "classifier alone", "lora": "LoRA", "full": "all weights"}
_TRAINABLE = {"classifier": "classifier", "lora": "lora", "full": "all"}
_LORA_FACTOR = 5
"""Adapters take a larger learning rate than the weights that they stand for."""


def train_rung(recipe: Recipe, key: str, ends_at: float) -> Rung:
    """Trained by the recipe but for which weights, by ``ends_at`` or not at all."""
    with tempfile.TemporaryDirectory(prefix="tuneship-ladder-") as folder:
        try:
            if time.monotonic() > ends_at:
                return Rung(key, NAMES[key], note="there was no time left")
            return _train(_recipe_of(recipe, key), key, Path(folder), ends_at)
        except TooSlow as error:
            return Rung(key, NAMES[key], note=f"needs {minutes(error.seconds)}")
        except (InputError, TrainingDiverged) as error:
            return Rung(key, NAMES[key], note=str(error).splitlines()[0])


def _recipe_of(recipe: Recipe, key: str) -> Recipe:
    """The recipe itself, where it trains these weights."""
    alone = {"training.weight_soup_runs": None}
    if recipe.training.trainable == _TRAINABLE[key]:
        return with_values(recipe, alone)
    others: dict[str, Any] = {"training.lora": None, "training.last_layers": None}
    if key == "classifier":
        others["training.weight_interpolation"] = False
    if key == "lora":
        others["training.learning_rate"] = min(recipe.training.learning_rate * _LORA_FACTOR, 10.0)
        if acts(recipe, "training.head_learning_rate"):
            others["training.head_learning_rate"] = recipe.training.resolve().head_learning_rate
    return with_values(recipe, {**alone, **others, "training.trainable": _TRAINABLE[key]})


def _train(recipe: Recipe, key: str, folder: Path, ends_at: float) -> Rung:
    setup, start = prepare_setup(recipe, folder), time.monotonic()
    train_part(setup, folder, [Deadline(ends_at)])
    checkpoint = load_checkpoint(folder / "checkpoint")
    return measure_model(setup, checkpoint, key, NAMES[key], len(setup.splits.train), start)
