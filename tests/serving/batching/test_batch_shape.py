"""What one call of an engine takes."""

from __future__ import annotations

import pytest

from serving.batching.batch_shape import BatchShape


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        ([14, 10], [[10, 14]]),
        ([10, 10, 10, 14], [[10, 10, 10], [14]]),
        ([10, 10, 10, 13, 14, 14], [[10, 10, 10, 13, 14, 14]]),
        ([3, 10], [[3], [10]]),
        ([100, 50, 50, 75], [[50, 50], [75], [100]]),
    ],
)
def test_padding_is_weighed_against_a_call(lengths: list[int], batches: list[list[int]]) -> None:
    """A batch goes on to longer rows while their padding costs less than the call that they would need else."""
    found = BatchShape().batches(lengths)
    assert [[lengths[row] for row in batch] for batch in found] == batches


@pytest.mark.parametrize(
    ("rows", "shortest", "longest", "fits"),
    [
        (4, 16, 16, True),
        (5, 13, 13, False),  # 65 tokens
        (3, 14, 21, True),
        (3, 14, 22, False),  # 1.57 times as long
        (6, 10, 10, True),
        (7, 9, 9, False),
        (1, 1000, 1000, True),
    ],
)
def test_limits_are_reached(rows: int, shortest: int, longest: int, fits: bool) -> None:
    """A call takes what reaches a limit, and no more; a lone row always fits."""
    assert BatchShape(tokens=64, ratio=1.5, rows=6).fits(rows, shortest, longest) is fits


def test_batches_are_as_large_as_fit() -> None:
    """Rows of a call, and padding that costs just as much as another call."""
    assert [len(batch) for batch in BatchShape(rows=3).batches([10] * 8)] == [3, 3, 2]
    assert list(BatchShape(call_cost=8).batches([10, 10, 14])) == [[0, 1, 2]]
    assert list(BatchShape(call_cost=7).batches([10, 10, 14])) == [[0, 1], [2]]
