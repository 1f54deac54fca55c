"""Test rows whose answers differ, and how far their confidences drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest  # type: ignore[import-untyped, unused-ignore]

from export.proof.statistics.paired_shares import share_interval
from trainer.metrics.calibration import BINS, expected_calibration_error


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
class CalibrationDrift:
    """Expected calibration errors, and the largest change of a confidence."""

    bins: int
    reference_ece: float
    served_ece: float
    largest_confidence_change: float


def count_flips(changed: Sequence[bool], before: Sequence[bool] | None, after: Sequence[bool] | None) -> Flips:
    """``before`` and ``after`` are the correctly answered rows of each side."""
    rows, count = len(changed), sum(changed)
    share = share_interval(count, rows)
    if before is None or after is None:
        return Flips(rows, count, share, None, None, None)
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    won = sum(b and not a for a, b in zip(before, after, strict=True))
    p = float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    return Flips(rows, count, share, lost, won, p)


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
