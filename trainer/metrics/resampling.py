"""Metrics of many bootstrap resamples at once.

A metric is a function of ``weights`` [resamples, rows], how often each row is drawn. It depends on the rows through
weighted sums alone, so that all resamples cost one matrix product (Efron and Tibshirani 1993, An Introduction to the
Bootstrap, chapter 20: the resampling vector).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Weights = Floats
WeightedMetric = Callable[[Weights], Floats]
"""From weights [resamples, rows] to values [resamples]."""

_CONSTANT = 1e-9


def mean_of(values: ArrayLike) -> WeightedMetric:
    """The mean of values [rows]."""
    column = np.asarray(values, dtype=np.float64)
    return lambda weights: (weights @ column) / weights.sum(axis=1)


def f1_of(hits: ArrayLike, answered: ArrayLike, expected: ArrayLike, average: str) -> WeightedMetric:
    """F1 from counts [rows, classes]; ``average`` is ``micro`` or ``macro``, as in scikit-learn's ``f1_score``."""
    sides = [np.asarray(each, dtype=np.float64) for each in (hits, answered, expected)]
    if average == "micro":
        sides = [side.sum(axis=1, keepdims=True) for side in sides]

    def score(weights: Weights) -> Floats:
        right, *both = (weights @ side for side in sides)
        total = both[0] + both[1]
        shares = np.divide(2 * right, total, out=np.zeros_like(total), where=total > 0)
        occurring = np.maximum((total > 0).sum(axis=1), 1)
        return np.asarray(shares.sum(axis=1) / occurring)

    return score


def pearson_of(x: ArrayLike, y: ArrayLike) -> WeightedMetric:
    """0 where a resample's column is constant."""
    left, right = (_center(np.asarray(side, dtype=np.float64)) for side in (x, y))
    return lambda weights: _correlation(weights, left[None], right[None])


def spearman_of(x: ArrayLike, y: ArrayLike) -> WeightedMetric:
    """Pearson's of the mean ranks within each resample."""
    left, right = (np.unique(np.asarray(side, dtype=np.float64), return_inverse=True)[1] for side in (x, y))
    return lambda weights: _correlation(weights, _ranks(weights, left), _ranks(weights, right))


def indicators(labels: Iterable[Sequence[str]], classes: Sequence[str]) -> Floats:
    """[rows, classes]: 1 where a row has the label."""
    rows = [set(of_row) for of_row in labels]
    return np.array([[float(name in row) for name in classes] for row in rows]).reshape(len(rows), len(classes))


def repeat_rows(rows: Any, weights: NDArray[Any]) -> list[int]:
    """The indices of one resample's rows."""
    places: list[int] = np.repeat(np.arange(len(rows)), weights.astype(int)).tolist()
    return places


def _ranks(weights: Weights, groups: NDArray[np.intp]) -> Floats:
    """Centred mean ranks [resamples, rows]; ``groups`` [rows] number the distinct values."""
    sums = np.stack([np.bincount(groups, row, minlength=int(groups.max()) + 1) for row in weights])
    ranks = np.cumsum(sums, axis=1) - (sums - 1) / 2
    return _center(ranks[:, groups])


def _center(values: Floats) -> Floats:
    return np.asarray(values - values.mean(axis=-1, keepdims=True))


def _correlation(weights: Weights, x: Floats, y: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    x, y = (side - (weights * side).sum(axis=1, keepdims=True) / total for side in (x, y))
    squares = [(weights * side * side).sum(axis=1) for side in (x, y)]
    scale = np.sqrt(squares[0] * squares[1])
    spread = np.minimum(*(np.sqrt(each / total[:, 0]) for each in squares)) > _CONSTANT
    found = np.zeros(len(scale))
    np.divide((weights * x * y).sum(axis=1), scale, out=found, where=spread & (scale > 0))
    return found
