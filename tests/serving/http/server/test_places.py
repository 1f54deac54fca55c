"""Where all connections are taken: idle ones give way, probes are answered, others are told."""

from __future__ import annotations

import asyncio
import socket

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.http.server import places
from serving.http.server.connection import BoundedConnection
from serving.settings.limits import ServerLimits
from tests.serving.http.server.listening import Listening, listening
from tests.serving.http.server.test_connection import post, rest

FOUR = ServerLimits(max_connections=4)
ASKED = b"GET /info HTTP/1.1\r\nHost: a\r\n\r\n"
PROBED = ASKED.replace(b"/info", b"/livez")
UNFINISHED = post("/predict", length=5) + b"abc"


accepted: list[BoundedConnection] = []


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is idle as soon as it waits, and two are the places for probes."""
    monkeypatch.setattr(places, "LEAST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(places, "PROBE_PLACES", 2)
    enter = places.Places.enter
    monkeypatch.setattr(
        places.Places, "enter", lambda self, each, *more: accepted.append(each) or enter(self, each, *more)
    )


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers once the body has come."""
    await Request(scope, receive).body()
    await PlainTextResponse("hello")(scope, receive, send)


async def ask(caller: socket.socket, sent: bytes = ASKED) -> bytes:
    """The first part of what comes after it is sent, empty at the end of the connection."""
    caller.sendall(sent)
    return await asyncio.to_thread(caller.recv, 65536)


async def connect(served: Listening, sent: bytes = b"") -> socket.socket:
    """A connection that the server has accepted, and whose head it has read."""
    before, caller = len(accepted), served.connect()
    caller.sendall(sent)
    while len(accepted) == before or (sent == UNFINISHED and accepted[-1].cycle is None):
        await asyncio.sleep(0.001)
    return caller


@pytest.mark.parametrize("sent", [b"", b"GET /in"], ids=["silent", "unfinished_head"])
def test_silent_connections_give_way(sent: bytes) -> None:
    """A new connection takes the place of the one that has said nothing, or no complete head, for the longest time."""

    async def scenario(served: Listening) -> None:
        first, second, *_ = [await connect(served, sent) for _ in range(4)]
        assert (await ask(await connect(served))).startswith(b"HTTP/1.1 200 ")
        assert await asyncio.to_thread(rest, first) == b""
        assert (await ask(second, ASKED[len(sent) :])).startswith(b"HTTP/1.1 200 ")

    listening(app, scenario, FOUR)


def test_the_longest_idle_gives_way() -> None:
    """Of connections between requests, the one whose last request is the longest ago gives way."""

    async def scenario(served: Listening) -> None:
        callers = [await connect(served) for _ in range(4)]
        for caller in (*callers, callers[0]):
            assert b" 200 OK" in await ask(caller)
        assert b" 200 OK" in await ask(await connect(served))
        assert await asyncio.to_thread(rest, callers[1]) == b""
        for caller in (callers[0], *callers[2:]):
            assert b" 200 OK" in await ask(caller)

    listening(app, scenario, FOUR)


def test_probes_have_places() -> None:
    """While every connection has a request in hand, a probe is answered and others get 429; then there is room."""

    async def scenario(served: Listening) -> None:
        busy = [await connect(served, UNFINISHED) for _ in range(4)]
        probe, other = await connect(served), await connect(served)
        probe.sendall(PROBED)
        assert b" 200 OK" in (answer := await asyncio.to_thread(rest, probe))
        assert b"\r\nconnection: close\r\n" in answer
        refused = await ask(other)
        assert refused.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        assert b"Retry-After: 1\r\n" in refused
        assert b"all the connections that it accepts" in refused
        assert all([b" 200 OK" in await ask(each, b"de") for each in busy])
        assert b" 200 OK" in await ask(await connect(served))

    listening(app, scenario, FOUR)


def test_places_for_probes_are_few() -> None:
    """Of connections beyond the bound, the oldest is refused where a further one comes."""

    async def scenario(served: Listening) -> None:
        _ = [await connect(served, UNFINISHED) for _ in range(4)]
        first, second, third = [await connect(served) for _ in range(3)]
        assert (await asyncio.to_thread(rest, first)).startswith(b"HTTP/1.1 429 ")
        for each in (second, third):
            assert b" 200 OK" in await ask(each, PROBED)

    listening(app, scenario, FOUR)


def test_a_moment_is_no_idleness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that has waited for a moment only does not give way: its request may be under way."""
    monkeypatch.setattr(places, "LEAST_WAIT_SECONDS", 60.0)

    async def scenario(served: Listening) -> None:
        callers = [await connect(served) for _ in range(4)]
        assert (await ask(await connect(served))).startswith(b"HTTP/1.1 429 ")
        for caller in callers:
            assert b" 200 OK" in await ask(caller)

    listening(app, scenario, FOUR)
