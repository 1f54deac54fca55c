"""Three times as many requests as a server can answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.cores import Cores
from bench.figures import Figure, median_of
from bench.openload import ArrivalResult
from bench.running_server import RunningServer, run_server
from bench.subject import Subject
from bench.systems import System, noop_system, tuneship_system
from bench.throughput import LoadPlan, pairs_of

FACTOR = 3


def measure_overload(subject: Subject, plan: LoadPlan, seconds: float, logs: Path, console: Console) -> list[Figure]:
    """The no-op server gets the same load: if requests are late there, the generator is too slow."""
    cores = Cores.choose()
    with console.status(f"overload: {FACTOR} times the capacity for {seconds:g} s…"):
        system = tuneship_system(subject.bundles["int8"], "int8")
        capacities, result = _overload(system, subject, plan, seconds, cores, logs)
        noop = noop_system()
        with run_server(noop, pairs_of(subject, noop.variant, plan.seed), cores, logs) as server:
            noop_result = server.arrivals(FACTOR * capacities[0], plan.seconds, plan.seed)
    return _figures(capacities, result, noop_result)


def _overload(
    system: System, subject: Subject, plan: LoadPlan, seconds: float, cores: Cores, logs: Path
) -> tuple[list[float], ArrivalResult]:
    with run_server(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        before = _measure_capacity(server, plan)
        result = server.arrivals(FACTOR * before, seconds, plan.seed)
        return [before, _measure_capacity(server, plan)], result


def _measure_capacity(server: RunningServer, plan: LoadPlan) -> float:
    server.load(plan.connections, seconds=plan.warmup)
    return server.load(plan.connections, seconds=2 * plan.seconds).rate


def _figures(capacities: Sequence[float], result: ArrivalResult, noop: ArrivalResult) -> list[Figure]:
    name = "overload, tuneship serve, int8"
    shares = [100 * result.goodput / capacity for capacity in capacities]
    errors = "; ".join(f"{count:,} × {error}" for error, count in result.errors.items())
    other = Figure(f"{name}: neither answer nor 429", float(result.errors.total()), "", correct=0.0, note=errors)
    return [
        median_of(f"{name}: capacity, {result.seconds:g} s of load", capacities, "per s", note="before, after"),
        Figure(f"{name}: offered", result.sent / result.seconds, "per s"),
        median_of(f"{name}: goodput ÷ capacity", shares, "%"),
        Figure(f"{name}: 429 with Retry-After", 100 * result.refused / result.sent, "% of all"),
        other,
        Figure(f"{name}: sent late", 100 * result.late / result.sent, "% of all"),
        Figure("the same to the no-op server: sent late", 100 * noop.late / noop.sent, "% of all"),
    ]
