"""Arrival times are a Poisson process that depends on its seed alone."""

from __future__ import annotations

import itertools

import pytest

from deploy.capacity.arrivals import arrival_times


def test_a_rate_on_average() -> None:
    """The number of arrivals fits the rate; they are in order and within the seconds."""
    times = list(arrival_times(rate=100.0, seconds=50.0, seed=3))
    assert len(times) == pytest.approx(5_000, rel=0.05)
    assert times[0] > 0
    assert times[-1] < 50
    assert all(before < after for before, after in itertools.pairwise(times))


def test_pauses() -> None:
    """The standard deviation of the pauses is their mean, as in a Poisson process."""
    pauses = [after - before for before, after in itertools.pairwise(arrival_times(100.0, 50.0, 3))]
    mean = sum(pauses) / len(pauses)
    deviation = (sum((pause - mean) ** 2 for pause in pauses) / len(pauses)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.1)


def test_the_seed_decides() -> None:
    """The same seed gives the same times, another seed others."""
    assert list(arrival_times(50.0, 2.0, 1)) == list(arrival_times(50.0, 2.0, 1))
    assert list(arrival_times(50.0, 2.0, 1)) != list(arrival_times(50.0, 2.0, 2))
