"""Which keys of a recipe a search changes, and a recipe with other values for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from serving.errors import InputError
from trainer.model.architecture import kind_of
from trainer.recipe.defaults import SMOOTHING
from trainer.recipe.recipe import Recipe, create_recipe, drop_idle
from trainer.recipe.search import Range, Value
from trainer.recipe.training import EPOCHS
from trainer.setup.training_setup import TrainingSetup

Space = Mapping[str, tuple[Value, ...] | Range]
Values = dict[str, Any]

_BATCH_SIZES, _SMOOTHING, _SCHEDULES = (16, 32, 64), (0.0, 0.05, 0.1), ("linear", "cosine")
_POOLINGS = ("mean", "cls", "max")
_FACTOR = 4
"""How far from the recipe's own learning rate the search goes, both ways."""


def space_of(setup: TrainingSetup, recipe: Recipe) -> Space:
    """The recipe's, or what suits its task; raises InputError for a value that the recipe does not take.

    ``recipe`` is the one that ``setup`` resolves: a default that follows from another key is not in it.
    """
    if recipe.search is None or recipe.search.space is None:
        return {key: choices for key, choices in _default_space(setup).items() if not _problem(recipe, key, choices)}
    for key, choices in recipe.search.space.items():
        if problem := _problem(recipe, key, choices):
            raise InputError(f"search.space.{key}: {problem}", field="search")
    return recipe.search.space


def _problem(recipe: Recipe, key: str, choices: tuple[Value, ...] | Range) -> str:
    """What the recipe says of one of the values; empty if it takes them all."""
    try:
        for value in (choices.low, choices.high) if isinstance(choices, Range) else choices:
            with_values(recipe, {key: value})
    except InputError as error:
        return str(error)
    return ""


def _default_space(setup: TrainingSetup) -> Space:
    """Around the recipe's own values, each of which stays in it."""
    recipe, training = setup.recipe, setup.recipe.training
    epochs, rate = training.num_train_epochs or EPOCHS, training.learning_rate
    space: dict[str, tuple[Value, ...] | Range] = {
        "training.learning_rate": Range(low=rate / _FACTOR, high=min(rate * _FACTOR, 10.0), log=True),
        "training.num_train_epochs": Range(low=max(1, epochs // 2), high=max(2, 2 * epochs)),
        "training.per_device_train_batch_size": _with_own(_BATCH_SIZES, training.per_device_train_batch_size),
        "training.lr_scheduler_type": _with_own(_SCHEDULES, training.lr_scheduler_type),
    }
    if recipe.loss == "cross-entropy" and recipe.task == "text-classification":
        own = SMOOTHING if training.label_smoothing_factor is None else training.label_smoothing_factor
        space["training.label_smoothing_factor"] = _with_own(_SMOOTHING, own)
    elif len(recipe.losses) > 1 and recipe.task != "text-classification":
        space["model_head.loss"] = recipe.losses
    if setup.training_task.head == "sequence" and kind_of(setup.base.config) == "encoder" and not setup.trained_head:
        space["model_head.pooling"] = _with_own(_POOLINGS, recipe.model_head.pooling)
    return space


def _with_own(choices: tuple[Any, ...], own: Any) -> tuple[Any, ...]:
    return choices if own in choices else (own, *choices)


def own_values(recipe: Recipe, space: Space) -> Values:
    """What the recipe itself has for the keys, where that is in the space: the first trial's."""
    own = {key: _look_up(recipe, key) for key in space}
    return {key: _to_choice(value) for key, value in own.items() if _contains(space[key], value)}


def _look_up(recipe: Recipe, key: str) -> Any:
    value: Any = recipe
    for name in key.split("."):
        value = getattr(value, name, None)
    if key == "training.label_smoothing_factor" and value is None and recipe.task == "text-classification":
        return SMOOTHING
    return recipe.loss if key == "model_head.loss" else value


def _contains(choices: tuple[Value, ...] | Range, value: Any) -> bool:
    if not isinstance(choices, Range):
        return value in choices
    return isinstance(value, (int, float)) and choices.low <= value <= choices.high


def suggest(trial: Trial, space: Space) -> Values:
    """A value for each key, from the study's sampler."""
    return {key: _from_choice(_suggest(trial, key, choices)) for key, choices in space.items()}


def _suggest(trial: Trial, key: str, choices: tuple[Value, ...] | Range) -> Any:
    if not isinstance(choices, Range):
        return trial.suggest_categorical(key, [_to_choice(value) for value in choices])
    if choices.whole:
        return trial.suggest_int(key, int(choices.low), int(choices.high), log=choices.log)
    return trial.suggest_float(key, choices.low, choices.high, log=choices.log)


def _to_choice(value: Any) -> Any:
    """As a study's storage keeps it: a list is its JSON."""
    return json.dumps(value) if isinstance(value, (tuple, list)) else value


def _from_choice(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("[") else value


def values_of(params: Mapping[str, Any]) -> Values:
    """The values of a trial that the storage has."""
    return {key: _from_choice(value) for key, value in params.items()}


def with_values(recipe: Recipe, values: Values) -> Recipe:
    """The recipe with other values for some keys, checked as if they had been written; raises InputError."""
    root = Path("/")
    mapping = recipe.to_mapping(root)
    for key, value in values.items():
        *sections, name = key.split(".")
        place = mapping
        for section in sections:
            place = place.setdefault(section, {})
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return create_recipe(drop_idle(mapping, keep=values.keys()), root, "the trial's recipe")
