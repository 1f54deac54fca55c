"""uvicorn's server, taking connections as fast as they come, and leaving none at the door when it ends.

In a turn of its loop libuv, on which uvloop stands, accepts one connection for each handle that listens. A turn of a
server that is busy takes milliseconds, so it would take a hundred connections a second, and whoever else wants
one would wait where no limit counts them and nobody tells them to come back later.

Whom the kernel has connected and the server has not accepted yet gets a reset when the server stops to listen.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn

ACCEPTS_PER_TURN = 16
"""Connections that are accepted in a turn of the loop."""

LAST_SECONDS = 1.0
"""How long those that are still at the door are let in, when others keep coming."""

NOT_ACCEPTED = slice(24, 28)
"""Of Linux' ``struct tcp_info``, ``tcpi_unacked``: of a socket that listens, how many wait to be accepted."""


class Server(uvicorn.Server):
    """Listens on each socket so many times."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. What is listened on besides is closed with the servers that it was made for."""
        if sockets:
            sockets = [*sockets, *(each.dup() for each in sockets for _ in range(ACCEPTS_PER_TURN - 1))]
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let in who is at the door, then let nobody in any more and finish."""
        end = asyncio.get_running_loop().time() + LAST_SECONDS
        while any(map(_at_the_door, sockets or ())) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def _at_the_door(listener: socket.socket) -> int:
    facts = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, NOT_ACCEPTED.stop)
    return int.from_bytes(facts[NOT_ACCEPTED], sys.byteorder)
