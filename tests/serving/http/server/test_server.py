"""Connections are accepted many in a turn of the event loop, and none is reset at shutdown."""

from __future__ import annotations

import asyncio
import socket

import pytest
from starlette.responses import PlainTextResponse

from serving.http.server import connection as connections
from serving.http.server.server import ACCEPTS_PER_TURN
from tests.serving.http.server.listening import Listening, listening
from tests.serving.http.server.test_connection import rest

CALLERS = 5 * ACCEPTS_PER_TURN


def test_many_in_a_turn() -> None:
    """Each turn accepts many connections."""

    async def scenario(served: Listening) -> None:
        for _ in range(CALLERS):
            served.connect()
        turns = 0
        while served.connections < CALLERS:
            await asyncio.sleep(0)
            turns += 1
        assert turns <= 2 * CALLERS / ACCEPTS_PER_TURN

    listening(PlainTextResponse("hello"), scenario)


@pytest.mark.slow
def test_unaccepted_connections_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests on connections that the server has not accepted at shutdown are answered."""
    monkeypatch.setattr(connections, "LAST_SECONDS", 2.0)

    async def scenario(served: Listening) -> None:
        callers = [served.connect() for _ in range(CALLERS)]  # the loop does not turn: none is accepted
        for caller in callers:
            caller.sendall(ASKED)
        served.server.should_exit = True
        answers = await asyncio.gather(*(asyncio.to_thread(rest, caller) for caller in callers))
        assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)

    listening(PlainTextResponse("hello"), scenario)


@pytest.mark.slow
def test_late_requests_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request on an idle connection during shutdown is answered, then the connection is closed."""
    monkeypatch.setattr(connections, "LAST_SECONDS", 2.0)

    async def scenario(served: Listening) -> None:
        caller = served.connect()
        while not served.connections:
            await asyncio.sleep(0)
        served.server.should_exit = True
        while served.server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        caller.sendall(ASKED)
        answer = await asyncio.to_thread(rest, caller)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"hello")

    listening(PlainTextResponse("hello"), scenario)


ASKED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_nothing_listens_at_the_end() -> None:
    """The port is free after shutdown."""
    ports = []

    async def scenario(served: Listening) -> None:
        ports.append(served.connect().getpeername()[1])

    listening(PlainTextResponse("hello"), scenario)
    socket.create_server(("127.0.0.1", ports[0])).close()


def test_nothing_listens_where_another_process_has_the_socket() -> None:
    """After shutdown connections are refused, and not left unanswered, although BentoML's parent has the socket too."""
    shared = []

    async def scenario(served: Listening) -> None:
        shared.append(served.server.servers[0].sockets[0].dup())

    listening(PlainTextResponse("hello"), scenario)
    with shared[0] as listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())
