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
