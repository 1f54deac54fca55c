"""Around everything: each request gets an id, each answer its headers, and what became of it is counted and told.

What fails is answered here too, so that the failure's 500 is seen as any other answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.app.exchange import KEY, Exchange
from serving.app.refusals import refused, server_error
from serving.app.request_id import HEADER, RequestIds
from serving.batching.errors import Unavailable
from serving.security_headers import secured

Watcher = Callable[[Exchange], None]
"""Told of each exchange when it is over, on the event loop."""

Failed = Callable[[Exchange, Exception], None]
"""Told of what the endpoints raised; the caller has its 500 by then, or no end of what it was sent."""


class Observed:
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
        exchange = self._begin(scope)

        async def reply(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = [*message.get("headers", ()), *_about(exchange)]
                if self._draining():  # so that no caller sends its next request on a connection that is about to end
                    headers.append((b"connection", b"close"))
                message["headers"] = secured(headers)
            await send(message)

        try:
            await self._app(scope, receive, reply)
        except asyncio.CancelledError:  # the server ends and waits no longer, or who asked has gone
            if not exchange.status:
                await refused(Unavailable("the server is stopping"), 0.0)(scope, receive, reply)
            if not self._draining():
                raise
        except Exception as error:  # told here once, with the request's id; the server would tell it without
            if not exchange.status:  # nothing of an answer has gone out
                await server_error()(scope, receive, reply)
            self._failed(exchange, error)
        finally:
            exchange.ended = time.perf_counter()
            for watcher in self._watchers:
                watcher(exchange)

    def _begin(self, scope: Scope) -> Exchange:
        headers = dict(scope["headers"])
        exchange = scope[KEY] = Exchange(scope, headers, self._ids.of(headers.get(HEADER)))
        return exchange


def _about(exchange: Exchange) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    return (HEADER, exchange.request_id.encode()), (b"server-timing", exchange.server_timing.encode())
