"""uvicorn's connections with bounds on their number, and on the time and size of a request's head.

uvicorn bounds none of them; its ``limit_concurrency`` refuses every caller while one of them holds many connections.
Slow heads get 408, oversized ones 431, too many connections 429; a caller that stops reading is disconnected.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serving.http.middleware.security_headers import SECURITY_HEADERS
from serving.http.server.admission import OVERLOADED, Admission
from serving.http.server.parsing import BoundedParsing
from serving.settings.limits import MAX_HEAD_BYTES, MAX_HEAD_FIELDS, ServerLimits

if TYPE_CHECKING:  # BentoML's parent process needs no metrics
    from serving.observability.metrics import Reason

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

SPARE_DESCRIPTORS = 256
"""For files, logs, the event loop."""

logger = logging.getLogger("tuneship")

OnRefused = Callable[["Reason"], None]
"""Called with the reason when a connection is refused."""


class BoundedConnection(BoundedParsing):
    """Checked by one timer: a timer a request would cost more."""

    server_limits: ServerLimits
    on_refused: OnRefused
    admission: Admission

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head."""
        super().connection_made(transport)
        self.timeout_keep_alive = self.server_limits.keep_alive_seconds  # type: ignore[assignment]  # any number will do
        self._unread_bytes = 0
        self._too_many = len(self.connections) > self.server_limits.max_connections
        self._timer = self.loop.call_later(1 if self._too_many else self.server_limits.head_seconds, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Of one connection too many, nothing is read."""
        if self._too_many:
            self._refuse(429, "limit")
        else:
            super().data_received(data)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Probes and other GETs start at once."""
        start = partial(super()._start_asgi_task, cycle, app)
        if cycle.waiting_for_100_continue:  # after an early answer, its body or its next request may follow
            cycle.keep_alive = False
        if cycle.scope["method"] != "POST":
            start()
        elif not self.admission.enter(start):
            cycle.scope[OVERLOADED] = self.admission.full  # type: ignore[literal-required]
            start()

    def on_response_complete(self) -> None:
        """The rest of a request that was answered early must arrive within ``head_seconds``."""
        if self._in_body and self._idle:
            self._head_since = self.loop.time()
        super().on_response_complete()

    def shutdown(self) -> None:
        """A running request is answered first."""
        if self._idle:
            self.loop.call_later(LAST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def _check(self) -> None:
        if self._too_many:
            self._refuse(429, "limit")
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
        if self.transport.is_closing():
            return
        self.on_refused(reason)
        is_answered = self.pipeline or (self._in_body and self.cycle.response_started)
        self._in_body = False  # no more is read
        if not is_answered:
            self.transport.write(_response(status))
        self.transport.close()


def connection_class(server_limits: ServerLimits, on_refused: OnRefused) -> type[BoundedConnection]:
    """For uvicorn's ``http`` option; raises the process' limit of open files to fit."""
    _raise_file_limit(server_limits.max_connections + SPARE_DESCRIPTORS)
    admission = Admission(server_limits.bounds.rows)
    members: dict[str, Any] = {
        "server_limits": server_limits, "on_refused": staticmethod(on_refused), "admission": admission,
    }  # fmt: skip
    return type("Connection", (BoundedConnection,), members)


def _raise_file_limit(descriptors: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < descriptors:
        logger.warning("this process may open %d files; max_connections needs %d", allowed, descriptors)


def _response(status: int) -> bytes:
    body = f'{{"error":"{HINTS[status]}","error_type":"connection"}}'
    headers = {"Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = 1
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in SECURITY_HEADERS]
    return "\r\n".join([*lines, "", body]).encode()
