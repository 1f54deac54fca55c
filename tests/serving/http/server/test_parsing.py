"""What one connection can make the server hold, and do in a turn: trailers, chunks, fields, pipelined requests."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.http.server.parsing import SLICE_BYTES, BoundedParsing
from serving.settings.limits import MAX_HEAD_BYTES, MAX_HEAD_FIELDS
from tests.serving.http.server.listening import Listening, listening
from tests.serving.http.server.test_connection import connect, count_refused, post, rest
from tests.serving.processes import ServerProcess, get

CHUNKED = post("/predict", "Content-Type: application/json").replace(
    b"Content-Length: ", b"Transfer-Encoding: chunked\r\nX: "
)
PIPELINED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Target, headers and size of the body; the headers are read after the body."""
    request = Request(scope, receive)
    size = len(await request.body())
    told = {"target": [scope["raw_path"].decode(), scope["query_string"].decode()], "body": size}
    await JSONResponse({**told, **dict(request.headers)})(scope, receive, send)


def answers(sent: bytes, *later: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Statuses and bodies of all that is sent, in segments, on one connection that closes at its end."""
    found = []

    async def scenario(served: Listening) -> None:
        caller = served.connect()
        for part in (sent, *later):
            await asyncio.to_thread(caller.sendall, part)
            await asyncio.sleep(0.01)
        received = (await asyncio.to_thread(rest, caller)).decode()
        found.extend(re.findall(r"HTTP/1.1 (\d+) .*?\r\n\r\n(.*?)(?=HTTP/1.1 \d|$)", received, re.DOTALL))

    listening(echo, scenario)
    return [(int(status), json.loads(body)) for status, body in found]


@pytest.mark.parametrize(
    "endless",
    [b"0\r\n" + b"a:b\r\n" * 200_000, b"0\r\n" + b"a" * 1_000_000, b"5;" + b"a" * 1_000_000],
    ids=["trailers", "trailer", "extension"],
)
def test_endless_framing(server: ServerProcess, endless: bytes) -> None:
    """Trailers and extensions of chunks without an end are a 431, and counted."""
    before = count_refused(server, "large_head")
    with connect(server) as connection:
        try:
            connection.sendall(CHUNKED + endless)
            received = rest(connection)
        except ConnectionError:  # what we still sent met a closed connection
            received = b""
    assert not received or received.startswith(b"HTTP/1.1 431 ")
    assert count_refused(server, "large_head") == before + 1
    assert get(f"{server.url}/livez")[0] == 200


def test_trailers_are_dropped() -> None:
    """A trailer is no header: no key, no host comes after the body."""
    trailers = b"X-Api-Key: first-key-0123456789\r\nHost: b\r\nExpect: 100-continue\r\n"
    head = CHUNKED.replace(b"Host: a", b"Host: a\r\nConnection: close")
    ((status, told),) = answers(head + b"5\r\nhello\r\n", b"0\r\n" + trailers + b"\r\n")
    assert (status, told["body"], told["host"]) == (200, 5, "a")
    assert {"x-api-key", "expect"}.isdisjoint(told)


def test_tiny_chunks() -> None:
    """A body in chunks of a byte each is read whole."""
    body = b"1;e=1\r\nX\r\n" * 50_000 + b"0\r\n\r\n"
    ((status, told),) = answers(CHUNKED.replace(b"Host: a", b"Host: a\r\nConnection: close") + body)
    assert (status, told["body"]) == (200, 50_000)


@pytest.mark.parametrize(("fields", "status"), [(MAX_HEAD_FIELDS, 200), (MAX_HEAD_FIELDS + 1, 431)])
def test_many_fields(server: ServerProcess, fields: int, status: int) -> None:
    """One header too many is a 431, however short they are."""
    with connect(server) as connection:
        connection.sendall(
            b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + b"a:\r\n" * (fields - 2) + b"\r\n"
        )
        assert rest(connection).startswith(b"HTTP/1.1 %d " % status)


def test_pipelined_requests_are_answered() -> None:
    """All of many requests in one segment are answered, in order."""
    sent = b"".join(PIPELINED.replace(b"/ ", b"/%d " % number) for number in range(1000))
    last = PIPELINED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    found = answers(sent + last)
    assert [told["target"][0] for _, told in found] == [*(f"/{number}" for number in range(1000)), "/"]


def test_pipelined_requests_wait_unread() -> None:
    """While a request waits for its answer, further ones are not read: the caller cannot send them."""

    async def scenario(served: Listening) -> None:
        caller = served.connect()
        caller.setblocking(False)
        sent = 0
        for _ in range(200):
            try:
                sent += caller.send(PIPELINED * 40_000)
            except BlockingIOError:
                await asyncio.sleep(0.001)
        (connection,) = served.server.server_state.connections
        assert isinstance(connection, BoundedParsing)
        assert len(connection.pipeline) <= SLICE_BYTES / len(PIPELINED)
        assert len(connection._unparsed) <= MAX_HEAD_BYTES + 2 * 256 * 1024  # what uvloop reads at once
        assert sent < 16_000_000  # in the kernel's buffers
        gate.set()

    gate = asyncio.Event()
    listening(waiting_for(gate), scenario)


def test_a_hang_up_is_noticed_behind_pipelined_requests() -> None:
    """A caller that hangs up is noticed although it has sent more than one request."""
    gone = asyncio.Event()

    async def scenario(served: Listening) -> None:
        caller = served.connect()
        caller.sendall(PIPELINED)
        await asyncio.sleep(0.02)
        caller.sendall(PIPELINED * 100)
        await asyncio.sleep(0.02)
        caller.close()
        await asyncio.wait_for(gone.wait(), 60)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if (await receive())["type"] == "http.disconnect":
            gone.set()

    listening(app, scenario)


def waiting_for(gate: asyncio.Event) -> Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]:
    """An app that answers once a gate is open."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await PlainTextResponse("hello")(scope, receive, send)

    return app


@pytest.mark.parametrize("sent", [PIPELINED, PIPELINED[:-2]], ids=["waiting", "unfinished_head"])
def test_half_closed(sent: bytes) -> None:
    """A caller that sends no more is taken for gone, and told so in case it is not."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scenario(served: Listening) -> None:
        caller = served.connect()
        caller.sendall(sent)
        await asyncio.sleep(0.02)
        caller.shutdown(socket.SHUT_WR)
        answer = await asyncio.to_thread(rest, caller)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"keep it open until the answer has come" in answer

    listening(app, scenario)


def test_half_closed_without_a_request() -> None:
    """Without a request, or after its answer, the connection is closed silently."""

    async def scenario(served: Listening) -> None:
        for sent in (b"", PIPELINED):
            caller = served.connect()
            caller.sendall(sent)
            await asyncio.sleep(0.02)
            caller.shutdown(socket.SHUT_WR)
            assert (await asyncio.to_thread(rest, caller)).count(b"HTTP/1.1") == bool(sent)

    listening(PlainTextResponse("hello"), scenario)


@pytest.mark.slow
def test_half_closed_within_an_answer() -> None:
    """No second answer follows one that has begun."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await asyncio.sleep(1)

    async def scenario(served: Listening) -> None:
        caller = served.connect()
        caller.sendall(PIPELINED)
        await asyncio.sleep(0.02)
        caller.shutdown(socket.SHUT_WR)
        assert (await asyncio.to_thread(rest, caller)).count(b"HTTP/1.1") == 1

    listening(app, scenario)


def test_a_fast_sender_leaves_turns_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast a connection sends, it is read once in a turn of the event loop."""
    reads = []
    receive_data = BoundedParsing.data_received
    monkeypatch.setattr(BoundedParsing, "data_received", lambda self, data: [reads.append(1), receive_data(self, data)])

    async def scenario(served: Listening) -> None:
        fast = served.connect()
        fast.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
        fast.setblocking(False)
        most = 0
        for _ in range(100):
            send_now(fast, b"a" * 4_000_000)
            before = len(reads)
            await asyncio.sleep(0)
            most = max(most, len(reads) - before)
        assert most == 1

    listening(PlainTextResponse("hello"), scenario)


def send_now(connection: socket.socket, data: bytes) -> None:
    """As much as the kernel takes."""
    try:
        connection.send(data)
    except BlockingIOError:
        return


@pytest.mark.parametrize(
    ("target", "host", "routed"),
    [
        (b"http://b.example/info?x=1", "b.example", ["/info", "x=1"]),
        (b"HTTPS://b.example:8080", "b.example:8080", ["/", ""]),
        (b"http://[::1]:80?x=/", "[::1]:80", ["/", "x=/"]),
    ],
)
def test_absolute_targets(target: bytes, host: str, routed: list[str]) -> None:
    """A target in absolute form is routed by its path; its authority is the request's host, whatever Host says."""
    request = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    ((status, told),) = answers(request)
    assert (status, told["host"], told["target"]) == (200, host, routed)


@pytest.mark.parametrize("target", [b"http://user@b.example/", b"ftp://b.example/", b"http:///x", b"b.example", b"*"])
def test_other_targets(target: bytes) -> None:
    """Other forms are a 400."""
    ((status, _),) = answers(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert status == 400


def test_length_and_chunks(server: ServerProcess) -> None:
    """A request with both a length and chunks, or with two lengths, is a 400."""
    for headers in (b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"Content-Length: 5\r\nContent-Length: 6"):
        with connect(server) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n\r\n0\r\n\r\n")
            assert rest(connection).startswith(b"HTTP/1.1 400 ")
