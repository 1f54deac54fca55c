"""The connections of the server: how many there may be, and how long each may take to say what it wants.

uvicorn has no bound for either: its ``limit_concurrency`` refuses the requests of every caller while one of them holds
too many connections, a request's head may take for ever, and be of any size. These are uvicorn's own connections, with
what each of them has to watch.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.http.middleware.security_headers import secured
from serving.http.server.admission import OVERLOADED, Admission
from serving.http.server.transport import CoalescingTransport
from serving.settings.limits import MAX_HEAD_BYTES, ServerLimits

if TYPE_CHECKING:  # BentoML's parent process needs no metrics
    from serving.observability.metrics import Reason

HINTS = {
    400: "this is no HTTP request to this server; in HTTP/1.1 it names one Host",
    408: "the request's head took too long",
    429: "this server has all the connections that it takes; try again in 1 s",
    431: f"the request's head has more than {MAX_HEAD_BYTES:,} bytes",
}

LAST_SECONDS = 0.2
"""At the end of the server, how long a connection may still say what is on its way."""

SPARE_DESCRIPTORS = 256
"""For what is no connection: files, logs, the event loop's own."""

logger = logging.getLogger("tuneship")

Refused = Callable[["Reason"], None]
"""Told why a connection was ended."""


class BoundedConnection(HttpToolsProtocol):
    """One connection.

    Its timer is looked at as often as a head may last and not once a request, so that watching costs nothing.
    """

    server_limits: ServerLimits
    refused: Refused
    admission: Admission

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(CoalescingTransport(transport, self.loop, lambda: self._in_body))
        self.timeout_keep_alive = self.server_limits.keep_alive_seconds  # type: ignore[assignment]  # any number will do
        self._in_body = False
        self._head_since: float | None = self.loop.time()
        self._head_bytes = self._unread = 0
        self._over = len(self.connections) > self.server_limits.max_connections
        self._timer = self.loop.call_later(1 if self._over else self.server_limits.head_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to be watched."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Of a head, of a body, or of neither: what no request accounts for is taken for a head that is late."""
        if self._over:
            self._refuse(429, "limit")
            return
        if self._head_since is None and self._idle:
            self._head_since, self._head_bytes = self.loop.time(), 0
        if self._head_since is not None and not self._in_body and self._is_large(data):
            self._refuse(431, "large_head")
        else:
            self._parse(data)

    def _is_large(self, data: bytes) -> bool:
        """Whether a head, of which this is more, has no end within the bound."""
        self._head_bytes += len(data)
        return (
            self._head_bytes > MAX_HEAD_BYTES
            and b"\r\n\r\n" not in data[: len(data) - self._head_bytes + MAX_HEAD_BYTES]
        )

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self.parser.get_method() == b"CONNECT":  # which is for proxies
                self._refuse(400, "malformed")
            else:
                self._parse(self._without_upgrade() + data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "malformed")

    def _without_upgrade(self) -> bytes:
        """The head that was parsed, without its offer to speak another protocol, for a parser that knows of none.

        No other is spoken here, and whoever offers one goes on in HTTP/1.1 (RFC 9110, section 7.8); but httptools takes
        what follows the head for the other protocol, the body too.
        """
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        return b"\r\n".join([line, *headers, b"", b""])

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """A request that asks for work begins when there is time for it; the others, such as probes, at once."""
        begin = partial(super()._start_asgi_task, cycle, app)
        if cycle.waiting_for_100_continue:  # answered without its body, such a caller may send it or its next request
            cycle.keep_alive = False
        if cycle.scope["method"] != "POST":
            begin()
        elif not self.admission.enter(begin):
            cycle.scope[OVERLOADED] = self.admission.full  # type: ignore[literal-required]
            begin()

    def on_headers_complete(self) -> None:
        """The head is there; how long the body may take is the app's to say."""
        if self.parser.should_upgrade():
            return
        self._require_host()
        self._head_since, self._in_body = None, True
        super().on_headers_complete()

    def _require_host(self) -> None:
        """RFC 9112, section 3.2: one, and none only in HTTP/1.0. What is raised here ends the parser, see `_parse`."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise ValueError(f"{hosts} Host headers")

    def on_message_complete(self) -> None:
        """The caller has sent all of its request."""
        if self.parser.should_upgrade():
            return
        self._head_since, self._in_body = None, False
        super().on_message_complete()
        if self.transport.lingers:  # type: ignore[attr-defined]
            self.transport.close()

    def on_response_complete(self) -> None:
        """What still comes of the request is read for as long as a head may take."""
        if self._in_body:
            self._head_since = self.loop.time()
        super().on_response_complete()

    def shutdown(self) -> None:
        """The server ends; a request that is on its way is answered before."""
        if self._idle:
            self.loop.call_later(LAST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        """End what is late; else look again when it could be."""
        if self._over:
            self._refuse(429, "limit")
        elif self._reads_nothing():
            self.refused("slow_reader")
            self.transport.abort()
        elif (left := self._left()) <= 0:
            self._end_slow_head()
        else:
            self._timer = self.loop.call_later(left, self._look)

    def _left(self) -> float:
        """Seconds until the head is late."""
        if self._head_since is None:
            return self.server_limits.head_seconds
        return self._head_since + self.server_limits.head_seconds - self.loop.time()

    def _end_slow_head(self) -> None:
        if self._head_bytes and not self._in_body:
            self._refuse(408, "slow_head")
        else:  # has been answered and sends on and on, or has asked for nothing, such as a browser that connects ahead
            self._in_body = False
            self.transport.close()

    def _reads_nothing(self) -> bool:
        """Whether the caller has taken nothing of its answer since the last look."""
        before, self._unread = self._unread, self.transport.get_write_buffer_size()
        return 0 < before <= self._unread

    def _refuse(self, status: int, reason: Reason) -> None:
        if self.transport.is_closing():
            return
        self.refused(reason)
        self._in_body = False  # nothing that still comes is read
        self.transport.write(_answer(status))
        self.transport.close()


def bounded(server_limits: ServerLimits, refused: Refused) -> type[BoundedConnection]:
    """The class of a server's connections, as uvicorn's ``http`` takes it; the process gets descriptors for them."""
    _make_room(server_limits.max_connections + SPARE_DESCRIPTORS)
    admission = Admission(server_limits.bounds.rows)
    members: dict[str, Any] = {
        "server_limits": server_limits, "refused": staticmethod(refused), "admission": admission,
    }  # fmt: skip
    return type("Connection", (BoundedConnection,), members)


def _make_room(descriptors: int) -> None:
    """Shells and service managers often allow 1,024, and leave it to the process to ask for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < descriptors:
        logger.warning(
            "this process may open %d files; it would need %d for all the connections it takes", most, descriptors
        )


def _answer(status: int) -> bytes:
    """A whole response in the shape of every other refusal; what follows it on the connection is not read."""
    body = f'{{"error":"{HINTS[status]}","error_type":"connection"}}'
    headers = {"Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = 1
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in secured([])]
    return "\r\n".join([*lines, "", body]).encode()
