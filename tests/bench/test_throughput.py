"""Servers are compared on the same queries, round by round."""

from __future__ import annotations

import os

import pytest

from bench.errors import MeasurementError
from bench.figures import ServerFigures
from bench.throughput import Cores, Plan, compare, shuffled

PEER = ServerFigures("BentoML + transformers", rate=[100.0, 50.0, 80.0], errors={"status 503": 9})
NOOP = ServerFigures("no-op", rate=[20_000.0])


def test_ratios_are_taken_within_a_round() -> None:
    """The figure is the median of the rounds' ratios, not the ratio of the medians."""
    ours = ServerFigures("tuneship serve, int8", rate=[300.0, 250.0, 160.0])
    ratio, errors = compare([ours, PEER, NOOP], Plan())
    assert ratio.samples == (3.0, 5.0, 2.0)
    assert ratio.value == 3.0
    assert ratio.holds is True
    assert errors.holds is True


def test_every_server_of_ours_is_asked_to_be_three_times_as_fast() -> None:
    """The bound holds for both variants, and one that does not reach it misses."""
    servers = [ServerFigures(f"tuneship serve, {variant}", rate=[100.0] * 3) for variant in ("int8", "fp32")]
    int8, fp32, _ = compare([*servers, PEER, NOOP], Plan())
    assert int8.holds is False
    assert fp32.holds is False


def test_our_errors_miss_the_peers_do_not() -> None:
    """One wrong answer of ours is a missed figure that says what happened."""
    ours = ServerFigures("tuneship serve, int8", rate=[300.0] * 3, errors={"wrong label": 1})
    *_, errors = compare([ours, PEER, NOOP], Plan())
    assert errors.value == 1
    assert errors.holds is False
    assert "wrong label" in errors.note
    assert "503" not in errors.note


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
