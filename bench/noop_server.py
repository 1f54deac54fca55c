"""A server that sends one fixed answer to every request, to measure the load generator.

Run as ``python -m bench.noop_server PORT``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import httptools
import uvloop

LABELS = 77
LABEL = "label_0"


def fixed_answer() -> bytes:
    """A 200 with a body as large as a classifier's with 77 labels."""
    scores = [{"label": f"label_{index}", "score": 1 / (index + 77.123)} for index in range(LABELS)]
    body = json.dumps([scores], separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


class Noop(asyncio.Protocol):
    """Answers every request without reading it."""

    answer = fixed_answer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self.answer)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Noop, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
