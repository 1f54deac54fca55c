"""Training examples that are encoded when a batch needs them: of rows on disk, nothing is kept but their lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Task
from trainer.data.rows import Rows
from trainer.fit.batches import Examples, StreamedLengths
from trainer.fit.encoding import encode_blocks
from trainer.tasks.base import Example, TrainingTask

SAMPLE = 4096
"""Rows that stand for all where lengths, cut texts or a training's time are told before it."""


class StreamedExamples(Dataset[Example]):
    """One of each row; ``truncated`` is the share of rows that were cut, of a sample."""

    def __init__(self, training_task: TrainingTask, task: Task, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> None:
        self._parts = training_task, task, tokenizer
        self.rows = rows
        self._lengths = StreamedLengths(len(rows), self._measure)
        self.sample = Examples(*self._parts, sample_of(rows))
        self.truncated = self.sample.truncated

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Example]:
        """As torch asks for a batch."""
        return list(self._encode(self.rows.take(indices)))

    def __iter__(self) -> Iterator[Example]:
        return self._encode(self.rows)

    def lengths(self) -> StreamedLengths:
        return self._lengths

    def _measure(self, places: NDArray[Any]) -> list[int]:
        examples = self._encode(self.rows.take(np.sort(places).tolist()))
        lengths = np.array([max(len(window.ids) for window in example.windows) for example in examples])
        found: list[int] = lengths[np.argsort(np.argsort(places, kind="stable"), kind="stable")].tolist()
        return found

    def _encode(self, rows: Rows) -> Iterator[Example]:
        training_task, task, _ = self._parts
        for block in encode_blocks(*self._parts, rows):
            for encoded, target in zip(block.by_row(), block.rows.targets, strict=True):
                yield from training_task.examples(task, encoded, target)


def sample_of(rows: Rows) -> Rows:
    """Evenly over all rows, or all where there are few."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(np.int64))
    return rows.take(places.tolist())
