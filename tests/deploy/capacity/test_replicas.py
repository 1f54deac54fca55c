"""What a replica holds, and how many a load needs."""

from __future__ import annotations

import dataclasses

import pytest

from deploy.capacity.replicas import USUAL_LOAD, HeldLoad, held_load, replicas_of, saturation_rate
from deploy.capacity.service_times import BatchTime, ServiceTimes
from deploy.capacity.simulation import ServerModel
from serving.batching.batch_shape import BatchShape
from serving.errors import InputError

MODEL = ServerModel(
    ServiceTimes((BatchTime(1, 8, 0.010),)), receive=0.0, answer=0.0, transport=0.0, shape=BatchShape(rows=1)
)
REQUESTS = [(8,)]


def test_saturation() -> None:
    """An engine that is never idle answers one request per service time."""
    assert saturation_rate(MODEL, REQUESTS) == pytest.approx(100.0, rel=0.001)


@pytest.mark.slow
def test_a_target_decides_the_rate() -> None:
    """A longer p99 lets a replica hold more; the rate found meets the target, and a higher one does not."""
    tight, loose = held_load(MODEL, REQUESTS, 0.02), held_load(MODEL, REQUESTS, 0.1)
    assert tight.rate < loose.rate < loose.saturation
    assert 0.8 * 0.02 < tight.p99 <= 0.02
    assert loose.p99 <= 0.1


@pytest.mark.slow
def test_the_usual_load() -> None:
    """Without a target, a part of the saturation rate is planned with."""
    held = held_load(MODEL, REQUESTS)
    assert held.rate == pytest.approx(USUAL_LOAD * held.saturation)


@pytest.mark.slow
def test_the_same_load_twice() -> None:
    """A simulation gives the same figures each time, so that equal measurements give equal plans."""
    requests = [(8,), (6,), (8, 4)]
    assert held_load(MODEL, requests) == held_load(MODEL, requests)


@pytest.mark.slow
def test_an_impossible_target() -> None:
    """A target below a lone request's time says what alone takes."""
    with pytest.raises(InputError, match=r"--p99-ms 5 cannot be held: alone, 10 ms"):
        held_load(MODEL, REQUESTS, 0.005)


@pytest.mark.parametrize(("rate", "replicas"), [(1.0, 2), (100.0, 2), (100.1, 3), (1_000.0, 11)])
def test_one_more_than_needed(rate: float, replicas: int) -> None:
    """N + 1: a replica may go."""
    assert replicas_of(rate, HeldLoad(rate=100.0, p50=0.01, p99=0.02, saturation=150.0)) == replicas


@pytest.mark.slow
def test_batches_raise_what_is_held() -> None:
    """Rows that share a call let the same engine hold more, by the server's own scheduler."""
    times = ServiceTimes(tuple(BatchTime(rows, 8, 0.008 + 0.002 * rows) for rows in (1, 2, 4, 8, 16, 32)))
    alone = dataclasses.replace(MODEL, service_times=times)
    assert saturation_rate(dataclasses.replace(alone, shape=BatchShape()), REQUESTS) > 2.5 * saturation_rate(
        alone, REQUESTS
    )
