"""Calls the HTTP app within this process, for the Lambda handler and the gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Send

Message = MutableMapping[str, Any]


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "https",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
                for name, value in self.headers.items()
            ],
        }


@dataclass
class Reply:
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def send(call: Call, app: ASGIApp) -> Reply:
    """Cancel this when the caller disconnects."""
    reply = Reply()

    async def respond(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status, reply.headers = message["status"], headers_of(message)
        else:
            reply.body += message.get("body", b"")

    await stream(call, app, respond, asyncio.Event())
    return reply


async def stream(call: Call, app: ASGIApp, respond: Send, gone: asyncio.Event) -> None:
    """With the app's messages as they come; set ``gone`` when the caller disconnects."""
    messages = [{"type": "http.request", "body": call.body, "more_body": False}]

    async def receive() -> Message:
        if not messages:  # the caller sends no more
            await gone.wait()
            return {"type": "http.disconnect"}
        return messages.pop()

    await app(call.scope(), receive, respond)


def headers_of(message: Message) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
