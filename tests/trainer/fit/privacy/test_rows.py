"""Batches are drawn row by row, each on its own."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from trainer.fit.privacy.accounting import Mechanism
from trainer.fit.privacy.rows import SIZES, PoissonBatches, RowExamples, collate_rows, private_loader
from trainer.tasks.base import Example


def mechanism(rows: int, rate: float) -> Mechanism:
    """Of one step an epoch for each 1 / rate."""
    return Mechanism(rows, rate, 10, 1e-5, 1.0, 1.0, "prv")


def draw(rows: int, rate: float, epochs: int = 400, seed: int = 7) -> np.ndarray[Any, Any]:
    """[batches, rows]: who is in which batch."""
    sampler = PoissonBatches(mechanism(rows, rate), np.random.default_rng(seed))
    batches = [batch for _ in range(epochs) for batch in sampler]
    drawn = np.zeros((len(batches), rows))
    for at, batch in enumerate(batches):
        drawn[at, batch] = 1
    return drawn


def test_equal_probabilities() -> None:
    """Every row is in a batch with the sample rate, independent of the other rows and of its last batch."""
    rate, drawn = 0.2, draw(50, 0.2)
    error = np.sqrt(rate * (1 - rate) / len(drawn))
    assert np.abs(drawn.mean(axis=0) - rate).max() < 5 * error
    assert drawn.sum(axis=1).var() == pytest.approx(50 * rate * (1 - rate), rel=0.15)
    pairs = np.corrcoef(np.concatenate([drawn[:-1], drawn[1:]], axis=1).T) - np.eye(100)
    assert np.abs(pairs).max() < 5 / np.sqrt(len(drawn))


def test_empty_batches() -> None:
    """A batch may have no row: to draw again would tell that somebody is in it."""
    assert 0 in draw(5, 0.2).sum(axis=1)


def test_batches_that_nobody_foretells() -> None:
    """Two trainings of the same recipe draw other batches: the seed is the operating system's."""
    first, second = (list(PoissonBatches(mechanism(200, 0.1), np.random.default_rng())) for _ in range(2))
    assert first != second


def example(length: int, label: int) -> Example:
    """With one window."""
    return Example((SimpleNamespace(ids=[1] * length),), label)


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Labels alone."""
    return {"labels": torch.tensor([each.label for each in examples])}


class Rows(list[Example]):
    """Stands for encoded rows: the second has two windows, the third has nothing to learn."""

    counts = (1, 2, 0, 1)


ROWS: Any = Rows([example(9, 0), example(3, 1), example(5, 2), example(4, 3)])


def test_windows_of_a_row() -> None:
    """They are drawn together, as the unit of ε is the row."""
    rows = RowExamples(ROWS)
    assert [[each.label for each in row] for row in map(rows.__getitem__, range(len(rows)))] == [[0], [1, 2], [3]]
    assert len(RowExamples(ROWS, keep_empty=True)) == 4
    batch = collate_rows([rows[0], rows[1]], collate)
    assert batch[SIZES].tolist() == [1, 2]
    assert batch["labels"].tolist() == [0, 1, 2]


def test_parts_of_a_batch() -> None:
    """A batch is cut into parts that fit into memory, short rows first; nobody is lost, and nobody is there twice."""
    loader = private_loader(RowExamples(ROWS), mechanism(3, 1.0), np.random.default_rng(0), collate, most_rows=2)
    (parts,) = list(loader)
    assert [part["labels"].tolist() for part in parts] == [[3, 1, 2], [0]]
