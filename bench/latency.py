"""What a request waits for: the 99th percentile at 60 % load, beside the median of a request that is alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.cores import Cores
from bench.figures import Asked, Figure, median_of
from bench.load import run_load
from bench.openload import run_arrivals
from bench.process import free_port, pinned, spawned, wait_ready
from bench.subject import Subject
from bench.systems import System, tuneship, tuneship_in_bentoml
from bench.throughput import Plan, log_name, pairs_of, rendered

SHARE = 0.6
ARRIVALS_LAST = 3
"""Times a round's seconds: a percentile of the slowest needs more answers than a rate does."""

ASKED_WAIT = Asked("≤", 6.0)
ASKED_ERRORS = Asked("≤", 0.0)


@dataclass(frozen=True)
class Waits:
    """One round: seconds of the median alone and of the busy 99th percentile, most answers a second, errors."""

    alone: float
    busy: float
    capacity: float
    errors: int


def measure_latency(subject: Subject, plan: Plan, logs: Path, console: Console) -> list[Figure]:
    """Requests arrive by chance, at 60 % of what 32 connections get out of the server in the same round."""
    systems = [make(subject.bundles["int8"], "int8") for make in (tuneship, tuneship_in_bentoml)]
    cores, found = Cores.choose(), {system.name: list[Waits]() for system in systems}
    for number in range(1, plan.rounds + 1):
        for system in systems:
            with console.status(f"latency, round {number} of {plan.rounds}: {system.name}…"):
                found[system.name].append(_round(system, subject, plan, cores, logs))
    return [figure for name, waits in found.items() for figure in _figures(name, waits)]


def _round(system: System, subject: Subject, plan: Plan, cores: Cores, logs: Path) -> Waits:
    port = free_port()
    queries = rendered(system, port, pairs_of(subject, system.variant, plan.seed))
    log = logs / log_name(system)
    with spawned(
        system.name, system.command(port), log=log, environment=system.environment, cpus=cores.server
    ) as child:
        wait_ready(child, port, system.ready)
        load = partial(run_load, port, queries, system.best_label)
        with pinned(cores.load):
            load(connections=plan.connections, seconds=plan.warmup)
            alone = load(connections=1, seconds=plan.seconds)
            full = load(connections=plan.connections, seconds=plan.seconds)
            busy = run_arrivals(
                port, queries, system.best_label, rate=SHARE * full.rate, seconds=ARRIVALS_LAST * plan.seconds,
                seed=plan.seed,
            )  # fmt: skip
        child.require_alive()
    errors = sum((alone.errors + full.errors + busy.errors).values()) + busy.refused + busy.late
    return Waits(float(np.median(alone.latencies)), float(np.percentile(busy.latencies, 99)), full.rate, errors)


def _figures(name: str, waits: list[Waits]) -> list[Figure]:
    return [
        median_of(f"{name}: median alone", [1000 * each.alone for each in waits], "ms"),
        median_of(f"{name}: p99 at 60 % load", [1000 * each.busy for each in waits], "ms"),
        median_of(f"{name}: p99 at 60 % ÷ median alone", [each.busy / each.alone for each in waits], "×", ASKED_WAIT),
        Figure(f"{name}: errors, late requests", float(sum(each.errors for each in waits)), "", ASKED_ERRORS),
    ]
