"""The expected calibration error, by hand and against the truth."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.metrics.calibration import equal_mass_bins, expected_calibration_error


def test_the_error_is_the_mean_gap_of_bins_of_equal_mass() -> None:
    """Two bins of two answers by hand: |0.5 - 0.92| and |0.5 - 0.55|, each half of the answers."""
    confidences, correct = [0.9, 0.6, 0.94, 0.5], [True, False, False, True]
    assert expected_calibration_error(confidences, correct, bins=2) == pytest.approx((0.42 + 0.05) / 2)


def test_scores_that_are_right_as_often_as_they_say_have_no_error() -> None:
    """All sure and right: 0. One score for all answers is one bin, whatever their order."""
    assert expected_calibration_error([1.0] * 4, [True] * 4) == 0
    right = np.random.default_rng(0).random(20_000) < 0.7
    assert expected_calibration_error([0.7] * 20_000, list(right)) == pytest.approx(abs(0.7 - right.mean()))


def test_what_is_not_finite_has_no_error() -> None:
    """A graph that answers NaN must fail every bound on the error."""
    assert math.isnan(expected_calibration_error([0.5, math.nan], [True, False]))


@given(st.lists(st.sampled_from([0.1, 0.5, 0.50001, 0.9, 1.0]) | st.floats(0, 1), min_size=1, max_size=60))
def test_equal_values_share_a_bin_and_bins_follow_the_values(values: list[float]) -> None:
    """The error depends on no order of the rows."""
    places = sorted(zip(values, equal_mass_bins(np.array(values)).tolist(), strict=True))
    for (low, left), (high, right) in pairwise(places):
        assert left == right if low == high else left <= right
