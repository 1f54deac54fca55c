"""The figures of waits, of memory and of overload, each from a real server of the simplest kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from bench import latency, memory, overload
from bench.cores import Cores
from bench.figures import Figure
from bench.subject import Subject
from bench.systems import System, noop
from bench.throughput import Plan

PLAN = Plan(connections=2, rounds=1, seconds=0.4, warmup=0.1)


@dataclass(frozen=True)
class Texts:
    """As much of a subject as these figures look at."""

    bundles: dict[str, Path]
    texts: tuple[str, ...] = ("a", "b", "c")


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch, tiny_int8_bundle: Path) -> Subject:
    """Texts for the no-op server, which stands in for ours."""

    def stand_in(name: str) -> Callable[..., System]:
        return lambda *_: replace(noop(), name=name)

    for module in (latency, memory, overload):
        monkeypatch.setattr(module, "tuneship", stand_in("bare"))
    for module in (latency, memory):
        monkeypatch.setattr(module, "tuneship_in_bentoml", stand_in("mounted"))
    monkeypatch.setattr(Cores, "choose", lambda: Cores({0}, {0}))
    return cast(Subject, Texts({"int8": tiny_int8_bundle}))


def of(figures: list[Figure], ending: str) -> Figure:
    """The first figure whose name ends so."""
    return next(figure for figure in figures if figure.name.endswith(ending))


def test_waits(subject: Subject, tmp_path: Path) -> None:
    """The 99th percentile under load over the median alone, of the servers and of the bare runtime, in milliseconds."""
    found = latency.measure_latency(subject, PLAN, tmp_path, Console(quiet=True))
    for name in ("bare", "mounted", "raw runtime, int8, 2 in hand"):
        alone, busy = of(found, f"{name}: median alone, one behind the other"), of(found, f"{name}: p99 at 60 % load")
        assert 0 < alone.value < 1000
        assert of(found, f"{name}: p99 at 60 % ÷ median alone").value == pytest.approx(busy.value / alone.value)
        assert of(found, f"{name}: p99 at 60 % of what one connection gets").value > 0
    assert 0 < of(found, "at 3 % load").value < 1000
    assert of(found, "errors, late requests").asked is not None


def test_memory(subject: Subject, tmp_path: Path) -> None:
    """At the start and after each tenth, in megabytes; every answer is right."""
    found = memory.measure_memory(subject, PLAN, 100, tmp_path, Console(quiet=True))
    most = of(found, "memory at most")
    assert len(most.samples) == memory.PARTS + 1
    assert 1 < most.value < 500
    assert of(found, "wrong or missing").value == 0


def test_overload(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Capacity before and after, three times the former between; goodput is a share of each."""
    monkeypatch.setattr("bench.openload.GRACE_SECONDS", 0.5)
    found = overload.measure_overload(subject, PLAN, 0.4, tmp_path, Console(quiet=True))
    capacity, offered = of(found, "of load"), of(found, "offered")
    assert offered.value == pytest.approx(3 * capacity.samples[0], rel=0.3)
    goodput = of(found, "goodput ÷ capacity")
    assert len(goodput.samples) == len(capacity.samples) == 2
    assert goodput.value > 0
