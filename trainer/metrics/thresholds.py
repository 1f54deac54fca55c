"""Thresholds tuned on validation rows: a label is answered where its score is at or above its threshold.

Candidates are the midpoints between neighbouring scores, with 0 and 1 at the ends; of equally good ones the nearest to
0.5 is taken. Each search is one sort, O(n log n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_POSITIVES = 30
"""Labels with fewer positive rows share one threshold, as their own would fit noise."""

UNTUNED = 0.5
"""The threshold of a label without positive rows."""

_EQUAL = 1e-10  # two sums of a thousand F1s, added in another order, differ by less

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Cuts:
    """One label's rows split at each distinct score, highest first, [cuts]."""

    scores: Floats  # the lowest score that is answered yes
    thresholds: Floats
    answered: NDArray[np.int64]  # rows answered yes
    hits: NDArray[np.int64]  # and rightly so
    positives: int
    rows: int

    def f1(self) -> Floats:
        return 2.0 * self.hits / (self.answered + self.positives)

    def correct(self) -> NDArray[np.int64]:
        """Rows answered rightly, yes or no."""
        return self.rows - self.positives - self.answered + 2 * self.hits


def best_threshold(scores: ArrayLike, truth: ArrayLike) -> float:
    """The threshold with the highest F1, for probabilities and truth [rows]; 0.5 where no row has the label.

    Raises ValueError for other shapes or values, and for no rows.
    """
    cuts = _cuts(*_check_arrays(scores, truth, dimensions=1))
    return _nearest_half(cuts.thresholds, cuts.f1()) if cuts.positives else UNTUNED


def best_accuracy_threshold(scores: ArrayLike, truth: ArrayLike) -> float:
    """The threshold with the highest accuracy of a binary task; otherwise as `best_threshold`."""
    cuts = _cuts(*_check_arrays(scores, truth, dimensions=1))
    if cuts.scores[0] == 1.0:  # no threshold up to 1 is above it
        return _nearest_half(cuts.thresholds, cuts.correct())
    thresholds = np.append(cuts.thresholds, _between(cuts.scores[0], np.float64(1.0)))
    return _nearest_half(thresholds, np.append(cuts.correct(), cuts.rows - cuts.positives))


def best_thresholds(scores: ArrayLike, truth: ArrayLike, min_positives: int = MIN_POSITIVES) -> Floats:
    """Thresholds [labels] for scores and truth [rows, labels], each with the highest F1 of its label.

    Labels with fewer than ``min_positives`` positive rows share the one with the highest macro-F1.
    """
    cuts = [_cuts(*label) for label in zip(*(values.T for values in _check_arrays(scores, truth, 2)), strict=True)]
    shared = _shared_threshold(cuts)
    own = [cut.positives >= max(min_positives, 1) for cut in cuts]
    return np.array([_nearest_half(c.thresholds, c.f1()) if o else shared for c, o in zip(cuts, own, strict=True)])


def _shared_threshold(labels: list[_Cuts]) -> float:
    """The threshold with the highest sum of all labels' F1: the gains of the cuts, summed from the highest score."""
    if not any(cuts.positives for cuts in labels):
        return UNTUNED
    scores = np.concatenate([cuts.scores for cuts in labels])
    gains = np.concatenate([np.diff(cuts.f1(), prepend=0.0) for cuts in labels])
    order = np.argsort(-scores, kind="stable")
    last, thresholds = _distinct(scores[order])
    return _nearest_half(thresholds, np.cumsum(gains[order])[last])


def _cuts(scores: Floats, truth: Bools) -> _Cuts:
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order], dtype=np.int64)
    last, thresholds = _distinct(ranked)
    return _Cuts(ranked[last], thresholds, last + 1, hits[last], int(hits[-1]), len(scores))


def _distinct(ranked: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Of descending scores: the last index of each distinct one, and the threshold below it."""
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    upper = ranked[last]
    return last, _between(np.append(upper[1:], 0.0), upper)


def _between(lower: Floats | np.float64, upper: Floats | np.float64) -> Floats:
    """Midpoints; ``upper`` where no float lies between."""
    middle = (lower + upper) / 2
    return np.where(middle > lower, middle, upper)


def _nearest_half(thresholds: Floats, values: NDArray[np.float64 | np.int64]) -> float:
    best = thresholds[values >= values.max() - _EQUAL]
    return float(best[np.abs(best - UNTUNED).argmin()])


def _check_arrays(scores: ArrayLike, truth: ArrayLike, dimensions: int) -> tuple[Floats, Bools]:
    given, labels = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    if given.ndim != dimensions or given.shape != labels.shape or not given.size:
        raise ValueError(
            f"scores {list(given.shape)} and truth {list(labels.shape)}:"
            f" both must have the same {dimensions} dimensions, and at least one row"
        )
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("scores must be probabilities, from 0 to 1; put the logits through a sigmoid first")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("truth must be 0 or 1, false or true")
    return given, labels.astype(np.bool_)
