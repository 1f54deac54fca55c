"""Batches by Poisson sampling, whose unit is the row: all windows of a text are one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from trainer.fit.batches import Examples
from trainer.fit.privacy.accounting import Mechanism
from trainer.model.inputs import Batch, cut
from trainer.tasks.base import Example
from trainer.tasks.objective import Objective

SIZES = "examples_of_rows"
"""In a batch: how many of its labels belong to each row, in order."""

Row = list[Example]


class RowExamples(Dataset[Row]):
    """The examples of each row that has some, or of all with ``keep_empty``."""

    def __init__(self, examples: Examples, keep_empty: bool = False) -> None:
        self._counts = np.asarray(examples.counts)
        self._ends = np.cumsum(self._counts)
        self._places = np.arange(len(self._counts)) if keep_empty else np.flatnonzero(self._counts)
        self._examples = examples

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Row:
        place = self._places[index]
        end = int(self._ends[place])
        return [self._examples[at] for at in range(end - int(self._counts[place]), end)]


class PoissonBatches(Sampler[list[int]]):
    """Each row is in each batch with the same probability, independent of all others; a batch may be empty.

    No batch can be foretold: ``random`` begins with randomness of the operating system, and is not stored. Whoever
    knew the batches would know more of a row than ε allows.
    """

    def __init__(self, mechanism: Mechanism, random: np.random.Generator) -> None:
        self._mechanism = mechanism
        self._random = random

    def set_epoch(self, epoch: int) -> None:
        """An epoch's batches are drawn when it begins."""

    def __len__(self) -> int:
        return self._mechanism.steps_an_epoch

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(len(self)):
            drawn = self._random.random(self._mechanism.rows) < self._mechanism.sample_rate
            yield np.flatnonzero(drawn).tolist()


def private_loader(
    rows: RowExamples,
    mechanism: Mechanism,
    random: np.random.Generator,
    collate: Callable[[Sequence[Example]], Batch],
    most_rows: int,
) -> DataLoader[Any]:
    """Gives each batch as parts of at most so many rows, of similar length."""

    def split(batch: list[Row]) -> list[Batch]:
        ordered = sorted(batch, key=_longest)
        return [collate_rows(part, collate) for part in cut(ordered, most_rows)]

    return DataLoader(rows, batch_sampler=PoissonBatches(mechanism, random), collate_fn=split)


def collate_rows(rows: Sequence[Row], collate: Callable[[Sequence[Example]], Batch]) -> Batch:
    return {
        **collate([example for row in rows for example in row]),
        SIZES: torch.tensor([len(row) for row in rows]),
    }


def take_sizes(batch: dict[str, Tensor]) -> list[int]:
    """Removes them from the batch; one example a row where it has none."""
    sizes = batch.pop(SIZES, None)
    return [1] * len(batch["labels"]) if sizes is None else sizes.tolist()


def row_losses(objective: Objective, logits: Tensor, labels: Tensor, sizes: Sequence[int], *, training: bool) -> Tensor:
    """[rows]: each from its own logits and labels alone, the mean over its labels."""
    windows, losses, start = len(logits) // max(1, len(labels)), [], 0
    for size in sizes:
        of_row = labels[start : start + size]
        loss = objective.total_loss(logits[start * windows : (start + size) * windows], of_row, training=training)
        losses.append(loss / max(1, objective.label_count(of_row)))
        start += size
    return torch.stack(losses)


def _longest(row: Row) -> int:
    return max(len(window.ids) for example in row for window in example.windows)
