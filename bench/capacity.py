"""`deploy.capacity` checked: the simulated server and a real one get the same texts at the same times.

The simulation knows what `deploy.measurement` has measured: the engine alone, and requests one after another. It knows
no latency under load and no throughput; these are what is compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.arrival_times import DURATION
from bench.cores import Cores
from bench.figures import Figure
from bench.openload import ArrivalResult
from bench.running_server import RunningServer, run_server
from bench.subject import Subject
from bench.systems import tuneship_system
from bench.throughput import LoadPlan, pairs_of
from deploy.capacity.arrivals import arrival_times
from deploy.capacity.replicas import held_load, replicas_of
from deploy.capacity.simulation import Outcome, ServerModel, simulate, simulate_connections
from deploy.measurement.measure import measure
from deploy.measurement.measurement import Measurement
from deploy.plan.costs import break_even, services
from deploy.plan.prices import Prices
from deploy.plan.sizing import need_of
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor

LOADS = 0.3, 0.5, 0.7, 0.85
"""Of the simulated saturation rate."""

TARGET = 10
"""The p99 that a replica has to hold, in medians of a lone request."""

LOAD = 1_000
"""Requests a second, for replicas."""

NAME = "capacity, tuneship serve, int8"


@dataclass(frozen=True)
class Compared:
    """One load: seconds, and answers a second."""

    name: str
    predicted: tuple[float, float, float]
    measured: tuple[float, float, float]
    errors: int

    @property
    def figures(self) -> list[Figure]:
        units = ("p50", 1000, "ms"), ("p99", 1000, "ms"), ("answers", 1, "per s")
        found = []
        for (what, scale, unit), predicted, measured in zip(units, self.predicted, self.measured, strict=True):
            error = 100 * (predicted / measured - 1)
            found += [
                Figure(f"{NAME}, {self.name}, {what}: predicted", scale * predicted, unit),
                Figure(f"{NAME}, {self.name}, {what}: measured", scale * measured, unit),
                Figure(f"{NAME}, {self.name}, {what}: predicted ÷ measured − 1", error, "%"),
            ]
        return [*found, Figure(f"{NAME}, {self.name}: refused, late or wrong", float(self.errors), "", correct=0.0)]


def measure_capacity(subject: Subject, plan: LoadPlan, logs: Path, console: Console) -> list[Figure]:
    bundle = Bundle.open(subject.bundles["int8"].absolute())
    with console.status("capacity: the engine alone, requests one after another…"):
        measurement = measure(bundle, 1, 2 * plan.seconds)
    compared = _compare(subject, bundle, measurement.server_model(), plan, logs, console)
    after = measure(bundle, 1, 2 * plan.seconds)
    return [
        *(figure for each in compared for figure in each.figures),
        _drift(measurement, after),
        *_sizing(measurement, _lengths(subject, bundle)),
    ]


def _drift(before: Measurement, after: Measurement) -> Figure:
    """Far from 1, the machine was busy, and the differences say nothing of the simulation."""
    value = after.lone_p50_seconds / before.lone_p50_seconds
    return Figure(f"{NAME}: lone median after the loads ÷ before", value, "×")


def _compare(
    subject: Subject, bundle: Bundle, model: ServerModel, plan: LoadPlan, logs: Path, console: Console
) -> list[Compared]:
    pairs, cores = pairs_of(subject, "int8", plan.seed), Cores.choose()
    lengths = _tokens(bundle, [text for text, _ in pairs])
    with run_server(tuneship_system(bundle.root, "int8"), pairs, cores, logs) as server:
        server.load(plan.connections, seconds=plan.warmup)
        with console.status(f"capacity: {plan.connections} connections…"):
            full = _compare_connections(server, model, lengths, plan)
        found = [full]
        for load in LOADS:
            with console.status(f"capacity: {load:.0%} load…"):
                found.append(_compare_load(server, model, lengths, load * full.predicted[2], f"{load:.0%} load", plan))
    return found


def _compare_connections(
    server: RunningServer, model: ServerModel, lengths: Sequence[Sequence[int]], plan: LoadPlan
) -> Compared:
    real = server.load(plan.connections, seconds=plan.seconds)
    simulated = simulate_connections(
        model, itertools.islice(itertools.cycle(lengths), len(real.latencies)), plan.connections
    )
    measured = (*_percentiles(real.latencies), real.rate)
    name = f"{plan.connections} connections"
    return Compared(name, (*_percentiles(simulated.latencies), simulated.rate), measured, real.errors.total())


def _compare_load(
    server: RunningServer,
    model: ServerModel,
    lengths: Sequence[Sequence[int]],
    rate: float,
    name: str,
    plan: LoadPlan,
) -> Compared:
    seconds = DURATION * plan.seconds
    real: ArrivalResult = server.arrivals(rate, seconds, plan.seed)
    simulated: Outcome = simulate(
        model, zip(arrival_times(rate, seconds, plan.seed), itertools.cycle(lengths), strict=False)
    )
    answered = len(simulated.latencies) / max(seconds, simulated.ended)
    measured = (*_percentiles(real.latencies), real.goodput)
    errors = real.refused + real.late + real.errors.total()
    return Compared(name, (*_percentiles(simulated.latencies), answered), measured, errors)


def _sizing(measurement: Measurement, lengths: Sequence[Sequence[int]]) -> list[Figure]:
    """What the figures are for: replicas of a load, and Lambda against containers."""
    target = TARGET * measurement.lone_p50_seconds
    held = held_load(measurement.server_model(), lengths, target)
    seconds = measurement.lone_p50_seconds - measurement.transport_seconds
    billed = {each.name: each for each in services(Prices.read(), need_of(measurement), seconds)}
    function, container = billed["AWS Lambda"], billed["AWS Fargate"]
    even = break_even(function, container, held.rate)
    cost = "cost of a million requests, USD"
    return [
        Figure(f"{NAME}: a replica holds, p99 ≤ {1000 * target:.3g} ms", held.rate, "per s"),
        Figure(f"{NAME}: replicas for {LOAD:,} requests/s, one of them spare", replicas_of(LOAD, held), ""),
        Figure(f"{NAME}: {cost}, AWS Lambda", function.cost(held.rate), ""),
        Figure(f"{NAME}: {cost}, AWS Fargate at the held rate", container.cost(held.rate), ""),
        Figure(f"{NAME}: AWS Lambda costs less below", even, "per s", note="never more" if even is None else ""),
    ]


def _lengths(subject: Subject, bundle: Bundle) -> list[list[int]]:
    return _tokens(bundle, subject.texts)


def _tokens(bundle: Bundle, texts: Sequence[str]) -> list[list[int]]:
    """Of each text's windows."""
    return [[len(window.ids) for window in each.windows] for each in Predictor(bundle).encode(texts)]


def _percentiles(latencies: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(latencies, [50, 99])
    return float(p50), float(p99)
