"""Pearson's and Spearman's correlation, and the interval of Pearson's.

scipy and scikit-learn are imported where they are used, so that a training's first step does not wait for them.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Z95 = NormalDist().inv_cdf(0.975)
_CONSTANT = 1e-12  # a spread this small beside the numbers is rounding


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Of two columns [rows]; 0 where one is constant, as JSON has no nan.

    Raises ValueError for no rows, unequal lengths, and numbers that are not finite.
    """
    from scipy.stats import pearsonr

    left, right = _columns(x, y)
    return 0.0 if _constant(left) or _constant(right) else float(pearsonr(left, right).statistic)


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """As `pearson`, of mean ranks."""
    from scipy.stats import spearmanr

    left, right = _columns(x, y)
    return 0.0 if _constant(left) or _constant(right) else float(spearmanr(left, right).statistic)


def pearson_interval(r: float, rows: int) -> tuple[float, float]:
    """The 95 % interval by Fisher's z (Fisher 1921, Metron 1); (-1, 1) for three rows or fewer.

    atanh(r) is close to normal with standard error 1 / sqrt(rows - 3).
    """
    if rows <= 3:
        return -1.0, 1.0
    if abs(r) >= 1.0:
        return r, r
    z, half = math.atanh(r), _Z95 / math.sqrt(rows - 3)
    return math.tanh(z - half), math.tanh(z + half)


def _columns(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape or not left.size:
        raise ValueError(
            f"columns {list(left.shape)} and {list(right.shape)}: both must have the same rows, at least one"
        )
    wrong = int((~np.isfinite(left) | ~np.isfinite(right)).sum())
    if wrong:
        raise ValueError(f"{wrong} of {left.size} rows hold a number that is not finite")
    return left, right


def _constant(column: NDArray[np.float64]) -> bool:
    return bool(np.ptp(column) <= _CONSTANT * np.abs(column).max())
