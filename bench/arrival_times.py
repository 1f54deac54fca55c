"""When requests arrive under open-loop load."""

from __future__ import annotations

import random
from collections.abc import Iterator

LOAD = 0.6
"""The load: a share of the highest rate that can be answered."""
DURATION = 3
"""The duration, in rounds: a high percentile needs more answers than a rate."""


def arrival_times(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Times of a Poisson process, in seconds, with ``rate`` arrivals per second on average."""
    generator, moment = random.Random(seed), 0.0
    while (moment := moment + generator.expovariate(rate)) < seconds:
        yield moment
