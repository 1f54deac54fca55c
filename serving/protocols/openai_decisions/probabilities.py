"""The numbers of ``/v1/decisions``: probabilities of the options, and how sure they are.

Confidence is as in transformers' decision pipeline: 0 where all options are as likely, 1 where one is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np


def choose(values: Sequence[str | bool], scores: Sequence[float], best: int) -> dict[str, Any]:
    """A ``choice``: of some of a model's labels, the probabilities among them."""
    shares = _shares(scores)
    chance = 1 / len(shares)
    return {
        "choice": values[best],
        "confidence": max(0.0, (shares[best] - chance) / (1 - chance)),
        "probabilities": [{"value": value, "probability": share} for value, share in zip(values, shares, strict=True)],
    }


def rate(levels: Sequence[str], scores: Sequence[float]) -> dict[str, Any]:
    """A ``score``: the mean level, counted from 0."""
    shares, places = _shares(scores), range(len(levels))
    best = max(places, key=shares.__getitem__)
    distance = sum(share * abs(place - best) for place, share in enumerate(shares))
    by_chance = sum(abs(place - (len(levels) - 1) / 2) for place in places) / len(levels)
    return {
        "score": sum(place * share for place, share in enumerate(shares)),
        "confidence": max(0.0, 1 - distance / by_chance),
        "probabilities": [
            {"value": place, "label": label, "probability": share}
            for place, (label, share) in enumerate(zip(levels, shares, strict=True))
        ],
    }


def place_on_levels(number: float, levels: Sequence[float], radius: float | None, coverage: float) -> list[float]:
    """How probable each of the rising levels is for a regression's number.

    With a ``radius``, which encloses the right number with the probability ``coverage``: the normal distribution that
    does so, cut midway between levels. Without one, the two levels around the number share, so that their mean is it.
    """
    if not radius:
        place = float(np.interp(number, levels, range(len(levels))))
        return [max(0.0, 1 - abs(place - each)) for each in range(len(levels))]
    right = NormalDist(number, radius / NormalDist().inv_cdf((1 + coverage) / 2))
    below = [0.0, *(right.cdf(low / 2 + high / 2) for low, high in pairwise(levels)), 1.0]
    return [high - low for low, high in pairwise(below)]


def _shares(scores: Sequence[float]) -> list[float]:
    total = sum(scores)
    return [score / total for score in scores] if total > 0 else [1 / len(scores)] * len(scores)
