"""Correlations: the textbook's figures, and a number whatever a model answers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.metrics.correlation import pearson, pearson_interval, spearman

NUMBER = st.floats(-1e6, 1e6, allow_subnormal=False)
ROWS = st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=30)


def test_figures() -> None:
    """Pearson by its definition, Spearman by ranks with ties at their mean."""
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 5.0]
    assert pearson(x, y) == pytest.approx(0.8)
    assert spearman(x, [10.0, 1.0, 40.0, 30.0, 500.0]) == pytest.approx(0.8)
    assert spearman([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(0.9486832980505138)  # pearson of 1, 2.5, 2.5, 4
    assert pearson(x, [-value for value in x]) == pytest.approx(-1.0)


@pytest.mark.slow
@given(ROWS)
@settings(deadline=None)
def test_always_a_figure(rows: list[tuple[float, float]]) -> None:
    """Within -1 and 1, the same from both sides, without a warning."""
    x, y = zip(*rows, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for correlation in (pearson, spearman):
            figure = correlation(x, y)
            assert -1.0 <= figure <= 1.0
            assert correlation(y, x) == pytest.approx(figure, abs=1e-9)


@pytest.mark.parametrize("constant", [[3.0, 3.0, 3.0], [0.0, 0.0, 0.0], [0.1 + 0.2, 0.3, 0.3], [1e9, 1e9, 1e9 + 1e-7]])
def test_constant(constant: list[float]) -> None:
    """A model that says the same for every row has a correlation of 0, rounding or not, and nobody is warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for correlation in (pearson, spearman):
            assert correlation(constant, [1, 2, 3]) == correlation([1, 2, 3], constant) == 0.0
            assert correlation([1.0], [2.0]) == 0.0


@pytest.mark.parametrize(("x", "y"), [([], []), ([1, 2], [1, 2, 3]), ([[1], [2]], [[1], [2]]), ([1, np.nan], [1, 2])])
def test_unusable(x: list[float], y: list[float]) -> None:
    """No rows, unequal columns and numbers that are none are refused."""
    for correlation in (pearson, spearman):
        with pytest.raises(ValueError, match="rows"):
            correlation(x, y)


@pytest.mark.parametrize("rows", [4, 5, 50, 4927])
def test_interval(rows: int) -> None:
    """The interval is scipy's."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=rows)
    y = x + rng.normal(size=rows)
    theirs = scipy.stats.pearsonr(x, y).confidence_interval(0.95)
    assert pearson_interval(pearson(x, y), rows) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_interval_limits() -> None:
    """Three rows say nothing, a perfect correlation has no width."""
    assert pearson_interval(0.9, 3) == (-1.0, 1.0)
    assert pearson_interval(1.0, 100) == (1.0, 1.0)
    assert pearson_interval(-1.0, 100) == (-1.0, -1.0)


def test_interval_holds() -> None:
    """Of many samples from a known correlation, 95 in a hundred have it in their interval."""
    rng = np.random.default_rng(0)
    truth, rows, samples = 0.7, 40, 1000
    x = rng.normal(size=(samples, rows))
    y = truth * x + np.sqrt(1 - truth**2) * rng.normal(size=(samples, rows))
    intervals = [pearson_interval(pearson(*pair), rows) for pair in zip(x, y, strict=True)]
    assert np.mean([low <= truth <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)
