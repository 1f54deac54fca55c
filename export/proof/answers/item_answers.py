"""One side's answers to the items."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

from serving.tasks.base import Encoded, Task
from trainer.tasks.base import TrainingTask


@dataclass(frozen=True)
class ItemAnswers(Sequence[Any]):
    """Each item's whole answer, decoded when it is read: with 1,000 labels, an answer takes 0.2 MB.

    Attributes:
        counts: items of each row; the items after them are hard inputs.
        results: what the task decodes, by item and window.
    """

    training_task: TrainingTask
    task: Task
    counts: list[int]
    encoded: list[Encoded]
    results: list[list[Any]]

    def __len__(self) -> int:
        return len(self.encoded)

    @overload
    def __getitem__(self, place: int) -> Any: ...

    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        return self.task.answer(self.encoded[place], self.results[place])

    @property
    def decisions(self) -> list[Hashable]:
        """What callers act on, by item."""
        return self._decoded[0]

    @property
    def by_row(self) -> list[Any]:
        """The rows' answers, with no more of each than metrics read."""
        return self._decoded[1]

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """The predicted labels of the rows' items."""
        return self._decoded[2][: sum(self.counts)]

    @cached_property
    def _decoded(self) -> tuple[list[Hashable], list[Any], list[tuple[str, ...]]]:
        decisions, labels = list[Hashable](), list[tuple[str, ...]]()

        def decode() -> Iterator[Any]:
            for pair in zip(self.encoded, self.results, strict=True):
                answer = self.task.answer(*pair, self.training_task.scoring_parameters)
                decisions.append(self.task.decision(answer))
                labels.append(tuple(self.task.predicted_labels(answer)))
                yield answer

        answers = decode()
        rows = [self.training_task.answer([next(answers) for _ in range(count)]) for count in self.counts]
        for _ in answers:  # those to hard inputs lead to decisions only
            pass
        return decisions, rows, labels
