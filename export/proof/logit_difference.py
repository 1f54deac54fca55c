"""How far two sides' logits are apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from serving.tasks.base import Logits

LARGE_LOGIT = 10.0
"""Rounding grows with what is rounded: where an input's logits pass this, as a vocabulary's do, differences are
measured in units of the largest logit over this."""


def difference(ours: Sequence[Logits], theirs: Sequence[Logits]) -> tuple[float, float]:
    """The largest and the mean absolute difference of an item's logits; infinite where they do not even fit.

    Where one side generated more tokens than the other, those that both have are compared.
    """
    if [each.shape[1:] for each in ours] != [each.shape[1:] for each in theirs]:
        return float("inf"), float("inf")
    both = [min(len(a), len(b)) for a, b in zip(ours, theirs, strict=True)]
    ours, theirs = ([each[:n] for each, n in zip(side, both, strict=True)] for side in (ours, theirs))
    unit = np.max([1.0, *(np.abs(each).max() / LARGE_LOGIT for each in theirs)])
    gaps = [np.abs(a - b, dtype=np.float64) / unit for a, b in zip(ours, theirs, strict=True)]
    return largest_of(gap.max() for gap in gaps), float(np.mean([gap.mean() for gap in gaps]))


def largest_of(values: Iterable[float]) -> float:
    """The largest value, 0 of none, and no number where one of them is none: Python's own max would pass over it."""
    return float(np.max([0.0, *values]))
