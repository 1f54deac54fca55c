"""BentoML's routes of a batch, behind limits, and with a cancel that cancels.

BentoML's own server accepts any number of tasks of any size, stores each request with its headers, and answers a cancel
by 400. What it stores has no header here: a key is one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.batching.errors import Overloaded
from serving.bento import batch_store
from serving.bento.batch_body import to_json
from serving.bento.batch_limits import BATCH, BatchLimits
from serving.errors import quote
from serving.http.app import App
from serving.http.body import JSON, content_type_of, read_body
from serving.http.errors import HANDLED, JSONResponse, respond
from serving.http.off_loop import off_loop
from serving.http.timeouts import WhilePresent
from serving.protocols.json_lines import JSON_LINES


class BatchDoor:
    """An ASGI app in front of BentoML's."""

    def __init__(self, bentoml: ASGIApp, app: App, limits: BatchLimits) -> None:
        self._bentoml, self._app, self._state, self._limits = bentoml, app, app.server_state, limits
        self._unfinished = 0
        self._running: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._route(scope, receive, send)
        except HANDLED as error:
            await respond(error)(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"].removeprefix(BATCH):
            case "POST", "" | "/submit":
                await self._begin(scope, receive, send)
            case "POST", "/retry":
                with self._place():
                    await self._run({**scope, "headers": []}, receive, send)
            case "PUT", "/cancel":
                response = await self._cancel(_task_id(scope))
                await response(scope, receive, send)
            case "GET", "/status" | "/get":
                await self._bentoml(scope, receive, send)
            case _:
                await self._app(scope, receive, send)

    async def _begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Overloaded, InputError, HTTPException (408, 415) before BentoML hears of it."""
        headers, state, limits = dict(scope["headers"]), self._state, self._limits
        task = state.models.default.model.predictor.task
        with self._place(), state.bodies.hold() as held:
            seconds = state.server_limits.body_seconds
            body = await read_body(headers, receive, held, limits.body_bytes, seconds, JSON | JSON_LINES)
            body = await off_loop(to_json, body, content_type_of(headers), task, limits)
            await off_loop(batch_store.make_room, limits)
            bare = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            scope = {**scope, "headers": bare, "query_string": b""}
            if scope["path"] == BATCH:  # its caller waits for the answers
                with WhilePresent(receive, expensive=True):
                    await self._bentoml(scope, _replay(body), send)
            else:
                await self._run(scope, _replay(body), send)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Among the unfinished batches; raises Overloaded."""
        if self._unfinished >= self._limits.unfinished:
            raise Overloaded(f"{self._unfinished} batches are unfinished, the most that are accepted")
        self._unfinished += 1
        try:
            yield
        finally:
            self._unfinished -= 1

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the batch's end: BentoML answers with a task's id, and then runs it."""
        mine, task_id = asyncio.current_task(), ""

        async def send_noting(message: Message) -> None:
            nonlocal task_id
            if message["type"] == "http.response.body" and (found := _read_id(message.get("body", b""))):
                task_id, self._running[found] = found, mine  # type: ignore[assignment]  # a task runs this
            await send(message)

        try:
            await self._bentoml(scope, receive, send_noting)
        except asyncio.CancelledError:
            if task_id not in self._cancelled:
                raise
        finally:
            self._running.pop(task_id, None)

    async def _cancel(self, task_id: str) -> JSONResponse:
        """Raises HTTPException 404."""
        running = self._running.get(task_id)
        if running is None:
            raise HTTPException(404, f"no batch {quote(task_id)} runs or waits here; it has ended, or never was")
        self._cancelled.add(task_id)
        running.cancel()
        await asyncio.wait([running])
        self._cancelled.discard(task_id)
        await batch_store.set_cancelled(task_id)
        return JSONResponse({"task_id": task_id, "status": "canceled"})


def _task_id(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    return (parse_qs(query.decode("latin-1")).get("task_id") or [""])[0]


def _read_id(body: bytes) -> str:
    """Of BentoML's answer to a new task; empty where it is another answer."""
    try:
        content = json.loads(body)
    except ValueError:
        return ""
    return str(content.get("task_id", "")) if isinstance(content, dict) else ""


def _replay(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()  # there is no more
        return messages.pop()

    return receive
