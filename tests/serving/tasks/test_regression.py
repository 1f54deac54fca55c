"""Regression: the graph's standard score comes back in the unit of the data."""

from __future__ import annotations

import pytest

from serving.tasks.regression import Regression, RegressionSettings
from tests.serving.tasks.hand_made import LIMITS, one_row


@pytest.mark.parametrize(
    ("mean", "std", "logit", "expected"),
    [(0.0, 1.0, 1.5, 1.5), (1000.0, 20.0, 0.0, 1000.0), (1000.0, 20.0, -1.5, 970.0), (-3.5, 0.25, 2.0, -3.0)],
)
def test_unit(mean: float, std: float, logit: float, expected: float) -> None:
    """The answer is the mean plus the logit times the standard deviation, under the name of what is predicted."""
    task = Regression(["relatedness"], RegressionSettings(mean=mean, std=std), LIMITS)
    (answer,) = task.decode(*one_row(logit))
    assert answer == {"label": "relatedness", "score": expected}
    assert type(answer["score"]) is float


def test_precision() -> None:
    """A large mean does not swallow the score: numbers are added as float64."""
    task = Regression(["year"], RegressionSettings(mean=1e8, std=1.0), LIMITS)
    (answer,) = task.decode(*one_row(0.25))
    assert answer["score"] == 1e8 + 0.25


def test_no_decision() -> None:
    """There is no decision but the number, so that rounding never counts as another answer, nor a number as a label."""
    task = Regression(["relatedness"], RegressionSettings(), LIMITS)
    assert task.decision(task.decode(*one_row(1.0))) == task.decision(task.decode(*one_row(2.0)))
    assert list(task.predicted_labels(task.decode(*one_row(1.0)))) == []
