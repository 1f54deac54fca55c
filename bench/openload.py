"""Open-loop load: requests arrive at random times, whether earlier ones are answered or not.

Latencies count from the due time, so that a slow server or generator cannot hide a wait.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools

from deploy.capacity.arrivals import arrival_times
from deploy.measurement.load import GRACE_SECONDS, BestLabel, Query, check_answer, run_undisturbed

LATE_SECONDS = 0.05
"""A request sent this long after its due time is late: the generator cannot keep up."""


@dataclass
class ArrivalResult:
    """``latencies``: seconds, of right answers; ``in_time``: before the end; ``refused``: 429 with Retry-After."""

    seconds: float
    sent: int = 0
    in_time: int = 0
    refused: int = 0
    late: int = 0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def goodput(self) -> float:
        return self.in_time / self.seconds


def run_arrivals(
    port: int, queries: Sequence[Query], best_label: BestLabel, *, rate: float, seconds: float, seed: int
) -> ArrivalResult:
    """Send ``rate`` requests a second, on average, to a local server."""
    load = _ArrivalLoad(port, queries, best_label, ArrivalResult(seconds))
    run_undisturbed(load.run(arrival_times(rate, seconds, seed)))
    return load.result


class _ArrivalLoad:
    """The state that the connections share."""

    def __init__(self, port: int, queries: Sequence[Query], best_label: BestLabel, result: ArrivalResult) -> None:
        self.result = result
        self.free: list[_Connection] = []
        self._port = port
        self._queries: Iterator[Query] = itertools.cycle(queries)
        self._best_label = best_label
        self._pending: set[asyncio.Future[None]] = set()

    async def run(self, due: Iterable[float]) -> None:
        """Send at these times, in seconds from now."""
        self._loop = asyncio.get_running_loop()
        start = time.perf_counter()
        self._end = start + self.result.seconds
        for moment in due:
            if (ahead := start + moment - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            self._send(start + moment)
        if self._pending:
            _, lost = await asyncio.wait(self._pending, timeout=GRACE_SECONDS)
            if lost:
                self.result.errors[f"no answer within {GRACE_SECONDS:.0f} s of the end"] += len(lost)
        for connection in self.free:
            connection.close()

    def _send(self, due: float) -> None:
        self.result.sent += 1
        self.result.late += time.perf_counter() - due > LATE_SECONDS
        done = self._loop.create_future()
        self._pending.add(done)
        done.add_done_callback(self._pending.discard)
        request = _Pending(next(self._queries), due, done)
        if self.free:
            self.free.pop().send(request)
        else:
            self._loop.create_task(self._open(request))

    async def _open(self, request: _Pending) -> None:
        try:
            await self._loop.create_connection(lambda: _Connection(self, request), "127.0.0.1", self._port)
        except OSError as error:
            self.count_error(request, f"no connection: {error.strerror}")

    def count_error(self, request: _Pending, error: str) -> None:
        self.result.errors[error] += 1
        request.done.set_result(None)

    def count_answer(self, request: _Pending, status: int, retry_after: str, body: bytes) -> None:
        now = time.perf_counter()
        request.done.set_result(None)
        if status == 429 and retry_after.isdecimal():
            self.result.refused += 1
        elif error := check_answer(request.query, status, body, self._best_label):
            self.result.errors[error + (" without Retry-After" if status == 429 else "")] += 1
        else:
            self.result.latencies.append(now - request.due)
            self.result.in_time += now <= self._end


@dataclass(eq=False, slots=True)
class _Pending:
    query: Query
    due: float
    done: asyncio.Future[None]


class _Connection(asyncio.Protocol):
    """Sends one request at a time; httptools calls its ``on_…`` methods."""

    def __init__(self, load: _ArrivalLoad, first: _Pending) -> None:
        self._load = load
        self._request: _Pending | None = first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
        assert self._request
        self.send(self._request)  # before anything that the server sends unasked

    def send(self, request: _Pending) -> None:
        self._request, self._retry_after, self._body = request, "", b""
        self._parser = httptools.HttpResponseParser(self)
        if self._transport.is_closing():  # the server closed it
            self._fail("connection lost")
        else:
            self._transport.write(request.query.request)

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("not an HTTP answer")
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._load.free:
            self._load.free.remove(self)
        self._fail("connection lost")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1").strip()

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        if self._request is None:
            return
        request, self._request = self._request, None
        self._load.count_answer(request, self._parser.get_status_code(), self._retry_after, self._body)
        if self._parser.should_keep_alive():
            # Not now: this callback of the parser must return before `send` replaces the parser.
            asyncio.get_running_loop().call_soon(self._load.free.append, self)
        else:
            self._transport.close()

    def _fail(self, error: str) -> None:
        if self._request is not None:
            request, self._request = self._request, None
            self._load.count_error(request, error)
