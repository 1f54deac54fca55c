"""The reference's side of a proof: asked once, however many variants are held against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from export.proof import hard_strings
from export.proof.hard_inputs import as_items
from export.proof.reference import Reference
from serving.tasks.base import Encoded, Logits
from trainer.data.rows import Rows
from trainer.tasks.base import MetricValues, TrainingTask

ITEMS_AT_ONCE = 256


@dataclass(frozen=True)
class ReferenceAnswers:
    """What the reference makes of every evaluation row and hard input.

    Attributes:
        items: what the rows ask, row by row, and behind them the hard inputs.
        counts: how many items each row asks.
        encoded: each item's windows, by transformers' tokenizer.
        results: what the task decodes of each item's windows.
        answers: the answer to each item.
    """

    reference: Reference
    training_task: TrainingTask
    evaluation: Rows
    items: list[Any]
    counts: list[int]
    encoded: list[Encoded]
    results: list[list[Any]]
    answers: list[Any]

    @property
    def hard(self) -> int:
        """How many of the items are hard inputs."""
        return len(self.items) - sum(self.counts)

    @property
    def asked(self) -> list[Any]:
        """What the rows ask, without the hard inputs."""
        return self.items[: sum(self.counts)]

    def logits(self, place: int) -> list[Logits]:
        """The logits behind the answer to an item: of each window, or of each generated token."""
        return self.reference.logits(self.encoded[place], self.results[place])

    def by_row(self, answers: Sequence[Any]) -> list[Any]:
        """The answer to each row, from those to its items; the hard inputs behind them belong to no row."""
        some = iter(answers)
        return [self.training_task.answer([next(some) for _ in range(count)]) for count in self.counts]

    @cached_property
    def strings(self) -> list[Encoded]:
        """The generated hard strings in the reference's tokens, but for those that the task cannot take."""
        task, tokenizer = self.reference.task, self.reference.tokenizer
        texts = hard_strings.hard_strings(hard_strings.STRINGS, hard_strings.SEED)
        return self.reference.encode(as_items(task, tokenizer, texts))

    @cached_property
    def row_answers(self) -> list[Any]:
        """The reference's answer to each row."""
        return self.by_row(self.answers)

    @cached_property
    def scores(self) -> MetricValues:
        """The reference's scores on the evaluation rows."""
        return self.training_task.metrics(self.evaluation, self.row_answers)


def compute_reference_answers(reference: Reference, training_task: TrainingTask, evaluation: Rows) -> ReferenceAnswers:
    """Ask the reference every evaluation row and every hard input, as the recipe's task asks them."""
    per_row = [training_task.items(reference.task, inputs) for inputs in evaluation.inputs]
    items = [item for some in per_row for item in some]
    items += as_items(reference.task, reference.tokenizer)
    asked = list(_asked(reference, items))
    encoded, results = [each for each, _ in asked], [found for _, found in asked]
    answers = [reference.task.decode(*each) for each in asked]
    return ReferenceAnswers(
        reference, training_task, evaluation, items, [len(some) for some in per_row], encoded, results, answers
    )


def _asked(reference: Reference, items: Sequence[Any]) -> Iterator[tuple[Encoded, list[Any]]]:
    for start in range(0, len(items), ITEMS_AT_ONCE):
        encoded = reference.encode(items[start : start + ITEMS_AT_ONCE])
        yield from zip(encoded, reference.run(encoded), strict=True)
