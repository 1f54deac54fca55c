"""A transport that sends what is written to it in one turn of the event loop all at once, and ends in time to be heard.

uvicorn writes a response's head and its body apart, and uvloop sends whatever it is given right away: two system calls,
and a caller that is woken up twice.

A caller that still sends when its connection ends gets a reset, and with it loses the answer that is on its way (RFC
9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

MOST_BYTES = 64 * 1024
"""Held back until a turn is over. What is more goes on at once, so that a caller who does not read it is noticed."""


class CoalescingTransport(asyncio.Transport):
    """Stands for a connection's own transport; only writing and ending differ.

    Attributes:
        lingers: it is to end as soon as the caller has sent all.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, sending: Callable[[], bool]
    ) -> None:
        """``sending`` tells whether the caller is in the midst of a request."""
        super().__init__()
        self._transport, self._loop, self._sending = transport, loop, sending
        self._written: list[bytes] = []
        self.lingers = False

    def write(self, data: Any) -> None:
        """Send it when this turn is over, with whatever else is written until then."""
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(data)
        if sum(map(len, self._written)) > MOST_BYTES:
            self._flush()

    def close(self) -> None:
        """Send what was written, then end; where the caller still sends, only when told again."""
        self._flush()
        if self._sending() and not self.lingers:
            self.lingers = True
        else:
            self._transport.close()

    def abort(self) -> None:
        """End at once; what was not sent yet is lost."""
        self._written.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Bytes that were written and not sent."""
        return sum(map(len, self._written)) + self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """As the connection's own."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the connection's own."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """As the connection's own."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As the connection's own."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As the connection's own."""
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        data, self._written = b"".join(self._written), []
        if data and not self._transport.is_closing():
            self._transport.write(data)
