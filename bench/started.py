"""A server on its own core, with the requests that ask it for each text, and load from the other core."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cores import Cores
from bench.load import Query, Round, render, run_load
from bench.openload import Arrivals, run_arrivals
from bench.process import Child, free_port, pinned, spawned, wait_ready
from bench.systems import System


@dataclass(frozen=True)
class Started:
    """A server that is ready; ``ready_after`` is in seconds."""

    system: System
    child: Child
    port: int
    queries: Sequence[Query]
    cores: Cores
    ready_after: float

    def load(self, connections: int, **until: float) -> Round:
        """As `run_load`, ``until`` so many ``seconds`` or ``requests``."""
        with pinned(self.cores.load):
            return run_load(self.port, self.queries, self.system.best_label, connections=connections, **until)

    def arrivals(self, rate: float, seconds: float, seed: int) -> Arrivals:
        """As `run_arrivals`."""
        with pinned(self.cores.load):
            return run_arrivals(self.port, self.queries, self.system.best_label, rate=rate, seconds=seconds, seed=seed)


@contextlib.contextmanager
def started(system: System, pairs: Sequence[tuple[str, str]], cores: Cores, logs: Path) -> Iterator[Started]:
    """Start a server, and stop it again.

    Args:
        pairs: each text, and the best label of its answer.
        logs: the folder for what it prints.

    Raises:
        MeasurementError: it does not start, or has ended before it was to.
    """
    port, log = free_port(), logs / (re.sub(r"\W+", "-", system.name) + ".log")
    queries = [Query(render(port, system.path, system.content(text)), label) for text, label in pairs]
    with spawned(
        system.name, system.command(port), log=log, environment=system.environment, cpus=cores.server
    ) as child:
        yield Started(system, child, port, queries, cores, wait_ready(child, port, system.ready))
        child.require_alive()
