"""uvicorn's connections with bounds on their number, and on the time and size of a request's head.

uvicorn bounds none of them; its ``limit_concurrency`` refuses every caller while one of them holds many connections.
Slow heads get 408, oversized ones 431, too many connections 429; a caller that stops reading is disconnected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serving.http.middleware.security_headers import SECURITY_HEADERS
from serving.http.server.admission import OVERLOADED, Admission
from serving.http.server.parsing import BoundedParsing
from serving.http.server.places import Places
from serving.settings.access import PROBES
from serving.settings.limits import MAX_HEAD_BYTES, MAX_HEAD_FIELDS, ServerLimits

if TYPE_CHECKING:  # BentoML's parent process needs no metrics
    from serving.observability.metrics import Reason

PROBE_ENDS = tuple(PROBES)
"""There may be a prefix before them."""

HINTS = {
    400: "this is not a valid HTTP request; in HTTP/1.1 it names one Host",
    408: "the request's head took too long",
    429: "this server has all the connections that it accepts; try again in 1 s",
    431: (
        f"the request has more than {MAX_HEAD_BYTES:,} bytes or {MAX_HEAD_FIELDS} fields in its head, "
        "or as many bytes around a chunk of its body"
    ),
}

LAST_SECONDS = 0.2
"""How long an idle connection may still send a request when the server stops."""

HALF_CLOSED = "the connection's sending side was closed before the answer; keep it open until the answer has come"

PROBE_SECONDS = 1.0
"""For the request of a connection beyond the bound."""

OnRefused = Callable[["Reason"], None]
"""Called with the reason when a connection is refused."""


class BoundedConnection(BoundedParsing):
    """Checked by one timer: a timer a request would cost more."""

    server_limits: ServerLimits
    on_refused: OnRefused
    admission: Admission
    places: Places

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head."""
        super().connection_made(transport)
        self.timeout_keep_alive = self.server_limits.keep_alive_seconds  # type: ignore[assignment]  # any number will do
        self._unread_bytes = 0
        self._has_place = self.places.enter(self, len(self.connections), self.loop.time())
        seconds = self.server_limits.head_seconds if self._has_place else PROBE_SECONDS
        self._timer = self.loop.call_later(seconds, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        self.places.leave(self)
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Whoever sends no more has hung up: most have closed both sides. Who has not is told."""
        is_waiting = self._head_since is not None and self._head_bytes if self._is_reading_head else not self._idle
        if is_waiting and not self.transport.is_closing():
            self._tell(400, HALF_CLOSED)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Probes and other GETs start at once."""
        if not self._has_place and not cycle.scope["path"].endswith(PROBE_ENDS):
            self.refuse_place()
            return
        start = partial(super()._start_asgi_task, cycle, app)
        if cycle.waiting_for_100_continue or not self._has_place:  # its body or next request may follow an early answer
            cycle.keep_alive = False
        if cycle.scope["method"] != "POST":
            start()
        elif not self.admission.enter(start):
            cycle.scope[OVERLOADED] = self.admission.full  # type: ignore[literal-required]
            start()

    def on_headers_complete(self) -> None:
        """A request is in hand."""
        self.places.work(self)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The rest of a request that was answered early must arrive within ``head_seconds``."""
        if self._in_body and self._idle:
            self._head_since = self.loop.time()
        super().on_response_complete()
        if self._idle and self._has_place and not self.transport.is_closing():
            self.places.wait(self, self.loop.time())

    def give_way(self) -> None:
        """To another, as the longest idle."""
        self.connections.discard(self)
        self.on_refused("idle")
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._in_body = False
            self.transport.close()

    def refuse_place(self) -> None:
        """There are too many."""
        self.places.leave(self)
        self._refuse(429, "limit")

    def shutdown(self) -> None:
        """A running request is answered first."""
        if self._idle:
            self.loop.call_later(LAST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def _check(self) -> None:
        if not self._has_place:
            self.refuse_place()
        elif self._is_stalled():
            self.on_refused("slow_reader")
            self.transport.abort()
        elif (seconds := self._seconds_left()) <= 0:
            self._close_slow_head()
        else:
            self._timer = self.loop.call_later(seconds, self._check)

    def _seconds_left(self) -> float:
        if self._head_since is None:
            return self.server_limits.head_seconds
        return self._head_since + self.server_limits.head_seconds - self.loop.time()

    def _close_slow_head(self) -> None:
        if self._head_bytes and not self._in_body:
            self._refuse(408, "slow_head")
        else:  # sends on after its answer; or has sent nothing, as a browser that connects ahead
            self._in_body = False
            self.transport.close()

    def _is_stalled(self) -> bool:
        """Whether the caller has read nothing since the last check."""
        before, self._unread_bytes = self._unread_bytes, self.transport.get_write_buffer_size()
        return 0 < before <= self._unread_bytes

    def _refuse(self, status: int, reason: Reason) -> None:
        if not self.transport.is_closing():
            self.on_refused(reason)
            self._tell(status, HINTS[status])

    def _tell(self, status: int, hint: str) -> None:
        """And close; where a request's answer has begun, only close."""
        is_answered = self.pipeline or (not self._is_reading_head and self.cycle.response_started)
        self._in_body = False  # no more is read
        if not is_answered:
            self.transport.write(_response(status, hint))
        self.transport.close()


def connection_class(server_limits: ServerLimits, on_refused: OnRefused) -> type[BoundedConnection]:
    """For uvicorn's ``http`` option."""
    members: dict[str, Any] = {
        "server_limits": server_limits, "on_refused": staticmethod(on_refused),
        "admission": Admission(server_limits.bounds.rows), "places": Places(server_limits.max_connections),
    }  # fmt: skip
    return type("Connection", (BoundedConnection,), members)


def _response(status: int, hint: str) -> bytes:
    body = f'{{"error":"{hint}","error_type":"connection"}}'
    headers = {"Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = 1
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in SECURITY_HEADERS]
    return "\r\n".join([*lines, "", body]).encode()
