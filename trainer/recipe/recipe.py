"""The recipe: what to train, on which rows, and how, as a typed and strict YAML file.

    task            what is learned
    model           the base model: a hub id or a folder, and the hub's revision
    model_head      how token vectors become an answer, and the loss
    data            files or a hub data set, columns, splits
    training        the optimiser's settings, under transformers' names
    few_shot        in place of training: a handful of examples
    export          what a converted model may lose
    card            what the model card says beside its figures

In memory every local path is absolute; a saved recipe's paths are relative to its own file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from serving.errors import InputError
from trainer.recipe.errors import explain
from trainer.recipe.loader import apply_overrides, read_mapping
from trainer.recipe.sections import Card, Data, Export, FewShot, Loss, Metric, ModelHead, Name, Section, Training

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

TaskName = Literal[
    "text-classification",
    "multi-label-classification",
    "regression",
    "token-classification",
    "question-answering",
    "feature-extraction",
    "text2text-generation",
    "text-generation",
]

LOSSES: dict[TaskName, tuple[Loss, ...]] = {
    "text-classification": ("cross-entropy", "focal", "binary-cross-entropy"),
    "multi-label-classification": ("binary-cross-entropy", "focal"),
    "regression": ("mse", "huber"),
    "token-classification": ("cross-entropy", "focal"),
    "question-answering": ("cross-entropy",),
    "feature-extraction": ("cosent", "cosine"),
    "text2text-generation": ("cross-entropy",),
    "text-generation": ("cross-entropy",),
}
"""The losses of each task, the default first."""

METRICS: dict[TaskName, tuple[Metric, ...]] = {
    "text-classification": ("accuracy", "macro_f1"),
    "multi-label-classification": ("macro_f1", "micro_f1"),
    "regression": ("pearson", "spearman"),
    "token-classification": ("f1",),
    "question-answering": ("f1", "exact_match"),
    "feature-extraction": ("spearman", "pearson"),
    "text2text-generation": ("token_accuracy",),
    "text-generation": ("token_accuracy",),
}
"""The metrics that may choose the checkpoint, each better when higher, the default first."""

LAYERED = ("text-classification", "multi-label-classification", "regression", "token-classification")
"""The tasks whose classifier may read several layers."""


class Recipe(Section):
    """A whole recipe; read one by ``load_recipe``."""

    task: TaskName = Field(description="what is learned")
    model: Name = Field(default=DEFAULT_MODEL, description="the base model: a hub id or a folder")
    model_revision: Name | None = Field(default=None, description="the hub model's commit, branch or tag")
    model_head: ModelHead = ModelHead()
    data: Data
    training: Training = Training()
    few_shot: FewShot | None = Field(default=None, description="classify by sentence vectors, without training them")
    export: Export = Export()
    card: Card = Card()

    @model_validator(mode="after")
    def _task_fits(self) -> Recipe:
        loss, metric = self.model_head.loss, self.training.metric_for_best_model
        _require_choice("model_head.loss", loss, LOSSES[self.task], self.task)
        _require_choice("training.metric_for_best_model", metric, METRICS[self.task], self.task)
        if self.few_shot and self.task != "text-classification":
            raise ValueError(f"few_shot: belongs to task: text-classification, not to {self.task}")
        if self.few_shot and self.data.text_pair:
            raise ValueError("few_shot: compares lone texts with labels; leave data.text_pair out")
        if self.model_head.layers > 1 and (self.task not in LAYERED or self.few_shot):
            raise ValueError(f"model_head.layers: belongs to a classifier that learns, not to task: {self.task}")
        if self.data.label_separator and self.task != "multi-label-classification":
            raise ValueError(f"data.label_separator: belongs to task: multi-label-classification, not to {self.task}")
        return self

    @property
    def loss(self) -> Loss:
        """What training minimises."""
        return self.model_head.loss or LOSSES[self.task][0]

    @property
    def metric(self) -> Metric:
        """What chooses the checkpoint."""
        return self.training.metric_for_best_model or METRICS[self.task][0]

    def to_mapping(self, folder: Path) -> dict[str, Any]:
        """Plain YAML or JSON values, without nulls, local paths relative to ``folder``."""
        return _map_paths(self, lambda path: _relative(path, folder)).model_dump(mode="json", exclude_none=True)

    def save(self, path: Path) -> None:
        """Write the recipe so that ``load_recipe(path)`` gives this one again."""
        text = yaml.safe_dump(self.to_mapping(path.parent), sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe; ``overrides`` are ``training.learning_rate=1e-4`` and the like.

    Relative paths, those of overrides too, are looked up from the recipe's own folder.
    Raises InputError with every problem of the recipe at once.
    """
    mapping = apply_overrides(read_mapping(path), overrides)
    try:
        recipe = Recipe.model_validate(_tuples(mapping))
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error, Recipe.model_json_schema())}") from None
    return _map_paths(recipe, lambda value: _absolute(value, path.parent))


def _require_choice(key: str, found: str | None, accepted: Sequence[str], task: str) -> None:
    if found is not None and found not in accepted:
        raise ValueError(f"{key}: {found!r} is not for task: {task}; give one of {', '.join(accepted)}")


def _tuples(value: Any) -> Any:
    """YAML knows lists only; strict validation wants the tuples that a frozen recipe holds."""
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _map_paths(recipe: Recipe, change: Callable[[str], str]) -> Recipe:
    """A copy of the recipe with ``change`` applied to whatever may be a local path."""
    data = recipe.data
    if data.dataset is None:
        names = ("train", "test", "validation", "label_names")
        moved = {name: _moved_all(name, getattr(data, name), change) for name in names}
    else:
        moved = {"dataset": change(data.dataset)}
    return recipe.model_copy(update={"model": change(recipe.model), "data": data.model_copy(update=moved)})


def _moved_all(name: str, value: Any, change: Callable[[str], str]) -> Any:
    """The paths of a key of ``data``: one, several, or named ones; what is none stays."""
    if isinstance(value, dict):
        return {key: _moved_all(name, each, change) for key, each in value.items()}
    if isinstance(value, tuple) and name != "label_names":  # those are the names themselves
        return tuple(_moved(path, change) for path in value)
    return _moved(value, change) if isinstance(value, str) else value


def _moved(path: str, change: Callable[[str], str]) -> str:
    plain = os.path.normpath(path)
    return change(plain if Path(plain).is_absolute() else f"./{plain}")


def _absolute(value: str, folder: Path) -> str:
    """A path from ``folder`` where ``value`` says so or lies there; else ``value``, a hub id."""
    joined = folder / value
    if value.startswith(("./", "../")) or Path(value).is_absolute() or joined.exists():
        return os.path.normpath(folder.resolve() / value)
    return value


def _relative(value: str, folder: Path) -> str:
    if not Path(value).is_absolute():
        return value
    path = os.path.relpath(Path(value).resolve(), folder.resolve())
    return path if path.startswith("..") else f"./{path}"
