"""The server's own uvicorn on this thread's event loop, so that a test says when the loop turns."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp

from serving.http.server.connection import connection_class
from serving.http.server.server import Server
from serving.settings.limits import DEFAULT, ServerLimits


class Listening:
    """A server that listens; `connect` as often as wanted, what is sent is read when the loop turns."""

    def __init__(self, server: Server, port: int, stack: ExitStack) -> None:
        self.server = server
        self._port, self._stack = port, stack

    @property
    def connections(self) -> int:
        """That the server has accepted and not ended."""
        return len(self.server.server_state.connections)

    def connect(self) -> socket.socket:
        """A connection, which the server accepts when the loop turns."""
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=60))


def listening(
    app: ASGIApp, scenario: Callable[[Listening], Coroutine[Any, Any, None]], server_limits: ServerLimits = DEFAULT
) -> None:
    """Serve an app while a scenario runs."""
    connection = connection_class(server_limits, lambda reason: None)
    config = uvicorn.Config(app, http=connection, lifespan="off", log_level="warning", access_log=False)

    async def main() -> None:
        async with asyncio.timeout(60), _served(config) as served:
            await scenario(served)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@asynccontextmanager
async def _served(config: uvicorn.Config) -> AsyncIterator[Listening]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    with ExitStack() as stack:
        while not server.started:
            await asyncio.sleep(0.001)
        yield Listening(server, listener.getsockname()[1], stack)
    server.should_exit = True
    await task
