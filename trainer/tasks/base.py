"""What learning a task is: rows from a table, examples from rows, a loss, and how good answers are.

The answers themselves are `serving`'s: the same object decodes here, in the proof and in the server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.bundle.manifest import Limits
from serving.tasks.base import Encoded, Logits, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows, same_text
from trainer.data.table import Table
from trainer.metrics.resampling import WeightedMetric, repeated
from trainer.model.base_model import BaseCheckpoint
from trainer.model.heads import Head
from trainer.model.inputs import Batch
from trainer.recipe.recipe import Recipe
from trainer.recipe.sections import Data

MetricValues = dict[str, float]

CHARACTERS_A_TOKEN = 32
"""More than a token holds in any language but for runs of spaces: what is behind so many is cut from a pair anyway."""


@dataclass(frozen=True)
class Example:
    """What one step of training sees: windows that belong together, and the label of the whole."""

    windows: tuple[Any, ...]
    label: Any


class TrainingTask(ABC):
    """One task of one recipe, seen from the trainer."""

    serves: ClassVar[type[Task]]
    head: ClassVar[Head]
    default_text: ClassVar[str] = "text"
    default_label: ClassVar[str] = "label"
    shares: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match")
    """The scores that are shares of rows, and so have a binomial interval."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @property
    def data(self) -> Data:
        """The recipe's section on data."""
        return self.recipe.data

    @property
    def label_column(self) -> str:
        """The column that holds what is right."""
        return self.data.label or self.default_label

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        """Take what the task must know of the base model; most need nothing."""
        return

    # Rows

    def rows(self, table: Table) -> Rows:
        """The table's rows; raises InputError naming the rows that are not usable."""
        inputs = self.read_inputs(table)
        targets = self.read_targets(table)
        places = list(range(1, len(inputs) + 1))
        return Rows(table.name, inputs, targets, places, self.groups(table, inputs))

    def read_inputs(self, table: Table) -> list[Any]:
        """A text a row, or a pair of them."""
        texts = columns.texts(table, "data.text", self.data.text or self.default_text)
        if self.data.text_pair is None:
            return texts
        seconds = columns.texts(table, "data.text_pair", self.data.text_pair)
        return [{"text": text, "text_pair": second} for text, second in zip(texts, seconds, strict=True)]

    @abstractmethod
    def read_targets(self, table: Table) -> list[Any]:
        """What is right for each row."""

    def groups(self, table: Table, inputs: list[Any]) -> list[str]:
        """What is never on both sides of a split: the same text."""
        return [same_text(each) for each in inputs]

    def strata(self, rows: Rows) -> list[str]:
        """What a split keeps the shares of; nothing, unless the task says so."""
        return [""] * len(rows)

    def label_names(self, train: Rows, table: Table) -> list[str]:
        """The labels, in the order of the logits; raises InputError where they cannot be learned."""
        return []

    def require_known(self, rows: Rows, labels: Sequence[str]) -> None:
        """Raise InputError for a held-out row whose target the training rows do not know."""
        return

    def label_counts(self, rows: Rows) -> dict[str, int]:
        """Rows a label, or nothing where there are no labels."""
        return {}

    # Answers

    def default_max_length(self, base: BaseCheckpoint) -> int:
        """Tokens a window, where the recipe does not say."""
        return base.default_max_length

    def clip(self, max_length: int) -> int | None:
        """Characters of each text of a pair that are read: many times what a window holds; None for lone texts."""
        return None if self.data.text_pair is None else CHARACTERS_A_TOKEN * max_length

    @abstractmethod
    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """What answers depend on besides the weights, as known before training."""

    def task(self, labels: Sequence[str], settings: TaskSettings) -> Task:
        """The object that answers, here and in the server."""
        return self.serves(labels, settings, Limits())

    def items(self, task: Task, inputs: Any) -> list[Any]:
        """The items that a row's input is for the one who answers: one, but for pairs of vectors."""
        return [task.check(inputs)]

    def answer(self, answers: list[Any]) -> Any:
        """The row's answer from those to its items."""
        return answers[0]

    def tune_settings(
        self, task: Task, encoded: Sequence[Encoded], logits: Sequence[list[Logits]], rows: Rows
    ) -> TaskSettings:
        """The settings with what the validation rows teach, such as thresholds; unchanged by most."""
        return task.settings

    # Learning

    @abstractmethod
    def examples(self, task: Task, encoded: list[Encoded], target: Any) -> list[Example]:
        """What training sees of one row, given its items' windows."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """The sum of the loss over all label numbers that are not -100 (as `label_count` counts them).

        Args:
            logits: of a batch, [examples, …]; where examples have two windows, these are neighbours.
            labels: of the same batch; -100 where there is none.
            training: whether smoothing and weights apply.
        """

    def initial_bias(self, train: Rows, labels: Sequence[str]) -> list[float] | None:
        """What a fresh head's answers are before it has learned anything; None: nothing is known of them."""
        return None

    def batch(self, batch: Batch) -> Batch:
        """The batch with what else the model takes."""
        return batch

    def label_count(self, labels: Tensor) -> int:
        """The numbers that `loss` sums over."""
        return int(labels.ne(-100).sum())

    # Measuring

    @property
    def proof_metric(self) -> str:
        """The score of answers that a proof compares."""
        return self.recipe.metric

    @abstractmethod
    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """How good the answers are; the task's metrics, in the order in which they are shown."""

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """One of the scores as a function of how often each row counts, for resampling.

        Whatever the score, scoring the repeated rows anew is right, and slow; tasks say how theirs follows from sums.
        """

        def rescored(weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            drawn = [repeated(rows, row) for row in weights]
            return np.array([self.metrics(rows.take(some), [answers[at] for at in some])[metric] for some in drawn])

        return rescored

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool] | None:
        """Whether each answer is right as a whole; None where answers are more or less right, and no more."""
        return None

    def confidences(self, answers: Sequence[Any]) -> list[float] | None:
        """The probability that each answer gives itself of being right; None where there is none."""
        return None

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        """What else the run records of an evaluation: ``per_label`` and ``confusion_matrix`` are shown if there."""
        return {}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The wrong answers worth reading first: ``row, text, expected, answered, confidence``."""
        return []

    def confusions(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The most frequent mistakes: ``expected, answered, count``."""
        return []
