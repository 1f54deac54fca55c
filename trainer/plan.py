"""What a run is made from: the recipe with every default worked out, the base model, the rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks.base import Task
from trainer import facts
from trainer.backbone import Backbone, find_backbone
from trainer.batches import Examples
from trainer.case_markers import with_case_markers
from trainer.data import Splits, fingerprint, load_splits
from trainer.model import Form, load_tokenizer
from trainer.recipe import Recipe
from trainer.rows import Rows
from trainer.tasks import learning_of
from trainer.tasks.base import Learning
from trainer.validation import Material


@dataclass(frozen=True)
class Plan:
    """All that a run is made from: how its task is learned, the base model and its tokenizer, the rows."""

    learning: Learning
    base: Backbone
    tokenizer: PreTrainedTokenizerFast
    splits: Splits

    @property
    def recipe(self) -> Recipe:
        """The recipe, with every default worked out."""
        return self.learning.recipe

    @property
    def task(self) -> Task:
        """The object that answers, with settings as they are known before training."""
        settings = self.learning.settings(self.splits.train, self.splits.labels, self.tokenizer.model_max_length)
        return self.learning.task(self.splits.labels, settings)

    @property
    def form(self) -> Form:
        """What the model is built as."""
        pooling = self.recipe.model_head.pooling or self.base.pooling
        return Form(
            head=self.learning.head,
            pooling=pooling,
            logits=self.task.logits_per_window,
            normalized=self.recipe.few_shot is not None,
            layers=self.recipe.model_head.layers,
        )

    def facts(self, output: Path) -> dict[str, Any]:
        """The part of run.json that is known before training, and that a run to be resumed must share."""
        return {
            "task": self.recipe.task,
            "labels": self.splits.labels,
            "model": self.base.facts(),
            "recipe": self.recipe.to_mapping(output),
            "data": fingerprint(self.recipe.data, self.splits),
        }


def make_plan(recipe: Recipe, output: Path) -> Plan:
    """Find the base model, read and split the rows; raises InputError for what cannot be used."""
    base = find_backbone(recipe.model, recipe.to_mapping(output)["model"], recipe.model_revision)
    learning = learning_of(resolve(recipe, base))
    tokenizer = load_tokenizer(base.folder, learning.data.max_length)
    tokenizer = with_case_markers(tokenizer) if learning.data.case_markers else tokenizer
    learning.prepare(base, tokenizer)
    plan = Plan(learning, base, tokenizer, load_splits(learning))
    for rows in plan.splits.each():
        _require_windows(plan, rows)
    return plan


def _require_windows(plan: Plan, rows: Rows) -> None:
    """Every row can be cut into windows; found out now, not when an hour of training is over."""
    task, tokenizer = plan.task, plan.tokenizer.backend_tokenizer
    for number, inputs in zip(rows.numbers, rows.inputs, strict=True):
        try:
            for item in plan.learning.items(task, inputs):
                task.check_tokens(tokenizer, item)
        except InputError as error:
            raise InputError(f"{rows.name}, row {number}: {error}; shorten it or leave the row out") from error


def resolve(recipe: Recipe, base: Backbone) -> Recipe:
    """The recipe with every default that depends on the base model or this machine worked out."""
    length = recipe.data.max_length or learning_of(recipe).default_length(base)
    if base.max_length and length > base.max_length:
        raise InputError(
            f"data.max_length: {length} is more than {base.id} takes; give at most {base.max_length}",
            field="data.max_length",
        )
    bf16 = facts.computes_in_bf16() if recipe.training.bf16 is None else recipe.training.bf16
    head = recipe.model_head.model_copy(update={"pooling": recipe.model_head.pooling or base.pooling})
    return recipe.model_copy(
        update={
            "model_head": head,
            "data": recipe.data.model_copy(update={"max_length": length}),
            "training": recipe.training.resolved().model_copy(update={"bf16": bf16}),
        }
    )


def material_of(plan: Plan) -> Material:
    """The training and validation rows, encoded."""
    task, splits = plan.task, plan.splits
    train, validation = (
        Examples(plan.learning, task, plan.tokenizer, rows) for rows in (splits.train, splits.validation)
    )
    return Material(plan.learning, task, plan.tokenizer, train, validation, splits.validation)
