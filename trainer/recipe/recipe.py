"""The recipe, a typed and strict YAML file.

In memory local paths are absolute; in a saved recipe they are relative to its file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from serving.errors import InputError, shorten
from serving.extensions.registry import find_extension
from serving.files import replace_file
from stores.targets import is_target
from trainer.recipe.applicability import LOSS_NAMES, RANKING_LOSSES, describe_idle, ranks, without_idle
from trainer.recipe.defaults import with_defaults
from trainer.recipe.distil import Distil
from trainer.recipe.errors import explain, list_problems
from trainer.recipe.loader import apply_overrides, read_mapping
from trainer.recipe.own_names import LABELLED, SCORED, require_known
from trainer.recipe.privacy import Privacy, check_privacy
from trainer.recipe.search import Search
from trainer.recipe.section import METRIC_NAMES, Metric, Name, Ranking, Section, to_tuples
from trainer.recipe.sections import (
    Card,
    Data,
    Export,
    FewShot,
    Imported,
    Loss,
    ModelHead,
)
from trainer.recipe.training import Training

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

_CHOICES: dict[TaskName, tuple[tuple[Loss, ...], tuple[Metric, ...]]] = {
    "text-classification": (("cross-entropy", "focal", "binary-cross-entropy"), ("accuracy", "macro_f1")),
    "multi-label-classification": (("binary-cross-entropy", "focal"), ("macro_f1", "micro_f1")),
    "regression": (("mse", "huber", "binary-cross-entropy"), ("pearson", "spearman")),
    "token-classification": (("cross-entropy", "focal"), ("f1",)),
    "question-answering": (("cross-entropy",), ("f1", "exact_match")),
    "feature-extraction": (("cosent", "cosine", "multiple-negatives-ranking"), ("spearman", "pearson")),
    "text2text-generation": (("cross-entropy",), ("token_accuracy",)),
    "text-generation": (("cross-entropy",), ("token_accuracy",)),
}
"""The losses and the metrics that may choose the checkpoint; the defaults come first."""
LOSSES = {task: losses for task, (losses, _) in _CHOICES.items()}
METRICS = {task: metrics for task, (_, metrics) in _CHOICES.items()}

RANKINGS: tuple[Metric, ...] = get_args(Ranking)
"""The metrics of pairs without scores."""
REDACTED = ("text-classification", "multi-label-classification", "regression", "feature-extraction")
"""The tasks of ``data.redact`` and ``data.preprocess``."""

ANSWERED_ONCE = ("text-classification", "multi-label-classification", "regression")
"""The tasks with one answer per text."""

GENERATING = ("text2text-generation", "text-generation")

SCORED_BY_WORDS = ("question-answering", "text2text-generation", "text-generation")
"""The tasks whose metrics are means over rows."""

RECORD = "run.json"
"""Beside the recipe of a run."""

_LONGEST_NAME, _LONGEST_PATH = 255, 4000  # Linux's, for a folder before it


class Recipe(Section):
    """Read one with `load_recipe`."""

    task: TaskName = Field(description="what is learned")
    model: Name = Field(default=DEFAULT_MODEL, description="the base model: a hub id or a folder")
    model_revision: Name | None = Field(default=None, description="the hub model's commit, branch or tag")
    model_head: ModelHead = ModelHead()
    data: Data
    training: Training = Training()
    few_shot: FewShot | None = Field(default=None, description="classify by sentence vectors, without training them")
    distil: Distil | None = Field(default=None, description="train a smaller student of finished runs")
    privacy: Privacy | None = Field(
        default=None, description="train with differential privacy, and measure what the model tells of its rows"
    )
    export: Export = Export()
    card: Card = Card()
    search: Search | None = Field(default=None, description="what tuneship tune may change; no other command reads it")
    imported: Imported | None = Field(
        default=None, description="of a run that tuneship import made, which trained nothing"
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_teacher(cls, values: Any) -> Any:
        """A student's base model is its first teacher's checkpoint, where the recipe names no other."""
        distil = values.get("distil") if isinstance(values, dict) else None
        teacher = distil.get("teacher") if isinstance(distil, dict) else None
        first = teacher[0] if isinstance(teacher, tuple) and teacher else teacher
        if not isinstance(first, str) or values.get("model") is not None:
            return values
        return {**values, "model": f"{first}/checkpoint"}

    @model_validator(mode="after")
    def _check_distil(self) -> Recipe:
        if self.distil is None:
            return self
        if self.task in GENERATING:
            raise ValueError(f"distil: learns labels, numbers, entities, passages and vectors, not task: {self.task}")
        if self.few_shot or self.imported:
            other = "few_shot" if self.few_shot else "imported"
            raise ValueError(f"distil: a student learns its weights, and under {other} nothing does; leave one out")
        if self.distil.rows and self.task not in ANSWERED_ONCE:
            raise ValueError(f"distil.rows: belongs to {', '.join(ANSWERED_ONCE)}, not to task: {self.task}")
        if self.distil.student == "static":
            _require_static(self)
        return self

    @model_validator(mode="after")
    def _check_privacy(self) -> Recipe:
        check_privacy(self)
        return self

    @model_validator(mode="after")
    def _check_task(self) -> Recipe:
        loss, metric = self.model_head.loss, self.training.metric_for_best_model
        own_loss, own_metric = self.task in LABELLED, self.task in SCORED and not self.ranks
        require_known("model_head.loss", "losses", loss, LOSSES[self.task], LOSS_NAMES, own_loss)
        require_known("training.metric_for_best_model", "metrics", metric, self.metrics, METRIC_NAMES, own_metric)
        if self.model_head.head is not None:
            find_extension("heads", self.model_head.head)
        if self.few_shot and self.task != "text-classification":
            raise ValueError(f"few_shot: belongs to task: text-classification, not to {self.task}")
        if self.few_shot and self.data.text_pair:
            raise ValueError("few_shot: takes single texts; leave data.text_pair out")
        if self.few_shot and self.few_shot.rows and self.data.folds:
            raise ValueError(
                "data.folds: few_shot.rows may have the texts that a fold holds out; leave one of the two out"
            )
        if self.distil and self.data.folds:
            raise ValueError(
                "data.folds: the teacher of distil has seen the rows of every fold, which flatters the scores; leave"
                " one of the two out"
            )
        if self.ranks and self.task == "feature-extraction" and self.data.folds:
            raise ValueError(
                "data.folds: the vectors of one fold's model cannot be searched with those of another; leave it out"
            )
        if self.imported and self.data.folds:
            raise ValueError("data.folds: an imported model is not trained, so that there is nothing to cross-validate")
        if self.data.redact and self.task not in REDACTED:
            raise ValueError(
                f"data.redact: cannot be for task: {self.task}, whose answers are places in the text or texts of their"
                f" own; it belongs to {', '.join(REDACTED)}. Leave it out, and redact the texts yourself"
            )
        self._check_processing()
        if isinstance(self.data.label, tuple) and self.task != "multi-label-classification":
            several = " It learns one number a text: make a recipe for each score." if self.task == "regression" else ""
            raise ValueError(
                "data.label: a column for each label belongs to task: multi-label-classification, not to"
                f" {self.task}; give one column.{several}"
            )
        if self.export.rows and len(self.data.test_sets()) > 1:
            raise ValueError("export.rows: cannot be like the rows of several sets of data.test; leave it out")
        by_words = self.task in SCORED_BY_WORDS and self.metric in METRIC_NAMES
        if self.export.rows and self.metric != "accuracy" and not by_words:
            raise ValueError(
                "export.rows: the share of changed answers bounds the drop of accuracy, exact match and F1 of words."
                f" Of {self.metric} one row can cost more than its share of the rows; leave it out"
            )
        return self

    def _check_processing(self) -> None:
        if self.data.preprocess and self.task not in REDACTED:
            raise ValueError(
                f"data.preprocess: cannot be for task: {self.task}, whose answers are places in the text or texts of"
                f" their own; it belongs to {', '.join(REDACTED)}"
            )
        if self.data.postprocess and (self.task not in SCORED or self.ranks):
            raise ValueError(f"data.postprocess: belongs to {', '.join(SCORED)} of rows with answers of their own")
        for name in self.data.preprocess:
            find_extension("preprocessors", name)
        for name in self.data.postprocess:
            find_extension("postprocessors", name)

    @property
    def loss(self) -> str:
        return self.model_head.loss or LOSSES[self.task][0]

    @property
    def ranks(self) -> bool:
        """Whether rows are pairs without scores: the second text is a right answer to the first."""
        return ranks(self)

    @property
    def losses(self) -> tuple[str, ...]:
        """Those that learn from such rows; one that is the user's own stands alone."""
        if self.ranks or self.loss not in LOSS_NAMES:
            return (self.loss,)
        return tuple(loss for loss in LOSSES[self.task] if loss != RANKING_LOSSES.get(self.task))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that may choose the checkpoint, the default first."""
        return RANKINGS if self.ranks else METRICS[self.task]

    @property
    def metric(self) -> str:
        """The one that chooses the checkpoint."""
        return self.training.metric_for_best_model or self.metrics[0]

    def to_mapping(self, folder: Path | None = None) -> dict[str, Any]:
        """JSON values of the options that act; local paths are relative to ``folder``, if one is given."""
        moved = _map_paths(self, lambda path: _to_relative(path, folder)) if folder else self
        without = {"training"} if self.imported else None
        return without_idle(moved.model_dump(mode="json", exclude_none=True, exclude=without), self)

    def save(self, path: Path, folder: Path | None = None) -> None:
        """``folder`` is where the file will lie, if not at ``path``."""
        text = yaml.safe_dump(self.to_mapping(folder or path.parent), sort_keys=False, allow_unicode=True)
        with replace_file(path) as file:
            file.write(text.encode())


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Raises InputError with every problem; relative paths, of ``overrides`` too, start at the recipe's folder."""
    mapping = read_mapping(path)
    if path.with_name(RECORD).is_file():  # earlier versions wrote all options of a run, acting or not
        mapping = drop_idle(mapping)
    return create_recipe(apply_overrides(mapping, overrides), path.parent, str(path))


def create_recipe(mapping: dict[str, Any], folder: Path, name: str) -> Recipe:
    """Relative paths start at ``folder``; messages begin with ``name``. Raises InputError with every problem."""
    try:
        recipe = Recipe.model_validate(to_tuples(mapping))
    except ValidationError as error:
        raise InputError(f"{name}: {explain(error, Recipe.model_json_schema())}") from None
    if idle := describe_idle(recipe):
        raise InputError(f"{name}: {list_problems(idle)}")
    return _map_paths(recipe, lambda value: _to_absolute(value, folder))


def complete_mapping(mapping: dict[str, Any]) -> dict[str, Any]:
    """A resolved recipe's mapping, paths as they are, with the options that this version writes."""
    try:
        return with_defaults(Recipe.model_validate(to_tuples(drop_idle(mapping)))).to_mapping()
    except ValidationError:
        return mapping


def drop_idle(mapping: dict[str, Any], keep: Collection[str] = ()) -> dict[str, Any]:
    """A recipe's mapping without the options that do nothing, but for some; one that is no recipe as it is."""
    try:
        return without_idle(mapping, Recipe.model_validate(to_tuples(mapping)), keep)
    except ValidationError:
        return mapping


def _require_static(recipe: Recipe) -> None:
    """Raise ValueError for what a student without layers cannot have."""
    if recipe.task not in ANSWERED_ONCE:
        raise ValueError(
            f"distil.student: static: has vectors that know no neighbours, for {', '.join(ANSWERED_ONCE)}; give layers"
        )
    if recipe.model_head.head is not None:
        raise ValueError("model_head.head: a static student has a linear one; leave it out")
    if recipe.model_head.layers > 1:
        raise ValueError("model_head.layers: a static student has no layers; leave it out")
    if recipe.training.trainable != "all" or recipe.training.freeze_embeddings:
        raise ValueError(
            "distil.student: static: is token vectors and a head, which are all trained; leave training.trainable and"
            " training.freeze_embeddings out"
        )


def _map_paths(recipe: Recipe, change: Callable[[str], str]) -> Recipe:
    data = recipe.data
    if data.dataset is None:
        names = ("train", "label_names") if data.split else ("train", "test", "validation", "label_names")
        moved = {name: _map_value(name, getattr(data, name), change) for name in names}
    else:
        moved = {"dataset": change(data.dataset)}
    export = recipe.export.model_copy(update={"rows": _map_value("rows", recipe.export.rows, change)})
    changed: dict[str, Any] = {"model": change(recipe.model), "data": data.model_copy(update=moved), "export": export}
    changed["search"] = _map_models(recipe.search, change) if recipe.search else None
    if distil := recipe.distil:
        paths = {name: _map_value(name, getattr(distil, name), change) for name in ("teacher", "rows")}
        changed["distil"] = distil.model_copy(update=paths)
    if few_shot := recipe.few_shot:
        changed["few_shot"] = few_shot.model_copy(update={"rows": _map_value("rows", few_shot.rows, change)})
    return recipe.model_copy(update=changed)


def _map_models(search: Search, change: Callable[[str], str]) -> Search:
    """The base models that a search tries may be folders too."""
    if search.space is None or not isinstance(models := search.space.get("model"), tuple):
        return search
    moved = tuple(change(each) if isinstance(each, str) else each for each in models)
    return search.model_copy(update={"space": {**search.space, "model": moved}})


def _map_value(name: str, value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _map_value(name, each, change) for key, each in value.items()}
    if isinstance(value, tuple) and name != "label_names":  # a list of names, not of files
        return tuple(_map_path(path, change) for path in value)
    return _map_path(value, change) if isinstance(value, str) else value


def _map_path(path: str, change: Callable[[str], str]) -> str:
    if is_target(path):
        return path
    plain = os.path.normpath(path)
    return change(plain if Path(plain).is_absolute() else f"./{plain}")


def _to_absolute(value: str, folder: Path) -> str:
    """``value`` itself where it is a hub id, neither written as a path nor found in ``folder``; raises InputError."""
    if max(len(os.fsencode(part)) for part in value.split("/")) > _LONGEST_NAME or len(value) > _LONGEST_PATH:
        raise InputError(f"{shorten(value, 60)}: is longer than the name of a file can be; give a path or a hub id")
    joined = folder / value
    if value.startswith(("./", "../")) or Path(value).is_absolute() or joined.exists():
        return os.path.normpath(folder.resolve() / value)
    return value


def _to_relative(value: str, folder: Path) -> str:
    if not Path(value).is_absolute():
        return value
    path = os.path.relpath(Path(value).resolve(), folder.resolve())
    return path if path.startswith("..") else f"./{path}"
