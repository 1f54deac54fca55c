"""Thresholds tuned on the dev set: from which score on a label is answered yes.

A label is answered where its score is at or above its threshold. Candidates are the midpoints between neighbouring
dev scores, with 0 and 1 for neighbours at the ends, so that every way to part the dev rows is tried once. Between
equally good ones the nearest to 0.5 is taken. Each search is one sort: O(n log n).

What is found is the best for the rows it was tuned on, and so flatters them: measure on other rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_POSITIVES = 30
"""Labels with fewer positive dev rows share one threshold.

Measured with MiniLM fine-tuned on 3,800 GoEmotions rows, thresholds tuned on samples of 540 others and scored on the
test rows: a label's own threshold costs 0.05 F1 against the shared one with 1 or 2 positives, 0.02 with 10 to 14, gains
from 30 on, 0.01 with 75. Test macro-F1 is 0.416 with a threshold for each label, 0.429 with 10 here, 0.434 with 30,
0.433 with one shared by all; and 0.429 untuned. With 300 to 1,600 dev rows 30 stays the best or next to it.
"""

UNTUNED = 0.5
"""The threshold where nothing can be measured."""

_EQUAL = 1e-10  # two sums of a thousand F1s, added in another order, differ by less

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Cuts:
    """One label's rows parted at each distinct score, highest first; arrays are [cuts]."""

    scores: Floats  # the lowest score that is answered yes
    thresholds: Floats
    answered: NDArray[np.int64]  # rows answered yes
    hits: NDArray[np.int64]  # and rightly so
    positives: int
    rows: int

    def f1(self) -> Floats:
        """2 hits / (answered + positives), which is the harmonic mean of precision and recall."""
        return 2.0 * self.hits / (self.answered + self.positives)

    def correct(self) -> NDArray[np.int64]:
        """Rows answered rightly, yes or no."""
        return self.rows - self.positives - self.answered + 2 * self.hits


def best_threshold(scores: ArrayLike, truth: ArrayLike) -> float:
    """The threshold with the highest F1 of one label, 0.5 where no row has it.

    Args:
        scores: probabilities [rows].
        truth: true or 1 where the row has the label [rows].

    Raises:
        ValueError: no rows, other shapes, a score outside 0 to 1, a truth other than 0 and 1.
    """
    cuts = _cuts(*_checked(scores, truth, dimensions=1))
    return _nearest_half(cuts.thresholds, cuts.f1()) if cuts.positives else UNTUNED


def best_accuracy_threshold(scores: ArrayLike, truth: ArrayLike) -> float:
    """The threshold with the highest accuracy of a binary task; arguments and errors are best_threshold's.

    Where one answer is nearly always right, the best may be to give no other.
    """
    cuts = _cuts(*_checked(scores, truth, dimensions=1))
    if cuts.scores[0] == 1.0:  # no threshold up to 1 is above it
        return _nearest_half(cuts.thresholds, cuts.correct())
    thresholds = np.append(cuts.thresholds, _between(cuts.scores[0], np.float64(1.0)))
    return _nearest_half(thresholds, np.append(cuts.correct(), cuts.rows - cuts.positives))


def best_thresholds(scores: ArrayLike, truth: ArrayLike, min_positives: int = MIN_POSITIVES) -> Floats:
    """A threshold a label, each with the highest F1 of its label; rare labels share one.

    F1 over a handful of positives is decided by where those few happen to lie. Labels with fewer than ``min_positives``
    positive rows therefore get the one threshold that, used for all labels, has the highest macro-F1.
    On the rows given, the macro-F1 is never below that of 0.5 for all labels: the shared threshold alone reaches it,
    and a label's own threshold only adds to it.

    Args:
        scores: probabilities [rows, labels].
        truth: true or 1 where the row has the label [rows, labels].
        min_positives: from how many positive rows on a label has its own threshold.

    Returns:
        Thresholds [labels], within 0 to 1.

    Raises:
        ValueError: as best_threshold.
    """
    cuts = [_cuts(*label) for label in zip(*(values.T for values in _checked(scores, truth, 2)), strict=True)]
    shared = _shared_threshold(cuts)
    own = [cut.positives >= max(min_positives, 1) for cut in cuts]
    return np.array([_nearest_half(c.thresholds, c.f1()) if o else shared for c, o in zip(cuts, own, strict=True)])


def _shared_threshold(labels: list[_Cuts]) -> float:
    """The threshold with the highest sum of all labels' F1s: what each cut adds, summed from the highest score down."""
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
    """Of descending scores: the last place of each distinct one, and the threshold between it and the next."""
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    upper = ranked[last]
    return last, _between(np.append(upper[1:], 0.0), upper)


def _between(lower: Floats | np.float64, upper: Floats | np.float64) -> Floats:
    """Midpoints, but above ``lower`` where no number lies between the two."""
    middle = (lower + upper) / 2
    return np.where(middle > lower, middle, upper)


def _nearest_half(thresholds: Floats, values: NDArray[np.float64 | np.int64]) -> float:
    best = thresholds[values >= values.max() - _EQUAL]
    return float(best[np.abs(best - UNTUNED).argmin()])


def _checked(scores: ArrayLike, truth: ArrayLike, dimensions: int) -> tuple[Floats, Bools]:
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
