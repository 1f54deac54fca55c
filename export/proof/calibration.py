"""Calibration: whether answers that say 0.9 are right nine times in ten, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class CalibrationDrift:
    """The expected calibration error of the reference and as served, and by how much confidences moved."""

    bins: int
    reference_ece: float
    served_ece: float
    largest_confidence_change: float


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """The mean gap, weighted by rows, between confidence and accuracy in 15 equal bins of confidence, 0 to 1.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3; a bin takes in its upper edge.
    """
    if not np.isfinite(confidences).all():
        return float("nan")
    sure, hits = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    places = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    return float(np.abs(np.bincount(places, hits - sure, minlength=BINS)).sum() / len(sure))


def calibration_drift(
    before: Sequence[float], right_before: Sequence[bool], after: Sequence[float], right_after: Sequence[bool]
) -> CalibrationDrift:
    """The drift between two sides' confidences [rows] in their answers."""
    moved = np.abs(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))
    return CalibrationDrift(
        BINS,
        expected_calibration_error(before, right_before),
        expected_calibration_error(after, right_after),
        float(moved.max()),
    )
