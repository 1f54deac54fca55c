"""The simulated server: known queues give known waits, and batches are those of the server's scheduler."""

from __future__ import annotations

import dataclasses
import itertools
from statistics import fmean

import pytest

from deploy.capacity.arrivals import arrival_times
from deploy.capacity.service_times import BatchTime, ServiceTimes
from deploy.capacity.simulation import ServerModel, simulate, simulate_connections
from serving.batching.batch_shape import BatchShape, QueueLimits

CONSTANT = ServiceTimes((BatchTime(1, 8, 0.010), BatchTime(1, 16, 0.010)))
"""One row takes 10 ms, whatever its length."""

MODEL = ServerModel(CONSTANT, receive=0.0, answer=0.0, transport=0.0, shape=BatchShape(rows=1))
LOOP = dataclasses.replace(MODEL, receive=0.003, answer=0.002, transport=0.001)


@pytest.mark.slow
@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_row_at_a_time_is_a_known_queue(load: float) -> None:
    """Poisson arrivals and a constant time are M/D/1: the Pollaczek-Khinchine formula gives the mean wait."""
    arrivals = ((moment, (8,)) for moment in arrival_times(load / 0.010, 400.0, seed=5))
    found = simulate(MODEL, arrivals)
    assert fmean(found.latencies) == pytest.approx(0.010 + load * 0.010 / (2 * (1 - load)), rel=0.05)


def test_a_lone_request_takes_the_sum() -> None:
    """Nobody waits for anybody: event loop, engine and transport follow one another."""
    assert simulate(LOOP, [(1.0, (8,))]).latencies == pytest.approx([0.003 + 0.010 + 0.002 + 0.001])


def test_the_event_loop_interrupts_the_engine() -> None:
    """On shared CPUs a request that arrives meanwhile delays the call; on CPUs of its own it does not."""
    arrivals = [(0.0, (8,)), (0.005, (8,))]
    shared, apart = (simulate(dataclasses.replace(LOOP, shared=shared), arrivals) for shared in (True, False))
    assert shared.latencies[0] == pytest.approx(0.016 + 0.003)
    assert apart.latencies[0] == pytest.approx(0.016)
    assert shared.ended > apart.ended


def test_rows_that_wait_share_a_call() -> None:
    """Requests that arrive while the engine runs go into one call of the scheduler's shape."""
    times = ServiceTimes(tuple(BatchTime(rows, 8, 0.010 + 0.001 * rows) for rows in (1, 2, 4, 8)))
    model = dataclasses.replace(MODEL, service_times=times, shape=BatchShape())
    found = simulate(model, [(0.0, (8,)), *[(0.001, (8,))] * 8])
    assert (found.calls, found.rows) == (2, 9)
    assert found.ended == pytest.approx(0.011 + 0.018)
    small = dataclasses.replace(model, shape=BatchShape(tokens=16))
    assert simulate(small, [(0.0, (8,)), *[(0.001, (8,))] * 8]).calls == 5


def test_a_request_with_windows_waits_for_the_last() -> None:
    """Its answer goes out when every window has its result."""
    assert simulate(MODEL, [(0.0, (8, 8, 8))]).latencies == pytest.approx([0.030])


def test_overload_is_refused() -> None:
    """Each request is answered or refused; what is accepted waits no longer than the queue allows."""
    model = dataclasses.replace(MODEL, bounds=QueueLimits(rows=20))
    arrivals = [(moment, (8,)) for moment in arrival_times(300.0, 20.0, seed=1)]
    found = simulate(model, arrivals)
    assert len(found.latencies) + found.refused == len(arrivals)
    assert found.refused > len(arrivals) / 2
    assert max(found.latencies) <= 22 * 0.010


def test_waits_end() -> None:
    """A request that would wait longer than the server lets it is refused, in the queue or before."""
    model = dataclasses.replace(MODEL, wait_seconds=0.1)
    arrivals = [(moment, (8,)) for moment in arrival_times(300.0, 20.0, seed=1)]
    found = simulate(model, arrivals)
    assert len(found.latencies) + found.refused == len(arrivals)
    assert max(found.latencies) <= 0.1 + 0.010 + 1e-9


def test_connections_wait_for_their_answers() -> None:
    """One connection has one request at a time; more keep the engine busy, and no request is lost."""
    requests = list(itertools.repeat((8,), 200))
    alone, many = simulate_connections(LOOP, requests, 1), simulate_connections(LOOP, requests, 16)
    assert alone.latencies == pytest.approx([0.016] * 200)
    assert alone.rate == pytest.approx(1 / 0.016, rel=0.01)
    assert len(many.latencies) == 200
    assert many.rate == pytest.approx(1 / 0.015, rel=0.02)  # event loop and engine share a CPU
