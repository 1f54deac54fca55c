"""The batcher: gathers what concurrent requests ask for into calls of the engine, and never keeps the engine waiting.

Callers live on the event loop, the engine on threads of its own. Whenever a thread is free it takes what the policy
gives it, without a detour over the loop; finished answers go back to the loop, many at a time if it is busy.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.errors import Expired, Unavailable
from serving.batching.scheduler import Queue, Row
from serving.batching.timing import Observer, Timing
from serving.tasks.base import Window

Run = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(eq=False, slots=True)
class _Call:
    """What one caller waits for: the results so far, how many are missing, and who is to be told."""

    windows: Sequence[Window]
    done: asyncio.Future[None]
    timing: Timing
    results: list[Any]
    missing: int
    error: Exception | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Whether its results still matter: nobody has left, and nothing of it has failed."""
        return self.error is None and not self.done.done()

    @property
    def late(self) -> Expired:
        """What it is told when its deadline comes."""
        run = len(self.windows) - self.missing
        if not run:
            return Expired("the time given for an answer was over before its turn came")
        message = f"the time given for an answer was over when {run:,} of {len(self.windows):,} texts were done"
        return Expired(f"{message}; send fewer in a request")


class Batcher:
    """Runs windows on engine threads. Every method is called on the event loop that awaits the answers."""

    def __init__(
        self,
        run: Run,
        *,
        shape: BatchShape = BatchShape(),  # noqa: B008 - frozen
        bounds: QueueLimits = QueueLimits(),  # noqa: B008 - frozen
        workers: int = 1,
        observer: Observer | None = None,
    ) -> None:
        """Prepare to run.

        Args:
            run: the engine: a result for each window given; called on as many threads at once as there are workers.
            shape: what one call of it takes.
            bounds: what may wait; more is refused with Overloaded.
            workers: engine threads.
            observer: told of each call of the engine.
        """
        self._run, self._observer, self._workers = run, observer, workers
        self._pace = Pace(workers)
        self._queue = Queue(shape, bounds, self._pace.seconds_per_token)
        self._changed = threading.Condition()  # guards the queue and the calls
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._expiry: tuple[float, asyncio.TimerHandle] | None = None
        self._idle = 0
        self._finished: list[_Call] = []
        self._ran: list[tuple[list[float], int, float]] = []

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return len(self._queue)

    @property
    def seconds_to_drain(self) -> float:
        """How long the rows that wait will take, at the pace measured lately."""
        return self._pace.seconds(self._queue.tokens)

    def admit(self, deadline: float = math.inf) -> None:
        """Raise Overloaded where no row would fit, or run before its deadline.

        It is asked before a request is read, so that refusing it costs little.
        """
        self._queue.admit(deadline, time.perf_counter())

    async def submit(
        self, windows: Sequence[Window], timing: Timing | None = None, deadline: float = math.inf
    ) -> list[Any]:
        """The result of each window, in order.

        Args:
            windows: one caller's.
            timing: filled in as things happen.
            deadline: when the answer need not be given any more, on the clock of `time.perf_counter`.

        Raises:
            Overloaded: the queue is full, or so long that the deadline would come before a window's turn.
            Expired: the deadline came before a window's turn.
            Unavailable: the batcher is closed.
            Exception: what the engine raised for one of the windows.
        """
        call = self._accept(windows, timing or Timing(), deadline)
        try:
            if call.missing:
                await call.done
        finally:
            call.timing.answered = time.perf_counter()
            if call.missing:  # a caller that went away, or had a row fail, leaves no work behind
                self._withdraw(call)
        if call.error is not None:
            raise call.error
        return call.results

    async def close(self) -> None:
        """Finish what was accepted and stop the engine's threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        if self._expiry:
            self._expiry[1].cancel()

    def _accept(self, windows: Sequence[Window], timing: Timing, deadline: float) -> _Call:
        if self._closed:
            raise Unavailable("the model is being closed")
        self._loop = asyncio.get_running_loop()
        call = _Call(windows, self._loop.create_future(), timing, [None] * len(windows), len(windows))
        call.rows = [Row(len(window.ids), deadline, (call, index)) for index, window in enumerate(windows)]
        timing.submitted = time.perf_counter()
        with self._changed:
            self._queue.put(call.rows, timing.submitted)
            if self._idle:
                self._changed.notify(min(self._idle, len(windows)))
        self._watch(deadline)
        self._start()
        return call

    def _withdraw(self, call: _Call) -> None:
        with self._changed:
            for row in call.rows:
                self._queue.remove(row)

    # Deadlines: one timer, for the earliest of them.

    def _watch(self, deadline: float) -> None:
        if deadline == math.inf or (self._expiry and self._expiry[0] <= deadline):
            return
        if self._expiry:
            self._expiry[1].cancel()
        self._expiry = deadline, self._loop.call_later(max(0.0, deadline - time.perf_counter()), self._expire)

    def _expire(self) -> None:
        self._expiry = None
        with self._changed:
            self._fail_late(self._queue.expire(time.perf_counter()))
            deadline = self._queue.next_deadline
        self._watch(deadline)

    # What follows runs on the engine's threads.

    def _start(self) -> None:
        if len(self._threads) < self._workers:
            self._threads = [
                threading.Thread(target=self._work, name=f"engine-{number}", daemon=True)
                for number in range(self._workers)
            ]
            for thread in self._threads:
                thread.start()

    def _work(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[Row]:
        """The next batch; waits for one, and is empty when there will be none any more."""
        with self._changed:
            while True:
                batch, expired = self._queue.take(time.perf_counter())
                self._fail_late(expired)
                if batch or self._closed:
                    return batch
                self._idle += 1
                self._changed.wait()
                self._idle -= 1

    def _answer(self, batch: Sequence[Row]) -> None:
        """Run a batch; where the engine fails, halve it, so that only the row at fault gets the engine's error."""
        start = time.perf_counter()
        try:
            results = self._results(batch)
        except Exception as error:  # whatever the engine raises belongs to the rows, not to the server
            self._isolate(batch, error)
            return
        seconds = time.perf_counter() - start
        with self._changed:
            self._settle(batch, results, start, seconds)

    def _results(self, batch: Sequence[Row]) -> Sequence[Any]:
        results = self._run([row.owner[0].windows[row.owner[1]] for row in batch])
        if len(results) != len(batch):
            raise RuntimeError(f"the engine gave {len(results)} results for {len(batch)} windows")
        return results

    def _isolate(self, batch: Sequence[Row], error: Exception) -> None:
        if len(batch) == 1:
            with self._changed:
                self._fail(batch, error)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if wanted := [row for row in half if row.owner[0].wanted]:
                self._answer(wanted)

    def _settle(self, batch: Sequence[Row], results: Sequence[Any], start: float, seconds: float) -> None:
        tokens = sum(row.tokens for row in batch)
        self._pace.measure(tokens, seconds)
        self._queue.seconds_per_token = self._pace.seconds_per_token
        waited = []
        for row, result in zip(batch, results, strict=True):
            call, index = row.owner
            call.results[index] = result
            call.missing -= 1
            call.timing.begun = call.timing.begun or start
            waited.append(start - call.timing.submitted)
            if not call.missing:
                self._finish(call)
        self._ran.append((waited, tokens, seconds))

    def _fail(self, rows: Sequence[Row], error: Exception) -> None:
        for row in rows:
            call, _ = row.owner
            if call.error is None:
                call.error = error
                self._finish(call)

    def _fail_late(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._fail([row], row.owner[0].late)

    def _finish(self, call: _Call) -> None:
        if not self._finished:  # else the loop has been told, and has not come to it yet
            self._loop.call_soon_threadsafe(self._deliver)
        self._finished.append(call)

    def _deliver(self) -> None:
        """Called on the loop."""
        with self._changed:
            finished, self._finished = self._finished, []
            ran, self._ran = self._ran, []
        for call in finished:
            if not call.done.done():
                call.done.set_result(None)
        if self._observer is not None:
            for facts in ran:
                self._observer.ran(*facts)


FIRST_GUESS = 1e-4
"""Seconds a token, before anything was measured: a small encoder on one core."""

WEIGHT = 0.1
"""Of the latest call in the moving average, which so follows the last dozen calls or so."""


class Pace:
    """A moving average of the seconds that a token takes, all workers together."""

    def __init__(self, workers: int) -> None:
        self.seconds_per_token = FIRST_GUESS
        self._workers = workers
        self._measured = False

    def seconds(self, tokens: int) -> float:
        """How long so many tokens will take."""
        return tokens * self.seconds_per_token

    def measure(self, tokens: int, seconds: float) -> None:
        """Take in a call of the engine."""
        weight = WEIGHT if self._measured else 1.0
        self.seconds_per_token += weight * (seconds / max(1, tokens) / self._workers - self.seconds_per_token)
        self._measured = True
