"""How far scores are probabilities: a score of 0.9 should be right nine times in ten."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BINS = 15

Floats = NDArray[np.float64]


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> float:
    """The mean gap of confidence and accuracy over bins of equally many answers, 0 to 1.

    NaN if a confidence is not finite. Source: Guo et al. 2017, equation 3, with the bins of Nixon et al. 2019.
    """
    if not np.isfinite(confidences).all():
        return float("nan")
    values, hits = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    return float(np.abs(np.bincount(equal_mass_bins(values, bins), hits - values)).sum() / len(values))


def equal_mass_bins(values: Floats, bins: int = BINS) -> NDArray[np.intp]:
    """Each value's bin; equal values share one, so that fewer bins may be used."""
    places = np.arange(1, bins) * len(values) // bins
    edges = np.unique(np.sort(values)[places])
    return np.searchsorted(edges, values, side="right")


def calibration_error_change(
    before: Sequence[float], correct_before: Sequence[bool], after: Sequence[float], correct_after: Sequence[bool]
) -> float:
    """The error of ``after`` less that of ``before``, of the same answers in the bins of ``before``.

    With bins of their own, the errors of equal confidences but for rounding would differ by 0.01 among 150 answers.
    """
    if not np.isfinite([*before, *after]).all():
        return float("nan")
    bins = equal_mass_bins(np.asarray(before, dtype=np.float64))
    errors = []
    for confidences, correct in ((before, correct_before), (after, correct_after)):
        gaps = np.asarray(correct, dtype=np.float64) - confidences
        errors.append(float(np.abs(np.bincount(bins, gaps)).sum()) / len(bins))
    return errors[1] - errors[0]
