"""What training minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from serving.tasks.base import Encoded, Task
from serving.tasks.windows import Aggregation
from trainer.data.rows import Rows
from trainer.model.inputs import IGNORED, Batch
from trainer.recipe.applicability import LOSS_NAMES
from trainer.recipe.defaults import label_smoothing
from trainer.recipe.recipe import Recipe
from trainer.tasks.own_loss import OwnLoss
from trainer.tasks.soft_answers import SoftAnswers


@dataclass(frozen=True)
class Example:
    """Windows that share a label."""

    windows: tuple[Any, ...]
    label: Any


class Objective(ABC):
    recipe: Recipe

    @property
    def aggregation(self) -> Aggregation | None:
        """How the logits of an example's windows become one; None: each window has its own."""
        data = self.recipe.data
        return data.window_aggregation if data.long_text == "windows" else None

    @abstractmethod
    def examples(self, task: Task, encoded: list[Encoded], target: Any) -> list[Example]:
        """The training examples of one row."""

    def warnings(self, task: Task, rows: Rows) -> list[str]:
        """About what `examples` leaves out of training rows, beyond texts that are cut."""
        return []

    @cached_property
    def own_loss(self) -> OwnLoss | None:
        """The extension that the recipe names as its loss; raises InputError where it cannot be imported."""
        return None if self.recipe.loss in LOSS_NAMES else OwnLoss.open(self.recipe.loss)

    def total_loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """`loss`, or the sum of the recipe's own one."""
        return self.own_loss(logits, labels) if self.own_loss else self.loss(logits, labels, training=training)

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """The sum over all labels but -100, for logits [windows, …] and labels [examples, …].

        With an `aggregation`, logits are [examples, …]; else the two windows of a pair are neighbours.
        ``training``: label smoothing and class weights apply.
        """

    def counted(self, labels: Tensor) -> Tensor:
        """The labels of which `loss` sums over each that is not -100."""
        return labels

    def label_count(self, labels: Tensor) -> int:
        """How many labels `loss` sums over."""
        return int(self.counted(labels).ne(IGNORED).sum())

    def text_ids(self, example: Example) -> Collection[int]:
        """Of the texts that should come once in a batch, where its examples are compared; empty: they are not."""
        return ()

    def soft_answers(self) -> SoftAnswers | None:
        """How a student learns from a teacher's logits; None: it cannot."""
        return None

    def batch(self, batch: Batch) -> Batch:
        """With whatever else the model takes."""
        return batch

    def initial_bias(self, train: Rows, labels: Sequence[str]) -> list[float] | None:
        """The first bias of the head; None: zero."""
        return None

    def smoothing(self, training: bool) -> float:
        return label_smoothing(self.recipe) if training else 0.0

    def focal_gamma(self, training: bool) -> float | None:
        """None under any other loss."""
        return self.recipe.model_head.focal_gamma if training and self.recipe.loss == "focal" else None
