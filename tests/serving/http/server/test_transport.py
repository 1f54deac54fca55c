"""The writes of one event loop turn are sent together."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

import pytest

from serving.http.server.transport import MAX_BUFFERED, CoalescingTransport
from tests.serving.http.server.test_connection import connect, rest
from tests.serving.processes import ServerProcess

DATA_SEGMENTS_IN = slice(152, 156)
"""Of Linux's struct tcp_info, ``tcpi_data_segs_in``."""


class Recorded(asyncio.Transport):
    """A transport that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[bytes | str] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """Kept."""
        self.told.append(data)

    def close(self) -> None:
        """Kept."""
        self.told.append("close")

    def abort(self) -> None:
        """Kept."""
        self.told.append("abort")

    def is_closing(self) -> bool:
        """Once it was told so."""
        return bool({"close", "abort"}.intersection(self.told))

    def get_write_buffer_size(self) -> int:
        """A little, always."""
        return 7


def told(*turns: Callable[[CoalescingTransport], object], sending: bool = False) -> list[bytes | str]:
    """What the connection's own transport is told when each of these has a turn of its own."""
    recorded = Recorded()

    async def main() -> None:
        coalescing = CoalescingTransport(recorded, asyncio.get_running_loop(), lambda: sending)
        for turn in turns:
            turn(coalescing)
            await asyncio.sleep(0)

    asyncio.run(main())
    return recorded.told


def both(transport: CoalescingTransport) -> None:
    """A head and a body."""
    transport.write(b"head ")
    transport.write(b"body")


def test_a_turn_is_one_write() -> None:
    """Head and body are one write; the next turn's is another."""
    assert told(both, lambda transport: transport.write(b"more")) == [b"head body", b"more"]


def test_close_and_abort() -> None:
    """`close` sends what was written, `abort` does not."""
    assert told(lambda transport: (both(transport), transport.close())) == [b"head body", "close"]
    assert told(lambda transport: (both(transport), transport.abort())) == ["abort"]


def test_close_while_the_caller_sends() -> None:
    """While the caller sends, `close` sends the answer and closes only at the second call."""

    def end(transport: CoalescingTransport) -> None:
        transport.close()
        assert transport.lingers

    assert told(both, end, sending=True) == [b"head body"]
    assert told(both, end, lambda transport: transport.close(), sending=True) == [b"head body", "close"]


def test_the_caller_has_gone() -> None:
    """If the caller has gone within the turn, its answer is dropped."""
    assert told(lambda transport: (both(transport), transport._transport.abort())) == ["abort"]


def test_this_turns_writes_are_not_the_callers_backlog() -> None:
    """Only bytes that the socket holds count as unread: a caller that reads everything never looks stalled."""

    async def main() -> list[int]:
        transport = CoalescingTransport(Recorded(), asyncio.get_running_loop(), lambda: False)
        before = transport.get_write_buffer_size()
        transport.write(b"an answer")
        return [before, transport.get_write_buffer_size()]

    assert asyncio.run(main()) == [7, 7]


def test_large_writes() -> None:
    """Large writes are sent at once, so that the transport's own limits apply."""
    recorded = Recorded()

    async def main() -> None:
        transport = CoalescingTransport(recorded, asyncio.get_running_loop(), lambda: False)
        transport.write(b"x" * MAX_BUFFERED)
        assert recorded.told == []
        transport.write(b"y")
        assert recorded.told == [b"x" * MAX_BUFFERED + b"y"]

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/livez", "/info"])
def test_an_answer_is_one_segment(server: ServerProcess, path: str) -> None:
    """A waiting caller wakes up once."""
    with connect(server) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert rest(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    assert int.from_bytes(facts[DATA_SEGMENTS_IN], sys.byteorder) == 1
