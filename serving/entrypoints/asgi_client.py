"""One call of the HTTP surface within the process: what other ways in, such as a cloud's events, translate to."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

Message = MutableMapping[str, Any]


@dataclass(frozen=True)
class Call:
    """An HTTP request, freed of what it came in."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def scope(self) -> dict[str, Any]:
        """The ASGI connection scope of this request."""
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
            "headers": [(name.lower().encode(), _latin(value)) for name, value in self.headers.items()],
        }


@dataclass
class Reply:
    """What the app answered."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def send(call: Call, app: ASGIApp) -> Reply:
    """The app's answer. A caller that goes away cancels this."""
    reply, messages = Reply(), [{"type": "http.request", "body": call.body, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()  # no more will come
        return messages.pop()

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            reply.body += message.get("body", b"")

    await app(call.scope(), receive, take)
    return reply


def _latin(value: str) -> bytes:
    return value.encode("latin-1", "replace")
