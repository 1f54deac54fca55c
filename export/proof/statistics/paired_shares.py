"""The exact test for the drop of a share of rows, when both sides answer the same rows.

Of ``rows`` rows, ``lost`` are right on the reference's side only and ``won`` on the served side only: a multinomial.
The null hypothesis is that the drop, the difference of their probabilities, is at least a budget. The test is one-sided
and unconditional. Its p-value is the largest over the nuisance parameter, the probability of a won row, within a
confidence set of it, plus that set's error (Berger and Boos 1994, JASA 89, 1012-1016). The outcomes are in the
order of the signed root of the likelihood ratio (Lloyd and Moldovan 2008, Statistics in Medicine 27, 3540-3549). With
it, the p-value without lost and won rows is that of the binomial, (1 - budget) ** rows; with the score of Tango (1998,
Statistics in Medicine 17, 891-908) it is higher.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln, xlog1py, xlogy  # type: ignore[import-untyped, unused-ignore]
from scipy.stats import beta, binom, binomtest  # type: ignore[import-untyped, unused-ignore]

NUISANCE_ERROR = 1e-6
"""Of the confidence set of the nuisance parameter."""

NUISANCE_POINTS = 40
NEGLIGIBLE = 1e-12
"""The probability of the counts that are left out."""

BISECTIONS = 18

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedCounts:
    rows: int
    lost: int
    won: int

    @property
    def drop(self) -> float:
        return (self.lost - self.won) / self.rows

    def scale(self, factor: float) -> PairedCounts:
        """As many rows more, at no better rates."""
        return PairedCounts(math.ceil(factor * self.rows), math.ceil(factor * self.lost), math.floor(factor * self.won))

    def swap(self) -> PairedCounts:
        return PairedCounts(self.rows, self.won, self.lost)


@lru_cache(maxsize=256)
def p_value(counts: PairedCounts, budget: float, changed_share: float = 1.0) -> float:
    """Of the hypothesis that the drop is ``budget`` or more.

    Args:
        changed_share: an upper limit of the probability that a row is lost or won.
    """
    if budget <= -changed_share:
        return 1.0
    low, high = _nuisance_limits(counts, budget, changed_share)
    if low > high:
        return NUISANCE_ERROR
    region = _Region.of(counts, budget, (low, high))
    largest = 0.0
    for points in (NUISANCE_POINTS, 9):  # the second time around the maximum
        grid = np.linspace(math.sqrt(low), math.sqrt(high), points) ** 2
        values = region.probability(grid)
        best = int(values.argmax())
        largest = max(largest, float(values[best]))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, points - 1)]
    return min(1.0, largest + NUISANCE_ERROR)


def drop_limit(counts: PairedCounts, level: float, budget: float, changed_share: float = 1.0) -> float:
    """The largest drop that the test does not reject; below ``budget`` just where the test rejects that."""
    rejects = p_value(counts, budget, changed_share) <= level
    step = (-1 if rejects else 1) * (1 + math.sqrt(counts.lost + counts.won)) / counts.rows
    near, far = budget, budget + step
    while -1 < far < 1 and (p_value(counts, far, changed_share) <= level) == rejects:
        step *= 2
        near, far = far, far + step
    low, high = sorted((near, min(max(far, -1.0), 1.0)))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if p_value(counts, middle, changed_share) <= level:
            high = middle
        else:
            low = middle
    return low


def rows_without_loss(budget: float, level: float) -> int | None:
    """The fewest rows that pass if none is lost or won; None if no number does."""
    if budget <= 0:
        return None
    return math.ceil(math.log(level - NUISANCE_ERROR) / math.log1p(-budget))


def share_interval(count: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper and Pearson 1934)."""
    bounds = binomtest(count, rows).proportion_ci(confidence, method="exact")
    return float(bounds.low), float(bounds.high)


def share_limit(count: int, rows: int, level: float) -> float:
    """The upper limit alone, exceeded with a probability of ``level`` at most."""
    return float(beta.isf(level, count + 1, rows - count)) if count < rows else 1.0


def _nuisance_limits(counts: PairedCounts, budget: float, changed_share: float) -> tuple[float, float]:
    """Of the probability of a won row, where that of a lost one is ``budget`` more."""
    rows, won, tail = counts.rows, counts.won, NUISANCE_ERROR / 2
    low = float(beta.ppf(tail, won, rows - won + 1)) if won else 0.0
    high = float(beta.isf(tail, won + 1, rows - won)) if won < rows else 1.0
    return max(low, -budget, 0.0), min(high, (changed_share - budget) / 2)


@dataclass(frozen=True)
class _Region:
    """The outcomes at least as extreme as the observed one: for each number won, up to so many lost."""

    rows: int
    budget: float
    won: Floats
    most_lost: Floats

    @classmethod
    def of(cls, counts: PairedCounts, budget: float, won_shares: tuple[float, float]) -> _Region:
        first = binom.ppf(NEGLIGIBLE, counts.rows, won_shares[0])
        last = binom.isf(NEGLIGIBLE, counts.rows, won_shares[1])
        won = np.arange(max(first, 0.0), last + 1)
        observed = signed_root(np.array([counts.lost]), np.array([counts.won]), counts.rows, budget)[0] + 1e-9
        low, high = np.full(len(won), -1.0), counts.rows - won
        while (low < high).any():
            middle = np.ceil((low + high) / 2)
            inside = signed_root(np.maximum(middle, 0), won, counts.rows, budget) <= observed
            low, high = np.where(inside, middle, low), np.where(inside, high, middle - 1)
        return cls(counts.rows, budget, won, low)

    def probability(self, won_shares: Floats) -> Floats:
        """By the probability of a won row, [points]."""
        p = won_shares[:, None]
        rest = np.maximum(1 - p, 1e-300)
        lost_share = np.clip((p + self.budget) / rest, 0, 1)
        won, rows = self.won[None], self.rows
        log_won = gammaln(rows + 1) - gammaln(won + 1) - gammaln(rows - won + 1)
        log_won = log_won + xlogy(won, p) + xlog1py(rows - won, -p)
        return np.asarray((np.exp(log_won) * _binomial_cdf(self.most_lost, rows - won, lost_share)).sum(axis=1))


def _binomial_cdf(count: Floats, rows: Floats, share: Floats) -> Floats:
    """By the incomplete beta function, which takes arrays of floats."""
    inside = betainc(np.maximum(rows - count, 1), np.maximum(count + 1, 1), 1 - share)
    return np.where(count < 0, 0.0, np.where(count >= rows, 1.0, inside))


def signed_root(lost: Floats, won: Floats, rows: int, budget: float) -> Floats:
    """Of the likelihood ratio statistic against a drop of ``budget``: low where the data speak for a smaller drop."""
    won_share = _restricted_share(lost, won, rows, budget)
    free = _log_likelihood(lost, won, rows, lost / rows, won / rows)
    restricted = _log_likelihood(lost, won, rows, won_share + budget, won_share)
    root = np.sqrt(np.maximum(2 * (free - restricted), 0))
    return np.asarray(np.sign(lost - won - rows * budget) * root)


def _restricted_share(lost: Floats, won: Floats, rows: int, budget: float) -> Floats:
    """The most likely probability of a won row where the drop is ``budget``: Tango 1998, equation 5."""
    a = 2 * rows
    b = 2 * rows * budget - (lost + won) - budget * (lost - won)
    c = -won * budget * (1 - budget)
    root = (np.sqrt(np.maximum(b * b - 4 * a * c, 0)) - b) / (2 * a)
    return np.asarray(np.clip(root, max(0.0, -budget), (1 - budget) / 2))


def _log_likelihood(lost: Floats, won: Floats, rows: int, lost_share: Floats, won_share: Floats) -> Floats:
    same = rows - lost - won
    unchanged = np.maximum(1 - lost_share - won_share, 0)
    return np.asarray(xlogy(lost, np.maximum(lost_share, 0)) + xlogy(won, won_share) + xlogy(same, unchanged))
