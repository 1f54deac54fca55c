"""Servers under load, one core each for the server and for the load, round by round so that noise hits all alike."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.ceiling import IN_HAND, Ceiling
from bench.comparison import compare
from bench.cores import Cores
from bench.errors import MeasurementError
from bench.figures import Figure, ServerFigures, skipped
from bench.load import Round
from bench.noop_server import LABEL
from bench.peers.registry import peers
from bench.started import started
from bench.subject import Subject
from bench.systems import Kind, System, noop, ours


@dataclass(frozen=True)
class Plan:
    """How load is made; ``seconds``, ``requests`` (whichever ends it) and ``warmup`` are those of a server's round."""

    connections: int = 32
    rounds: int = 3
    seconds: float = 6.0
    warmup: float = 2.0
    seed: int = 0
    requests: float = math.inf


@dataclass
class Field:
    """All that takes part, what was found of it, and why what could not be measured was not."""

    systems: list[System]
    ceilings: list[Ceiling]
    found: dict[str, ServerFigures] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> ServerFigures:
        """The row of that name."""
        return self.found.setdefault(name, ServerFigures(name))

    def drop(self, system: System, reason: str) -> None:
        """Go on without a peer."""
        self.absent[system.name] = reason
        self.found.pop(system.name, None)


def measure_serving(
    subject: Subject, plan: Plan, logs: Path, console: Console
) -> tuple[list[Figure], list[ServerFigures]]:
    """Answers a second of our servers, of the peers and of the bare runtime, and how they compare.

    Each round starts every server afresh, warms it up, and puts load on it. Ratios are taken within each round. A peer
    that is not installed, or does not start or answer, is left out and named.
    """
    cores, taking_part = Cores.choose(), _field(subject, plan)
    pairs = {variant: pairs_of(subject, variant, plan.seed) for variant in (*subject.bundles, LABEL)}
    for number in range(1, plan.rounds + 1):
        with console.status(f"round {number} of {plan.rounds}") as status:
            for ceiling in taking_part.ceilings:
                status.update(f"round {number} of {plan.rounds}: {ceiling.name}…")
                texts = [text for text, _ in pairs[ceiling.variant]]
                taking_part.of(ceiling.name).rate.append(ceiling.measure(texts, plan.seconds, cores.server, logs))
            for system in taking_part.systems:
                status.update(f"round {number} of {plan.rounds}: {system.name}…")
                _take_part(system, pairs[system.variant], plan, cores, logs, taking_part)
    figures = compare(taking_part.systems, taking_part.ceilings, taking_part.found, plan.connections)
    missing = [skipped(name, "", None, reason) for name, reason in taking_part.absent.items()]
    return [*figures, *missing], list(taking_part.found.values())


def _field(subject: Subject, plan: Plan) -> Field:
    """Of the bare runtime, int8 is run with as much in hand as the server has, and as a bulk job too."""
    ways = (("int8", plan.connections), ("int8", IN_HAND), ("fp32", plan.connections))
    ceilings = [Ceiling(variant, subject.bundles[variant], in_hand) for variant, in_hand in ways]
    systems = [*ours(subject), *peers(subject), noop()]
    absent = {system.name: system.missing for system in systems if system.missing}
    return Field([system for system in systems if not system.missing], ceilings, absent=absent)


def pairs_of(subject: Subject, variant: str, seed: int) -> list[tuple[str, str]]:
    """The test texts and the best label that a variant gives each, or the no-op server's, shuffled."""
    labels = [LABEL] * len(subject.texts) if variant == LABEL else subject.answers(variant)
    return shuffled(subject.texts, labels, seed)


def shuffled(texts: Sequence[str], labels: Sequence[str], seed: int) -> list[tuple[str, str]]:
    """Texts with their expected labels, in an order that depends on the seed alone."""
    pairs = list(zip(texts, labels, strict=True))
    random.Random(seed).shuffle(pairs)
    return pairs


def _take_part(
    system: System, pairs: Sequence[tuple[str, str]], plan: Plan, cores: Cores, logs: Path, taking_part: Field
) -> None:
    """One round of one server; a peer that fails takes part no more."""
    if system.name in taking_part.absent:
        return
    try:
        measure_round(system, pairs, plan, cores, logs, taking_part.of(system.name))
    except MeasurementError as error:
        if system.kind is Kind.ours:
            raise
        taking_part.drop(system, str(error))


def measure_round(
    system: System, pairs: Sequence[tuple[str, str]], plan: Plan, cores: Cores, logs: Path, result: ServerFigures
) -> None:
    """One round of one server, added to ``result``."""
    with started(system, pairs, cores, logs) as server:
        result.ready_after.append(server.ready_after)
        warmup = server.load(plan.connections, seconds=plan.warmup)
        found = server.load(plan.connections, seconds=plan.seconds, requests=plan.requests)
        server.child.require_alive()
        result.memory.append(server.child.memory())
        if not found.answered:
            raise MeasurementError(server.child.explain(f"answered nothing ({dict(found.errors)})"))
    _add(result, found, [warmup, found])


def _add(result: ServerFigures, found: Round, both: Sequence[Round]) -> None:
    result.rate.append(found.rate)
    for percent, samples in ((50, result.p50), (99, result.p99)):
        samples.append(float(np.percentile(found.latencies, percent)))
    result.answered.append(sum(len(each.latencies) for each in both))
    for error, count in sum((each.errors for each in both), Counter[str]()).items():
        result.errors[error] = result.errors.get(error, 0) + count
