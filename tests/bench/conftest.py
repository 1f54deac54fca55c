"""A server with a fixed reply, for tests of the load generators."""

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


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64  # a full queue delays a connection by a second


@pytest.fixture
def scripted() -> Iterator[Start]:
    """``scripted(reply)`` starts a server that sends these bytes to every request, and returns its port.

    With an empty reply it closes the connection.
    """
    servers = []

    def start(reply: bytes) -> int:
        server = _Server(("127.0.0.1", 0), _Scripted)
        server.reply = reply  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        servers.append(server)
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
