"""Memory and latency over very many requests: nothing may grow, whatever the server has answered already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.cores import Cores
from bench.figures import Asked, Figure
from bench.started import started
from bench.subject import Subject
from bench.systems import System, tuneship, tuneship_in_bentoml
from bench.throughput import Plan, pairs_of

PARTS = 10
ASKED_MEMORY = Asked("≤", 250.0)
ASKED_GROWTH = Asked("≤", 5.0)
"""Megabytes between the first tenth's end and the last's: what an allocator's own unrest may come to."""

ASKED_SLOWER = Asked("≤", 1.25)
ASKED_ERRORS = Asked("≤", 0.0)


@dataclass
class Course:
    """How a server fared: MB at the start and after each tenth, the p99 of each tenth in seconds, what went wrong."""

    memory: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def measure_memory(subject: Subject, plan: Plan, requests: int, logs: Path, console: Console) -> list[Figure]:
    """So many requests to the int8 bundle by ``tuneship serve`` and by ``bentoml serve``, in ten parts."""
    cores, figures = Cores.choose(), list[Figure]()
    for make in (tuneship, tuneship_in_bentoml):
        system = make(subject.bundles["int8"], "int8")
        with console.status(f"memory over {requests:,} requests: {system.name}…"):
            figures += _figures(system.name, requests, _course(system, subject, plan, requests, cores, logs))
    return figures


def _course(system: System, subject: Subject, plan: Plan, requests: int, cores: Cores, logs: Path) -> Course:
    course = Course()
    with started(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        course.memory.append(server.child.memory() / 1e6)
        for _ in range(PARTS):
            found = server.load(plan.connections, requests=requests // PARTS)
            server.child.require_alive()
            course.memory.append(server.child.memory() / 1e6)
            course.p99.append(float(np.percentile(found.latencies, 99)))
            course.errors += found.errors
    return course


def _figures(name: str, requests: int, course: Course) -> list[Figure]:
    samples, wrong = tuple(course.memory), "; ".join(f"{count} × {error}" for error, count in course.errors.items())
    name = f"{name}, {requests:,} requests"
    return [
        Figure(f"{name}: memory at the start", samples[0], "MB"),
        Figure(f"{name}: memory at most", max(samples), "MB", ASKED_MEMORY, samples),
        Figure(f"{name}: grown since the first tenth", samples[-1] - samples[1], "MB", ASKED_GROWTH),
        Figure(f"{name}: p99, last tenth ÷ first", course.p99[-1] / course.p99[0], "×", ASKED_SLOWER),
        Figure(f"{name}: wrong or missing", float(course.errors.total()), "", ASKED_ERRORS, note=wrong),
    ]
