"""What a replica needs, from a measurement."""

from __future__ import annotations

import math

from deploy.capacity.replicas import HeldLoad
from deploy.measurement.measurement import Measurement
from deploy.plan.deployment import Need
from serving.settings.limits import DEFAULT

MEMORY_MARGIN = 1.25
"""More than was measured: other inputs, the allocator's fragments, a new version's verification."""

MIB = 2**20

LEAST_REPLICAS, MOST_REPLICAS = 2, 10
"""Where no load is given: one may go."""


def need_of(measurement: Measurement) -> Need:
    """The measured peak with its margin, and the bodies of requests that the server takes at most at once."""
    memory = measurement.memory_bytes * MEMORY_MARGIN + DEFAULT.max_bodies_bytes
    return Need(measurement.cpus, math.ceil(memory / MIB))


def concurrency_of(held: HeldLoad) -> int:
    """Requests that a replica has at once at the rate that it holds, by Little's law, with the slowest one's wait."""
    return max(2, math.ceil(held.rate * held.p99))


def environments_of(rate: float, seconds: float) -> int:
    """Lambda's environments for a load: each has one request, and four standard deviations of a Poisson number more."""
    busy = rate * seconds
    return math.ceil(busy + 4 * math.sqrt(busy)) + 1
