"""Which rows run next: a pure object, without a clock, a thread or a loop. Moments are arguments, in seconds.

**Order.** A row is due PATIENCE seconds after its rank, or at its deadline if that is earlier; what is due first leads
the next batch. A caller's first row ranks by its arrival, and each further one later by what the rows before it take:
so a request of many texts shares the engine with those that come after it, and does not hold it. Both terms are fixed
when a row arrives, and later arrivals are due later in the end: every row leads a batch some day, whatever its length.
A close deadline overtakes only what came within PATIENCE before it.

**Refusals.** Past the bounds a caller is refused; so is one whose last row would not run before its deadline even if
nobody else came, by what is due before it and the pace, where tokens foretell that: told now, it can ask elsewhere, and
no work is begun in vain. Where nobody waits, all is taken: a request larger than the bounds can be answered, and a pace
that was measured in a bad moment is measured again.

**Batches.** Behind the row that leads go those nearest to it in length, as far as the engine's shape takes them, and of
these so many that a token of theirs is cheapest: a call has a cost of its own, which they share, and each is padded to
the longest. Only the leader's turn decides when a row runs at the latest.

**Nothing waits for company.** `take` gives a batch whenever there is a row.
"""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.errors import Overloaded

PATIENCE = 1.0
"""Seconds by which a row without a close deadline may be overtaken by rows with one."""


@dataclass(eq=False, slots=True)
class Row:
    """One window on its way.

    Attributes:
        tokens: its length.
        deadline: when it need not be run any more.
        owner: whatever its caller knows it by.
        due: when it leads a batch at the latest, were the engine fast enough.
        number: in order of arrival.
        waiting: whether it is in the queue.
    """

    tokens: int
    deadline: float = math.inf
    owner: Any = None
    due: float = 0.0
    number: int = 0
    waiting: bool = False


class Taken(NamedTuple):
    """What left the queue: rows to run together, and rows whose deadline has come."""

    batch: list[Row]
    expired: list[Row]


class Queue:
    """The rows that wait."""

    def __init__(self, shape: BatchShape, bounds: QueueLimits, seconds_per_token: float) -> None:
        """Begin empty.

        Args:
            seconds_per_token: what a token is thought to take, all engines together; may be set anew as it is measured.
        """
        self.seconds_per_token = seconds_per_token
        self.tokens = 0
        self._shape, self._bounds = shape, bounds
        self._numbers = itertools.count()
        self._by_length: list[tuple[int, int, Row]] = []
        self._by_due, self._by_deadline = _Agenda(), _Agenda()

    def __len__(self) -> int:
        return len(self._by_length)

    @property
    def next_deadline(self) -> float:
        """The earliest deadline of a row that waits; infinity where there is none."""
        return self._by_deadline.first_time

    def put(self, rows: Sequence[Row], now: float) -> None:
        """Let the rows of one caller wait; raises Overloaded if they do not fit, or would not run in time."""
        tokens = 0
        for row in rows:
            row.due = min(now + PATIENCE + tokens * self.seconds_per_token, row.deadline)
            tokens += row.tokens
        self._admit(len(rows), tokens)
        if rows:
            self._admit_in_time(rows[-1], tokens - rows[-1].tokens, now)
        for row in rows:
            self._add(row)

    def admit(self, deadline: float = math.inf, now: float = 0.0) -> None:
        """Raise Overloaded if the smallest row would not fit, or not run before its deadline."""
        self._admit(1, 1)
        self._admit_in_time(Row(1, deadline, due=min(now + PATIENCE, deadline)), 0, now)

    def take(self, now: float) -> Taken:
        """Remove the next batch, and what needs no answer any more. The batch is empty only if nothing else waits."""
        expired = self.expire(now)
        leader = self._by_due.first
        if leader is None:
            return Taken([], expired)
        low, high = self._around(bisect_left(self._by_length, (leader.tokens, leader.number)))
        batch = [row for _, _, row in self._by_length[low:high]]
        del self._by_length[low:high]
        for row in batch:
            self._forget(row)
        return Taken(batch, expired)

    def expire(self, now: float) -> list[Row]:
        """Remove and give the rows whose deadline has come."""
        expired = []
        while (row := self._by_deadline.first) and row.deadline <= now:
            self.remove(row)
            expired.append(row)
        return expired

    def remove(self, row: Row) -> None:
        """Take a row out, if it waits still."""
        if row.waiting:
            del self._by_length[bisect_left(self._by_length, (row.tokens, row.number))]
            self._forget(row)

    def _admit(self, rows: int, tokens: int) -> None:
        full = len(self) + rows > self._bounds.rows or self.tokens + tokens > self._bounds.tokens
        if full and self._by_length:
            raise Overloaded(self._waiting)

    def _admit_in_time(self, last: Row, own: int, now: float) -> None:
        """Raise Overloaded where a caller's last row, behind so many tokens of its own, would be late."""
        given = last.deadline - now
        if given <= 0 or not self._by_length or not self._shape.foretold:  # what is late already expires, see `take`
            return
        if self._late(self.tokens + own, given) and self._late(self._by_due.tokens_until(last.due) + own, given):
            raise Overloaded(f"{self._waiting}, more than can be done within the {given:.3g} s given")

    def _late(self, tokens: int, seconds: float) -> bool:
        return tokens * self.seconds_per_token > seconds

    @property
    def _waiting(self) -> str:
        return f"{len(self):,} texts of {self.tokens:,} tokens are waiting already"

    def _add(self, row: Row) -> None:
        row.number, row.waiting = next(self._numbers), True
        insort(self._by_length, (row.tokens, row.number, row))
        self.tokens += row.tokens
        self._by_due.add(row.due, row)
        if row.deadline < math.inf:
            self._by_deadline.add(row.deadline, row)

    def _forget(self, row: Row) -> None:
        row.waiting = False
        self.tokens -= row.tokens
        self._by_due.tidy(len(self))
        self._by_deadline.tidy(len(self))

    def _around(self, leader: int) -> tuple[int, int]:
        """The slice of the rows by length that makes a batch: of those that grow around the leader, the cheapest."""
        best, least = (leader, leader + 1), math.inf
        for low, high, tokens in self._growing(leader):
            cost = self._shape.cost(high - low, self._by_length[high - 1][0]) / tokens
            if cost <= least:
                best, least = (low, high), cost
        return best

    def _growing(self, leader: int) -> Iterator[tuple[int, int, int]]:
        """Slices, each a row wider than the one before, nearest to the leader first; and the tokens in each."""
        low, high, tokens = leader, leader + 1, self._by_length[leader][0]
        yield low, high, tokens
        while (row := self._nearest(low, high, leader)) is not None:
            low, high, tokens = min(low, row), max(high, row + 1), tokens + self._by_length[row][0]
            yield low, high, tokens

    def _nearest(self, low: int, high: int, leader: int) -> int | None:
        """Of the two rows beside a slice the one nearer to the leader in length, or the other where it does not fit."""
        rows = self._by_length
        sides = [(abs(rows[at][0] - rows[leader][0]), at) for at in (low - 1, high) if 0 <= at < len(rows)]
        return next((at for _, at in sorted(sides) if self._fits(min(low, at), max(high, at + 1))), None)

    def _fits(self, low: int, high: int) -> bool:
        rows = self._by_length
        return self._shape.fits(high - low, rows[low][0], rows[high - 1][0])


class _Agenda:
    """Rows by a moment of theirs. One that waits no longer is skipped when its turn comes, or tidied away."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Row]] = []

    @property
    def first(self) -> Row | None:
        """The row whose moment comes first."""
        while self._heap and not self._heap[0][2].waiting:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    @property
    def first_time(self) -> float:
        """That moment; infinity where there is no row."""
        return self._heap[0][0] if self.first else math.inf

    def tokens_until(self, moment: float) -> int:
        """Of the rows whose moment comes no later."""
        return sum(row.tokens for each, _, row in self._heap if each <= moment and row.waiting)

    def add(self, moment: float, row: Row) -> None:
        """Take in a row with its moment."""
        heapq.heappush(self._heap, (moment, row.number, row))

    def tidy(self, waiting: int) -> None:
        """Keep no more rows that have gone than wait, but for a few: deadlines lie far ahead of what is answered."""
        if len(self._heap) > 2 * waiting + 64:
            self._heap = [entry for entry in self._heap if entry[2].waiting]
            heapq.heapify(self._heap)
