"""The reference's answers: computed once, compared with every variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from export.proof import hard_strings
from export.proof.hard_inputs import as_items
from export.proof.reference import ReferenceModel
from serving.tasks.base import Encoded, Logits
from trainer.data.rows import Rows
from trainer.tasks.base import MetricValues, TrainingTask

ITEMS_AT_ONCE = 256


@dataclass(frozen=True)
class ReferenceAnswers:
    """The reference's answers to every evaluation row and hard input. Lists have one element for each item.

    Attributes:
        items: the rows' items, row by row, then the hard inputs.
        counts: the number of items of each row.
        encoded: each item's windows, by transformers' tokenizer.
        results: what the task decodes, for each item and window.
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
        """The items without the hard inputs."""
        return self.items[: sum(self.counts)]

    def logits(self, place: int) -> list[Logits]:
        """The logits behind an item's answer: of each window, or of each generated token."""
        return self.model.logits(self.encoded[place], self.results[place])

    def answers_by_row(self, answers: Sequence[Any]) -> list[Any]:
        """Each row's answer from the answers to its items; hard inputs belong to no row."""
        remaining = iter(answers)
        return [self.training_task.answer(list(islice(remaining, count))) for count in self.counts]

    @cached_property
    def strings(self) -> list[Encoded]:
        """The generated hard strings, tokenised by the reference, without those that the task refuses."""
        texts = hard_strings.hard_strings(hard_strings.STRINGS, hard_strings.SEED)
        return self.model.encode(as_items(self.model.task, self.model.tokenizer, texts))

    @cached_property
    def row_answers(self) -> list[Any]:
        """The reference's answer to each row."""
        return self.answers_by_row(self.answers)

    @cached_property
    def scores(self) -> MetricValues:
        """The reference's metrics on the evaluation rows."""
        return self.training_task.metrics(self.evaluation, self.row_answers)


def compute_reference_answers(model: ReferenceModel, training_task: TrainingTask, evaluation: Rows) -> ReferenceAnswers:
    """Let the reference answer every evaluation row and every hard input."""
    per_row = [training_task.items(model.task, inputs) for inputs in evaluation.inputs]
    items = [item for row in per_row for item in row] + as_items(model.task, model.tokenizer)
    encoded, results = list[Encoded](), list[list[Any]]()
    for batch in split_items(items):
        encoded += model.encode(batch)
        results += model.run(encoded[-len(batch) :])
    answers = [model.task.decode(*pair) for pair in zip(encoded, results, strict=True)]
    counts = [len(row) for row in per_row]
    return ReferenceAnswers(model, training_task, evaluation, items, counts, encoded, results, answers)


def split_items(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Slices of at most ITEMS_AT_ONCE items."""
    return (items[start : start + ITEMS_AT_ONCE] for start in range(0, len(items), ITEMS_AT_ONCE))
