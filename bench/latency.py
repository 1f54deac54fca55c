"""What a request waits for: the 99th percentile at 60 % load, beside the median of a request that is alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.cores import Cores
from bench.figures import Asked, Figure, median_of
from bench.started import started
from bench.subject import Subject
from bench.systems import System, tuneship, tuneship_in_bentoml
from bench.throughput import Plan, pairs_of

SHARE = 0.6
RARE = 0.03
"""Of the load at which a request is alone: what a lone caller waits for, rather than one that keeps the caches warm."""
ARRIVALS_LAST = 3
"""Times a round's seconds: a percentile of the slowest needs more answers than a rate does."""

ASKED_WAIT = Asked("≤", 6.0)
ASKED_ERRORS = Asked("≤", 0.0)


@dataclass(frozen=True)
class Waits:
    """One round, in seconds, and how many went wrong.

    Attributes:
        alone: the median of one connection that asks again at once.
        rare: the median of requests that find the server idle, nearly all of them.
        busy: the 99th percentile at 60 % load.
    """

    alone: float
    rare: float
    busy: float
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
    with started(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        server.load(plan.connections, seconds=plan.warmup)
        alone = server.load(1, seconds=plan.seconds)
        full = server.load(plan.connections, seconds=plan.seconds)
        rare, busy = (
            server.arrivals(share * full.rate, ARRIVALS_LAST * plan.seconds, plan.seed) for share in (RARE, SHARE)
        )
    errors = sum((alone.errors + full.errors + rare.errors + busy.errors).values())
    lost = sum(each.refused + each.late for each in (rare, busy))
    return Waits(
        float(np.median(alone.latencies)), float(np.median(rare.latencies)), float(np.percentile(busy.latencies, 99)),
        errors + lost,
    )  # fmt: skip


def _figures(name: str, waits: list[Waits]) -> list[Figure]:
    return [
        median_of(f"{name}: median alone, one behind the other", [1000 * each.alone for each in waits], "ms"),
        median_of(f"{name}: median alone, at 3 % load", [1000 * each.rare for each in waits], "ms"),
        median_of(f"{name}: p99 at 60 % load", [1000 * each.busy for each in waits], "ms"),
        median_of(
            f"{name}: p99 at 60 % ÷ median one behind the other",
            [each.busy / each.alone for each in waits],
            "×",
            ASKED_WAIT,
        ),
        median_of(f"{name}: p99 at 60 % ÷ median at 3 %", [each.busy / each.rare for each in waits], "×"),
        Figure(f"{name}: errors, late requests", float(sum(each.errors for each in waits)), "", ASKED_ERRORS),
    ]
