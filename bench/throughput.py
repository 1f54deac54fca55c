"""Answers a second under load, in rounds that alternate between servers."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.bare_runtime_process import BULK, BareRuntimeProcess
from bench.comparison import compare
from bench.cores import Cores
from bench.figures import Figure, ServerFigures, skipped
from bench.noop_server import LABEL
from bench.peers.registry import peers
from bench.running_server import run_server
from bench.subject import Subject
from bench.systems import Kind, System, noop_system, own_systems
from deploy.measurement.load import LoadResult
from deploy.measurement.process import MeasurementError


@dataclass(frozen=True)
class LoadPlan:
    """A round ends after ``seconds`` or ``requests``."""

    connections: int = 32
    rounds: int = 3
    seconds: float = 6.0
    warmup: float = 2.0
    seed: int = 0
    requests: float = math.inf


@dataclass
class Measurements:
    """What is compared, the rows so far, and why a system is absent."""

    systems: list[System]
    runtimes: list[BareRuntimeProcess]
    rows: dict[str, ServerFigures] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def row(self, name: str) -> ServerFigures:
        return self.rows.setdefault(name, ServerFigures(name))

    def drop(self, system: System, reason: str) -> None:
        self.absent[system.name] = reason
        self.rows.pop(system.name, None)


def measure_serving(
    subject: Subject, plan: LoadPlan, logs: Path, console: Console
) -> tuple[list[Figure], list[ServerFigures]]:
    """Our servers, the peers and onnxruntime alone; a peer that is missing or fails is skipped.

    Each round starts every server anew.
    """
    cores, measurements = Cores.choose(), _plan_measurements(subject, plan)
    pairs = {variant: pairs_of(subject, variant, plan.seed) for variant in (*subject.bundles, LABEL)}
    for number in range(1, plan.rounds + 1):
        with console.status(f"round {number} of {plan.rounds}") as status:
            for runtime in measurements.runtimes:
                status.update(f"round {number} of {plan.rounds}: {runtime.name}…")
                texts = [text for text, _ in pairs[runtime.variant]]
                rate = runtime.measure_rate(texts, plan.seconds, cores.server, logs)
                measurements.row(runtime.name).rate.append(rate)
            for system in measurements.systems:
                status.update(f"round {number} of {plan.rounds}: {system.name}…")
                _measure_or_drop(system, pairs[system.variant], plan, cores, logs, measurements)
    figures = compare(measurements.systems, measurements.runtimes, measurements.rows)
    missing = [skipped(name, "", reason) for name, reason in measurements.absent.items()]
    return [*figures, *missing], list(measurements.rows.values())


def _plan_measurements(subject: Subject, plan: LoadPlan) -> Measurements:
    settings = (("int8", plan.connections), ("int8", BULK), ("fp32", plan.connections))
    runtimes = [BareRuntimeProcess(variant, subject.bundles[variant], texts) for variant, texts in settings]
    systems = [*own_systems(subject), *peers(subject), noop_system()]
    absent = {system.name: system.missing for system in systems if system.missing}
    return Measurements([system for system in systems if not system.missing], runtimes, absent=absent)


def pairs_of(subject: Subject, variant: str, seed: int) -> list[tuple[str, str]]:
    """The test texts, shuffled, and the best label of each."""
    labels = [LABEL] * len(subject.texts) if variant == LABEL else subject.answers(variant)
    return shuffled(subject.texts, labels, seed)


def shuffled(texts: Sequence[str], labels: Sequence[str], seed: int) -> list[tuple[str, str]]:
    pairs = list(zip(texts, labels, strict=True))
    random.Random(seed).shuffle(pairs)
    return pairs


def _measure_or_drop(
    system: System, pairs: Sequence[tuple[str, str]], plan: LoadPlan, cores: Cores, logs: Path, result: Measurements
) -> None:
    if system.name in result.absent:
        return
    try:
        measure_round(system, pairs, plan, cores, logs, result.row(system.name))
    except MeasurementError as error:
        if system.kind is Kind.ours:
            raise
        result.drop(system, str(error))


def measure_round(
    system: System, pairs: Sequence[tuple[str, str]], plan: LoadPlan, cores: Cores, logs: Path, row: ServerFigures
) -> None:
    with run_server(system, pairs, cores, logs) as server:
        row.ready_after.append(server.ready_after)
        warmup = server.load(plan.connections, seconds=plan.warmup)
        result = server.load(plan.connections, seconds=plan.seconds, requests=plan.requests)
        server.child.require_alive()
        row.memory.append(server.child.memory())
        if not result.answered:
            raise MeasurementError(server.child.explain(f"answered nothing ({dict(result.errors)})"))
    _add_round(row, result, warmup)


def _add_round(row: ServerFigures, result: LoadResult, warmup: LoadResult) -> None:
    """Answers and errors include the warm-up's."""
    row.rate.append(result.rate)
    row.p50.append(float(np.percentile(result.latencies, 50)))
    row.p99.append(float(np.percentile(result.latencies, 99)))
    row.answered.append(len(warmup.latencies) + len(result.latencies))
    row.errors.update(Counter(row.errors) + warmup.errors + result.errors)
