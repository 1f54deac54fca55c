"""The batcher: gathers what concurrent requests ask for into calls of the engine, and never keeps the engine waiting.

Rows that arrive while the engine is busy wait in a bounded queue; when it is free it takes at once whatever fits its
token budget. Nothing is delayed in the hope of a fuller batch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from serving.batching.errors import Overloaded
from serving.batching.observing import Observer, Timing
from serving.tasks.base import Window

Run = Callable[[Sequence[Window]], Sequence[Any]]


@dataclass(frozen=True)
class _Row:
    window: Window
    answer: asyncio.Future[Any]
    timing: Timing = field(default_factory=Timing)

    @property
    def tokens(self) -> int:
        return len(self.window.ids)


class Batcher:
    """Runs rows on one engine thread. Every method is called on the event loop that awaits the answers."""

    def __init__(
        self, run: Run, *, max_batch_tokens: int = 2048, max_queue: int = 1024, observer: Observer | None = None
    ) -> None:
        """Prepare to run.

        Args:
            run: the engine: a result for each window given; called on one thread, never concurrently.
            max_batch_tokens: padded tokens a call may hold; a longer lone row is run by itself.
            max_queue: rows that may wait; more are refused with Overloaded.
            observer: told of each call of the engine.
        """
        self._run = run
        self._max_batch_tokens = max_batch_tokens
        self._max_queue = max_queue
        self._observer = observer
        self._waiting: deque[_Row] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._seconds_per_row = 0.0
        self._engine = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return len(self._waiting)

    @property
    def seconds_to_drain(self) -> float:
        """How long the rows that wait will take, at the pace measured lately."""
        return self.depth * self._seconds_per_row

    async def submit(self, windows: Sequence[Window], timing: Timing | None = None) -> list[Any]:
        """The result of each window, in order; raises Overloaded, or what the engine raised for one of the rows.

        ``timing`` is filled in as things happen.
        """
        if self._waiting and len(self._waiting) + len(windows) > self._max_queue:
            raise Overloaded(f"{len(self._waiting)} texts are waiting already")
        loop = asyncio.get_running_loop()
        timing = timing or Timing()
        timing.submitted = time.perf_counter()
        rows = [_Row(window, loop.create_future(), timing) for window in windows]
        self._waiting.extend(rows)
        self._start()
        try:
            return await asyncio.gather(*(row.answer for row in rows))
        finally:
            timing.answered = time.perf_counter()
            for row in rows:  # a caller that went away, or had one poison row, leaves no work behind
                row.answer.cancel()

    async def close(self) -> None:
        """Finish what was accepted and stop the engine."""
        while self._worker is not None:
            await self._worker
        self._engine.shutdown()

    def _start(self) -> None:
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while batch := take(self._waiting, self._max_batch_tokens):
            await self._answer(batch)
        # Nothing is awaited between the last look at the queue and this line, so no row can slip in unseen.
        self._worker = None

    async def _answer(self, batch: Sequence[_Row]) -> None:
        loop = asyncio.get_running_loop()
        start = _begin(batch)
        try:
            results = await loop.run_in_executor(self._engine, self._run, [row.window for row in batch])
        except Exception as error:  # whatever the engine raises belongs to the rows, not to the server
            await self._isolate(batch, error)
            return
        self._measure(batch, start, time.perf_counter() - start)
        for row, answer in zip(batch, results):  # noqa: B905 - one result a row, as the engine promises
            if not row.answer.done():
                row.answer.set_result(answer)

    def _measure(self, batch: Sequence[_Row], start: float, seconds: float) -> None:
        """Keep a moving average that follows the last dozen batches or so, and tell the observer."""
        weight = 0.1 if self._seconds_per_row else 1.0
        self._seconds_per_row += weight * (seconds / len(batch) - self._seconds_per_row)
        if self._observer is not None:
            waited = [start - row.timing.submitted for row in batch]
            self._observer.ran(waited, sum(row.tokens for row in batch), seconds)

    async def _isolate(self, batch: Sequence[_Row], error: Exception) -> None:
        """One bad row must not fail its neighbours: run each alone, and only the bad one gets the error."""
        if len(batch) > 1:
            for row in batch:
                if not row.answer.done():
                    await self._answer([row])
        elif not batch[0].answer.done():
            batch[0].answer.set_exception(error)


def _begin(batch: Sequence[_Row]) -> float:
    """Note that the engine takes the rows up now."""
    now = time.perf_counter()
    for row in batch:
        row.timing.begun = row.timing.begun or now
    return now


def take(waiting: deque[_Row], max_tokens: int) -> list[_Row]:
    """Remove from the queue the next batch: first come, first served, as many as fit padded to the longest.

    Rows whose caller has gone are dropped before they cost anything.
    """
    batch: list[_Row] = []
    longest = 0
    while waiting:
        row = waiting[0]
        if not row.answer.done():
            longest = max(longest, row.tokens)
            if batch and longest * (len(batch) + 1) > max_tokens:
                break
            batch.append(row)
        waiting.popleft()
    return batch
