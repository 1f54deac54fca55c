"""Which rows run next: pure, without clock, thread or event loop. Times are arguments, in seconds.

**Order**: earliest deadline first. Every row has an implicit deadline: its arrival, plus IMPLICIT_DEADLINE, plus the
estimated duration of the caller's rows before it. So large requests share the engine, and no row starves.

**Refusals**: a request above the queue limits, or one that would miss its deadline at the current throughput. An empty
queue refuses nothing, so that a wrong estimate gets corrected. One request fills half of the limits at most, so that
others are not refused while it runs.

**Batches**: a batch is the most urgent row plus its nearest neighbours in length, sized to minimise cost per token.
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

IMPLICIT_DEADLINE = 1.0
"""Seconds."""

LARGEST_SHARE = 0.5
"""Of the queue that one caller's rows count for: the largest request leaves room for others."""

ROUNDING = 1e-6
"""More than the errors of adding and subtracting such counts."""

LATEST_WEIGHT = 0.1
"""Weight of the latest call in the moving average of seconds a token."""


@dataclass(eq=False, slots=True)
class Row:
    """One window.

    Attributes:
        deadline: when it expires.
        owner: the caller's reference.
        priority: deadline or implicit deadline, the earlier; the smallest runs first.
        number: order of arrival.
        waiting: in the queue.
        weight: what it counts for in the queue's limits.
        background: of the lane that gives way, see `lanes`.
        size: bytes of memory while it runs; this and the rest where rows run in slices, see `Turns`.
        end: when it expires once it has begun.
        begun, seconds: when its first slice began, and how long all of them took.
    """

    tokens: int
    deadline: float = math.inf
    owner: Any = None
    priority: float = 0.0
    number: int = 0
    waiting: bool = False
    weight: float = 1.0
    background: bool = False
    size: int = 0
    end: float = math.inf
    begun: float = 0.0
    seconds: float = 0.0


class NextBatch(NamedTuple):
    """Rows to run together, and expired rows."""

    batch: list[Row]
    expired: list[Row]


class Throughput:
    """``seconds_per_token``: an estimate over all engine threads, then a moving average."""

    def __init__(self, seconds_per_token: float) -> None:
        self.seconds_per_token, self.measured = seconds_per_token, False

    def measure(self, batch: Sequence[Row], seconds: float, workers: int) -> None:
        """A batch ran for so long, beside those of other workers."""
        latest = seconds / max(1, sum(row.tokens for row in batch)) / workers
        self.seconds_per_token += (LATEST_WEIGHT if self.measured else 1.0) * (latest - self.seconds_per_token)
        self.measured = True


class Queue(Throughput):
    """The rows that wait, by length, by priority and by deadline."""

    def __init__(self, shape: BatchShape, bounds: QueueLimits, seconds_per_token: float) -> None:
        super().__init__(seconds_per_token)
        self.tokens = 0
        self._filled_rows = self._filled_tokens = 0.0
        self._shape, self._bounds = shape, bounds
        self._numbers = itertools.count()
        self._by_length: list[tuple[int, int, Row]] = []
        self._by_priority, self._by_deadline = _PriorityQueue(), _PriorityQueue()

    def __len__(self) -> int:
        return len(self._by_length)

    @property
    def next_deadline(self) -> float:
        return row.deadline if (row := self._by_deadline.first) else math.inf

    def put(self, rows: Sequence[Row], now: float) -> None:
        """Add one caller's rows, all or none; raises Overloaded."""
        tokens = 0
        for row in rows:
            row.priority = min(now + IMPLICIT_DEADLINE + tokens * self.seconds_per_token, row.deadline)
            tokens += row.tokens
        self._require_space(len(rows), tokens)
        if rows:
            self._require_time(rows[-1], tokens - rows[-1].tokens, now)
        share = max(len(rows) / self._bounds.rows, tokens / self._bounds.tokens, LARGEST_SHARE)
        for row in rows:
            row.weight = LARGEST_SHARE / share
            self._add(row)

    def admit(self, deadline: float = math.inf, now: float = 0.0) -> None:
        """Raise Overloaded if a row of one token would be refused."""
        self._require_space(1, 1)
        self._require_time(Row(1, deadline, priority=min(now + IMPLICIT_DEADLINE, deadline)), 0, now)

    def take(self, now: float) -> NextBatch:
        """Remove the next batch and the expired rows; never wait for more rows."""
        expired = self.expire(now)
        urgent = self._by_priority.first
        if urgent is None:
            return NextBatch([], expired)
        low, high = self._select_batch(bisect_left(self._by_length, (urgent.tokens, urgent.number)))
        batch = [row for _, _, row in self._by_length[low:high]]
        del self._by_length[low:high]
        for row in batch:
            self._discard(row)
        return NextBatch(batch, expired)

    def expire(self, now: float) -> list[Row]:
        expired = []
        while (row := self._by_deadline.first) and row.deadline <= now:
            self.remove(row)
            expired.append(row)
        return expired

    def remove(self, row: Row) -> None:
        if row.waiting:
            del self._by_length[bisect_left(self._by_length, (row.tokens, row.number))]
            self._discard(row)

    def clear(self) -> None:
        for _, _, row in self._by_length:
            row.waiting = False
        self._by_length, self.tokens = [], 0
        self._filled_rows = self._filled_tokens = 0.0
        self._by_priority, self._by_deadline = _PriorityQueue(), _PriorityQueue()

    def _require_space(self, rows: int, tokens: int) -> None:
        bounds = self._bounds
        full_of_rows = self._filled_rows + rows > bounds.rows + ROUNDING
        full = full_of_rows or self._filled_tokens + tokens > bounds.tokens + ROUNDING
        if full and self._by_length:
            raise Overloaded(self._describe())

    def _require_time(self, last: Row, own: int, now: float) -> None:
        """Raise Overloaded if a caller's last row, after ``own`` tokens of the caller, would be late."""
        available = last.deadline - now
        # A row that has expired already is accepted: `take` reports it as expired.
        if available <= 0 or not self._by_length:
            return
        before = self._by_priority.tokens_until  # linear in the rows, so the total is compared first
        if self._exceeds(self.tokens + own, available) and self._exceeds(before(last.priority) + own, available):
            late = f"the request would miss its deadline in {available:.3g} s"
            raise Overloaded(f"{self._describe()}: at the current throughput {late}")

    def _exceeds(self, tokens: int, seconds: float) -> bool:
        return tokens * self.seconds_per_token > seconds

    def _describe(self) -> str:
        return f"{len(self):,} texts of {self.tokens:,} tokens are in the queue"

    def _add(self, row: Row) -> None:
        row.number, row.waiting = next(self._numbers), True
        insort(self._by_length, (row.tokens, row.number, row))
        self._fill(row, 1)
        self._by_priority.add(row.priority, row)
        if row.deadline < math.inf:
            self._by_deadline.add(row.deadline, row)

    def _discard(self, row: Row) -> None:
        row.waiting = False
        self._fill(row, -1)
        self._by_priority.compact(len(self))
        self._by_deadline.compact(len(self))

    def _fill(self, row: Row, sign: int) -> None:
        self.tokens += sign * row.tokens
        self._filled_rows += sign * row.weight
        self._filled_tokens += sign * row.weight * row.tokens

    def _select_batch(self, urgent: int) -> tuple[int, int]:
        """The slice around index ``urgent`` with the lowest cost per token."""
        best, lowest = (urgent, urgent + 1), math.inf
        for low, high, tokens in self._candidate_slices(urgent):
            cost = (self._shape.call_cost + (high - low) * self._by_length[high - 1][0]) / tokens
            if cost <= lowest:
                best, lowest = (low, high), cost
        return best

    def _candidate_slices(self, urgent: int) -> Iterator[tuple[int, int, int]]:
        """Start, end and tokens of slices that grow by the nearest row."""
        low, high, tokens = urgent, urgent + 1, self._by_length[urgent][0]
        yield low, high, tokens
        while (row := self._nearest(low, high, urgent)) is not None:
            low, high, tokens = min(low, row), max(high, row + 1), tokens + self._by_length[row][0]
            yield low, high, tokens

    def _nearest(self, low: int, high: int, urgent: int) -> int | None:
        """The index beside the slice that fits and is nearer in length."""
        rows = self._by_length
        sides = [(abs(rows[at][0] - rows[urgent][0]), at) for at in (low - 1, high) if 0 <= at < len(rows)]
        for _, at in sorted(sides):
            shortest, longest = rows[min(low, at)][0], rows[max(high - 1, at)][0]
            if self._shape.fits(high - low + 1, shortest, longest):
                return at
        return None


class _PriorityQueue:
    """Rows by a time. Rows that left are removed lazily."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Row]] = []

    @property
    def first(self) -> Row | None:
        while self._heap and not self._heap[0][2].waiting:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def tokens_until(self, time: float) -> int:
        return sum(row.tokens for each, _, row in self._heap if each <= time and row.waiting)

    def add(self, time: float, row: Row) -> None:
        heapq.heappush(self._heap, (time, row.number, row))

    def compact(self, waiting: int) -> None:
        """Rows with far deadlines would stay in memory long after they ran."""
        if len(self._heap) > 2 * waiting + 64:
            self._heap = [entry for entry in self._heap if entry[2].waiting]
            heapq.heapify(self._heap)
