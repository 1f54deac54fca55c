"""The figures by which an approximate variant is judged."""

from __future__ import annotations

import pytest

from export.proof.statistics.flips import calibration_drift, count_flips
from trainer.metrics.calibration import BINS, expected_calibration_error


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


def test_flips_of_a_task_that_cannot_tell_right_from_wrong() -> None:
    """Changed answers are counted all the same."""
    for before, after in ((None, None), ([True], None), (None, [True])):
        flips = count_flips([True], before, after)
        assert (flips.rows, flips.changed, flips.lost, flips.won, flips.mcnemar_p) == (1, 1, None, None, None)
        assert flips.changed_share_95 == pytest.approx((0.025, 1))


def test_lost_alone_is_half_of_two_sides() -> None:
    """One lost row of one is chance: p is 1; of six, 2 / 64."""
    assert count_flips([True], [True], [False]).mcnemar_p == 1
    assert count_flips([True] * 6, [True] * 6, [False] * 6).mcnemar_p == pytest.approx(2 / 64)
    assert count_flips([True] * 6, [False] * 6, [True] * 6).mcnemar_p == pytest.approx(2 / 64)


def test_drift_is_of_each_side() -> None:
    """Both calibration errors, and the largest change of a confidence in either direction."""
    before, after = [0.9, 0.8, 0.7, 0.6], [0.85, 0.85, 0.4, 0.65]
    right, served_right = [True, True, False, True], [True, False, True, True]
    drift = calibration_drift(before, right, after, served_right)
    assert (drift.bins, drift.largest_confidence_change) == (BINS, pytest.approx(0.3))
    assert drift.reference_ece == expected_calibration_error(before, right)
    assert drift.served_ece == expected_calibration_error(after, served_right)
    assert drift.reference_ece != drift.served_ece
