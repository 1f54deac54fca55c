"""The outermost middleware: request id, response headers, observers, and the answer to an unexpected exception."""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.batching.errors import Unavailable
from serving.http.errors import error_response, respond
from serving.http.middleware.security_headers import add_security_headers
from serving.http.state import ServerState
from serving.observability.observers import Observers
from serving.observability.request_record import KEY, RequestRecord

REQUEST_ID = b"x-request-id"


class ObservabilityMiddleware:
    """The app's outermost."""

    def __init__(self, app: ASGIApp, observers: Observers, state: ServerState) -> None:
        self._app, self._observers, self._state = app, observers, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """500 where the app raises and has sent nothing."""
        if scope["type"] != "http":
            await self._app(scope, receive, self._without_traceback(send))
            return
        headers = dict(scope["headers"])
        record = scope[KEY] = RequestRecord(scope, headers, self._state.request_ids.choose(headers.get(REQUEST_ID)))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(message, record)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # shutdown timed out, or the caller has gone
            if not record.status:
                await respond(Unavailable("the server is stopping"))(scope, receive, send_with_headers)
            if not self._state.draining:
                raise
        except Exception as error:  # logged here with the request's id, and not by the server without it
            if not record.status:
                message = "the server failed on this request; its log tells why"
                await error_response(500, "backend", message)(scope, receive, send_with_headers)
            self._observers.log_failure(record, error)
        finally:
            record.ended = time.perf_counter()
            for observe in self._observers.on_request:
                observe(record)

    def _without_traceback(self, send: Send) -> Send:
        """Of a failed start-up whose reason is a user's to mend, which servers log as it comes."""

        async def send_reason(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._state.failure:
                message["message"] = str(self._state.failure)
            await send(message)

        return send_reason

    def _add_headers(self, message: Message, record: RequestRecord) -> None:
        record.status = message["status"]
        headers = [
            *message.get("headers", ()),
            (REQUEST_ID, record.request_id.encode()),
            (b"server-timing", record.server_timing.encode()),
        ]
        if self._state.draining:  # the caller must open another connection for its next request
            headers.append((b"connection", b"close"))
        message["headers"] = add_security_headers(headers)
