"""What training minimises: examples from rows, the loss, the batch that the model takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from serving.tasks.base import Encoded, Task
from trainer.data.rows import Rows
from trainer.model.inputs import IGNORED, Batch
from trainer.recipe.recipe import Recipe


@dataclass(frozen=True)
class Example:
    """One training example: windows that share a label."""

    windows: tuple[Any, ...]
    label: Any


class Objective(ABC):
    """The loss of a task, as the recipe configures it."""

    recipe: Recipe

    @abstractmethod
    def examples(self, task: Task, encoded: list[Encoded], target: Any) -> list[Example]:
        """The training examples of one row, from its encoded items."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """The loss summed over all labels but those of -100 (`label_count` counts the same ones).

        Args:
            logits: [windows, …]; the two windows of a pair are neighbours.
            labels: [examples, …].
            training: whether label smoothing and class weights apply.
        """

    def label_count(self, labels: Tensor) -> int:
        """How many labels `loss` sums over."""
        return int(labels.ne(IGNORED).sum())

    def batch(self, batch: Batch) -> Batch:
        """The batch with whatever else the model takes."""
        return batch

    def initial_bias(self, train: Rows, labels: Sequence[str]) -> list[float] | None:
        """The bias that a fresh head starts with; None: zero."""
        return None

    def smoothing(self, training: bool) -> float:
        """The share of label smoothing."""
        return (self.recipe.training.label_smoothing_factor or 0.0) if training else 0.0

    def focal_gamma(self, training: bool) -> float | None:
        """The exponent of the focal loss; None under any other loss."""
        return self.recipe.model_head.focal_gamma if training and self.recipe.loss == "focal" else None
