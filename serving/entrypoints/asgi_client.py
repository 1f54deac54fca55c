"""Calls the HTTP app within this process, for the Lambda handler and the gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

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
    reply, messages = Reply(), [{"type": "http.request", "body": call.body, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()  # the caller sends no more
        return messages.pop()

    async def respond(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            reply.body += message.get("body", b"")

    await app(call.scope(), receive, respond)
    return reply
