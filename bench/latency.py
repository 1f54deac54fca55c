"""The 99th percentile of waits at 60 % load, and the median of a request that is alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.arrival_times import DURATION, LOAD
from bench.bare_runtime_process import BareRuntimeProcess
from bench.bare_runtime_waits import Waits
from bench.cores import Cores
from bench.figures import Figure, median_of
from bench.running_server import run_server
from bench.subject import Subject
from bench.systems import System, tuneship_in_bentoml_system, tuneship_system
from bench.throughput import LoadPlan, pairs_of, shuffled

RARE = 0.03
"""The load at which nearly every request finds the server idle, and its CPU caches cold."""


@dataclass(frozen=True)
class ServerWaits(Waits):
    """``rare``: the median at `RARE` load, in seconds."""

    rare: float
    errors: int


def measure_latency(subject: Subject, plan: LoadPlan, logs: Path, console: Console) -> list[Figure]:
    """The load is relative to the same round's rate."""
    systems = [make(subject.bundles["int8"], "int8") for make in (tuneship_system, tuneship_in_bentoml_system)]
    bare = BareRuntimeProcess("int8", subject.bundles["int8"], plan.connections)
    cores, waits, bare_waits = Cores.choose(), {system.name: list[ServerWaits]() for system in systems}, list[Waits]()
    for number in range(1, plan.rounds + 1):
        for system in systems:
            with console.status(f"latency, round {number} of {plan.rounds}: {system.name}…"):
                waits[system.name].append(_measure_round(system, subject, plan, cores, logs))
        with console.status(f"latency, round {number} of {plan.rounds}: {bare.name}…"):
            texts = [text for text, _ in shuffled(subject.texts, subject.texts, plan.seed)]
            bare_waits.append(bare.measure_waits(texts, plan.seconds, plan.seed, cores.server, logs))
    server_figures = [figure for name, rounds in waits.items() for figure in _server_figures(name, rounds)]
    return [*server_figures, *_figures(bare.name, bare_waits)]


def _measure_round(system: System, subject: Subject, plan: LoadPlan, cores: Cores, logs: Path) -> ServerWaits:
    with run_server(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        server.load(plan.connections, seconds=plan.warmup)
        alone = server.load(1, seconds=plan.seconds)
        full = server.load(plan.connections, seconds=plan.seconds)
        rates = RARE * full.rate, LOAD * full.rate, LOAD * alone.rate
        rare, busy, calm = (server.arrivals(rate, DURATION * plan.seconds, plan.seed) for rate in rates)
    errors = sum(sum(each.errors.values()) for each in (alone, full, rare, busy, calm))
    return ServerWaits(
        alone=float(np.median(alone.latencies)),
        rare=float(np.median(rare.latencies)),
        busy=float(np.percentile(busy.latencies, 99)),
        calm=float(np.percentile(calm.latencies, 99)),
        errors=errors + sum(each.refused + each.late for each in (rare, busy, calm)),
    )


def _server_figures(name: str, rounds: Sequence[ServerWaits]) -> list[Figure]:
    return [
        *_figures(name, rounds),
        median_of(f"{name}: median alone, at 3 % load", [1000 * each.rare for each in rounds], "ms"),
        median_of(f"{name}: p99 at 60 % ÷ median at 3 %", [each.busy / each.rare for each in rounds], "×"),
        Figure(f"{name}: errors, late requests", float(sum(each.errors for each in rounds)), "", correct=0.0),
    ]


def _figures(name: str, rounds: Sequence[Waits]) -> list[Figure]:
    calm = f"{name}: p99 at 60 % of one connection's rate"
    return [
        median_of(f"{name}: median alone, one after another", [1000 * each.alone for each in rounds], "ms"),
        median_of(f"{name}: p99 at 60 % load", [1000 * each.busy for each in rounds], "ms"),
        median_of(f"{name}: p99 at 60 % ÷ median alone", [each.busy / each.alone for each in rounds], "×"),
        median_of(calm, [1000 * each.calm for each in rounds], "ms"),
        median_of(f"{calm} ÷ median alone", [each.calm / each.alone for each in rounds], "×"),
    ]
