"""A server on its own core, and load on it from another core."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cores import Cores
from bench.openload import ArrivalResult, run_arrivals
from bench.systems import System
from deploy.measurement.load import LoadResult, Query, render, run_load
from deploy.measurement.process import Child, free_port, pinned, spawned, wait_ready

Pairs = Sequence[tuple[str, object]]
"""Texts and the best label of each."""


@dataclass(frozen=True)
class RunningServer:
    system: System
    child: Child
    port: int
    queries: Sequence[Query]
    cores: Cores
    ready_after: float

    def load(self, connections: int, **limits: float) -> LoadResult:
        with pinned(self.cores.load):
            return run_load(self.port, self.queries, self.system.best_label, connections=connections, **limits)

    def arrivals(self, rate: float, seconds: float, seed: int) -> ArrivalResult:
        with pinned(self.cores.load):
            return run_arrivals(self.port, self.queries, self.system.best_label, rate=rate, seconds=seconds, seed=seed)


@contextlib.contextmanager
def run_server(system: System, pairs: Pairs, cores: Cores, logs: Path) -> Iterator[RunningServer]:
    """Raises MeasurementError if the server fails."""
    with start_server(system, pairs, cores, logs) as server:
        yield server
        server.child.require_alive()


@contextlib.contextmanager
def start_server(system: System, pairs: Pairs, cores: Cores, logs: Path) -> Iterator[RunningServer]:
    """The same for a server that may end meanwhile."""
    port, log = free_port(), logs / (re.sub(r"\W+", "-", system.name) + ".log")
    queries = [Query(render(port, system.path, system.content(text)), label) for text, label in pairs]
    with spawned(
        system.name, system.command(port), log=log, environment=system.environment, cpus=cores.server
    ) as child:
        yield RunningServer(system, child, port, queries, cores, wait_ready(child, port, system.ready))
