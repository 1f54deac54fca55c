"""uvicorn's server, taking connections as fast as they come.

In a turn of its loop libuv, on which uvloop stands, accepts one connection for each handle that listens. A turn of a
server that is busy takes milliseconds, so it would take a hundred connections a second, and whoever else wants
one would wait where no limit counts them and nobody tells them to come back later.
"""

from __future__ import annotations

import socket

import uvicorn

A_TURN = 16
"""Connections that are accepted in a turn of the loop."""


class Server(uvicorn.Server):
    """Listens on each socket so many times."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. What is listened on besides is closed with the servers that it was made for."""
        if sockets:
            sockets = [*sockets, *(each.dup() for each in sockets for _ in range(A_TURN - 1))]
        await super().startup(sockets)
