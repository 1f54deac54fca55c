"""Rows as encodings, some at a time: an encoding takes 165 bytes a token."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from typing import Any

from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Task
from trainer.data.rows import Rows
from trainer.model.inputs import cut, encode
from trainer.tasks.base import TrainingTask

ROWS_AT_ONCE = 1024
"""Rows whose encodings and logits are in memory together."""


@dataclass(frozen=True)
class Block:
    """Rows that follow one another, and their items; ``counts`` are the items of each row."""

    rows: Rows
    counts: list[int]
    encoded: list[Encoded]

    def by_row(self) -> Iterator[list[Encoded]]:
        following = iter(self.encoded)
        return (list(islice(following, count)) for count in self.counts)


def encode_blocks(
    training_task: TrainingTask, task: Task, tokenizer: PreTrainedTokenizerFast, rows: Rows
) -> Iterator[Block]:
    for places in cut(range(len(rows)), ROWS_AT_ONCE):
        block = rows.take(places)
        items = [training_task.items(task, inputs) for inputs in block.inputs]
        encoded = encode(tokenizer, task, [item for of_row in items for item in of_row])
        yield Block(block, [len(of_row) for of_row in items], encoded)


class EncodedItems(Sequence[Encoded]):
    """The items of rows, encoded again whenever they are read: that costs a hundredth of a model's pass."""

    def __init__(self, training_task: TrainingTask, task: Task, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> None:
        self._parts = training_task, task, tokenizer
        self._rows = rows

    @cached_property
    def _ends(self) -> list[int]:
        """Of each row, the place behind its last item."""
        training_task, task, _ = self._parts
        return list(accumulate(len(training_task.items(task, inputs)) for inputs in self._rows.inputs))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Encoded]:
        return (each for block in encode_blocks(*self._parts, self._rows) for each in block.encoded)

    def __getitem__(self, index: Any) -> Any:
        place = range(len(self))[index]
        row = bisect_right(self._ends, place)
        return next(encode_blocks(*self._parts, self._rows.take([row]))).encoded[place - self._ends[row]]
