"""Statistics of the test rows: changed answers, the change of a metric, and calibration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest  # type: ignore[import-untyped, unused-ignore]

from trainer.metrics.resampling import WeightedMetric

RESAMPLES = 2000
SEED = 0
WEIGHTS_AT_ONCE = 2_000_000
"""Bounds the memory of the resampling: rows times resamples that are drawn together."""

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Flips:
    """Test rows whose answer differs between the reference and the served side.

    Attributes:
        changed: rows with another answer, correct or not.
        changed_share_95: exact 95 % interval of their share (Clopper and Pearson 1934).
        lost: rows that only the reference answers correctly; None if the task has no correct answer per row.
        won: rows that only the served side answers correctly.
        mcnemar_p: McNemar's exact two-sided test of lost against won (Dietterich 1998, section 3.1).
    """

    rows: int
    changed: int
    changed_share_95: tuple[float, float]
    lost: int | None
    won: int | None
    mcnemar_p: float | None


@dataclass(frozen=True)
class MetricChange:
    """The change of a metric from the reference to the served side.

    Attributes:
        low, high: 95 % percentile interval of the change, from paired resampling of rows.
        served_interval_95: that of the served score, from the same resamples.
        rows_needed: test rows from which on the same change would be within the budget; None if it is within already,
            or if the change itself exceeds the budget.
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
        """Whether the interval's lower end is above minus the budget; False for NaN."""
        return self.low > -self.budget


@dataclass(frozen=True)
class CalibrationDrift:
    """The expected calibration error of both sides, and the largest change of a confidence."""

    bins: int
    reference_ece: float
    served_ece: float
    largest_confidence_change: float


def count_flips(changed: Sequence[bool], before: Sequence[bool] | None, after: Sequence[bool] | None) -> Flips:
    """Count the changed rows; ``before`` and ``after`` say which rows each side answers correctly."""
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
    """The change of a metric with its paired bootstrap interval.

    Both sides are scored on the same 2,000 seeded resamples of whole rows (Efron and Tibshirani 1993, chapter 13;
    Koehn 2004), so any metric with a weighted form works; see `trainer.metrics.resampling`.

    Args:
        scores: on all rows, of the reference and the served side.
        sides: the same two as functions of each row's weight.
        budget: largest accepted drop, in the metric's unit; the interval's lower end must stay above minus it.
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
    """Blocks of weights [resamples, rows]: how often each resample draws each row."""
    generator = np.random.default_rng(SEED)
    at_once = max(1, min(RESAMPLES, WEIGHTS_AT_ONCE // rows))
    for start in range(0, RESAMPLES, at_once):
        draws = generator.integers(0, rows, (min(at_once, RESAMPLES - start), rows))
        yield np.stack([np.bincount(draw, minlength=rows) for draw in draws]).astype(np.float64)


def _rows_needed(rows: int, change: float, low: float, budget: float) -> int | None:
    """The interval narrows with the square root of the rows; solve for its lower end at minus the budget."""
    room = change + budget
    return math.ceil(rows * ((change - low) / room) ** 2) + 1 if room > 0 else None


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """The mean gap between confidence and accuracy over 15 equal bins, weighted by rows, 0 to 1.

    Source: Guo et al. 2017, equation 3; a bin includes its upper edge. NaN if a confidence is not finite.
    """
    if not np.isfinite(confidences).all():
        return float("nan")
    values, hits = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    bins = np.clip(np.ceil(values * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    return float(np.abs(np.bincount(bins, hits - values, minlength=CALIBRATION_BINS)).sum() / len(values))


def calibration_drift(
    before: Sequence[float], correct_before: Sequence[bool], after: Sequence[float], correct_after: Sequence[bool]
) -> CalibrationDrift:
    """The drift between both sides' confidences, one for each row."""
    change = np.abs(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))
    return CalibrationDrift(
        CALIBRATION_BINS,
        expected_calibration_error(before, correct_before),
        expected_calibration_error(after, correct_after),
        float(change.max()),
    )
