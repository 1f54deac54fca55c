"""What a replica holds, and how many replicas a load needs."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from deploy.capacity.arrivals import arrival_times
from deploy.capacity.simulation import Outcome, ServerModel, Windows, simulate, simulate_connections
from serving.errors import InputError

CONNECTIONS = 64
"""That keep a server busy all the time."""

REQUESTS = 6_000
"""Of a simulated load: a hundredth of them, which decides the 99th percentile, are 60."""

STEPS = 10
"""Of the search for the highest rate: 1/1,000 of the saturation rate."""

LEAST_LOAD = 0.001
"""Of the saturation rate, at which requests are alone."""

USUAL_LOAD = 0.6
"""Of the saturation rate, where no p99 is asked for."""

SEED = 0


@dataclass(frozen=True)
class HeldLoad:
    """Requests a second that one replica answers, its waits in seconds, and the rate at which it is saturated."""

    rate: float
    p50: float
    p99: float
    saturation: float


def saturation_rate(model: ServerModel, requests: Sequence[Windows]) -> float:
    """Answers a second of a replica that is never idle."""
    return simulate_connections(model, itertools.islice(_shuffled(requests), REQUESTS), CONNECTIONS).rate


def held_load(model: ServerModel, requests: Sequence[Windows], p99: float | None = None) -> HeldLoad:
    """The highest rate whose 99th percentile is ``p99`` seconds at most; without it, at the usual load.

    Raises InputError if even a lone request takes longer.
    """
    most = saturation_rate(model, requests)
    if p99 is None:
        return _at_rate(model, requests, USUAL_LOAD * most, most)
    best = _at_rate(model, requests, LEAST_LOAD * most, most)
    if best.p99 > p99:
        raise InputError(
            f"--p99-ms {1000 * p99:g} cannot be held: alone, {1000 * best.p99:.3g} ms are the 99th percentile here. "
            "Ask for more, give the server more --cpus, or export a faster variant.",
            field="p99_ms",
        )
    low, high = LEAST_LOAD, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        found = _at_rate(model, requests, middle * most, most)
        if found.p99 <= p99:
            low, best = middle, found
        else:
            high = middle
    return best


def replicas_of(rate: float, held: HeldLoad) -> int:
    """N + 1: the load is held while one replica is gone."""
    return max(1, math.ceil(rate / held.rate)) + 1


def simulate_rate(model: ServerModel, requests: Sequence[Windows], rate: float) -> Outcome:
    """A Poisson load of REQUESTS requests on average."""
    return simulate(model, zip(arrival_times(rate, REQUESTS / rate, SEED), _shuffled(requests), strict=False))


def _at_rate(model: ServerModel, requests: Sequence[Windows], rate: float, most: float) -> HeldLoad:
    outcome = simulate_rate(model, requests, rate)
    waits = [*outcome.latencies, *[math.inf] * outcome.refused]
    p50, p99 = np.percentile(waits, [50, 99], method="higher")
    return HeldLoad(rate, float(p50), float(p99), most)


def _shuffled(requests: Sequence[Windows]) -> Iterator[Windows]:
    """Drawn at random without end."""
    generator = random.Random(SEED)
    while True:
        yield generator.choice(requests)
