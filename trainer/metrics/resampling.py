"""Metrics of weighted rows, many weightings at once.

A metric depends on the rows through weighted sums alone, so all resamples cost one matrix product (Efron and Tibshirani
1993, An Introduction to the Bootstrap, chapter 20: the resampling vector). Weights need not be whole numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, vstack  # type: ignore[import-untyped, unused-ignore]

Floats = NDArray[np.float64]
Weights = Floats

_CONSTANT = 1e-12
"""A variance this small beside the largest square is rounding."""


class WeightedMetric(ABC):
    """From weights [resamples, rows] to values [resamples]."""

    @property
    @abstractmethod
    def rows(self) -> int: ...

    @abstractmethod
    def __call__(self, weights: Weights) -> Floats: ...

    @abstractmethod
    def with_lost_row(self, other: Self, counts: Floats) -> tuple[Self, Self]:
        """Both sides with one further row, which this side answers rightly and ``other`` wrongly.

        It is like the one among these rows whose loss costs most, to first order.

        Args:
            counts: how often each row occurs, [rows].
        """


@dataclass(frozen=True)
class Mean(WeightedMetric):
    """Of values [rows] from 0 to 1."""

    values: Floats

    @property
    def rows(self) -> int:
        return len(self.values)

    def __call__(self, weights: Weights) -> Floats:
        return np.asarray((weights @ self.values) / weights.sum(axis=1))

    def with_lost_row(self, other: Self, counts: Floats) -> tuple[Self, Self]:
        return type(self)(np.append(self.values, 1.0)), type(self)(np.append(other.values, 0.0))


@dataclass(frozen=True)
class F1(WeightedMetric):
    """The mean over the columns that occur, of sparse counts [rows, classes]; a single column gives micro-F1."""

    hits: csr_array
    answered: csr_array
    expected: csr_array

    @property
    def rows(self) -> int:
        return int(self.hits.shape[0])

    def __call__(self, weights: Weights) -> Floats:
        right, *both = (weights @ side for side in (self.hits, self.answered, self.expected))
        total = both[0] + both[1]
        occurring = np.maximum((total > 0).sum(axis=1), 1)
        return np.asarray(_divide(2 * right, total).sum(axis=1) / occurring)

    def with_lost_row(self, other: Self, counts: Floats) -> tuple[Self, Self]:
        """A row as this side answers it; ``other`` gives as many answers, all of them wrong."""
        lost, wrong = self._costliest_loss(counts)
        hits, answered, expected = (side[[lost]] for side in (self.hits, self.answered, self.expected))
        wrongly = csr_array(([answered.sum()], ([0], [wrong])), shape=answered.shape)
        return self._append(hits, answered, expected), other._append(0 * hits, wrongly, expected)

    def _costliest_loss(self, counts: Floats) -> tuple[int, int]:
        """The row, and the column of its wrong answers: one that the row does not expect, if there is one."""
        hits, answered, expected = (counts @ side for side in (self.hits, self.answered, self.expected))
        share = _divide(np.ones_like(hits), answered + expected)
        f1 = 2 * hits * share
        wrong = f1 * share
        cost = 2 * self.hits @ share - self.answered @ wrong + self.answered.sum(axis=1) * wrong.max()
        lost = int(np.where(counts > 0, cost, -np.inf).argmax())
        unexpected = np.where(self.expected[[lost]].toarray()[0] > 0, -1.0, wrong)
        return lost, int(unexpected.argmax())

    def _append(self, hits: csr_array, answered: csr_array, expected: csr_array) -> Self:
        pairs = ((self.hits, hits), (self.answered, answered), (self.expected, expected))
        return type(self)(*(csr_array(vstack(pair)) for pair in pairs))


@dataclass(frozen=True)
class Correlation(WeightedMetric):
    """Pearson's of columns [rows], or Spearman's: of the mean ranks within each weighting. 0 for a constant column."""

    expected: Floats
    answered: Floats
    ranked: bool

    @property
    def rows(self) -> int:
        return len(self.expected)

    def __call__(self, weights: Weights) -> Floats:
        if self.ranked:
            return _correlation(weights, *(_ranks(weights, side) for side in (self.expected, self.answered)))
        return _correlation(weights, _center(self.expected), _center(self.answered))

    def with_lost_row(self, other: Self, counts: Floats) -> tuple[Self, Self]:
        """A row as this side answers it; ``other`` answers a far end of the answers."""
        occurring = counts > 0
        answers = np.concatenate([self.answered[occurring], other.answered[occurring]])
        lost, far = self._costliest_loss(counts, np.array([answers.min(), answers.max()]))
        expected = float(self.expected[lost])
        return self._append(expected, float(self.answered[lost])), other._append(expected, far)

    def _costliest_loss(self, counts: Floats, ends: Floats) -> tuple[int, float]:
        """The row, and one of the ``ends`` of the answers, by the influence function z_x z_y - r (z_x² + z_y²) / 2.

        Source: Devlin, Gnanadesikan and Kettenring 1975, Biometrika 62, 531-545.
        """
        x = self._standardize(self.expected, counts)
        y = self._standardize(np.concatenate([self.answered, ends]), np.append(counts, [0, 0]))
        r = float(self(counts[None])[0])
        own, far = y[:-2], y[-2:]
        cost = (x * own - r / 2 * own**2)[:, None] - (x[:, None] * far - r / 2 * far**2)
        lost, end = np.unravel_index(int(np.where(counts[:, None] > 0, cost, -np.inf).argmax()), cost.shape)
        return int(lost), float(ends[end])

    def _standardize(self, values: Floats, counts: Floats) -> Floats:
        if self.ranked:
            values = _ranks(counts[None], values)[0]
        centred = values - np.average(values, weights=counts)
        return np.asarray(centred / (np.sqrt(np.average(centred**2, weights=counts)) or 1.0))

    def _append(self, expected: float, answered: float) -> Self:
        return type(self)(np.append(self.expected, expected), np.append(self.answered, answered), self.ranked)


def mean_of(values: ArrayLike) -> Mean:
    return Mean(np.asarray(values, dtype=np.float64))


def f1_of(hits: Any, answered: Any, expected: Any, average: str) -> F1:
    """From counts [rows, classes], sparse or not; ``average`` is ``micro`` or ``macro``, as in scikit-learn."""
    sides = [csr_array(each, dtype=np.float64) for each in (hits, answered, expected)]
    if average == "micro":
        sides = [csr_array(side.sum(axis=1)[:, None]) for side in sides]
    return F1(*sides)


def pearson_of(expected: ArrayLike, answered: ArrayLike) -> Correlation:
    return Correlation(np.asarray(expected, dtype=np.float64), np.asarray(answered, dtype=np.float64), ranked=False)


def spearman_of(expected: ArrayLike, answered: ArrayLike) -> Correlation:
    return Correlation(np.asarray(expected, dtype=np.float64), np.asarray(answered, dtype=np.float64), ranked=True)


def indicators(labels: Iterable[Sequence[str]], classes: Sequence[str]) -> csr_array:
    """[rows, classes]: 1 where a row has the label; labels that are no class are left out."""
    numbers = {name: at for at, name in enumerate(classes)}
    rows = [sorted({numbers[name] for name in of_row if name in numbers}) for of_row in labels]
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows]), np.concatenate([[], *rows]).astype(np.intp)
    return csr_array((np.ones(len(places[0])), places), shape=(len(rows), len(classes)))


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """0 where the denominator is."""
    found = np.zeros_like(denominator)
    np.divide(numerator, denominator, out=found, where=denominator > 0)
    return found


def _ranks(weights: Weights, values: Floats) -> Floats:
    """Centred mean ranks of values [rows] within each weighting, [resamples, rows]."""
    distinct, groups = np.unique(values, return_inverse=True)
    members = csr_array((np.ones(len(values)), (np.arange(len(values)), groups)), shape=(len(values), len(distinct)))
    sums = weights @ members
    return _center((np.cumsum(sums, axis=1) - sums / 2)[:, groups])


def _center(values: Floats) -> Floats:
    return np.asarray(values - values.mean(axis=-1, keepdims=True))


def _correlation(weights: Weights, x: Floats, y: Floats) -> Floats:
    """Of columns [rows] or [resamples, rows] that are centred, so that the differences of moments are exact."""
    total = weights.sum(axis=1)
    mean_x, mean_y, square_x, square_y, product = (
        (weights @ each if each.ndim == 1 else np.einsum("ij,ij->i", weights, each)) / total
        for each in (x, y, x * x, y * y, x * y)
    )
    spread_x, spread_y = square_x - mean_x**2, square_y - mean_y**2
    varied = (spread_x > _CONSTANT * (x * x).max()) & (spread_y > _CONSTANT * (y * y).max())
    scale = np.sqrt(np.maximum(spread_x * spread_y, 0))
    found = np.zeros(len(total))
    np.divide(product - mean_x * mean_y, scale, out=found, where=varied)
    return found
