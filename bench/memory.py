"""Memory and latency over very many requests: neither may grow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.cores import Cores
from bench.figures import Figure
from bench.running_server import run_server
from bench.subject import Subject
from bench.systems import System, tuneship_in_bentoml_system, tuneship_system
from bench.throughput import LoadPlan, pairs_of

PARTS = 10


@dataclass
class MemorySamples:
    """``memory``: MB at the start and after each part; ``p99``: seconds, of each part."""

    memory: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def measure_memory(subject: Subject, plan: LoadPlan, requests: int, logs: Path, console: Console) -> list[Figure]:
    cores, figures = Cores.choose(), list[Figure]()
    for make in (tuneship_system, tuneship_in_bentoml_system):
        system = make(subject.bundles["int8"], "int8")
        with console.status(f"memory over {requests:,} requests: {system.name}…"):
            samples = _measure(system, subject, plan, requests, cores, logs)
        figures += _figures(f"{system.name}, {requests:,} requests", samples)
    return figures


def _measure(
    system: System, subject: Subject, plan: LoadPlan, requests: int, cores: Cores, logs: Path
) -> MemorySamples:
    samples = MemorySamples()
    with run_server(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        samples.memory.append(server.child.memory() / 1e6)
        for _ in range(PARTS):
            result = server.load(plan.connections, requests=requests // PARTS)
            server.child.require_alive()
            samples.memory.append(server.child.memory() / 1e6)
            samples.p99.append(float(np.percentile(result.latencies, 99)))
            samples.errors += result.errors
    return samples


def _figures(name: str, samples: MemorySamples) -> list[Figure]:
    memory = tuple(samples.memory)
    errors = "; ".join(f"{count} × {error}" for error, count in samples.errors.items())
    return [
        Figure(f"{name}: memory at the start", memory[0], "MB"),
        Figure(f"{name}: highest memory", max(memory), "MB", samples=memory),
        Figure(f"{name}: growth after the first tenth", memory[-1] - memory[1], "MB"),
        Figure(f"{name}: p99, last tenth ÷ first", samples.p99[-1] / samples.p99[0], "×"),
        Figure(f"{name}: wrong or missing", float(samples.errors.total()), "", correct=0.0, note=errors),
    ]
