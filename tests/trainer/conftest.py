"""What the training tests share: recipes and rows made in a line, a run that trains in a second or stops half-way."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt
import pytest
from rich.console import Console
from transformers import TrainerCallback

from tests import tiny
from trainer.data.rows import Rows, same_text
from trainer.recipe.recipe import Recipe, load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask
from trainer.train import train

MakeRecipe = Callable[..., Recipe]


class Stopped(Exception):
    """Stands for a killed process."""


class StopAt(TrainerCallback):  # type: ignore[misc]
    """Raises at the end of step ``step``."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop."""
        if state.global_step == self.step:
            raise Stopped


@pytest.fixture
def toy(tiny_backbone: Path, tmp_path: Path) -> MakeRecipe:
    """Makes the toy recipe, with sections added to it: ``toy(training={"seed": 1})``."""

    def make(**sections: dict[str, Any]) -> Recipe:
        settings = {"num_train_epochs": 3, **sections.pop("training", {})}
        return load_recipe(tiny.write_recipe(tmp_path, tiny_backbone, training=settings, **sections))

    return make


def training_task(task: str, data: dict[str, Any] | None = None, **sections: Any) -> TrainingTask:
    """How ``task`` is learned by a recipe with these sections; the data need not be there."""
    section = {"train": "train.csv", "test": 0.25, **(data or {})}
    return create_training_task(Recipe.model_validate({"task": task, "data": section, **sections}))


def rows_of(*pairs: tuple[Any, Any], name: str = "x") -> Rows:
    """Rows of inputs and targets."""
    inputs: Sequence[Any] = [each for each, _ in pairs]
    groups = [same_text(each) for each in inputs]
    return Rows(name, list(inputs), [target for _, target in pairs], list(range(1, len(pairs) + 1)), groups)


def fit(recipe: Recipe, output: Path, *callbacks: TrainerCallback, overwrite: bool = False) -> Run:
    """Train without a word; the report's figures are composed but not drawn into files, which takes as long again."""
    with mock.patch("trainer.run.figures._save", lambda figure, path: plt.close(figure)):
        return train(recipe, output, overwrite=overwrite, console=Console(file=io.StringIO()), callbacks=callbacks)


def weights(run: Run) -> dict[str, bytes]:
    """The checkpoint's weights, byte for byte."""
    return {path.name: path.read_bytes() for path in sorted(run.checkpoint.glob("*.safetensors"))}
