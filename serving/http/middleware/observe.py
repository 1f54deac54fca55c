"""Around everything: each request gets an id, each answer its headers, and what became of it is counted and told.

What fails is answered here too, so that the failure's 500 is seen as any other answer.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.batching.errors import Unavailable
from serving.http.errors import refused, server_error
from serving.http.middleware.security_headers import secured
from serving.observability.request_record import KEY, RequestRecord

Watcher = Callable[[RequestRecord], None]
"""Told of each exchange when it is over, on the event loop."""

Failed = Callable[[RequestRecord, Exception], None]
"""Told of what the endpoints raised; the caller has its 500 by then, or no end of what it was sent."""


class ObservabilityMiddleware:
    """The outermost layer of the app. It waits for nothing and keeps nothing."""

    def __init__(self, app: ASGIApp, watchers: Sequence[Watcher], failed: Failed, draining: Callable[[], bool]) -> None:
        self._app = app
        self._draining = draining
        self._watchers = watchers
        self._failed = failed
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at what comes back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = self._begin(scope)

        async def reply(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = [*message.get("headers", ()), *_about(record)]
                if self._draining():  # so that no caller sends its next request on a connection that is about to end
                    headers.append((b"connection", b"close"))
                message["headers"] = secured(headers)
            await send(message)

        try:
            await self._app(scope, receive, reply)
        except asyncio.CancelledError:  # the server ends and waits no longer, or who asked has gone
            if not record.status:
                await refused(Unavailable("the server is stopping"), 0.0)(scope, receive, reply)
            if not self._draining():
                raise
        except Exception as error:  # told here once, with the request's id; the server would tell it without
            if not record.status:  # nothing of an answer has gone out
                await server_error()(scope, receive, reply)
            self._failed(record, error)
        finally:
            record.ended = time.perf_counter()
            for watcher in self._watchers:
                watcher(record)

    def _begin(self, scope: Scope) -> RequestRecord:
        headers = dict(scope["headers"])
        record = scope[KEY] = RequestRecord(scope, headers, self._ids.of(headers.get(HEADER)))
        return record


def _about(record: RequestRecord) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    return (HEADER, record.request_id.encode()), (b"server-timing", record.server_timing.encode())


HEADER = b"x-request-id"

SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""No white space and no control character: what goes back in a header and into a log cannot break out of either."""


class RequestIds:
    """Makes ids that no other process makes: a random beginning and a count. Random numbers would cost more."""

    def __init__(self) -> None:
        self._beginning = secrets.token_hex(8)
        self._count = itertools.count(1)

    def of(self, given: bytes | None) -> str:
        """The id of a request whose caller gave one, or none."""
        if given is not None and SANE.fullmatch(given):
            return given.decode("ascii")
        return f"{self._beginning}-{next(self._count):x}"
