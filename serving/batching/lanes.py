"""Ordinary and background rows on one engine: pure, as `scheduler`. Times are arguments, in seconds.

Background rows, of explanations, get BACKGROUND_SHARE of a worker's time while ordinary rows keep coming, and all of it
while none do. They are neither starved nor can they hold up others by more than a batch. A share of the queue would not
do: a caller that waits for each answer before it asks again leaves the queue empty in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.scheduler import NextBatch, Queue, Row

BACKGROUND_SHARE = 1 / 3

QUIET_SECONDS = 0.5
"""Since an ordinary row came: then background rows need not wait."""

UNLIMITED = QueueLimits(rows=2**31, tokens=2**63)
"""Background rows are admitted before they are put: see `line`."""


class Lanes:
    """Two queues."""

    def __init__(self, shape: BatchShape, bounds: QueueLimits, seconds_per_token: float) -> None:
        self._ordinary = Queue(shape, bounds, seconds_per_token)
        self._background = Queue(shape, UNLIMITED, seconds_per_token)
        self._background_from = self._ordinary_came = -math.inf

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._background)

    @property
    def tokens(self) -> int:
        """Of ordinary rows."""
        return self._ordinary.tokens

    @property
    def seconds_per_token(self) -> float:
        """Of ordinary rows: an estimate over all engine threads."""
        return self._ordinary.seconds_per_token

    @property
    def next_deadline(self) -> float:
        return min(self._ordinary.next_deadline, self._background.next_deadline)

    def admit(self, deadline: float, now: float) -> None:
        """Raise Overloaded if an ordinary row of one token would be refused."""
        self._ordinary.admit(deadline, now)

    def put(self, rows: Sequence[Row], now: float) -> None:
        """Add one caller's rows, all or none, which are of one lane; raises Overloaded."""
        if rows and rows[0].background:
            self._background.put(rows, now)
        else:
            self._ordinary.put(rows, now)
            self._ordinary_came = now

    def take(self, now: float) -> NextBatch:
        """Remove the next batch, and the expired rows; no batch where background rows must wait."""
        expired = self.expire(now)
        if len(self._background) and self.seconds_to_background(now) <= 0:
            batch = self._background.take(now).batch
            self._give_way(now, sum(row.tokens for row in batch) * self._background.seconds_per_token)
            return NextBatch(batch, expired)
        return NextBatch(self._ordinary.take(now).batch, expired)

    def ran(self, batch: Sequence[Row], now: float, seconds: float, workers: int) -> None:
        """A batch ran for so long until now, beside those of other workers.

        The lanes are measured apart: a token of a short row takes longer.
        """
        lane = self._background if batch[0].background else self._ordinary
        lane.measure(batch, seconds, workers)
        if lane is self._background:
            self._give_way(now, seconds)

    def _give_way(self, now: float, seconds: float) -> None:
        self._background_from = now + seconds * (1 / BACKGROUND_SHARE - 1)

    def seconds_to_background(self, now: float) -> float:
        """Until background rows may run; infinite if none wait."""
        if not len(self._background):
            return math.inf
        if len(self._ordinary):
            return self._background_from - now
        return min(self._background_from, self._ordinary_came + QUIET_SECONDS) - now

    def background_seconds(self, tokens: int, now: float) -> float:
        """How long so many tokens take in the background at the current throughput, of ordinary rows at first."""
        share = BACKGROUND_SHARE if now < self._ordinary_came + QUIET_SECONDS else 1.0
        measured = self._background if self._background.measured else self._ordinary
        return tokens * measured.seconds_per_token / share

    def expire(self, now: float) -> list[Row]:
        return self._ordinary.expire(now) + self._background.expire(now)

    def remove(self, row: Row) -> None:
        (self._background if row.background else self._ordinary).remove(row)

    def clear(self) -> None:
        self._ordinary.clear()
        self._background.clear()
