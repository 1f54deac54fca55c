"""A trainer over nine short texts, before its first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from serving.tasks.base import Task
from tests.trainer.conftest import rows_of, training_task
from trainer.data.table import Table
from trainer.fit.batches import Examples
from trainer.fit.trainer import TaskTrainer, arguments
from trainer.fit.validation import Datasets
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import ModelSpec, build_model, load_tokenizer
from trainer.model.trainable import choose_weights
from trainer.recipe.training import Training
from trainer.tasks.base import TrainingTask

TEXTS = ("refund", "where is it?", "please cancel my order 17 today")


def learned(**settings: Any) -> tuple[TrainingTask, Task]:
    """A task of three labels, under these settings."""
    found = training_task("text-classification", training=Training(bf16=False, **settings).resolve())
    rows = rows_of(*zip(TEXTS, "abc", strict=True))
    found.label_names(rows, Table("x", {}, {}))
    return found, found.task(["a", "b", "c"], found.settings(rows, ["a", "b", "c"], 64))


def trainer_for(base: Path, state: Path, **settings: Any) -> TaskTrainer:
    """A trainer over nine short texts, before its first step."""
    found, task = learned(**settings)
    tokenizer = load_tokenizer(base)
    rows = rows_of(*zip(TEXTS * 3, "abc" * 3, strict=True))
    examples = Examples(found, task, tokenizer, rows)
    torch.manual_seed(0)
    model = build_model(find_base_model(str(base)), ModelSpec("sequence", "mean", 3), ["a", "b", "c"])
    choose_weights(model, found.recipe.training)
    args = arguments(found.recipe.training, "accuracy", state, 1, found.recipe.training.seed)
    return TaskTrainer(model, args, Datasets(found, task, tokenizer, examples, examples, rows), [])
