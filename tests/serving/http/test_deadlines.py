"""A real server whose callers go away, say how long they wait, or send too slowly: nothing is run for nobody."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.process import free_port
from tests.serving.http.middleware.gated import Gated
from tests.serving.processes import python, running

TEXT = {"inputs": "where is my parcel?"}


@pytest.fixture(scope="module")
def gated(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    """The server, which waits no more than half a second for a body."""
    folder, port = tmp_path_factory.mktemp("gated"), free_port()
    command = python(
        "-m", "tests.serving.http.middleware.gated_server", folder / "gate", "serve", tiny_bundle, "--port", port
    )
    with running(command, port, folder / "log", TUNESHIP_BODY_SECONDS=0.5, TUNESHIP_HEAD_SECONDS=1) as server:
        yield Gated(server, folder / "gate")


def begin(port: int, path: str, body: Any, length: int | None = None) -> socket.socket:
    """A connection on which a request was sent; ``length`` is what its head tells of the body."""
    content = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {length or len(content)}\r\n\r\n".encode() + content)
    return connection


@pytest.mark.parametrize("path", ["/predict", "/explain", "/invocations"])
def test_a_caller_that_goes_away(gated: Gated, path: str) -> None:
    """What it asked for leaves the queue and is never run; whoever else waits is answered."""
    ran = gated.ran
    with gated.busy():
        with begin(gated.server.port, path, TEXT):
            gated.until(lambda: gated.waiting == 1)
        gated.until(lambda: gated.waiting == 0)
    gated.until(lambda: gated.ran == ran + 1)
    assert 'status="499"' in gated.http.get("/metrics").text
    assert "Traceback" not in gated.server.log.read_text()


@pytest.mark.parametrize("path", ["/predict", "/explain", "/invocations"])
@pytest.mark.parametrize("header", ["Request-Timeout", "X-Request-Timeout"])
def test_a_caller_that_waits_no_longer(gated: Gated, path: str, header: str) -> None:
    """Its time over, it gets 504 while the engine is still at something else, and its row is never run."""
    ran = gated.ran
    with gated.busy():
        late = gated.http.post(path, json=TEXT, headers={header: "0.05"})
        assert (late.status_code, late.json()["error_type"]) == (504, "timeout")
        assert gated.waiting == 0
    gated.until(lambda: gated.ran == ran + 1)


def test_a_patient_caller(gated: Gated) -> None:
    """One that gives the server time is answered."""
    assert gated.http.post("/predict", json=TEXT, headers={"Request-Timeout": "15"}).status_code == 200


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf"])
def test_no_time_at_all(gated: Gated, value: str) -> None:
    """A header that is no number of seconds is 422, and says so."""
    response = gated.http.post("/predict", json=TEXT, headers={"Request-Timeout": value})
    assert response.status_code == 422
    assert f"the header request-timeout is {value!r}; a number of seconds above 0" in response.json()["error"]


def test_a_slow_sender(gated: Gated) -> None:
    """A body that does not come in time is 408, and the connection is closed: its rest would be taken for a request."""
    with begin(gated.server.port, "/predict", TEXT, length=1000) as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"] == "the body took more than 0.5 s"
