"""The recipe: what to train, on which rows, and how, as a typed and strict YAML file.

    task            what is learned
    model           the base model: a hub id or a folder
    model_head      how token vectors become one vector a text
    data            files or a hub data set, columns, splits
    training        the optimiser's settings, under transformers' names
    export          what a converted model may lose

In memory every local path is absolute; a saved recipe's paths are relative to its own file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from serving.errors import InputError
from trainer.recipe_errors import explain
from trainer.recipe_yaml import apply_overrides, read_mapping

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

Fraction = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of the recipe: unknown keys are refused, values never change type or later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelHead(Section):
    """The layer between the backbone's token vectors and the labels."""

    pooling: Literal["mean", "cls"] | None = Field(
        default=None,
        description="mean of the token vectors, or the library's own head; null: what suits the backbone",
    )


class Data(Section):
    """The rows: where they lie, which columns matter, how they are split."""

    train: Name | None = Field(default=None, description="file of training rows; with `dataset`, a split's name")
    test: Fraction | Name = Field(description="file (or split) that is evaluated once, or a fraction of train")
    validation: Fraction | Name = Field(
        default=0.1,
        description="file (or split) that alone chooses the checkpoint, or a fraction of the training rows",
    )
    text: Name = Field(default="text", description="the column that holds the text")
    label: Name = Field(default="label", description="the column that holds the label")
    column_names: tuple[Name, ...] | None = Field(default=None, description="columns of CSV or TSV without a header")
    dataset: Name | None = Field(default=None, description="a hub data set, owner/name, or a folder, in place of files")
    config_name: Name | None = Field(default=None, description="the hub data set's configuration")
    revision: Name | None = Field(default=None, description="the hub data set's commit, branch or tag")
    split_seed: int = Field(default=0, ge=0, lt=2**32, description="decides which rows a fraction takes")
    max_length: int | None = Field(
        default=None, ge=4, le=8192, description="tokens a text; null: backbone's, at most 256"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if self.dataset is None and self.train is None:
            raise ValueError("data.train: missing; name a file of training rows, or a data set by data.dataset")
        if self.dataset is None and (self.config_name or self.revision):
            raise ValueError("data.config_name and data.revision belong to data.dataset, which is not given")
        if self.dataset is not None and self.column_names:
            raise ValueError("data.column_names: names the columns of files; data.dataset has its own")
        return self


class Training(Section):
    """The optimiser's settings, under the names of transformers' TrainingArguments."""

    learning_rate: float = Field(default=2.0e-4, gt=0, le=10, description="peak learning rate of the backbone")
    head_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="of the classifier; null: 25 × learning_rate under adamw, which suits a fresh layer",
    )
    num_train_epochs: int = Field(default=3, ge=1, le=1000, description="passes over the training rows")
    per_device_train_batch_size: int = Field(default=32, ge=1, le=4096, description="texts a training step")
    per_device_eval_batch_size: int = Field(default=64, ge=1, le=4096, description="texts an evaluation step")
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024, description="batches an optimiser step")
    gradient_checkpointing: bool = Field(default=False, description="recompute activations: less memory, slower")
    lr_scheduler_type: Literal["constant", "linear", "cosine"] = Field(default="linear", description="after the warmup")
    warmup_ratio: float = Field(default=0.06, ge=0, lt=1, description="fraction of the steps that warm up")
    optim: Literal["adamw", "sgd"] = Field(default="adamw", description="optimiser")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(default=0.01, ge=0, le=1, description="not for biases and layer norms")
    label_smoothing_factor: float = Field(default=0.05, ge=0, lt=1, description="share spread over all labels")
    max_grad_norm: float = Field(default=1.0, gt=0, le=1e6, description="gradients are clipped to this norm")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the head's first weights, dropout and batch order")
    bf16: bool | None = Field(default=None, description="bfloat16 autocast; null: where the hardware computes in it")
    trainable: Literal["all", "classifier"] = Field(
        default="all", description="classifier: the backbone stays as it is"
    )
    eval_strategy: Literal["epoch", "steps"] = Field(
        default="epoch", description="when validation runs and state is kept"
    )
    eval_steps: int | None = Field(default=None, ge=1, description="optimiser steps between two evaluations")
    metric_for_best_model: Literal["accuracy", "macro_f1"] = Field(default="accuracy", description="on validation")
    early_stopping_patience: int | None = Field(
        default=None, ge=1, description="evaluations without a better metric before training stops"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if (self.eval_strategy == "steps") != (self.eval_steps is not None):
            raise ValueError("training.eval_steps: goes with training.eval_strategy: steps, and only with it")
        if self.momentum and self.optim != "sgd":
            raise ValueError("training.momentum: belongs to training.optim: sgd")
        return self

    def resolved(self) -> Training:
        """These settings with the default of ``head_learning_rate`` worked out."""
        if self.head_learning_rate is not None:
            return self
        factor = 25.0 if self.optim == "adamw" else 1.0
        return self.model_copy(update={"head_learning_rate": self.learning_rate * factor})


class Export(Section):
    """What a converted model may lose."""

    max_accuracy_drop: float = Field(
        default=0.005, ge=0, lt=1, description="accuracy that an approximate variant may lose, as a fraction"
    )


class Recipe(Section):
    """A whole recipe; read one by ``load_recipe``."""

    task: Literal["text-classification"] = Field(description="what is learned")
    model: Name = Field(default=DEFAULT_MODEL, description="the base model: a hub id or a folder")
    model_head: ModelHead = ModelHead()
    data: Data
    training: Training = Training()
    export: Export = Export()

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


def _tuples(mapping: dict[str, Any]) -> dict[str, Any]:
    """YAML knows lists only; strict validation wants the tuple that a frozen recipe holds."""
    data = mapping.get("data")
    if isinstance(data, dict) and isinstance(data.get("column_names"), list):
        return {**mapping, "data": {**data, "column_names": tuple(data["column_names"])}}
    return mapping


def _map_paths(recipe: Recipe, change: Callable[[str], str]) -> Recipe:
    """A copy of the recipe with ``change`` applied to whatever may be a local path."""
    data = recipe.data
    if data.dataset is None:
        found = {name: getattr(data, name) for name in ("train", "test", "validation")}
        paths = {name: os.path.normpath(value) for name, value in found.items() if isinstance(value, str)}
        moved = {name: change(f"./{path}" if not Path(path).is_absolute() else path) for name, path in paths.items()}
    else:
        moved = {"dataset": change(data.dataset)}
    return recipe.model_copy(update={"model": change(recipe.model), "data": data.model_copy(update=moved)})


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
