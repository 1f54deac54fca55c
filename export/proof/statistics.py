"""Statistics of the test rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest  # type: ignore[import-untyped, unused-ignore]

from trainer.metrics.calibration import BINS, expected_calibration_error
from trainer.metrics.resampling import WeightedMetric

RESAMPLES = 2000
SEED = 0
WEIGHTS_AT_ONCE = 2_000_000
"""Bounds the memory of the resampling: rows times resamples that are drawn together."""


@dataclass(frozen=True)
class Flips:
    """Test rows whose answers differ.

    Attributes:
        changed_share_95: exact 95 % interval (Clopper and Pearson 1934).
        lost, won: rows that only the reference, or only the served side, answers correctly; None if a task cannot tell.
        mcnemar_p: exact, two-sided, of lost against won (Dietterich 1998, section 3.1).
    """

    rows: int
    changed: int
    changed_share_95: tuple[float, float]
    lost: int | None
    won: int | None
    mcnemar_p: float | None


@dataclass(frozen=True)
class MetricChange:
    """The change of a metric from reference to served side.

    Attributes:
        low, high: its 95 % percentile interval, from paired resamples.
        rows_needed: test rows that would bring this change within the budget; None if it is, or cannot be.
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
    def within_budget(self) -> bool:
        """False for NaN."""
        return self.low > -self.budget


@dataclass(frozen=True)
class CalibrationDrift:
    """Expected calibration errors, and the largest change of a confidence."""

    bins: int
    reference_ece: float
    served_ece: float
    largest_confidence_change: float


def count_flips(changed: Sequence[bool], before: Sequence[bool] | None, after: Sequence[bool] | None) -> Flips:
    """``before`` and ``after`` are the correctly answered rows of each side."""
    rows, count = len(changed), sum(changed)
    bounds = binomtest(count, rows).proportion_ci(0.95, method="exact")
    share = (float(bounds.low), float(bounds.high))
    if before is None or after is None:
        return Flips(rows, count, share, None, None, None)
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    won = sum(b and not a for a, b in zip(before, after, strict=True))
    p = float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    return Flips(rows, count, share, lost, won, p)


def measure_change(
    metric: str, scores: tuple[float, float], sides: tuple[WeightedMetric, WeightedMetric], rows: int, budget: float
) -> MetricChange:
    """The change of a metric with its paired percentile bootstrap interval.

    Both sides are scored on the same seeded resamples of rows (Efron and Tibshirani 1993, chapter 13; Koehn 2004).

    Args:
        scores: on all rows, of reference and served side.
        sides: the same as functions of the rows' weights.
        budget: largest accepted drop, in the metric's unit.
    """
    before, after = np.concatenate([np.stack([side(weights) for side in sides]) for weights in _resample(rows)], axis=1)
    low, high = _percentile_interval(after - before)
    change = scores[1] - scores[0]
    needed = None if low > -budget else _rows_needed(rows, change, low, budget)
    return MetricChange(
        metric, *scores, change, low, high, _percentile_interval(after), RESAMPLES, SEED, rows, budget, needed
    )


def _percentile_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _resample(rows: int) -> Iterator[NDArray[np.float64]]:
    """Blocks of weights [resamples, rows]."""
    generator = np.random.default_rng(SEED)
    at_once = max(1, min(RESAMPLES, WEIGHTS_AT_ONCE // rows))
    for start in range(0, RESAMPLES, at_once):
        draws = generator.integers(0, rows, (min(at_once, RESAMPLES - start), rows))
        yield np.stack([np.bincount(draw, minlength=rows) for draw in draws]).astype(np.float64)


def _rows_needed(rows: int, change: float, low: float, budget: float) -> int | None:
    """The interval narrows with the square root of the rows."""
    room = change + budget
    return math.ceil(rows * ((change - low) / room) ** 2) + 1 if room > 0 else None


def calibration_drift(
    before: Sequence[float], correct_before: Sequence[bool], after: Sequence[float], correct_after: Sequence[bool]
) -> CalibrationDrift:
    change = np.abs(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))
    return CalibrationDrift(
        BINS,
        expected_calibration_error(before, correct_before),
        expected_calibration_error(after, correct_after),
        float(change.max()),
    )
