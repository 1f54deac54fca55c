"""Connections are taken as fast as they come, however long a turn of the event loop takes."""

from __future__ import annotations

import asyncio
import socket

from starlette.responses import PlainTextResponse

from serving.listening import A_TURN
from tests.serving.listening import Listening, listening

CALLERS = 5 * A_TURN


def test_many_in_a_turn() -> None:
    """In each turn of the loop many are accepted, not one."""

    async def scenario(served: Listening) -> None:
        for _ in range(CALLERS):
            served.connect()
        turns = 0
        while served.connections < CALLERS:
            await asyncio.sleep(0)
            turns += 1
        assert turns <= 2 * CALLERS / A_TURN

    listening(PlainTextResponse("hello"), scenario)


def test_nothing_listens_at_the_end() -> None:
    """A server that ends lets go of its port."""
    ports = []

    async def scenario(served: Listening) -> None:
        ports.append(served.connect().getpeername()[1])

    listening(PlainTextResponse("hello"), scenario)
    socket.create_server(("127.0.0.1", ports[0])).close()
