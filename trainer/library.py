"""A training in any Python program: a notebook, a script, a task of a data pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from serving.errors import InputError
from serving.observability.progress_bars import show_progress
from trainer.recipe.loader import apply_overrides
from trainer.recipe.recipe import Recipe, create_recipe, load_recipe
from trainer.run.run import Run
from trainer.setup.training_setup import TrainingSetup
from trainer.train import train

Overrides = Mapping[str, Any] | Sequence[str]
"""``{"training.seed": 1}``, or ``["training.seed=1"]`` as ``--set`` has it."""

IN_PROGRAM = "the recipe"
"""What messages call a recipe that is no file."""


def fine_tune(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    output: str | Path,
    *,
    overrides: Overrides = (),
    overwrite: bool = False,
    threads: int | None = None,
    quiet: bool = False,
    check: Callable[[TrainingSetup], None] = lambda setup: None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Run:
    """Train by a recipe, and leave a finished run at ``output``.

    An interrupted run of the same recipe and rows is resumed, to the same weights; a finished one is returned.

    Args:
        recipe: a YAML file, whose paths start at its folder; or the same keys as a mapping, whose paths start at the
            working directory.
        output: the run's folder.
        overrides: keys to set in place of the recipe's.
        overwrite: replace another run in that folder, never anything else.
        threads: torch's, of a fresh run; a resumed one keeps its own, as sums depend on them.
        quiet: show no progress.
        check: is called before anything is written, and may raise InputError; `export.rehearse` finds base models that
            cannot be exported.
        callbacks: of transformers' Trainer.

    Returns:
        The run; `Run.metrics` are the figures of the test rows.

    Raises:
        InputError: the recipe, the rows or ``output`` cannot be used.
        UserError: the training diverged, or another process has the folder.
    """
    settings = _resolve(recipe, overrides)
    with show_progress(Console(stderr=True, quiet=quiet)):
        return train(
            settings,
            Path(output),
            overwrite=overwrite,
            threads=threads,
            console=Console(quiet=quiet),
            check=check,
            callbacks=callbacks,
        )


def _resolve(recipe: str | Path | Mapping[str, Any] | Recipe, overrides: Overrides) -> Recipe:
    settings = _written(overrides)
    if isinstance(recipe, Recipe):
        return _create(recipe.to_mapping(), settings) if settings else recipe
    if isinstance(recipe, Mapping):
        return _create(_plain(recipe, IN_PROGRAM), settings)
    return load_recipe(Path(recipe), settings)


def _create(mapping: dict[str, Any], settings: Sequence[str]) -> Recipe:
    return create_recipe(apply_overrides(mapping, settings), Path.cwd(), IN_PROGRAM)


def _written(overrides: Overrides) -> list[str]:
    """As ``--set`` has them."""
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(_plain(value, key), ensure_ascii=False)}" for key, value in overrides.items()]
    return list(overrides)


def _plain(value: Any, name: str) -> Any:
    """As a YAML file would have it: lists for tuples, text for paths; raises InputError."""
    try:
        return json.loads(json.dumps(value, default=os.fspath, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"{name}: {error}; give text, finite numbers, true or false, lists and mappings"
        raise InputError(message, field=name) from None


__all__ = ["fine_tune"]
