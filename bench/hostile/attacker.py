"""One caller with one connection, which it opens anew when it ends."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

from bench.hostile.inputs import Ending, Hostile

RESET = struct.pack("ii", 1, 0)
MOMENT = 0.05
BEGUN = 0.005
"""Seconds for a server to begin what it got, before its caller hangs up."""


def attack(
    hostile: Hostile, port: int, until: float = float("inf"), received: Callable[[bytes], object] = lambda _: None
) -> None:
    """Attack until a time of `time.monotonic`; ``received`` gets what the server answers."""
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                _use(connection, hostile, until, received)
        except OSError:
            time.sleep(MOMENT)


def _use(connection: socket.socket, hostile: Hostile, until: float, received: Callable[[bytes], object]) -> None:
    """Send, and read meanwhile, until the other side ends it or all is done."""
    connection.setblocking(False)
    parts = iter(hostile.stream())
    pending = memoryview(next(parts, b""))
    reads, sends = hostile.ending is not Ending.stays, True
    while time.monotonic() < until:
        if not sends and hostile.ending is Ending.hangs_up:
            time.sleep(BEGUN)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        readable, writable, _ = select.select([connection] * reads, [connection] * sends, [], MOMENT)
        if readable:
            if not (answer := connection.recv(65536)):
                return
            received(answer)
        if writable:
            pending, sends = _send(connection, pending, parts)
        if not (reads or sends) and _ended(connection):
            return


def _send(connection: socket.socket, pending: memoryview, parts: Iterator[bytes]) -> tuple[memoryview, bool]:
    """What is left of this part, or the next; and whether there is anything."""
    with contextlib.suppress(BlockingIOError):
        pending = pending[connection.send(pending) :] if pending else pending
    if pending:
        return pending, True
    following = next(parts, None)
    return memoryview(following or b""), following is not None


def _ended(connection: socket.socket) -> bool:
    """Whether the other side has ended it, without reading."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))
