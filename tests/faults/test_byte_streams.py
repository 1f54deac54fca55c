"""Raw bytes that are no proper HTTP get one clear refusal, or none, and never an answer to what they smuggle."""

from __future__ import annotations

import re
import socket

import pytest

from tests.faults.byte_streams import BYTE_STREAMS, LENGTH, ByteStream, posted
from tests.faults.callers import Rows, ask_all
from tests.faults.results import record
from tests.serving.processes import ServerProcess

SILENCE = 0.3
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def answers(server: ServerProcess, sent: bytes, half_closed: bool = False) -> list[int]:
    """The statuses of what comes back until the server ends the connection or says nothing more."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        received = b""
        try:
            connection.sendall(sent)
            if half_closed:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
                connection.settimeout(SILENCE)
        except (ConnectionError, TimeoutError):  # it was closed while we still sent, or stays open
            pass
    assert b"root:" not in received
    return [int(status) for status in STATUS.findall(received)]


@pytest.mark.parametrize("stream", BYTE_STREAMS, ids=lambda stream: stream.name)
def test_byte_stream(stream: ByteStream, server: ServerProcess) -> None:
    """One status of those expected; a stream is never read as two requests."""
    found = answers(server, stream.give())
    assert len(found) <= 1
    assert (found[0] if found else None) in stream.accepted


def test_half_closed(server: ServerProcess) -> None:
    """A caller that closes its sending side too early is answered, or told why not."""
    assert answers(server, posted(LENGTH)(), half_closed=True) in ([200], [400])


def test_others_are_answered(server: ServerProcess, rows: Rows) -> None:
    """The server that got all of them answers rightly, and had no exception that it did not expect."""
    tally = ask_all(server.port, rows)
    assert (tally.right, tally.wrong) == (len(rows), [])
    assert "Traceback" not in server.log.read_text()
    record("raw byte streams: smuggling, malformed heads, other protocols", len(BYTE_STREAMS), "streams", tally)
