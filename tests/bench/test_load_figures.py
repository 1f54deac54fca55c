"""The figures of waits, memory and overload, each measured on the no-op server."""

from __future__ import annotations

import math
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
from bench.systems import System, noop_system
from bench.throughput import LoadPlan

PLAN = LoadPlan(connections=2, rounds=1, seconds=0.1, warmup=0.05)


@dataclass(frozen=True)
class Texts:
    """The part of a Subject that these figures need."""

    bundles: dict[str, Path]
    texts: tuple[str, ...] = ("a", "b", "c")


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch, tiny_int8_bundle: Path) -> Subject:
    """Texts, with the no-op server instead of ours."""

    def stand_in(name: str) -> Callable[..., System]:
        return lambda *_: replace(noop_system(), name=name)

    for module in (latency, memory, overload):
        monkeypatch.setattr(module, "tuneship_system", stand_in("bare"))
    for module in (latency, memory):
        monkeypatch.setattr(module, "tuneship_in_bentoml_system", stand_in("mounted"))
    monkeypatch.setattr(Cores, "choose", lambda: Cores({0}, {0}))
    return cast(Subject, Texts({"int8": tiny_int8_bundle}))


def of(figures: list[Figure], ending: str) -> Figure:
    """The first figure whose name ends so."""
    return next(figure for figure in figures if figure.name.endswith(ending))


@pytest.mark.slow
def test_waits(subject: Subject, tmp_path: Path) -> None:
    """Servers and onnxruntime alone have the median alone, the 99th percentile under load and their ratio."""
    found = latency.measure_latency(subject, PLAN, tmp_path, Console(quiet=True))
    for name in ("bare", "mounted", "onnxruntime alone, int8, 2 at once"):
        alone, busy = of(found, f"{name}: median alone, one after another"), of(found, f"{name}: p99 at 60 % load")
        assert 0 < alone.value < 1000
        assert of(found, f"{name}: p99 at 60 % ÷ median alone").value == pytest.approx(busy.value / alone.value)
        assert of(found, f"{name}: p99 at 60 % of one connection's rate").value > 0
    assert 0 < of(found, "at 3 % load").value < 1000
    assert of(found, "errors, late requests").correct == 0


@pytest.mark.slow
def test_memory(subject: Subject, tmp_path: Path) -> None:
    """Memory is sampled at the start and after each tenth, in MB."""
    found = memory.measure_memory(subject, PLAN, 100, tmp_path, Console(quiet=True))
    most = of(found, "highest memory")
    assert len(most.samples) == memory.PARTS + 1
    assert 1 < most.value < 500
    assert of(found, "wrong or missing").value == 0


@pytest.mark.slow
def test_overload(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load is three times the capacity before; goodput is relative to the capacities before and after."""
    monkeypatch.setattr("bench.openload.GRACE_SECONDS", 0.5)
    found = overload.measure_overload(subject, PLAN, 0.4, tmp_path, Console(quiet=True))
    capacity, offered = of(found, "of load"), of(found, "offered")
    expected = 3 * capacity.samples[0]
    assert offered.value == pytest.approx(expected, abs=5 * math.sqrt(expected / 0.4))  # arrivals are random
    goodput = of(found, "goodput ÷ capacity")
    assert len(goodput.samples) == len(capacity.samples) == 2
    assert goodput.value > 0
