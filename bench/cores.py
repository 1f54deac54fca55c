"""The CPU of the server and the CPU of the load."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench.errors import MeasurementError


@dataclass(frozen=True)
class Cores:
    """The CPU of the server and the CPU of the load."""

    server: set[int]
    load: set[int]

    @classmethod
    def choose(cls) -> Cores:
        """The first two CPUs this process may use; raises MeasurementError if there is only one."""
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise MeasurementError("serving needs two CPUs, one for the server and one for the load; here is one")
        return cls({cpus[0]}, {cpus[1]})
