"""Servers under load, one core each for the server and for the load, round by round so that noise hits all alike."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.errors import MeasurementError
from bench.figures import Asked, Figure, ServerFigures, median_of
from bench.load import Query, Round, render, run_load
from bench.noop_server import LABEL
from bench.process import free_port, pinned, spawned, wait_ready
from bench.subject import Subject
from bench.systems import System, noop, ours, peer

ASKED_RATIO = Asked("≥", 3.0)
ASKED_ERRORS = Asked("≤", 0.0)


@dataclass(frozen=True)
class Plan:
    """How load is made; ``seconds`` and ``warmup`` are those of one round of one server."""

    connections: int = 32
    rounds: int = 3
    seconds: float = 6.0
    warmup: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class Cores:
    """The CPU of the server and the CPU of the load."""

    server: set[int]
    load: set[int]

    @classmethod
    def choose(cls) -> Cores:
        """The first two CPUs this process may use; raises MeasurementError if there is only one."""
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise MeasurementError("serving needs two CPUs, one for the server and one for the load; here is one")
        return cls({cpus[0]}, {cpus[1]})


def measure_serving(
    subject: Subject, plan: Plan, logs: Path, console: Console
) -> tuple[list[Figure], list[ServerFigures]]:
    """Answers a second of our servers and of the peer, and how many times faster ours are.

    Each round starts every server afresh, warms it up, and puts load on it. The ratio is taken within each round.
    """
    cores = Cores.choose()
    systems = [*ours(subject), peer(subject), noop()]
    texts = subject.texts
    expected = {variant: subject.answers(variant) for variant in subject.bundles} | {LABEL: [LABEL] * len(texts)}
    results = {system.name: ServerFigures(system.name) for system in systems}
    for number in range(1, plan.rounds + 1):
        for system in systems:
            with console.status(f"round {number} of {plan.rounds}: {system.name}…"):
                asked = shuffled(texts, expected[system.variant], plan.seed)
                _measure(system, asked, plan, cores, logs, results[system.name])
    servers = list(results.values())
    return compare(servers, plan), servers


def shuffled(texts: Sequence[str], labels: Sequence[str], seed: int) -> list[tuple[str, str]]:
    """Texts with their expected labels, in an order that depends on the seed alone."""
    pairs = list(zip(texts, labels, strict=True))
    random.Random(seed).shuffle(pairs)
    return pairs


def _measure(
    system: System,
    pairs: Sequence[tuple[str, str]],
    plan: Plan,
    cores: Cores,
    logs: Path,
    result: ServerFigures,
) -> None:
    """One round of one server, added to ``result``."""
    port = free_port()
    queries = [Query(render(port, system.path, system.content(text)), label) for text, label in pairs]
    log = logs / (re.sub(r"\W+", "-", system.name) + ".log")
    with spawned(
        system.name, system.command(port), log=log, environment=system.environment, cpus=cores.server
    ) as child:
        result.ready_after.append(wait_ready(child, port))
        with pinned(cores.load):
            load = partial(run_load, port, queries, system.best_label, connections=plan.connections)
            warmup, found = load(seconds=plan.warmup), load(seconds=plan.seconds)
        child.require_alive()
        result.memory.append(child.memory())
        if not found.latencies:
            raise MeasurementError(child.explain(f"answered nothing ({dict(found.errors)})"))
    _add(result, found, warmup.errors + found.errors)


def _add(result: ServerFigures, found: Round, errors: Counter[str]) -> None:
    result.rate.append(found.rate)
    for percent, samples in ((50, result.p50), (99, result.p99)):
        samples.append(float(np.percentile(found.latencies, percent)))
    for error, count in errors.items():
        result.errors[error] = result.errors.get(error, 0) + count


def compare(servers: Sequence[ServerFigures], plan: Plan) -> list[Figure]:
    """Figures of our servers beside the last but one, the peer; the last is the no-op server.

    A ratio is taken within each round, where both met the same noise.
    """
    *own, theirs, _ = servers
    note = f"{plan.connections} connections, one core, one text a request, {plan.rounds} rounds of {plan.seconds:g} s"
    return [*(_ratio(server, theirs, note) for server in own), _errors(own)]


def _ratio(server: ServerFigures, theirs: ServerFigures, note: str) -> Figure:
    ratios = [mine / other for mine, other in zip(server.rate, theirs.rate, strict=True)]
    return median_of(f"{server.name}, against {theirs.name}", ratios, "×", ASKED_RATIO, note)


def _errors(servers: Sequence[ServerFigures]) -> Figure:
    total = sum(sum(server.errors.values()) for server in servers)
    note = "; ".join(f"{server.name}: {server.errors}" for server in servers if server.errors)
    return Figure("our answers wrong or missing", float(total), "", ASKED_ERRORS, note=note)
