"""Closed-loop load: each keep-alive connection sends its next request as soon as it has its answer.

Raw sockets and rendered requests cost far less than a server; `bench.noop_server` shows how much load they make.
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
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import httptools
import uvloop

GRACE_SECONDS = 10.0
"""After the end of a round, an answer that takes longer is lost."""

BestLabel = Callable[[Any], object]


@dataclass(frozen=True)
class Query:
    """A request, and the label that its answer must have first."""

    request: bytes
    expected: object


@dataclass(frozen=True)
class LoadResult:
    """``latencies``: seconds to the last byte, of answers with status 200; ``answered``: those before the end."""

    seconds: float
    answered: int
    latencies: list[float]
    errors: Counter[str]

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


def render(port: int, path: str, content: Any) -> bytes:
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
) -> LoadResult:
    """Repeat the queries to a local server for some seconds or requests."""
    load, start = _Load(queries, best_label, seconds, requests), time.perf_counter()
    run_undisturbed(load.run(port, connections))
    spent = seconds if seconds < math.inf else time.perf_counter() - start
    return LoadResult(spent, load.answered, load.latencies, load.errors)


def run_undisturbed(load: Coroutine[Any, Any, None]) -> None:
    """Run without garbage collection, whose pauses would count as the server's."""
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(load)
    finally:
        gc.enable()


def check_answer(query: Query, status: int, body: bytes, best_label: BestLabel) -> str:
    """The error; empty if the answer is right."""
    if status != 200:
        return f"status {status}"
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return "" if best_label(json.loads(body)) == query.expected else "wrong label"
    return "unreadable answer"


class _Load:
    """The state that the connections share."""

    def __init__(self, queries: Sequence[Query], best_label: BestLabel, seconds: float, requests: float) -> None:
        self.queries: Iterator[Query] = itertools.cycle(queries)
        self.answered = 0
        self.latencies: list[float] = []
        self.errors: Counter[str] = Counter()
        self._best_label = best_label
        self._seconds = seconds
        self._left = requests

    async def run(self, port: int, connections: int) -> None:
        self._deadline = time.perf_counter() + self._seconds
        opened = [connection for _ in range(connections) if (connection := await self._connect(port))]
        if opened:
            ended = [connection.ended for connection in opened]
            await asyncio.wait(ended, timeout=None if self._seconds == math.inf else self._seconds + GRACE_SECONDS)
        for connection in opened:
            connection.give_up()

    @property
    def is_over(self) -> bool:
        return time.perf_counter() > self._deadline

    def next(self) -> Query | None:
        """The next query; None at the end."""
        if self._left <= 0 or self.is_over:
            return None
        self._left -= 1
        return next(self.queries)

    def count(self, query: Query, status: int, body: bytes, latency: float, in_time: bool) -> None:
        if status == 200:
            self.answered += in_time
            self.latencies.append(latency)
        if error := check_answer(query, status, body, self._best_label):
            self.errors[error] += 1

    async def _connect(self, port: int) -> _Connection | None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self, loop), "127.0.0.1", port)
        except OSError as error:
            self.errors[f"no connection: {error.strerror}"] += 1
            return None
        return connection


class _Connection(asyncio.Protocol):
    """Sends one request at a time; httptools calls its ``on_…`` methods."""

    def __init__(self, load: _Load, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self._load = load
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
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
        latency, in_time, further = time.perf_counter() - self._sent, not self._load.is_over, self._load.next()
        query, status, body = self._query, self._parser.get_status_code(), self._body
        if further and self._parser.should_keep_alive():
            # Not now: this callback of the parser must return before `_send` replaces the parser.
            self._loop.call_soon(self._send, further)
        else:
            self._finish("connection closed by the server" if further else "")
        self._load.count(query, status, body, latency, in_time)

    def give_up(self) -> None:
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
        """``error`` is empty if all was answered."""
        if self.ended.done():
            return
        if error:
            self._load.errors[error] += 1
        self.ended.set_result(None)
        self._transport.abort()
