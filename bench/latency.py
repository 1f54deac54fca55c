"""What a request waits for: the 99th percentile at 60 % load, beside the median of a request that is alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.ceiling import Ceiling
from bench.chance import LAST, SHARE
from bench.cores import Cores
from bench.figures import Asked, Figure, median_of
from bench.raw_waits import Waits
from bench.started import started
from bench.subject import Subject
from bench.systems import System, tuneship, tuneship_in_bentoml
from bench.throughput import Plan, pairs_of, shuffled

RARE = 0.03
"""Of the load at which a request is alone: what a lone caller waits for, rather than one that keeps the caches warm."""

ASKED_WAIT = Asked("≤", 6.0)
ASKED_ERRORS = Asked("≤", 0.0)


@dataclass(frozen=True)
class Served(Waits):
    """What a round of a server found, in seconds; and how many requests went wrong.

    Attributes:
        rare: the median of requests that find the server idle, nearly all of them.
    """

    rare: float
    errors: int


def measure_latency(subject: Subject, plan: Plan, logs: Path, console: Console) -> list[Figure]:
    """Requests arrive by chance, at 60 % of what the server answered in the same round; and so for the bare runtime."""
    systems = [make(subject.bundles["int8"], "int8") for make in (tuneship, tuneship_in_bentoml)]
    bare = Ceiling("int8", subject.bundles["int8"], plan.connections)
    cores, served, raw = Cores.choose(), {system.name: list[Served]() for system in systems}, list[Waits]()
    for number in range(1, plan.rounds + 1):
        for system in systems:
            with console.status(f"latency, round {number} of {plan.rounds}: {system.name}…"):
                served[system.name].append(_round(system, subject, plan, cores, logs))
        with console.status(f"latency, round {number} of {plan.rounds}: {bare.name}…"):
            texts = [text for text, _ in shuffled(subject.texts, subject.texts, plan.seed)]
            raw.append(bare.waits(texts, plan.seconds, plan.seed, cores.server, logs))
    of_servers = [figure for name, rounds in served.items() for figure in _of_server(name, rounds)]
    return [*of_servers, *_figures(bare.name, raw)]


def _round(system: System, subject: Subject, plan: Plan, cores: Cores, logs: Path) -> Served:
    with started(system, pairs_of(subject, system.variant, plan.seed), cores, logs) as server:
        server.load(plan.connections, seconds=plan.warmup)
        alone = server.load(1, seconds=plan.seconds)
        full = server.load(plan.connections, seconds=plan.seconds)
        rates = RARE * full.rate, SHARE * full.rate, SHARE * alone.rate
        rare, busy, calm = (server.arrivals(rate, LAST * plan.seconds, plan.seed) for rate in rates)
    errors = sum(sum(each.errors.values()) for each in (alone, full, rare, busy, calm))
    return Served(
        alone=float(np.median(alone.latencies)),
        rare=float(np.median(rare.latencies)),
        busy=float(np.percentile(busy.latencies, 99)),
        calm=float(np.percentile(calm.latencies, 99)),
        errors=errors + sum(each.refused + each.late for each in (rare, busy, calm)),
    )


def _of_server(name: str, rounds: Sequence[Served]) -> list[Figure]:
    return [
        *_figures(name, rounds, ASKED_WAIT),
        median_of(f"{name}: median alone, at 3 % load", [1000 * each.rare for each in rounds], "ms"),
        median_of(f"{name}: p99 at 60 % ÷ median at 3 %", [each.busy / each.rare for each in rounds], "×"),
        Figure(f"{name}: errors, late requests", float(sum(each.errors for each in rounds)), "", ASKED_ERRORS),
    ]


def _figures(name: str, rounds: Sequence[Waits], asked: Asked | None = None) -> list[Figure]:
    calm = f"{name}: p99 at 60 % of what one connection gets"
    return [
        median_of(f"{name}: median alone, one behind the other", [1000 * each.alone for each in rounds], "ms"),
        median_of(f"{name}: p99 at 60 % load", [1000 * each.busy for each in rounds], "ms"),
        median_of(f"{name}: p99 at 60 % ÷ median alone", [each.busy / each.alone for each in rounds], "×", asked),
        median_of(calm, [1000 * each.calm for each in rounds], "ms"),
        median_of(f"{calm} ÷ median alone", [each.calm / each.alone for each in rounds], "×"),
    ]
