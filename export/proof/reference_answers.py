"""The reference's answers, computed once for all variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from export.proof import hard_strings
from export.proof.hard_inputs import as_items
from export.proof.reference import ReferenceModel
from serving.tasks.base import Encoded, Logits
from trainer.data.rows import Rows
from trainer.tasks.base import MetricValues, TrainingTask

ITEMS_AT_ONCE = 256

T = TypeVar("T")


@dataclass(frozen=True)
class ReferenceAnswers:
    """Answers to every evaluation row and hard input; lists by item.

    Attributes:
        items: the rows' items, then the hard inputs.
        counts: items of each row.
        results: what the task decodes, by item and window.
    """

    model: ReferenceModel
    training_task: TrainingTask
    evaluation: Rows
    items: list[Any]
    counts: list[int]
    encoded: list[Encoded]
    results: list[list[Any]]
    answers: list[Any]

    @property
    def row_items(self) -> list[Any]:
        """Without hard inputs."""
        return self.items[: sum(self.counts)]

    def logits(self, place: int) -> list[Logits]:
        """By window, or by generated token."""
        return self.model.logits(self.encoded[place], self.results[place])

    def answers_by_row(self, answers: Sequence[Any]) -> list[Any]:
        """Ignores the answers to hard inputs."""
        remaining = iter(answers)
        return [self.training_task.answer(list(islice(remaining, count))) for count in self.counts]

    @cached_property
    def strings(self) -> list[Encoded]:
        """Tokenised hard strings that the task accepts."""
        texts = hard_strings.hard_strings(hard_strings.STRINGS, hard_strings.SEED)
        return self.model.encode(as_items(self.model.task, self.model.tokenizer, texts))

    @cached_property
    def row_answers(self) -> list[Any]:
        return self.answers_by_row(self.answers)

    @cached_property
    def scores(self) -> MetricValues:
        return self.training_task.metrics(self.evaluation, self.row_answers)


def compute_reference_answers(model: ReferenceModel, training_task: TrainingTask, evaluation: Rows) -> ReferenceAnswers:
    per_row = [training_task.items(model.task, inputs) for inputs in evaluation.inputs]
    items = [item for row in per_row for item in row] + as_items(model.task, model.tokenizer)
    encoded, results = run_in_batches(model.encode, model.run, items)
    answers = [model.task.decode(*pair) for pair in zip(encoded, results, strict=True)]
    counts = [len(row) for row in per_row]
    return ReferenceAnswers(model, training_task, evaluation, items, counts, encoded, results, answers)


def run_in_batches(
    encode: Callable[[Sequence[Any]], list[Encoded]], run: Callable[[Sequence[Encoded]], list[T]], items: Sequence[Any]
) -> tuple[list[Encoded], list[T]]:
    """Each item's windows and what ``run`` gives for them, ITEMS_AT_ONCE items at a time."""
    encoded, results = list[Encoded](), list[T]()
    for start in range(0, len(items), ITEMS_AT_ONCE):
        encoded += encode(items[start : start + ITEMS_AT_ONCE])
        results += run(encoded[start:])
    return encoded, results
