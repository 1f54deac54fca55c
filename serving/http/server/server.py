"""uvicorn's server with a faster accept loop and a shutdown that resets no connection.

uvloop accepts one connection a turn for each listening handle; a busy server's turn takes milliseconds, so further
connections would wait where no limit counts them. Hence several handles listen on each socket. Connections that the
kernel has completed and the server has not accepted are reset when listening ends; hence `shutdown` accepts them first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from types import FrameType

import uvicorn

from serving.http.server.last_resort import end_within, start_watching

ACCEPTS_PER_TURN = 16
"""Handles on each socket."""

MAX_ACCEPT_SECONDS = 1.0
"""Of a shutdown, where new connections keep coming."""

UNACCEPTED = slice(24, 28)
"""``tcpi_unacked`` in Linux' ``struct tcp_info``: of a listening socket, the connections to accept."""


class Server(uvicorn.Server):
    """Listens with several handles on each socket."""

    grace_seconds: float | None = None
    """Takes the place of the configuration's, where it is set."""

    def __init__(self, config: uvicorn.Config) -> None:
        if self.grace_seconds is not None:
            config.timeout_graceful_shutdown = self.grace_seconds  # type: ignore[assignment]  # floats will do
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """The process ends with the server, if need be by force."""
        start_watching()
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Also where SIGTERM comes during start-up, or the event loop does not turn."""
        if (grace := self.config.timeout_graceful_shutdown) is not None:
            end_within(grace)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The duplicates are closed with their asyncio servers."""
        if sockets:
            sockets = [*sockets, *(each.dup() for each in sockets for _ in range(ACCEPTS_PER_TURN - 1))]
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept waiting connections first, then refuse new ones.

        Closing does not refuse them where another process has the socket too, as BentoML's has: the kernel would accept
        connections that nobody answers.
        """
        end = asyncio.get_running_loop().time() + MAX_ACCEPT_SECONDS
        while any(map(_count_unaccepted, sockets or ())) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0)
        for each in sockets or ():
            with contextlib.suppress(OSError):  # on macOS no listening socket is connected; there `close` refuses
                each.shutdown(socket.SHUT_RDWR)
        await super().shutdown(sockets)


def _count_unaccepted(listener: socket.socket) -> int:
    """0 on macOS, which does not tell."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, UNACCEPTED.stop)
    return int.from_bytes(info[UNACCEPTED], sys.byteorder)
