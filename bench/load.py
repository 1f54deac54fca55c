"""The load generator: keep-alive connections, each sending its next request as soon as it has its answer.

It is a closed loop on raw sockets with requests rendered beforehand, so that it costs far less than what it measures:
the no-op server of `bench.noop_server` tells how much it could do.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import httptools
import uvloop

GRACE_SECONDS = 10.0
"""How long an answer may take after the round has ended before it counts as lost."""

BestLabel = Callable[[Any], str]


@dataclass(frozen=True)
class Query:
    """A request as the bytes to send, and the label that must come first in its answer."""

    request: bytes
    expected: str


@dataclass(frozen=True)
class Round:
    """What a round of load gave.

    ``latencies`` are seconds from sending to the last byte, of every answer with status 200; ``answered`` counts those
    that came before the round's end; ``errors`` counts what went wrong under its name.
    """

    seconds: float
    answered: int
    latencies: list[float]
    errors: Counter[str]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


def render(port: int, path: str, content: Any) -> bytes:
    """An HTTP/1.1 POST of ``content`` as JSON."""
    body = json.dumps(content).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run_load(
    port: int,
    queries: Sequence[Query],
    best_label: BestLabel,
    *,
    connections: int,
    seconds: float = math.inf,
    requests: float = math.inf,
) -> Round:
    """Put load on a local server for some seconds or so many requests, going round the queries in order.

    Args:
        best_label: takes the best label out of an answer's JSON.
    """
    load, start = _Load(queries, best_label, seconds, requests), time.perf_counter()
    gc.collect()
    gc.disable()  # a collector's pause would be taken for the server's
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(load.run(port, connections))
    finally:
        gc.enable()
    spent = seconds if seconds < math.inf else time.perf_counter() - start
    return Round(spent, load.answered, load.latencies, load.errors)


class _Load:
    """What the connections share: the queries to come, and what became of those before."""

    def __init__(self, queries: Sequence[Query], best_label: BestLabel, seconds: float, requests: float) -> None:
        self.queries: Iterator[Query] = itertools.cycle(queries)
        self.answered = 0
        self.latencies: list[float] = []
        self.errors: Counter[str] = Counter()
        self._best_label = best_label
        self._seconds = seconds
        self._left = requests

    async def run(self, port: int, connections: int) -> None:
        """Open the connections and wait until each has its last answer, or the grace is over."""
        self._deadline = time.perf_counter() + self._seconds
        opened = [connection for _ in range(connections) if (connection := await self._connect(port))]
        if opened:
            ended = [connection.ended for connection in opened]
            await asyncio.wait(ended, timeout=None if self._seconds == math.inf else self._seconds + GRACE_SECONDS)
        for connection in opened:
            connection.give_up()

    @property
    def late(self) -> bool:
        """Whether the round's time is over."""
        return time.perf_counter() > self._deadline

    def next(self) -> Query | None:
        """The query to send next, counted as sent; None once no further one is."""
        if self._left <= 0 or self.late:
            return None
        self._left -= 1
        return next(self.queries)

    def take(self, query: Query, status: int, body: bytes, latency: float, in_time: bool) -> None:
        """Count an answer."""
        if status == 200:
            self.answered += in_time
            self.latencies.append(latency)
        if error := self._error_of(query, status, body):
            self.errors[error] += 1

    async def _connect(self, port: int) -> _Connection | None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self, loop), "127.0.0.1", port)
        except OSError as error:
            self.errors[f"no connection: {error.strerror}"] += 1
            return None
        return connection

    def _error_of(self, query: Query, status: int, body: bytes) -> str:
        if status != 200:
            return f"status {status}"
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return "" if self._best_label(json.loads(body)) == query.expected else "wrong label"
        return "unreadable answer"


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way; httptools calls its ``on_…`` methods."""

    def __init__(self, load: _Load, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self._load = load
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses
        if first := self._load.next():
            self._send(first)
        else:
            self._finish("")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._finish("not an HTTP answer")

    def connection_lost(self, error: Exception | None) -> None:
        self._finish("connection lost")

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        latency, in_time, further = time.perf_counter() - self._sent, not self._load.late, self._load.next()
        query, status, body = self._query, self._parser.get_status_code(), self._body
        if further and self._parser.should_keep_alive():
            # Soon and not now: the parser's callback must return before the parser is replaced.
            self._loop.call_soon(self._send, further)
        else:
            self._finish("connection closed by the server" if further else "")
        self._load.take(query, status, body, latency, in_time)

    def give_up(self) -> None:
        """The grace is over: what is not answered now is lost."""
        self._finish(f"no answer within {GRACE_SECONDS:.0f} s of the end")

    def _send(self, query: Query) -> None:
        if self.ended.done():
            return
        self._query = query
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._sent = time.perf_counter()
        self._transport.write(self._query.request)

    def _finish(self, error: str) -> None:
        """End this connection once; ``error`` is empty where it came to its proper end."""
        if self.ended.done():
            return
        if error:
            self._load.errors[error] += 1
        self.ended.set_result(None)
        self._transport.abort()
