"""Scores of many resamples of the same rows at once, from how often each resample draws each row.

A bootstrap rescores the rows thousands of times. Here a score is a function of ``weights [resamples, rows]``, a row's
weight being how often it was drawn; it equals the score of the rows written out so often, at the price of one matrix
product. What a row contributes (its hits, its products) is worked out once: the score depends on the rows through sums
alone (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 20: the resampling vector), or, for
Spearman, through ranks that such sums give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Weights = Floats
WeightedMetric = Callable[[Weights], Floats]
"""From weights [resamples, rows] to scores [resamples]."""

_CONSTANT = 1e-9


def mean_of(values: ArrayLike) -> WeightedMetric:
    """The mean of one number a row: accuracy, exact match, SQuAD's F1."""
    column = np.asarray(values, dtype=np.float64)
    return lambda weights: (weights @ column) / weights.sum(axis=1)


def f1_of(hits: ArrayLike, given: ArrayLike, wanted: ArrayLike, average: str) -> WeightedMetric:
    """F1 from counts, each [rows, classes]: rightly answered, answered, expected.

    ``micro`` counts all classes together; ``macro`` is the mean over the classes that occur in either side of a
    resample, as scikit-learn's ``f1_score`` has it.
    """
    sides = [np.asarray(each, dtype=np.float64) for each in (hits, given, wanted)]
    if average == "micro":
        sides = [side.sum(axis=1, keepdims=True) for side in sides]

    def score(weights: Weights) -> Floats:
        right, answered, expected = (weights @ side for side in sides)
        total = answered + expected
        shares = np.divide(2 * right, total, out=np.zeros_like(total), where=total > 0)
        occurring = np.maximum((total > 0).sum(axis=1), 1)
        return np.asarray(shares.sum(axis=1) / occurring)

    return score


def pearson_of(x: ArrayLike, y: ArrayLike) -> WeightedMetric:
    """Pearson's correlation of two columns; 0 where a resample has but one value of either."""
    left, right = (_centred(np.asarray(side, dtype=np.float64)) for side in (x, y))
    return lambda weights: _correlation(weights, left[None], right[None])


def spearman_of(x: ArrayLike, y: ArrayLike) -> WeightedMetric:
    """Spearman's correlation: Pearson's of the ranks within each resample, ties by their mean rank."""
    left, right = (np.unique(np.asarray(side, dtype=np.float64), return_inverse=True)[1] for side in (x, y))
    return lambda weights: _correlation(weights, _ranks(weights, left), _ranks(weights, right))


def indicators(labels: Sequence[Sequence[str]], classes: Sequence[str]) -> Floats:
    """[rows, classes]: 1 where a row has the label."""
    numbers = {name: at for at, name in enumerate(classes)}
    found = np.zeros((len(labels), len(classes)))
    for row, some in zip(found, labels, strict=True):
        row[[numbers[label] for label in some]] = 1
    return found


def repeated(rows: Any, weights: NDArray[Any]) -> list[int]:
    """The places of one resample's rows, each as often as it was drawn."""
    places: list[int] = np.repeat(np.arange(len(rows)), weights.astype(int)).tolist()
    return places


def _ranks(weights: Weights, groups: NDArray[np.intp]) -> Floats:
    """Mean ranks [resamples, rows]: a group of equal values shares those behind all smaller ones."""
    sums = np.stack([np.bincount(groups, row, minlength=int(groups.max()) + 1) for row in weights])
    ranks = np.cumsum(sums, axis=1) - (sums - 1) / 2
    return _centred(ranks[:, groups])


def _centred(values: Floats) -> Floats:
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
