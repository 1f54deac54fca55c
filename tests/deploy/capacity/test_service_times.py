"""Seconds of a call between, at and beyond those that were measured."""

from __future__ import annotations

import pytest

from deploy.capacity.service_times import BatchTime, ServiceTimes, interpolate

TIMES = ServiceTimes(
    (BatchTime(1, 10, 2.0), BatchTime(2, 10, 3.0), BatchTime(4, 10, 5.0), BatchTime(1, 20, 3.0), BatchTime(2, 20, 5.0))
)


@pytest.mark.parametrize(
    ("rows", "tokens", "seconds"),
    [
        pytest.param(2, 10, 3.0, id="measured"),
        pytest.param(3, 10, 4.0, id="between rows"),
        pytest.param(1, 15, 2.5, id="between tokens"),
        pytest.param(2, 15, 4.0, id="between both"),
        pytest.param(8, 10, 9.0, id="more rows"),
        pytest.param(1, 40, 5.0, id="more tokens"),
        pytest.param(1, 5, 1.5, id="fewer tokens"),
        pytest.param(4, 20, 9.0, id="rows that this length was not measured with"),
    ],
)
def test_seconds(rows: int, tokens: int, seconds: float) -> None:
    """Calls lie on lines through the measured ones."""
    assert TIMES.seconds(rows, tokens) == pytest.approx(seconds)


def test_one_point() -> None:
    """One measured call stands for smaller ones; larger ones take in proportion."""
    assert interpolate([(4.0, 2.0)], 1) == 2.0
    assert interpolate([(4.0, 2.0)], 8) == 4.0


def test_never_negative() -> None:
    """A steep line does not end below nothing."""
    assert interpolate([(10.0, 1.0), (20.0, 3.0)], 1) == 0.0
