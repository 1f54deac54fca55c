"""Ordinary and background rows on a simulated clock: who runs, for which share of the time, and that nobody starves."""

from __future__ import annotations

import math

import pytest

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.errors import Overloaded
from serving.batching.lanes import BACKGROUND_SHARE, QUIET_SECONDS, Lanes
from serving.batching.scheduler import Row

SECONDS_PER_TOKEN = 0.001
LONG = 1000.0
"""A time long after any row."""


def lanes(bounds: QueueLimits = QueueLimits()) -> Lanes:  # noqa: B008 - frozen
    """Empty lanes before an engine of 1,000 tokens a second that runs a row at a time."""
    return Lanes(BatchShape(rows=1), bounds, SECONDS_PER_TOKEN)


def row(tokens: int, *, background: bool = False, deadline: float = math.inf) -> Row:
    """A row."""
    return Row(tokens, deadline, background=background)


def simulate(queue: Lanes, seconds: float, tokens: int, pause: float) -> dict[bool, float]:
    """Seconds of each lane, the background's as True, where one ordinary caller asks ``pause`` after each answer."""
    now, asks_at, spent = 0.0, 0.0, {True: 0.0, False: 0.0}
    while now < seconds:
        if now >= asks_at:
            queue.put([row(tokens)], now)
            asks_at = math.inf
        batch, _ = queue.take(now)
        if not batch:
            now += max(1e-6, min(asks_at - now, queue.seconds_to_background(now)))
            continue
        took = batch[0].tokens * SECONDS_PER_TOKEN
        now += took
        spent[batch[0].background] += took
        queue.ran(batch, now, took, 1)
        if not batch[0].background:
            asks_at = now + pause
    return spent


def test_alone_it_has_everything() -> None:
    """Without ordinary rows, background rows run at once, one after another."""
    queue = lanes()
    queue.put([row(100, background=True) for _ in range(3)], LONG)
    for now in (LONG, LONG + 0.1, LONG + 0.2):
        (batch,) = queue.take(now).batch
        assert batch.background
        queue.ran([batch], now + 0.1, 0.1, 1)
    assert len(queue) == 0


@pytest.mark.parametrize("pause", [0.0, 0.001])
@pytest.mark.parametrize("tokens", [10, 300])
def test_a_share_of_the_time(tokens: int, pause: float) -> None:
    """Beside a caller that always asks again, background rows have their share, however long its rows are."""
    queue = lanes()
    queue.put([row(250, background=True) for _ in range(1000)], 0)
    spent = simulate(queue, 60, tokens, pause)
    assert spent[True] / 60 == pytest.approx(BACKGROUND_SHARE, abs=0.04)
    assert spent[False] / 60 > 0.5


def test_ordinary_rows_keep_their_share_in_between() -> None:
    """A caller that takes a moment to ask again finds the engine free, not busy with the next background row."""
    queue = lanes()
    queue.put([row(10)], 0)
    queue.put([row(100, background=True) for _ in range(2)], 0)
    assert queue.take(0).batch[0].background  # its first turn
    queue.ran([row(100, background=True)], 0.1, 0.1, 1)
    assert not queue.take(0.1).batch[0].background
    assert queue.take(0.11).batch == []
    assert queue.seconds_to_background(0.11) == pytest.approx(0.1 + 0.2 - 0.11)
    assert queue.take(0.31).batch[0].background


def test_quiet() -> None:
    """A while after the last ordinary row, background rows need not wait any more."""
    queue = lanes()
    queue.put([row(1)], 0)
    queue.take(0)
    queue.put([row(1000, background=True) for _ in range(2)], 0)
    queue.take(0)
    queue.ran([row(1000, background=True)], 1, 1, 1)
    assert queue.seconds_to_background(QUIET_SECONDS / 2) == pytest.approx(QUIET_SECONDS / 2)
    assert queue.take(1).batch[0].background


def test_apart() -> None:
    """Background rows neither fill the ordinary queue nor slow its estimate, nor are they bounded by it."""
    queue = lanes(QueueLimits(rows=1))
    queue.put([row(100, background=True) for _ in range(3)], 0)
    assert queue.background_seconds(100, LONG) == pytest.approx(0.1)
    queue.ran([row(5)], 0, 0.01, 1)
    assert queue.background_seconds(100, LONG) == pytest.approx(0.2)
    queue.ran([row(100, background=True)], 1, 50.0, 1)
    assert (queue.tokens, queue.seconds_per_token) == (0, pytest.approx(0.002))
    assert queue.background_seconds(100, LONG) == pytest.approx(50)
    queue.put([row(5)], 0)
    assert queue.background_seconds(100, 0) == pytest.approx(50 / BACKGROUND_SHARE)
    with pytest.raises(Overloaded):
        queue.put([row(5)], 0)


def test_both_expire_and_are_removed() -> None:
    """Rows of both lanes expire, can be removed, and are cleared."""
    queue = lanes()
    late = [row(1, deadline=1), row(1, background=True, deadline=2)]
    stays = [row(1), row(1, background=True)]
    for each in (*late, *stays):
        queue.put([each], 0)
    assert queue.next_deadline == 1
    assert queue.expire(3) == late
    queue.remove(stays[1])
    assert len(queue) == 1
    queue.clear()
    assert len(queue) == 0
    assert not stays[0].waiting
