"""Callers that disconnect, set a timeout or send too slowly: nothing is run for nobody."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.measurement.process import free_port
from serving.errors import quote
from tests.serving.http.middleware.pausable import PausableServer
from tests.serving.processes import python, running

TEXT = {"inputs": "where is my parcel?"}


@pytest.fixture(scope="module")
def pausable(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PausableServer]:
    """The server, which waits no more than half a second for a body."""
    folder, port = tmp_path_factory.mktemp("pausable"), free_port()
    command = python(
        "-m", "tests.serving.http.middleware.pausable_server", folder / "pause", "serve", tiny_bundle, "--port", port
    )
    with running(command, port, folder / "log", TUNESHIP_BODY_SECONDS=0.5, TUNESHIP_HEAD_SECONDS=1) as server:
        yield PausableServer(server, folder / "pause")


def begin(port: int, path: str, body: Any, length: int | None = None) -> socket.socket:
    """A connection on which a request was sent; ``length`` is what its head tells of the body."""
    content = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {length or len(content)}\r\n\r\n".encode() + content)
    return connection


@pytest.mark.parametrize("path", ["/predict", "/explain", "/invocations"])
def test_a_caller_that_goes_away(pausable: PausableServer, path: str) -> None:
    """Its rows leave the queue unrun; other callers are answered."""
    ran = pausable.ran
    with pausable.busy():
        with begin(pausable.server.port, path, TEXT):
            pausable.until(lambda: pausable.waiting == 1)
        pausable.until(lambda: pausable.waiting == 0)
    pausable.until(lambda: pausable.ran == ran + 1)
    assert 'status="499"' in pausable.http.get("/metrics").text
    assert "Traceback" not in pausable.server.log.read_text()


@pytest.mark.parametrize("path", ["/predict", "/explain", "/invocations"])
@pytest.mark.parametrize("header", ["Request-Timeout", "X-Request-Timeout"])
def test_a_caller_that_waits_no_longer(pausable: PausableServer, path: str, header: str) -> None:
    """At its timeout it gets 504 while the engine is busy, and its row is never run."""
    ran = pausable.ran
    with pausable.busy():
        late = pausable.http.post(path, json=TEXT, headers={header: "0.05"})
        assert (late.status_code, late.json()["error_type"]) == (504, "timeout")
        assert pausable.waiting == 0
    pausable.until(lambda: pausable.ran == ran + 1)


def test_a_patient_caller(pausable: PausableServer) -> None:
    """A long timeout changes nothing."""
    assert pausable.http.post("/predict", json=TEXT, headers={"Request-Timeout": "15"}).status_code == 200


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "5e-324", "0.0009", "1" * 400])
def test_no_time_at_all(pausable: PausableServer, value: str) -> None:
    """A malformed timeout is a 422 that says so."""
    response = pausable.http.post("/predict", json=TEXT, headers={"Request-Timeout": value})
    assert response.status_code == 422
    told = f"the header request-timeout is {quote(value)}; a number of seconds, 0.001 or more, is accepted"
    assert response.json()["error"] == told


@pytest.mark.slow
def test_a_slow_sender(pausable: PausableServer) -> None:
    """A slow body is a 408, and the connection is closed: its rest would be read as a request."""
    with begin(pausable.server.port, "/predict", TEXT, length=1000) as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"] == "the body took more than 0.5 s"
