"""More labels or more minutes: the figures, and the words."""

from __future__ import annotations

import numpy as np
import pytest

from search.tuning.learning_curve import Curve, advise, expected_best, fit_curve, gain_of_twice_the_trials
from trainer.fit.score import Score
from trainer.metrics.resampling import mean_of


def score(right: int, rows: int = 400) -> Score:
    """An accuracy."""
    weighted = mean_of([1.0] * right + [0.0] * (rows - right))
    return Score("accuracy", right / rows, (0.0, 1.0), weighted)


def curve(gain: float, low: float, high: float) -> Curve:
    """With these figures for twice the labels."""
    return Curve([1], [score(1)], gain, (low, high))


def test_twice_the_rows_follow_the_power_law() -> None:
    """An error that halves with twice the rows, three times, halves again: from 10 % to 5 %."""
    found = fit_curve([100, 200, 400], [score(240), score(320), score(360)])
    assert found.gain == pytest.approx(0.05)
    assert found.interval[0] < 0.05 < found.interval[1]


def test_no_row_wrong_is_no_division_by_zero() -> None:
    """Half a row counts as wrong."""
    found = fit_curve([100, 200, 400], [score(400), score(400), score(400)])
    assert found.gain == pytest.approx(0.0, abs=1e-9)


def test_the_expected_best_grows_ever_slower() -> None:
    """Of one draw it is the mean; of many, the largest."""
    scores = [0.6, 0.9, 0.7, 0.8]
    assert expected_best(scores, 1) == pytest.approx(np.mean(scores))
    assert expected_best(scores, 1000) == pytest.approx(0.9)
    gains = np.diff([expected_best(scores, count) for count in (1, 2, 4, 8)])
    assert (np.diff(gains) < 0).all()
    assert gain_of_twice_the_trials(scores) == pytest.approx(gains[1])
    assert gain_of_twice_the_trials(scores[:3]) is None


@pytest.mark.parametrize(
    ("found", "trials", "words"),
    [
        (curve(0.03, 0.02, 0.04), 0.01, "More labels would help more than more minutes: twice the labels about +3.0"),
        (curve(0.01, 0.0, 0.02), 0.03, "More minutes would help more than more labels"),
        (curve(0.03, 0.0, 0.04), 0.01, "More labels would probably help more, though"),
        (curve(0.0, -0.01, 0.01), 0.0, "Neither more labels nor more minutes would help"),
        (curve(0.03, 0.0, 0.04), None, "too few trials to say what more minutes"),
        (None, 0.02, "twice the minutes at most about +2.0 points more"),
        (None, None, "There are too few trials to say"),
    ],
)
def test_the_advice_follows_from_gain_and_interval(found: Curve | None, trials: float | None, words: str) -> None:
    """Certain only where the interval is on one side."""
    assert words in advise("accuracy", found, trials)
