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
