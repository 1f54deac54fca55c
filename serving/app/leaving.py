"""A caller that goes away while its request waits: what it asked for is dropped before it is run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive

LISTEN_AFTER = 0.1
"""Seconds that a request may take before anybody listens whether its caller is still there: most are answered by then,
and a task for each would cost more than what it could save."""


@asynccontextmanager
async def while_present(receive: Receive) -> AsyncIterator[None]:
    """Raise ClientDisconnect in the block, at whatever it awaits, once the caller has gone.

    ``receive`` is the request's, and its body must have been read: all that can come is ``http.disconnect``.
    """
    loop, listeners = asyncio.get_running_loop(), list[asyncio.Task[None]]()
    scope = asyncio.timeout(None)

    async def listen() -> None:
        if (await receive())["type"] == "http.disconnect":
            scope.reschedule(loop.time())

    timer = loop.call_later(LISTEN_AFTER, lambda: listeners.append(loop.create_task(listen())))
    try:
        async with scope:
            yield
    except TimeoutError as error:
        if scope.expired():
            raise ClientDisconnect from error
        raise
    finally:
        timer.cancel()
        for listener in listeners:
            listener.cancel()
