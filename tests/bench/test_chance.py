"""Requests arrive by chance, and by the same chance where the seed is the same."""

from __future__ import annotations

import itertools

import pytest

from bench.chance import moments


def test_a_rate_on_average() -> None:
    """There are as many as the rate and the time say, one after the other, all within the time."""
    found = list(moments(rate=100.0, seconds=50.0, seed=3))
    assert len(found) == pytest.approx(5_000, rel=0.05)
    assert found[0] > 0
    assert found[-1] < 50
    assert all(before < after for before, after in itertools.pairwise(found))


def test_pauses_of_chance() -> None:
    """Pauses differ as those of a Poisson process do: as far from their mean, on average, as that is long."""
    pauses = [after - before for before, after in itertools.pairwise(moments(100.0, 50.0, 3))]
    mean = sum(pauses) / len(pauses)
    deviation = (sum((pause - mean) ** 2 for pause in pauses) / len(pauses)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.1)


def test_the_seed_decides() -> None:
    """The same seed gives the same moments, another one others."""
    assert list(moments(50.0, 2.0, 1)) == list(moments(50.0, 2.0, 1))
    assert list(moments(50.0, 2.0, 1)) != list(moments(50.0, 2.0, 2))
