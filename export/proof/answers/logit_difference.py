"""Differences between logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from serving.tasks.base import Logits

LARGE_LOGIT = 10.0
"""Rounding errors grow with the logits. If an item's largest logit exceeds this, as a vocabulary's do, its differences
are divided by largest logit / LARGE_LOGIT."""


def logit_difference(ours: Sequence[Logits], theirs: Sequence[Logits]) -> tuple[float, float]:
    """Largest and mean absolute difference of an item's logits; infinite if the shapes differ.

    Of generated tokens, only the common ones are compared.
    """
    if [each.shape[1:] for each in ours] != [each.shape[1:] for each in theirs]:
        return float("inf"), float("inf")
    lengths = [min(len(a), len(b)) for a, b in zip(ours, theirs, strict=True)]
    ours, theirs = ([each[:n] for each, n in zip(side, lengths, strict=True)] for side in (ours, theirs))
    unit = np.max([1.0, *(np.abs(each).max() / LARGE_LOGIT for each in theirs)])
    gaps = [np.abs(a - b, dtype=np.float64) / unit for a, b in zip(ours, theirs, strict=True)]
    return largest_of(gap.max() for gap in gaps), float(np.mean([gap.mean() for gap in gaps]))


def largest_of(values: Iterable[float]) -> float:
    """At least 0; NaN if one value is NaN."""
    return float(np.max([0.0, *values]))
