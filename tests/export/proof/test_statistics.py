"""The figures by which an approximate variant is judged."""

from __future__ import annotations

import numpy as np
import pytest

from export.proof.statistics import MetricChange, count_flips, measure_change
from trainer.metrics.resampling import mean_of


def change_of(lost: int, won: int, rows: int, budget: float = 0.005) -> MetricChange:
    before = np.ones(rows)
    before[:won] = 0
    after = np.ones(rows)
    after[rows - lost :] = 0
    scores = float(before.mean()), float(after.mean())
    return measure_change("accuracy", scores, (mean_of(before), mean_of(after)), rows, budget)


def test_flips_are_counted_both_ways() -> None:
    """Rows lost and won, other changes, and McNemar's exact p: of 1 and 6 discordant pairs, twice 8 / 128."""
    before = [True] * 6 + [False] * 5
    after = [False] * 6 + [True] + [False] * 4
    flips = count_flips([True] * 8 + [False] * 3, before, after)
    assert (flips.lost, flips.won, flips.changed) == (6, 1, 8)
    assert flips.mcnemar_p == pytest.approx(0.125)
    assert flips.changed_share_95[0] < 8 / 11 < flips.changed_share_95[1]


def test_no_flip_is_no_certainty() -> None:
    """With no change in 150 rows, the share may still be 2.4 %: 1 - 0.025^(1/150)."""
    flips = count_flips([False] * 150, [True] * 150, [True] * 150)
    assert flips.mcnemar_p == 1
    assert flips.changed_share_95 == pytest.approx((0, 1 - 0.025 ** (1 / 150)))


def test_the_interval_is_that_of_paired_rows() -> None:
    """30 lost and 20 won of 10,000: the change and 1.96 standard errors of a difference of paired shares."""
    change = change_of(lost=30, won=20, rows=10_000)
    error = np.sqrt(50 / 10_000 - 0.001**2) / 100
    assert change.change == pytest.approx(-0.001)
    assert (change.low, change.high) == pytest.approx((-0.001 - 1.96 * error, -0.001 + 1.96 * error), abs=1.5e-4)
    assert change.within_budget


def test_the_same_rows_give_the_same_interval() -> None:
    """The resampling is seeded."""
    assert change_of(5, 3, 500) == change_of(5, 3, 500)


def test_too_few_rows_say_how_many_are_needed() -> None:
    """One row lost of 400 may be chance; with the stated number of rows, the same share is within the budget."""
    few = change_of(lost=1, won=0, rows=400)
    assert not few.within_budget
    assert few.rows_needed is not None
    times = -(-few.rows_needed // 400) + 1
    assert change_of(lost=times, won=0, rows=400 * times).within_budget


def test_a_change_past_the_budget_needs_no_more_rows() -> None:
    """If the score itself falls by more than the budget, no number of rows helps."""
    assert change_of(lost=10, won=0, rows=400).rows_needed is None
