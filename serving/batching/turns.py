"""Which caller's row runs next where rows take long and run in slices: pure, as `serving.batching.scheduler`.

**Turns**: next is the caller whose slice would leave it with least of the engine's time, as in fair queueing (Demers,
Keshav and Shenker 1989, "Analysis and simulation of a fair queueing algorithm"). So long answers delay a short one by
the slice that runs, and then take no larger share than it. A caller's rows run one after another: many have no more.

**Memory**: a caller begins when its largest row's memory is free; a smaller one may begin before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from serving.batching.batch_shape import QueueLimits
from serving.batching.errors import Overloaded
from serving.batching.scheduler import NextBatch, Row, Throughput
from serving.errors import InputTooLarge

MAX_RUNNING = 32
"""Callers that share the engine; more wait."""

LARGEST_SHARE = 2
"""A row may have this part of the memory: its step makes a copy, and others run beside it."""


class Unfinished(Enum):
    """A result's place."""

    UNFINISHED = "unfinished"


UNFINISHED = Unfinished.UNFINISHED


@dataclass(eq=False, slots=True)
class _Caller:
    """``used``: seconds of the engine, ``last`` of them in its last slice; ``running``: some row has begun;
    ``in_hand``: the first row runs now."""

    rows: list[Row]
    size: int
    used: float = 0.0
    last: float = 0.0
    running: bool = False
    in_hand: bool = False

    @property
    def deadline(self) -> float:
        return self.rows[0].end if self.running else self.rows[0].deadline


class Turns(Throughput):
    """The rows that wait or run. As `Queue`, and rows come back: `put_back` after a slice, `finish` after the last."""

    def __init__(self, bounds: QueueLimits, memory: int) -> None:
        """``memory``: of all running rows, in bytes."""
        super().__init__(0.0)
        self.tokens = self._rows = 0  # that wait
        self._bounds, self._memory = bounds, memory
        self._waiting: list[_Caller] = []
        self._running: list[_Caller] = []
        self._callers: dict[Row, _Caller] = {}
        self._may_begin = False

    def __len__(self) -> int:
        return self._rows

    @property
    def next_deadline(self) -> float:
        return min((caller.deadline for caller in (*self._waiting, *self._running)), default=math.inf)

    def put(self, rows: Sequence[Row], now: float) -> None:
        """Add one caller's rows, all or none; raises Overloaded, InputTooLarge."""
        if not rows:
            return
        caller = _Caller(list(rows), max(row.size for row in rows))
        self._require_memory(caller.size)
        self._require_space(len(rows), sum(row.tokens for row in rows))
        self._waiting.append(caller)
        self._count(caller.rows, 1)
        self._callers.update(dict.fromkeys(rows, caller))
        self._may_begin = True

    def admit(self, deadline: float = math.inf, now: float = 0.0) -> None:
        """Raise Overloaded if a row of one token would be refused."""
        self._require_space(1, 1)

    def take(self, now: float) -> NextBatch:
        """The next row, to be given back or removed, and the expired ones."""
        expired = self._expire(self._running, now)
        if self._may_begin:
            self._begin()
        ready = [caller for caller in self._running if not caller.in_hand]
        if not ready:
            return NextBatch([], expired)
        caller = min(ready, key=lambda each: each.used + each.last)
        caller.in_hand, row = True, caller.rows[0]
        row.begun = row.begun or now
        return NextBatch([row], expired)

    def put_back(self, row: Row, seconds: float) -> None:
        """After a slice that took so long."""
        row.seconds += seconds
        if (caller := self._callers.get(row)) is not None:  # else removed meanwhile
            caller.in_hand = False
            caller.used, caller.last = caller.used + seconds, seconds

    def ran(self, batch: Sequence[Row], now: float, seconds: float, workers: int) -> None:
        """As `Lanes.ran`, of all slices."""
        self.measure(batch, seconds, workers)

    def seconds_to_background(self, now: float) -> float:
        """As `Lanes.seconds_to_background`: no row is of the background."""
        return math.inf

    def finish(self, row: Row) -> None:
        """After its last slice."""
        if (caller := self._callers.get(row)) is not None:
            caller.in_hand = False
            self.remove(row)

    def expire(self, now: float) -> list[Row]:
        """Remove the rows of callers whose deadline has passed; gives the first of each."""
        return [*self._expire(self._waiting, now), *self._expire(self._running, now)]

    def remove(self, row: Row) -> None:
        """Also one that runs."""
        caller = self._callers.pop(row, None)
        if caller is None:
            return
        caller.rows.remove(row)
        if not caller.running:
            self._count([row], -1)
        if not caller.rows:
            (self._running if caller.running else self._waiting).remove(caller)
            self._may_begin = True

    def clear(self) -> None:
        self.tokens = self._rows = 0
        self._waiting, self._running, self._callers = [], [], {}

    def _expire(self, callers: Sequence[_Caller], now: float) -> list[Row]:
        expired = [caller.rows for caller in callers if caller.deadline <= now]
        firsts = [rows[0] for rows in expired]
        for row in [row for rows in expired for row in rows]:
            self.remove(row)
        return firsts

    def _begin(self) -> None:
        self._may_begin = False
        free = self._memory - sum(caller.size for caller in self._running)
        least = min((caller.used for caller in self._running), default=0.0)
        for caller in list(self._waiting):
            if len(self._running) == MAX_RUNNING:
                return
            if caller.size <= free:
                free -= caller.size
                caller.running, caller.used = True, least
                self._waiting.remove(caller)
                self._count(caller.rows, -1)
                self._running.append(caller)

    def _count(self, rows: Sequence[Row], sign: int) -> None:
        self._rows += sign * len(rows)
        self.tokens += sign * sum(row.tokens for row in rows)

    def _require_memory(self, size: int) -> None:
        if size > (most := self._memory // LARGEST_SHARE):
            raise InputTooLarge(
                f"answers so long need {size / 1e6:,.0f} MB for their keys and values, and may have {most / 1e6:,.0f}; "
                "ask for fewer new tokens (max_new_tokens, max_tokens) or fewer answers (num_beams, "
                "num_return_sequences, n), or shorten the text",
                field="max_new_tokens",
            )

    def _require_space(self, rows: int, tokens: int) -> None:
        full = len(self) + rows > self._bounds.rows or self.tokens + tokens > self._bounds.tokens
        if full and self._waiting:
            raise Overloaded(f"{len(self):,} texts of {self.tokens:,} tokens are in the queue")
