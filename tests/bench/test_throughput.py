"""Servers are asked the same queries, and a peer that cannot take part is named and left out."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cores import Cores
from bench.errors import MeasurementError
from bench.noop_server import LABEL
from bench.systems import Kind, System, noop
from bench.throughput import Field, Plan, _take_part, shuffled

BROKEN = System(
    "peer", Kind.torch, lambda port: [sys.executable, "-c", "raise SystemExit('no such model')"], "fp32", "/",
    lambda text: text, lambda answer: str(answer),
)  # fmt: skip


def test_the_order_depends_on_the_seed_alone() -> None:
    """The same seed gives the same order, another seed another, and texts keep their labels."""
    texts, labels = [f"text {n}" for n in range(50)], [f"label {n}" for n in range(50)]
    first = shuffled(texts, labels, 0)
    assert first == shuffled(texts, labels, 0)
    assert first != shuffled(texts, labels, 1)
    assert sorted(first) == sorted(zip(texts, labels, strict=True))


def test_two_cpus_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Server and load never share a CPU; with one there is an explanation and no figure."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 2})
    assert Cores.choose() == Cores({1}, {2})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    with pytest.raises(MeasurementError, match="needs two CPUs"):
        Cores.choose()


def test_a_peer_that_does_not_start_is_left_out(tmp_path: Path) -> None:
    """Its reason is kept, its row is gone, and later rounds do not start it again; a server of ours is a failure."""
    cores, taking_part = Cores({0}, {0}), Field([BROKEN], [])
    for _ in range(2):
        _take_part(BROKEN, [("a", "b")], Plan(), cores, tmp_path, taking_part)
    assert "no such model" in taking_part.absent["peer"]
    assert not taking_part.found
    with pytest.raises(MeasurementError, match="no such model"):
        _take_part(replace(BROKEN, name="ours", kind=Kind.ours), [("a", "b")], Plan(), cores, tmp_path, taking_part)


def test_a_round(tmp_path: Path) -> None:
    """A real server's round gives a sample of everything."""
    taking_part = Field([noop()], [])
    plan = Plan(connections=4, seconds=0.2, warmup=0.1)
    _take_part(noop(), [("a", LABEL)], plan, Cores({0}, {0}), tmp_path, taking_part)
    row = taking_part.of(noop().name)
    assert [len(each) for each in (row.rate, row.p50, row.p99, row.memory, row.answered, row.ready_after)] == [1] * 6
    assert not row.errors
