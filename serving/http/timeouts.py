"""Contexts that are interrupted after a time, or when the caller disconnects; and the caller's own timeout.

Bare classes: every request enters both, and `asyncio.timeout` costs more (``python -m bench.observing``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.errors import InputError, quote

LISTEN_AFTER = 0.1
"""Seconds until a task watches for a disconnect: most requests are answered sooner."""


class Within:
    """Raises TimeoutError in its block after so many seconds.

    As `asyncio.timeout`, it turns its own cancellation of the task, but no other, into the error.
    """

    __slots__ = ("_cancelling_before", "_interrupted", "_seconds", "_task", "_timer")

    raises: ClassVar[type[Exception]] = TimeoutError

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._interrupted = False

    def __enter__(self) -> None:
        """Start the timer for the current task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("there is no task to interrupt")
        self._task, self._cancelling_before = task, task.cancelling()
        self._timer = task.get_loop().call_later(self._seconds, self._on_timer)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Raises ``raises`` if the timer has interrupted the task."""
        self._timer.cancel()
        if (
            self._interrupted
            and self._task.uncancel() <= self._cancelling_before
            and isinstance(error, asyncio.CancelledError)
        ):
            raise self.raises from error

    def _on_timer(self) -> None:
        self._interrupt()

    def _interrupt(self) -> None:
        self._interrupted = True
        self._task.cancel()


class WhilePresent(Within):
    """Raises ClientDisconnect in its block once the caller has gone."""

    __slots__ = ("_listener", "_receive")

    raises = ClientDisconnect

    def __init__(self, receive: Receive, *, expensive: bool = False) -> None:
        """The body must have been read from ``receive``; for an ``expensive`` request it watches at once."""
        super().__init__(0.0 if expensive else LISTEN_AFTER)
        self._receive = receive
        self._listener: asyncio.Task[None] | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop watching."""
        if self._listener is not None:
            self._listener.cancel()
        super().__exit__(kind, error, at)

    def _on_timer(self) -> None:
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        if (await self._receive())["type"] == "http.disconnect":
            self._interrupt()


LEAST_TIMEOUT = 0.001
"""Seconds. Nothing is answered sooner: less is a mistake, such as a wrong unit."""

TIMEOUT_HEADERS = (b"request-timeout", b"x-request-timeout")


def request_timeout(headers: Mapping[bytes, bytes], most: float) -> float:
    """The caller's, at most ``most``; raises InputError."""
    return min([most, *(_parse_seconds(name, headers[name]) for name in TIMEOUT_HEADERS if name in headers)])


def _parse_seconds(header: bytes, value: bytes) -> float:
    name, text = header.decode(), value.decode("latin-1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not LEAST_TIMEOUT <= seconds < math.inf:
        accepted = f"a number of seconds, {LEAST_TIMEOUT} or more, is accepted"
        raise InputError(f"the header {name} is {quote(text)}; {accepted}", field=name)
    return seconds
