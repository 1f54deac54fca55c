"""A caller that goes away while its request waits: what it asked for is dropped before it is run."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import ClientDisconnect
from starlette.types import Receive

LISTEN_AFTER = 0.1
"""Seconds that a request may take before anybody listens whether its caller is still there: most are answered by then,
and a task for each would cost more than what it could save."""


class WhilePresent:
    """Raises ClientDisconnect in its block, at whatever is awaited there, once the caller has gone.

    A bare class, as every request passes through it: `asyncio.timeout` in an ``asynccontextmanager`` would cost more.
    """

    __slots__ = ("_before", "_gone", "_listener", "_receive", "_task", "_timer")

    def __init__(self, receive: Receive) -> None:
        """``receive`` is the request's, and its body must have been read: all that can come is ``http.disconnect``."""
        self._receive = receive
        self._gone = False
        self._listener: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        """Begin, in the task that answers the request."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is answered in a task")
        self._task, self._before = task, task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(LISTEN_AFTER, self._begin)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """End; a cancellation that is ours, and nobody else's too, becomes ClientDisconnect."""
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        if self._gone and self._task.uncancel() <= self._before and isinstance(error, asyncio.CancelledError):
            raise ClientDisconnect from error

    def _begin(self) -> None:
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        if (await self._receive())["type"] == "http.disconnect":
            self._gone = True
            self._task.cancel()
