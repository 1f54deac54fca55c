"""What a set of test rows can say of a variant: which answers it flips, and by how much its score really changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest  # type: ignore[import-untyped, unused-ignore]

from trainer.metrics.resampling import WeightedMetric

RESAMPLES = 2000
SEED = 0
WEIGHTS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Flips:
    """Answers that differ between the reference and the served path, counted in rows of the test set.

    Attributes:
        changed: rows whose answer differs, right or wrong.
        changed_share_95: the exact 95 % interval of their share (Clopper and Pearson 1934).
        lost: rows that the reference answers rightly and the variant does not; None where no answer is simply right.
        won: the reverse.
        mcnemar_p: McNemar's exact test of lost against won, two-sided (Dietterich 1998, section 3.1).
    """

    rows: int
    changed: int
    changed_share_95: tuple[float, float]
    lost: int | None
    won: int | None
    mcnemar_p: float | None


@dataclass(frozen=True)
class Change:
    """How the score changes from the reference to the served path.

    Attributes:
        low, high: the 95 % percentile interval of the change, from resampling rows in pairs.
        served_interval_95: of the score as served, from the same draws.
        rows_needed: test rows from which on such a change would hold the budget; None where it holds, or where
            none would do because the change itself is past the budget.
    """

    metric: str
    reference: float
    served: float
    change: float
    low: float
    high: float
    served_interval_95: tuple[float, float]
    resamples: int
    seed: int
    rows: int
    budget: float
    rows_needed: int | None

    @property
    def within(self) -> bool:
        """Whether the interval's lower end is above minus the budget."""
        return self.low > -self.budget


def count_flips(changed: list[bool], before: list[bool] | None, after: list[bool] | None) -> Flips:
    """The flips of rows; ``before`` and ``after`` tell which answers are right, of the reference and as served."""
    count = sum(changed)
    bounds = binomtest(count, len(changed)).proportion_ci(0.95, method="exact")
    share = (float(bounds.low), float(bounds.high))
    if before is None or after is None:
        return Flips(len(changed), count, share, None, None, None)
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    won = sum(b and not a for a, b in zip(before, after, strict=True))
    p = float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    return Flips(len(changed), count, share, lost, won, p)


def measure_change(
    metric: str, scores: tuple[float, float], sides: tuple[WeightedMetric, WeightedMetric], rows: int, budget: float
) -> Change:
    """The change of a score with its bootstrap interval.

    Both sides are scored on the same draws of the rows, 2,000 of them, seeded (Efron and Tibshirani 1993, chapter 13:
    percentile intervals want a thousand or more; Koehn 2004: paired resampling). Rows are drawn whole, so that any
    score can be resampled; see `trainer.metrics.resampling` for how each task's score follows from how often a row is
    drawn.

    Args:
        scores: on all rows, of the reference and as served.
        sides: the same two as functions of how often each row is drawn.
        rows: how many there are.
        budget: how far below zero the interval's lower end may be, in the metric's unit; it must stay above.
    """
    drawn = np.concatenate([np.stack([side(weights) for side in sides]) for weights in _draws(rows)], axis=1)
    low, high = _interval(drawn[1] - drawn[0])
    change = scores[1] - scores[0]
    needed = None if low > -budget else _rows_needed(rows, change, low, budget)
    return Change(metric, *scores, change, low, high, _interval(drawn[1]), RESAMPLES, SEED, rows, budget, needed)


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _draws(rows: int) -> Iterator[NDArray[np.float64]]:
    """Weights [resamples, rows], a bounded number at a time."""
    generator = np.random.default_rng(SEED)
    at_once = max(1, min(RESAMPLES, WEIGHTS_AT_ONCE // rows))
    for start in range(0, RESAMPLES, at_once):
        drawn = generator.integers(0, rows, (min(at_once, RESAMPLES - start), rows))
        yield np.stack([np.bincount(some, minlength=rows) for some in drawn]).astype(np.float64)


def _rows_needed(rows: int, change: float, low: float, budget: float) -> int | None:
    """The interval narrows with the square root of the rows, so that its lower end reaches the budget at this many."""
    room = change + budget
    if not room > 0:
        return None
    return math.ceil(rows * ((change - low) / room) ** 2) + 1
