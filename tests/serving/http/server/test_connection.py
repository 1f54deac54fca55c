"""Slow, large, malformed and too many requests on real sockets of a real server."""

from __future__ import annotations

import itertools
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from serving.inference.predictor import Predictor
from serving.settings.limits import MAX_HEAD_BYTES
from tests.serving.processes import ServerProcess, get, python, running, until

LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD_SECONDS = 0.6
NO_REQUEST = "this is not a valid HTTP request; in HTTP/1.1 it names one Host"


@pytest.fixture(scope="module")
def strict(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with four connections and 0.6 seconds for a head."""
    port, log = free_port(), tmp_path_factory.mktemp("strict") / "log.txt"
    variables = {"TUNESHIP_HEAD_SECONDS": HEAD_SECONDS, "TUNESHIP_MAX_CONNECTIONS": 4}
    with running(python("-m", "tuneship", "serve", tiny_bundle, "--port", port), port, log, **variables) as process:
        yield process


def connect(server: ServerProcess) -> socket.socket:
    """A connection that says nothing yet."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def rest(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def ask(connection: socket.socket) -> bytes:
    """One request on a connection that stays open."""
    connection.sendall(LIVE)
    received = b""
    while not received.endswith(b"\r\n\r\nok\n") and (part := connection.recv(65536)):
        received += part
    return received


def still_reads(connection: socket.socket, data: bytes) -> bool:
    """Whether the other end still reads."""
    try:
        connection.sendall(data)
    except ConnectionError:
        return False
    return True


def count_refused(server: ServerProcess, reason: str) -> float:
    """The count of count_refused connections for a reason."""
    found = re.search(
        rf'tuneship_connections_refused_total{{reason="{reason}"}} (\S+)', get(f"{server.url}/metrics")[1]
    )
    return float(found[1]) if found else 0.0


@pytest.mark.slow
def test_slow_head(strict: ServerProcess) -> None:
    """A slow head is a 408, and counted."""
    before = count_refused(strict, "slow_head")
    with connect(strict) as connection:
        for byte in LIVE[:5]:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)
        answer = rest(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"Connection: close" in head
    assert json.loads(body) == {"error": "the request's head took too long", "error_type": "connection"}
    assert count_refused(strict, "slow_head") == before + 1


@pytest.mark.slow
def test_slow_head_of_a_later_request(strict: ServerProcess) -> None:
    """So is that of a later request on the connection."""
    with connect(strict) as connection:
        assert b" 200 OK" in ask(connection)
        connection.sendall(LIVE[:9])
        assert rest(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.slow
def test_no_request(strict: ServerProcess) -> None:
    """A connection without a request is closed silently."""
    with connect(strict) as connection:
        assert rest(connection) == b""


@pytest.mark.slow
def test_blank_lines(strict: ServerProcess) -> None:
    """Blank lines, which the parser skips, do not keep a connection open."""
    with connect(strict) as connection:
        assert b" 200 OK" in ask(connection)
        until(lambda: not still_reads(connection, b"\r\n"))


@pytest.mark.slow
def test_quick_heads_are_not_counted_together(strict: ServerProcess) -> None:
    """The time limit is each head's, not the connection's."""
    with connect(strict) as connection:
        end = time.monotonic() + 3 * HEAD_SECONDS
        while time.monotonic() < end:
            assert b" 200 OK" in ask(connection)
            time.sleep(HEAD_SECONDS / 3)


def test_large_head(server: ServerProcess) -> None:
    """An endless head is a 431."""
    with connect(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        received = b""
        try:
            for number in range(200):
                connection.sendall(b"X-%d: " % number + b"a" * 1000 + b"\r\n")
                time.sleep(0.001)
            received = rest(connection)
        except ConnectionError:  # what we still sent met a closed connection
            pass
    assert not received or received.startswith(b"HTTP/1.1 431 ")
    assert count_refused(server, "large_head") >= 1


def test_head_of_allowed_size(server: ServerProcess) -> None:
    """A long head within the limit is answered, in any number of parts."""
    with connect(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
        for _ in range(MAX_HEAD_BYTES // 2000):
            connection.sendall(b"X-Long: " + b"a" * 1000 + b"\r\n")
            time.sleep(0.001)
        connection.sendall(b"\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.slow
def test_slow_reader(strict: ServerProcess) -> None:
    """A caller that sends requests and reads no answers is disconnected."""
    before = count_refused(strict, "slow_reader")
    with connect(strict) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 40
        end, pending = time.monotonic() + 15, asked
        while time.monotonic() < end and count_refused(strict, "slow_reader") == before:
            try:
                pending = pending[connection.send(pending) :] or asked
            except (BlockingIOError, ConnectionError):
                time.sleep(0.05)
    assert count_refused(strict, "slow_reader") == before + 1


BODY = b'{"inputs": "%s"}' % (b"a" * 1_000_000)


def post(path: str, *headers: str, length: int = len(BODY)) -> bytes:
    """The head of a request with a large body."""
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (post("/nowhere"), b"404"),
        (post("/info"), b"405"),
        (post("/predict", "Content-Type: text/plain"), b"415"),
        (post("/predict", "Content-Type: application/json"), b"413"),
    ],
    ids=lambda value: value.decode() if len(value) == 3 else "",
)
def test_answered_before_the_body(strict: ServerProcess, head: bytes, status: bytes) -> None:
    """The rest of a body that was answered early is not read as a request."""
    before = count_refused(strict, "large_head")
    with connect(strict) as connection:
        connection.sendall(head)
        time.sleep(0.05)
        connection.sendall(BODY)
        connection.sendall(LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answers = rest(connection)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [status, b"200"]
    assert count_refused(strict, "large_head") == before


def test_answered_before_the_body_and_closed(strict: ServerProcess) -> None:
    """A caller that reads only after sending all gets its answer and no reset."""
    with connect(strict) as connection:
        connection.sendall(post("/nowhere", "Connection: close"))
        time.sleep(0.05)
        for first in range(0, len(BODY), 50_000):
            connection.sendall(BODY[first : first + 50_000])
            time.sleep(0.001)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.slow
def test_an_endless_body_after_its_answer(strict: ServerProcess) -> None:
    """The rest of a body that was answered early is read for a head's time at most."""
    with connect(strict) as connection:
        connection.sendall(post("/nowhere", length=1 << 40))
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        until(lambda: not still_reads(connection, b"a" * 1000))


@pytest.mark.slow
def test_expect_continue(strict: ServerProcess) -> None:
    """After an early answer to Expect: 100-continue the connection is closed: body or request may follow."""
    with connect(strict) as connection:
        connection.sendall(post("/nowhere", "Expect: 100-continue") + LIVE)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert answer.count(b"HTTP/1.1") == 1


ASKED = json.dumps({"inputs": "where is my parcel?"}).encode()


@pytest.mark.parametrize(
    "offer",
    [
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"],
        ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"],
    ],
    ids=["h2c", "websocket"],
)
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_upgrade(server: ServerProcess, predictor: Predictor, offer: list[str], parts: int) -> None:
    """An Upgrade offer, as Java's client sends, is answered in HTTP/1.1, and so are later requests."""
    request = post("/predict", "Content-Type: application/json", *offer, length=len(ASKED)) + ASKED
    cuts = [0, *sorted([len(request) - len(ASKED), len(request) - 5][: parts - 1]), len(request)]
    with connect(server) as connection:
        for first, last in itertools.pairwise(cuts):
            connection.sendall(request[first:last])
            time.sleep(0.05)
        connection.sendall(LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answers = rest(connection)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"200", b"200"]
    assert json.dumps(predictor.predict(["where is my parcel?"])[0][0]["label"]).encode() in answers


def test_connect(server: ServerProcess) -> None:
    """CONNECT is a 400 that closes the connection."""
    with connect(server) as connection:
        connection.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 400 ")


def test_large_head_at_once(server: ServerProcess) -> None:
    """The limit of a head holds in one part too, and does not count the body."""
    with connect(server) as connection:
        connection.sendall(LIVE[:-2] + b"X-Long: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 431 ")
    with connect(server) as connection:
        body = b'{"inputs": "a"' + b" " * (2 * MAX_HEAD_BYTES) + b"}"
        headers = "Content-Type: application/json", "Connection: close"
        connection.sendall(post("/predict", *headers, length=len(body)) + body)
        assert rest(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_too_large_with_expect_continue(strict: ServerProcess) -> None:
    """With Expect: 100-continue a large body is a 413 by its length alone."""
    with connect(strict) as connection:
        connection.sendall(post("/predict", "Content-Type: application/json", "Expect: 100-continue", length=10**9))
        assert rest(connection).startswith(b"HTTP/1.1 413 ")


def test_malformed(server: ServerProcess) -> None:
    """What is not HTTP is a 400 in the shape of every error, with every header, and counted."""
    before = count_refused(server, "malformed")
    with connect(server) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00 TLS, as from a caller of https://\r\n\r\n")
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"x-content-type-options: nosniff" in head
    assert json.loads(body) == {"error": NO_REQUEST, "error_type": "connection"}
    assert count_refused(server, "malformed") == before + 1


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n"])
def test_one_host(server: ServerProcess, hosts: bytes) -> None:
    """A request with no Host or two is a 400."""
    with connect(server) as connection:
        connection.sendall(b"GET /info HTTP/1.1\r\n" + hosts + b"\r\n")
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body)["error"] == NO_REQUEST


def test_no_host_before_http_1_1(server: ServerProcess) -> None:
    """HTTP/1.0, which some load balancers use, needs no Host."""
    with connect(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert b" 200 OK" in rest(connection)


@pytest.mark.slow
def test_descriptors_for_all(tiny_bundle: Path, tmp_path: Path) -> None:
    """The limit of open files is raised to fit the connections."""
    port = free_port()
    command = ["bash", "-c", 'ulimit -Sn 64; exec "$@"', "-", *python("-m", "tuneship", "serve", tiny_bundle, "--port")]
    with running([*command, str(port)], port, tmp_path / "log") as server, ExitStack() as stack:
        callers = [stack.enter_context(connect(server)) for _ in range(100)]
        assert all(b" 200 OK" in ask(each) for each in callers)


@pytest.mark.slow
def test_idle_between_requests(tiny_bundle: Path, tmp_path: Path) -> None:
    """An idle connection is closed silently after the keep-alive time."""
    port = free_port()
    command = python("-m", "tuneship", "serve", tiny_bundle, "--port", port)
    with running(command, port, tmp_path / "log", TUNESHIP_KEEP_ALIVE_SECONDS=0.3) as server:
        with connect(server) as connection:
            assert b" 200 OK" in ask(connection)
            assert rest(connection) == b""
        assert json.loads(get(f"{server.url}/info")[1])["limits"]["keep_alive_seconds"] == 0.3
