"""A server that answers as it is told, for the load generator and the waiting to be tried on."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest

Start = Callable[..., int]


class _Scripted(socketserver.StreamRequestHandler):
    """Reads one request after another and answers each with the server's ``reply``."""

    def handle(self) -> None:
        while head := self._head():
            length = next(int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length"))
            self.rfile.read(length)
            if not self.server.reply:  # type: ignore[attr-defined]
                return
            self.wfile.write(self.server.reply)  # type: ignore[attr-defined]

    def _head(self) -> list[bytes]:
        lines = []
        while (line := self.rfile.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        return lines


@pytest.fixture
def scripted() -> Iterator[Start]:
    """``scripted(reply)`` starts a server that sends these bytes to every request, and gives its port.

    With an empty reply it closes the connection instead.
    """
    servers = []

    def start(reply: bytes) -> int:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Scripted)
        server.daemon_threads = True
        server.reply = reply  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        servers.append(server)
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
