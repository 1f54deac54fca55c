"""A block that is left early: because its time is over, or because its caller has gone away.

Bare classes, as every request passes through both: `asyncio.timeout`, and an ``asynccontextmanager`` around it, would
cost more (``python -m bench.observing``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.errors import InputError

LISTEN_AFTER = 0.1
"""Seconds that a request may take before anybody listens whether its caller is still there: most are answered by then,
and a task for each would cost more than what it could save."""


class Within:
    """Raises TimeoutError in its block, at whatever is awaited there, once so many seconds are over.

    As `asyncio.timeout`: the task is cancelled, and on leaving, a cancellation that is ours and nobody else's too
    becomes the error.
    """

    __slots__ = ("_before", "_over", "_seconds", "_task", "_timer")

    raises: ClassVar[type[Exception]] = TimeoutError

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = False

    def __enter__(self) -> None:
        """Begin, in the task that is to be interrupted."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is answered in a task")
        self._task, self._before = task, task.cancelling()
        self._timer = task.get_loop().call_later(self._seconds, self._due)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """End; the task is as before."""
        self._timer.cancel()
        if self._over and self._task.uncancel() <= self._before and isinstance(error, asyncio.CancelledError):
            raise self.raises from error

    def _due(self) -> None:
        self._interrupt()

    def _interrupt(self) -> None:
        self._over = True
        self._task.cancel()


class WhilePresent(Within):
    """Raises ClientDisconnect in its block once the caller has gone, so that what it asked for is dropped unrun."""

    __slots__ = ("_listener", "_receive")

    raises = ClientDisconnect

    def __init__(self, receive: Receive) -> None:
        """``receive`` is the request's, and its body must have been read: all that can come is ``http.disconnect``."""
        super().__init__(LISTEN_AFTER)
        self._receive = receive
        self._listener: asyncio.Task[None] | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End; nobody listens any more."""
        if self._listener is not None:
            self._listener.cancel()
        super().__exit__(kind, error, at)

    def _due(self) -> None:
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        if (await self._receive())["type"] == "http.disconnect":
            self._interrupt()


HEADERS = (b"request-timeout", b"x-request-timeout")


def request_timeout(headers: Mapping[bytes, bytes], most: float) -> float:
    """Seconds after which the answer need not be given any more.

    Args:
        headers: the request's.
        most: seconds that the server gives any request.

    Raises:
        InputError: a header is no number of seconds above 0.
    """
    return min([most, *(_seconds(name, headers[name]) for name in HEADERS if name in headers)])


def _seconds(header: bytes, value: bytes) -> float:
    name, text = header.decode(), value.decode("latin-1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"the header {name} is {text!r}; a number of seconds above 0 is accepted", field=name)
    return seconds
