"""All servers get the same queries, and a peer that fails is skipped with its reason."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cores import Cores
from bench.noop_server import LABEL
from bench.systems import Kind, System, noop_system
from bench.throughput import LoadPlan, Measurements, _measure_or_drop, shuffled
from deploy.measurement.process import MeasurementError

BROKEN = System(
    "peer", Kind.torch, lambda port: [sys.executable, "-c", "raise SystemExit('no such model')"], "fp32", "/",
    lambda text: text, lambda answer: str(answer),
)  # fmt: skip


def test_the_order_depends_on_the_seed_alone() -> None:
    """The same seed gives the same order, another seed another; texts keep their labels."""
    texts, labels = [f"text {n}" for n in range(50)], [f"label {n}" for n in range(50)]
    first = shuffled(texts, labels, 0)
    assert first == shuffled(texts, labels, 0)
    assert first != shuffled(texts, labels, 1)
    assert sorted(first) == sorted(zip(texts, labels, strict=True))


def test_two_cpus_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Server and load never share a CPU; with only one there is an error."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 2})
    assert Cores.choose() == Cores({1}, {2})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    with pytest.raises(MeasurementError, match="needs two CPUs"):
        Cores.choose()


def test_a_peer_that_does_not_start_is_skipped(tmp_path: Path) -> None:
    """Its row is dropped and later rounds do not start it again; a failure of our own server is raised."""
    cores, result = Cores({0}, {0}), Measurements([BROKEN], [])
    for _ in range(2):
        _measure_or_drop(BROKEN, [("a", "b")], LoadPlan(), cores, tmp_path, result)
    assert "no such model" in result.absent["peer"]
    assert not result.rows
    with pytest.raises(MeasurementError, match="no such model"):
        _measure_or_drop(
            replace(BROKEN, name="ours", kind=Kind.ours), [("a", "b")], LoadPlan(), cores, tmp_path, result
        )


@pytest.mark.slow
def test_a_round(tmp_path: Path) -> None:
    """A round of a real server adds a sample to each list."""
    result = Measurements([noop_system()], [])
    plan = LoadPlan(connections=4, seconds=0.2, warmup=0.1)
    _measure_or_drop(noop_system(), [("a", LABEL)], plan, Cores({0}, {0}), tmp_path, result)
    row = result.row(noop_system().name)
    assert [len(each) for each in (row.rate, row.p50, row.p99, row.memory, row.answered, row.ready_after)] == [1] * 6
    assert not row.errors
