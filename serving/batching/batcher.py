"""Windows of concurrent requests become engine calls.

Callers run on the event loop, the engine on its own threads, which take their batches directly from the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.errors import Expired, Unavailable
from serving.batching.lanes import Lanes
from serving.batching.scheduler import Row
from serving.batching.turns import UNFINISHED, Turns
from serving.errors import UserError
from serving.tasks.base import Window

logger = logging.getLogger("tuneship")

Run = Callable[[Sequence[Any]], Sequence[Any]]

FIRST_ESTIMATE = 1e-4
"""Seconds a token before the first measurement: a small encoder on one core."""

CLOSE_SECONDS = 2.0
"""Most of a close, for the batch that runs when nothing is waited for."""


class Observer(Protocol):
    """Called on the event loop after each engine call; must be fast."""

    def ran(self, waited: Sequence[float], tokens: int, seconds: float) -> None:
        """``waited``: seconds of each window in the queue; ``tokens``: without padding; ``seconds``: of the call."""


class Timing:
    """When windows were submitted, began to run and were all answered, by `time.perf_counter`; 0.0 until then."""

    __slots__ = ("answered", "begun", "submitted")

    def __init__(self) -> None:
        self.submitted = self.begun = self.answered = 0.0


@dataclass(eq=False, slots=True)
class _Submission:
    """One caller's windows and results."""

    windows: Sequence[Window]
    done: asyncio.Future[None]
    timing: Timing
    results: list[Any]
    missing: int
    error: Exception | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        return self.error is None and not self.done.done()

    def expiry_error(self) -> Expired:
        finished = len(self.windows) - self.missing
        if any(row.begun for row in self.rows):  # in slices, each of which may be the last
            return Expired("the deadline passed while the answer was being generated; ask for fewer tokens or answers")
        if not finished:
            return Expired("the deadline passed before the request ran")
        message = f"the deadline passed when {finished:,} of {len(self.windows):,} texts were done"
        return Expired(f"{message}; send fewer in a request")


class Batcher:
    """Call every method on the event loop."""

    def __init__(
        self,
        run: Run,
        *,
        shape: BatchShape = BatchShape(),  # noqa: B008 - frozen
        bounds: QueueLimits = QueueLimits(),  # noqa: B008 - frozen
        workers: int = 1,
        observer: Observer | None = None,
        interrupt: Callable[[], None] = lambda: None,
        turns: Turns | None = None,
    ) -> None:
        """Start the threads; raises UserError where the system has none.

        Args:
            run: the engine: a result for each window. Each worker calls it.
            shape: limits of one call.
            bounds: limits of the queue.
            workers: threads.
            observer: told of each call.
            interrupt: makes the engine's calls that are under way fail.
            turns: the queue where ``run`` gives UNFINISHED, in place of one with ``shape`` and ``bounds``.
        """
        self._run, self._observer, self._interrupt, self._workers = run, observer, interrupt, workers
        self._turns = turns
        self._queue = Lanes(shape, bounds, FIRST_ESTIMATE) if turns is None else turns
        self._changed = threading.Condition()  # guards the queue and the submissions
        self._closed = False
        self._in_hand: set[_Submission] = set()
        self._expiry: tuple[float, asyncio.TimerHandle] | None = None
        self._idle = 0
        self._finished: list[_Submission] = []
        self._statistics: list[tuple[list[float], int, float]] = []
        self._threads = [
            threading.Thread(target=self._work, name=f"engine-{number}", daemon=True) for number in range(workers)
        ]
        self._start_threads()

    @property
    def alive(self) -> bool:
        """Whether every thread is: else some requests would get no answer."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def depth(self) -> int:
        return len(self._queue)

    @property
    def seconds_to_drain(self) -> float:
        """Estimate at the current throughput."""
        return self._queue.tokens * self._queue.seconds_per_token

    def background_seconds(self, tokens: int) -> float:
        """Estimate for so many tokens of background windows at the current throughput."""
        return self._queue.background_seconds(tokens, time.perf_counter()) if isinstance(self._queue, Lanes) else 0.0

    def admit(self, deadline: float = math.inf) -> None:
        """Raise Overloaded if even the smallest request would be refused; to call before reading a request."""
        self._queue.admit(deadline, time.perf_counter())

    async def submit(
        self,
        windows: Sequence[Window],
        timing: Timing | None = None,
        deadline: float = math.inf,
        end: float = math.inf,
        *,
        background: bool = False,
    ) -> list[Any]:
        """The result of each window; ``timing`` is filled in.

        Windows that have not begun at ``deadline``, a time of `time.perf_counter`, expire; those that run in slices
        expire at ``end`` instead.

        ``background`` windows give way to others.

        Raises:
            Overloaded: the queue is full, or too long for the deadline.
            InputTooLarge: a window needs more memory than any may have.
            Expired: the deadline passed.
            Unavailable: the batcher is closed.
            Exception: the engine's.
        """
        submission = self._enqueue(windows, timing or Timing(), deadline, end, background)
        try:
            if submission.missing:
                await submission.done
        finally:
            self._in_hand.discard(submission)
            submission.timing.answered = time.perf_counter()
            if submission.missing:  # cancelled or failed: its other rows need not run
                with self._changed:
                    for row in submission.rows:
                        self._queue.remove(row)
        if submission.error is not None:
            raise submission.error
        return submission.results

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Answer what was accepted, for ``seconds`` at most; interrupt what runs for nobody."""
        self._begin_closing()
        if not self._in_hand:
            self._interrupt()
        end = time.perf_counter() + seconds
        for thread in self._threads:
            await asyncio.to_thread(thread.join, max(0.0, end - time.perf_counter()))
        if any(thread.is_alive() for thread in self._threads):
            logger.warning("the engine is still running a batch; it is left behind")
            self._interrupt()
            self._fail_all(Unavailable("the model is being closed"))
        if self._expiry:
            self._expiry[1].cancel()

    def _begin_closing(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _enqueue(
        self,
        windows: Sequence[Window],
        timing: Timing,
        deadline: float,
        end: float = math.inf,
        background: bool = False,
    ) -> _Submission:
        if self._closed:
            raise Unavailable("the model is being closed")
        if not self.alive:
            raise Unavailable("the engine's threads have ended")
        self._loop = asyncio.get_running_loop()
        submission = _Submission(windows, self._loop.create_future(), timing, [None] * len(windows), len(windows))
        submission.rows = [
            Row(len(window.ids), deadline, (submission, at), background=background) for at, window in enumerate(windows)
        ]
        if self._turns is not None:
            for row, window in zip(submission.rows, windows, strict=True):
                row.size, row.end = getattr(window, "cache_bytes", 0), end
        timing.submitted = time.perf_counter()
        with self._changed:
            self._queue.put(submission.rows, timing.submitted)
            self._in_hand.add(submission)
            if self._idle:
                self._changed.notify(min(self._idle, len(windows)))
        self._schedule_expiry(min(deadline, end))
        return submission

    # One timer, set to the earliest deadline.

    def _schedule_expiry(self, deadline: float) -> None:
        if deadline == math.inf or (self._expiry and self._expiry[0] <= deadline):
            return
        if self._expiry:
            self._expiry[1].cancel()
        self._expiry = deadline, self._loop.call_later(max(0.0, deadline - time.perf_counter()), self._expire)

    def _expire(self) -> None:
        self._expiry = None
        with self._changed:
            self._fail_expired(self._queue.expire(time.perf_counter()))
            deadline = self._queue.next_deadline
        self._schedule_expiry(deadline)

    def _start_threads(self) -> None:
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self._begin_closing()
            raise UserError(
                f"the engine's threads cannot be started ({error}): raise the limit of processes (ulimit -u, the "
                "container's pids) or of memory, or lower TUNESHIP_WORKERS"
            ) from error

    # The rest runs on the engine's threads.

    def _work(self) -> None:
        """A failure outside the engine loses the rows in hand, but not the thread."""
        while True:
            try:
                while batch := self._next_batch():
                    self._run_batch(batch)
                return
            except BaseException as error:  # whatever it is, callers wait for this thread
                logger.exception("an engine thread failed; the requests in hand get an error, and it goes on")
                self._fail_all(RuntimeError(f"an engine thread failed: {type(error).__name__}: {error}"))

    def _fail_all(self, error: Exception) -> None:
        with self._changed:
            self._queue.clear()
            for submission in list(self._in_hand):
                self._fail(submission, error)

    def _next_batch(self) -> list[Row]:
        """Wait for a batch; empty once closed."""
        with self._changed:
            while True:
                now = time.perf_counter()
                batch, expired = self._queue.take(now)
                self._fail_expired(expired)
                wait = self._queue.seconds_to_background(now)
                if batch or (self._closed and wait == math.inf):
                    return batch
                self._idle += 1
                self._changed.wait(wait if wait < math.inf else None)
                self._idle -= 1

    def _run_batch(self, batch: Sequence[Row]) -> None:
        """If the engine fails, run each half, so that only the row at fault gets the error."""
        start = time.perf_counter()
        try:
            results = self._run([row.owner[0].windows[row.owner[1]] for row in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"the engine gave {len(results)} results for {len(batch)} windows")
        except BaseException as error:  # whatever the engine raises, a panic too, is the request's error
            self._run_halves(batch, _as_exception(error))
            return
        seconds = time.perf_counter() - start
        with self._changed:
            if self._turns is not None and not self._end_turn(self._turns, batch[0], results[0], seconds):
                return
            self._store(batch, results, start, seconds)

    def _end_turn(self, turns: Turns, row: Row, result: Any, seconds: float) -> bool:
        """Whether the row has its result."""
        turns.put_back(row, seconds)
        if result is UNFINISHED:
            return False
        turns.finish(row)
        return True

    def _run_halves(self, batch: Sequence[Row], error: Exception) -> None:
        if len(batch) == 1:
            with self._changed:
                self._fail(batch[0].owner[0], error)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if pending := [row for row in half if row.owner[0].pending]:
                self._run_batch(pending)

    def _store(self, batch: Sequence[Row], results: Sequence[Any], start: float, seconds: float) -> None:
        tokens = sum(row.tokens for row in batch)
        seconds = batch[0].seconds or seconds  # of all slices
        self._queue.ran(batch, start + seconds, seconds, self._workers)
        waited = []
        for row, result in zip(batch, results, strict=True):
            submission, index = row.owner
            submission.results[index] = result
            submission.missing -= 1
            begun = row.begun or start
            submission.timing.begun = submission.timing.begun or begun
            waited.append(begun - submission.timing.submitted)
            if not submission.missing:
                self._finish(submission)
        self._statistics.append((waited, tokens, seconds))

    def _fail(self, submission: _Submission, error: Exception) -> None:
        if submission.error is None:
            submission.error = error
            self._finish(submission)

    def _fail_expired(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._fail(row.owner[0], row.owner[0].expiry_error())

    def _finish(self, submission: _Submission) -> None:
        if not self._finished:  # else a callback is scheduled already
            with contextlib.suppress(RuntimeError):  # the event loop has ended, and its callers with it
                self._loop.call_soon_threadsafe(self._deliver)
        self._finished.append(submission)

    def _deliver(self) -> None:
        """Runs on the event loop."""
        with self._changed:
            finished, self._finished = self._finished, []
            statistics, self._statistics = self._statistics, []
        for submission in finished:
            if not submission.done.done():
                submission.done.set_result(None)
        if self._observer is not None:
            for each in statistics:
                self._observer.ran(*each)


def _as_exception(error: BaseException) -> Exception:
    """A panic of Rust code derives from no Exception, and would end the caller's task and more."""
    if isinstance(error, Exception):
        return error
    failure = RuntimeError(f"the engine failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
