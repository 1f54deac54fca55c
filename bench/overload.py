"""Three times as many requests as a server can answer: it must go on answering, and refuse the others cleanly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.cores import Cores
from bench.figures import Asked, Figure, median_of
from bench.openload import Arrivals
from bench.started import Started, started
from bench.subject import Subject
from bench.systems import System, noop, tuneship
from bench.throughput import Plan, pairs_of

TIMES = 3
ASKED_GOODPUT = Asked("≥", 90.0)
ASKED_NONE = Asked("≤", 0.0)


def measure_overload(subject: Subject, plan: Plan, seconds: float, logs: Path, console: Console) -> list[Figure]:
    """Goodput in percent of the capacity that 32 connections found just before and just after, for a machine's own pace
    drifts within minutes; and what was neither answered nor 429.

    The no-op server then gets as many requests: a generator that is late there would be the bottleneck here.
    """
    cores = Cores.choose()
    with console.status(f"overload: {TIMES} times the capacity for {seconds:g} s…"):
        capacities, found = _overload(tuneship(subject.bundles["int8"], "int8"), subject, plan, seconds, cores, logs)
        check = _noop(subject, plan, TIMES * capacities[0], cores, logs)
    return _figures(capacities, found, check)


def _overload(
    system: System, subject: Subject, plan: Plan, seconds: float, cores: Cores, logs: Path
) -> tuple[list[float], Arrivals]:
    with started(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        before = _capacity(server, plan)
        found = server.arrivals(TIMES * before, seconds, plan.seed)
        return [before, _capacity(server, plan)], found


def _capacity(server: Started, plan: Plan) -> float:
    server.load(plan.connections, seconds=plan.warmup)
    return server.load(plan.connections, seconds=2 * plan.seconds).rate


def _noop(subject: Subject, plan: Plan, rate: float, cores: Cores, logs: Path) -> Arrivals:
    system = noop()
    with started(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        return server.arrivals(rate, plan.seconds, plan.seed)


def _figures(capacities: Sequence[float], found: Arrivals, check: Arrivals) -> list[Figure]:
    name, offered = "overload, tuneship serve, int8", found.sent / found.seconds
    wrong = "; ".join(f"{count:,} × {error}" for error, count in found.errors.items())
    return [
        median_of(f"{name}: capacity, {found.seconds:g} s of load", capacities, "per s", note="before, after"),
        Figure(f"{name}: offered", offered, "per s"),
        median_of(
            f"{name}: goodput ÷ capacity",
            [100 * found.goodput / capacity for capacity in capacities],
            "%",
            ASKED_GOODPUT,
        ),
        Figure(f"{name}: clean 429s", 100 * found.refused / found.sent, "% of all"),
        Figure(f"{name}: neither answer nor clean 429", float(found.errors.total()), "", ASKED_NONE, note=wrong),
        Figure(f"{name}: sent late", 100 * found.late / found.sent, "% of all"),
        Figure("the same to the no-op server: sent late", 100 * check.late / check.sent, "% of all"),
    ]
