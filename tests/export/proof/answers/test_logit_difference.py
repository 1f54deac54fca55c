"""How far logits are from each other, in one number for small and for large ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from export.proof.answers.logit_difference import largest_of, logit_difference
from serving.tasks.base import Logits


def logits(*values: float) -> Logits:
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        ([logits(1, 2)], [logits(1, 2)], (0, 0)),
        ([logits(1, 4)], [logits(2, 2)], (2, 1.5)),
        ([logits(4, 1), logits(0)], [logits(2, 1), logits(0)], (2, 0.5)),  # the mean of the windows' means
        ([logits(0, 50)], [logits(0, 40)], (2.5, 1.25)),  # the largest logit is four times 10
        ([logits(0, 0), logits(10)], [logits(1, -40), logits(10)], (10, 2.5625)),
        ([logits(0, 10)], [logits(0, 5)], (5, 2.5)),
        ([logits(1, 2, 9)], [logits(1, 3)], (1, 0.5)),  # of tokens, those that both have
        ([logits(1, 3)], [logits(1, 2, 9)], (1, 0.5)),
        ([logits(1)[:, None]], [logits(1)], (math.inf, math.inf)),
        ([np.ones((2, 3), np.float32)], [np.ones((2, 4), np.float32)], (math.inf, math.inf)),
    ],
)
def test_largest_and_mean(ours: list[Logits], theirs: list[Logits], difference: tuple[float, float]) -> None:
    """In the reference's unit: as they are, or for logits above 10 a share of the largest of them."""
    assert logit_difference(ours, theirs) == pytest.approx(difference)


def test_no_number_is_kept() -> None:
    """A difference that is no number is the largest; without differences it is zero."""
    assert math.isnan(logit_difference([logits(math.nan, 1)], [logits(0, 1)])[0])
    assert math.isnan(largest_of([1.0, math.nan, 2.0]))
    assert (largest_of([]), largest_of([-1.0]), largest_of([0.25, 0.5])) == (0.0, 0.0, 0.5)
