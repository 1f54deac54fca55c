"""How far the served answers are from the reference's, over rows and hard inputs, as a few sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from export.proof.answers.served_answers import ServedAnswers
from trainer.metrics.changes import Changes, Floats, Side, Unit


@dataclass
class Total:
    """Largest and mean of a stream; a value that is no number counts as infinite. ``worst`` is the largest's item."""

    count: int = 0
    sum: float = 0.0
    largest: float = 0.0
    worst: int | None = None

    def add(self, item: int, values: Floats) -> None:
        if not values.size:
            return
        values = np.nan_to_num(values, nan=np.inf)
        self.count += values.size
        self.sum += float(values.sum())
        if self.worst is None or values.max() > self.largest:
            self.largest, self.worst = float(values.max()), item

    @property
    def mean(self) -> float:
        return self.sum / self.count


@dataclass
class AnswerChanges:
    """``changed``: items with another decision; ``crossed``: those that differ by a threshold."""

    changed: list[int] = field(default_factory=list)
    crossed: int = 0
    totals: dict[Unit, Total] = field(default_factory=dict)

    def add(self, item: int, changes: Changes) -> None:
        for unit, values in changes.items():
            self.totals.setdefault(unit, Total()).add(item, values)


def measure_changes(served: ServedAnswers) -> AnswerChanges:
    found, training_task = AnswerChanges(), served.reference.training_task
    for item, (before, after) in enumerate(_sides(served)):
        found.add(item, training_task.changes(before, after))
        if not served.same_answers[item]:
            found.changed.append(item)
            found.crossed += training_task.crosses_threshold(before, after)
    return found


def _sides(served: ServedAnswers) -> Iterator[tuple[Side, Side]]:
    """Of each item: reference and served."""
    reference = served.reference
    task, other = reference.model.task, served.predictor.task
    for item in range(len(served.encoded)):
        yield (
            Side(task, reference.encoded[item], reference.results[item], partial(reference.logits, item)),
            Side(other, served.encoded[item], served.results[item], partial(served.logits, item)),
        )
