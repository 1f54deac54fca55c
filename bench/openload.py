"""Open-loop load: requests arrive when chance says so (a Poisson process), whether those before are answered or not.

Latencies count from the moment a request was due, so that a slow server, or a slow generator, cannot hide a wait. A
request takes a connection that is free, or opens one.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

from bench.chance import moments
from bench.load import GRACE_SECONDS, BestLabel, Query

LATE_SECONDS = 0.05
"""A request that is sent so much later than it was due shows that the generator cannot keep up."""


@dataclass
class Arrivals:
    """What became of the requests.

    ``latencies`` are seconds of every right answer; ``in_time`` counts those that came before the end of the load;
    ``refused`` counts answers 429 that say when to come back; ``late`` counts requests that were sent too late.
    """

    seconds: float
    sent: int = 0
    in_time: int = 0
    refused: int = 0
    late: int = 0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def goodput(self) -> float:
        """Right answers a second."""
        return self.in_time / self.seconds


def run_arrivals(
    port: int, queries: Sequence[Query], best_label: BestLabel, *, rate: float, seconds: float, seed: int
) -> Arrivals:
    """Send ``rate`` requests a second, on average, to a local server, going round the queries in order."""
    arrivals = _Arrivals(port, queries, best_label, Arrivals(seconds))
    gc.collect()
    gc.disable()  # a collector's pause would be taken for the server's
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(arrivals.run(moments(rate, seconds, seed)))
    finally:
        gc.enable()
    return arrivals.found


class _Arrivals:
    """What the connections share."""

    def __init__(self, port: int, queries: Sequence[Query], best_label: BestLabel, found: Arrivals) -> None:
        self.found = found
        self.free: list[_Connection] = []
        self._port = port
        self._queries: Iterator[Query] = itertools.cycle(queries)
        self._best_label = best_label
        self._under_way: set[asyncio.Future[None]] = set()

    async def run(self, due: Iterable[float]) -> None:
        """Send at these moments, in seconds from now, then wait for what is under way."""
        self._loop = asyncio.get_running_loop()
        start = time.perf_counter()
        self._end = start + self.found.seconds
        for moment in due:
            if (ahead := start + moment - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            self._send(start + moment)
        if self._under_way:
            _, lost = await asyncio.wait(self._under_way, timeout=GRACE_SECONDS)
            if lost:
                self.found.errors[f"no answer within {GRACE_SECONDS:.0f} s of the end"] += len(lost)
        for connection in self.free:
            connection.close()

    def _send(self, due: float) -> None:
        self.found.sent += 1
        self.found.late += time.perf_counter() - due > LATE_SECONDS
        done = self._loop.create_future()
        self._under_way.add(done)
        done.add_done_callback(self._under_way.discard)
        asked = _Asked(next(self._queries), due, done)
        if self.free:
            self.free.pop().ask(asked)
        else:
            self._loop.create_task(self._open(asked))

    async def _open(self, asked: _Asked) -> None:
        try:
            await self._loop.create_connection(lambda: _Connection(self, asked), "127.0.0.1", self._port)
        except OSError as error:
            self.failed(asked, f"no connection: {error.strerror}")

    def failed(self, asked: _Asked, error: str) -> None:
        """Count what is no answer."""
        self.found.errors[error] += 1
        asked.done.set_result(None)

    def answered(self, asked: _Asked, status: int, retry_after: str, body: bytes) -> None:
        """Count an answer."""
        now = time.perf_counter()
        asked.done.set_result(None)
        if status == 429 and retry_after.isdecimal():
            self.found.refused += 1
        elif error := self._error_of(asked.query, status, body):
            self.found.errors[error] += 1
        else:
            self.found.latencies.append(now - asked.due)
            self.found.in_time += now <= self._end

    def _error_of(self, query: Query, status: int, body: bytes) -> str:
        if status != 200:
            return f"status {status}" + (" without Retry-After" if status == 429 else "")
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return "" if self._best_label(json.loads(body)) == query.expected else "wrong label"
        return "unreadable answer"


@dataclass(eq=False, slots=True)
class _Asked:
    """A request under way."""

    query: Query
    due: float
    done: asyncio.Future[None]


class _Connection(asyncio.Protocol):
    """A keep-alive connection with at most one request under way; httptools calls its ``on_…`` methods."""

    def __init__(self, arrivals: _Arrivals, first: _Asked) -> None:
        self._arrivals = arrivals
        self._asked: _Asked | None = first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses
        assert self._asked
        self.ask(self._asked)  # now: the server may speak first

    def ask(self, asked: _Asked) -> None:
        """Send a request."""
        self._asked, self._retry_after, self._body = asked, "", b""
        self._parser = httptools.HttpResponseParser(self)
        if self._transport.is_closing():  # the server has ended it just now
            self._fail("connection lost")
        else:
            self._transport.write(asked.query.request)

    def close(self) -> None:
        """Nothing more will be asked."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("not an HTTP answer")
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._arrivals.free:
            self._arrivals.free.remove(self)
        self._fail("connection lost")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1").strip()

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        if self._asked is None:
            return
        asked, self._asked = self._asked, None
        self._arrivals.answered(asked, self._parser.get_status_code(), self._retry_after, self._body)
        if self._parser.should_keep_alive():
            # Soon and not now: the parser's callback must return before the parser is replaced.
            asyncio.get_running_loop().call_soon(self._arrivals.free.append, self)
        else:
            self._transport.close()

    def _fail(self, error: str) -> None:
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self._arrivals.failed(asked, error)
