"""The CPUs of a measurement."""

from __future__ import annotations

import os
from dataclasses import dataclass

from deploy.measurement.process import MeasurementError


@dataclass(frozen=True)
class Cores:
    """The CPUs of the server and of the load."""

    server: set[int]
    load: set[int]

    @classmethod
    def choose(cls) -> Cores:
        """Two CPUs; raises MeasurementError if there is one only."""
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise MeasurementError("serving needs two CPUs, one for the server and one for the load; here is one")
        return cls({cpus[0]}, {cpus[1]})
