"""When requests arrive that do not wait for one another."""

from __future__ import annotations

import random
from collections.abc import Iterator


def arrival_times(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Times of a Poisson process, in seconds, with ``rate`` arrivals per second on average."""
    generator, moment = random.Random(seed), 0.0
    while (moment := moment + generator.expovariate(rate)) < seconds:
        yield moment
