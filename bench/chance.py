"""Requests that arrive when chance says so, and how many of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

SHARE = 0.6
"""Of what can be answered, so much is asked."""
LAST = 3
"""Times a round's seconds: a percentile of the slowest needs more answers than a rate does."""


def moments(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """A Poisson process: moments in seconds, ``rate`` to a second on average, until ``seconds`` are over."""
    chance, moment = random.Random(seed), 0.0
    while (moment := moment + chance.expovariate(rate)) < seconds:
        yield moment
