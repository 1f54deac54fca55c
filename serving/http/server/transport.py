"""A transport that sends all of an event loop turn's writes at once, and closes without losing the answer.

uvicorn writes a response's head and body separately, and uvloop sends each write at once: two system calls, and the
caller wakes up twice. Closing while the caller still sends resets it and loses the answer (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

MAX_BUFFERED = 64 * 1024
"""Bytes held until the turn ends; more is sent at once, so that a caller that reads nothing is noticed."""


class CoalescingTransport(asyncio.Transport):
    """``lingers``: `close` waits for the end of the caller's request."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, sending: Callable[[], bool]
    ) -> None:
        """``sending``: whether the caller is sending a request."""
        super().__init__()
        self._transport, self._loop, self._sending = transport, loop, sending
        self._written: list[bytes] = []
        self._paused = self._held = False
        self.lingers = False

    def write(self, data: Any) -> None:
        """Send when this turn ends."""
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(data)
        if sum(map(len, self._written)) > MAX_BUFFERED:
            self._flush()

    def close(self) -> None:
        """While the caller sends, only at the second call."""
        self._flush()
        if self._sending() and not self.lingers:
            self.lingers = True
        else:
            self._transport.close()

    def abort(self) -> None:
        """Unsent bytes are lost."""
        self._written.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Bytes that the caller has not taken; this turn's writes are not the caller's backlog yet."""
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """As the wrapped transport."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the wrapped transport."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Until `resume_reading`."""
        self._set_reading(True, self._held)

    def resume_reading(self) -> None:
        """Unless it is held."""
        self._set_reading(False, self._held)

    def hold(self, held: bool) -> None:
        """Whether not to read, whatever uvicorn's flow control says."""
        self._set_reading(self._paused, held)

    def _set_reading(self, paused: bool, held: bool) -> None:
        before, after = self._paused or self._held, paused or held
        self._paused, self._held = paused, held
        if after and not before:
            self._transport.pause_reading()
        elif before and not after:
            self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As the wrapped transport."""
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        data, self._written = b"".join(self._written), []
        if data and not self._transport.is_closing():
            self._transport.write(data)
