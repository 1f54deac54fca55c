"""What the training tests share: recipes and rows in a line, short runs, runs that stop half-way."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt
import pytest
from rich.console import Console
from transformers import TrainerCallback

from tests import tiny
from tests.sharing import made_once
from tests.stores.conftest import memory, s3, s3_server  # noqa: F401
from trainer.data.rows import Rows, same_text
from trainer.recipe.recipe import Recipe, load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask
from trainer.train import train

MakeRecipe = Callable[..., Recipe]
WholeRun = Callable[..., Run]


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
        return toy_recipe(tmp_path, tiny_backbone, **sections)

    return make


@pytest.fixture(scope="session")
def whole(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """Gives the uninterrupted run of the toy recipe with these training settings, trained once; read it only."""

    def train_once(**training: Any) -> Run:
        name = hashlib.sha256(json.dumps(training, sort_keys=True).encode()).hexdigest()[:16]

        def make(folder: Path) -> None:
            fit(toy_recipe(folder, tiny_backbone, training=training), folder / "run")

        return Run.open(made_once(tmp_path_factory, f"whole-{name}", make) / "run")

    return train_once


def toy_recipe(folder: Path, backbone: Path, **sections: dict[str, Any]) -> Recipe:
    """The toy recipe of three epochs, written into ``folder``."""
    settings = {"num_train_epochs": 3, **sections.pop("training", {})}
    return load_recipe(tiny.write_recipe(folder, backbone, training=settings, **sections))


def training_task(task: str, data: dict[str, Any] | None = None, **sections: Any) -> TrainingTask:
    """The training task of a recipe with these sections; the data need not exist."""
    section = {"train": "train.csv", "test": 0.25, **(data or {})}
    return create_training_task(Recipe.model_validate({"task": task, "data": section, **sections}))


def rows_of(*pairs: tuple[Any, Any], name: str = "x") -> Rows:
    """Rows of inputs and targets."""
    inputs: Sequence[Any] = [each for each, _ in pairs]
    groups = [same_text(each) for each in inputs]
    return Rows(name, list(inputs), [target for _, target in pairs], list(range(1, len(pairs) + 1)), groups)


def fit(recipe: Recipe, output: Path, *callbacks: TrainerCallback, overwrite: bool = False) -> Run:
    """Train silently; the report's figures are composed but not written, which would take as long again."""
    with mock.patch("trainer.run.report.figures._save", lambda figure, path: plt.close(figure)):
        return train(recipe, output, overwrite=overwrite, console=Console(file=io.StringIO()), callbacks=callbacks)


def weights(run: Run) -> dict[str, bytes]:
    """The checkpoint's weights, byte for byte."""
    return {path.name: path.read_bytes() for path in sorted(run.checkpoint.glob("*.safetensors"))}
