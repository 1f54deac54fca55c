"""The defaults that depend on other options: a resolved recipe has their values in place of null."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from serving.tasks.regression import COVERAGE
from trainer.recipe.applicability import Recipe, acts
from trainer.recipe.training import Lora

R = TypeVar("R", bound=Recipe)

SMOOTHING = 0.05
"""Of text classification by cross-entropy."""

_WINDOWS_SHARE = {"question-answering": 3}
"""Neighbouring windows share one part in so many, of other tasks one in four."""


def stride(recipe: Recipe, max_length: int) -> int:
    chosen = recipe.data.stride
    return max_length // _WINDOWS_SHARE.get(recipe.task, 4) if chosen is None else chosen


def interval_coverage(recipe: Recipe) -> float:
    return recipe.model_head.interval_coverage or COVERAGE


def label_smoothing(recipe: Recipe) -> float:
    """0 where the recipe's loss knows none."""
    if not acts(recipe, "training.label_smoothing_factor"):
        return 0.0
    usual = SMOOTHING if recipe.task == "text-classification" and recipe.loss == "cross-entropy" else 0.0
    chosen = recipe.training.label_smoothing_factor
    return usual if chosen is None else chosen


_DEFAULTS: dict[str, Callable[[Recipe], Any]] = {
    "model_head.loss": lambda recipe: recipe.loss,
    "model_head.interval_coverage": interval_coverage,
    "data.stride": lambda recipe: stride(recipe, recipe.data.max_length) if recipe.data.max_length else None,
    "training.metric_for_best_model": lambda recipe: recipe.metric,
    "training.label_smoothing_factor": label_smoothing,
    "training.lora": lambda recipe: Lora(),
}


def with_defaults(recipe: R) -> R:
    """With the value of each option that acts and is null; ``data.stride`` needs ``data.max_length``."""
    recipe = recipe.model_copy(update={"training": recipe.training.resolve()})
    updates: dict[str, dict[str, Any]] = {}
    for option, default in _DEFAULTS.items():
        section, _, name = option.partition(".")
        if getattr(getattr(recipe, section), name) is None and acts(recipe, option):
            updates.setdefault(section, {})[name] = default(recipe)
    sections = {name: getattr(recipe, name).model_copy(update=values) for name, values in updates.items()}
    return recipe.model_copy(update=sections)
