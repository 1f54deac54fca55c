"""Slices of the test rows: which there are, and which are weaker than the rest."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.conftest import rows_of
from trainer.metrics.resampling import mean_of
from trainer.metrics.slices import LEAST_ROWS, find_slices, measure_slices

ROWS = rows_of(*((f"text number {at}" if at % 2 else "a text without one" + "!" * (at % 7), "a") for at in range(200)))


def test_slices_are_parts_of_the_rows() -> None:
    """Quarters by length share nothing and leave nothing out; a look's rows have it."""
    found = find_slices(ROWS, [False] * len(ROWS))
    quarters = [mask for name, mask in found.items() if name.endswith("characters")]
    assert (np.sum(quarters, axis=0) == 1).all()
    assert [bool(each) for each in found["with a number"]] == [at % 2 == 1 for at in range(200)]
    assert "all in capitals" not in found
    assert "cut at max_length" not in found


def test_few_rows_are_no_slice() -> None:
    """Nor are all rows but a few."""
    for cut in (LEAST_ROWS - 1, len(ROWS) - LEAST_ROWS + 1):
        assert "cut at max_length" not in find_slices(ROWS, [at < cut for at in range(len(ROWS))])
    assert find_slices(ROWS, [at < LEAST_ROWS for at in range(200)])["cut at max_length"].sum() == LEAST_ROWS


@pytest.mark.parametrize(("right_in_slice", "weaker"), [(0.5, True), (0.94, False)])
def test_a_weak_slice_is_told(right_in_slice: float, weaker: bool) -> None:
    """Half of the answers wrong beside one in twenty is no chance; one in seventeen is."""
    mask = np.arange(400) < 100
    right = np.where(mask, np.arange(400) % 100 < 100 * right_in_slice, np.arange(400) % 20 > 0)
    (found,) = measure_slices(mean_of(right), {"made": mask})
    assert (found["rows"], found["value"], found["rest"]) == (100, right_in_slice, 0.95)
    assert found["interval_95"][0] < right_in_slice < found["interval_95"][1]
    assert found["weaker"] is weaker
