"""The load generator sends requests, and counts right answers and each kind of error."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

import deploy.measurement.load
from bench.noop_server import LABEL
from deploy.measurement.load import LoadResult, Query, render, run_load
from deploy.measurement.process import free_port, spawned, wait_ready
from tests.bench.conftest import Start


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An HTTP answer as bytes."""
    head = [f"HTTP/1.1 {status}", *(headers or (f"Content-Length: {len(body)}",))]
    return "\r\n".join([*head, "", ""]).encode() + body


RIGHT = b'[{"label": "refund", "score": 0.9}]'
CHUNKED = b"9\r\n" + RIGHT[:9] + b"\r\n1a\r\n" + RIGHT[9:] + b"\r\n0\r\n\r\n"


def load(port: int, expected: str = "refund", connections: int = 2) -> LoadResult:
    """A short round with one query."""
    query = Query(render(port, "/predict", {"inputs": "money back"}), expected)
    return run_load(port, [query], best_label, connections=connections, seconds=0.2)


def best_label(content: Any) -> str:
    """The best label of a flat answer."""
    label: str = content[0]["label"]
    return label


def test_render() -> None:
    """A request is a complete HTTP/1.1 POST; its length counts bytes."""
    head, _, body = render(3000, "/predict", {"inputs": "für"}).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"inputs": "für"}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(answer(RIGHT), id="with a length"),
        pytest.param(answer(CHUNKED, "Transfer-Encoding: chunked"), id="chunked"),
        pytest.param(answer(RIGHT, f"content-LENGTH:   {len(RIGHT)}  "), id="odd header spelling"),
    ],
)
def test_right_answers(scripted: Start, reply: bytes) -> None:
    """Answers count however HTTP frames them, each with a latency."""
    found = load(scripted(reply))
    assert found.answered > 10
    assert not found.errors
    assert len(found.latencies) >= found.answered
    assert all(0 < latency < 5 for latency in found.latencies)
    assert found.rate == found.answered / 0.2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(RIGHT.replace(b"refund", b"cancel")), "wrong label"),
        (answer(b"[]"), "unreadable answer"),
        (answer(b"<html>"), "unreadable answer"),
        (answer(RIGHT, status="429 Too Many Requests"), "status 429"),
        (answer(RIGHT, f"Content-Length: {len(RIGHT)}", "Connection: close"), "connection closed by the server"),
        (b"not HTTP at all\r\n\r\n", "not an HTTP answer"),
        (b"", "connection lost"),
    ],
    ids=["label", "empty", "no JSON", "refused", "closing", "no HTTP", "closed"],
)
def test_errors_are_named(scripted: Start, reply: bytes, error: str) -> None:
    """Each kind of error is counted under its name."""
    found = load(scripted(reply))
    assert set(found.errors) == {error}
    assert found.errors[error] >= 2


def test_refusals_are_no_answers(scripted: Start) -> None:
    """Only answers with status 200 count as answered and have a latency."""
    found = load(scripted(answer(RIGHT, status="503 Service Unavailable")))
    assert found.answered == 0
    assert found.latencies == []


def test_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the server never answers, the load ends after the grace period."""
    monkeypatch.setattr(deploy.measurement.load, "GRACE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = load(listener.getsockname()[1])
    assert found.answered == 0
    assert sum(found.errors.values()) == 2
    assert all("no answer within" in error for error in found.errors)


def test_nobody_listens() -> None:
    """A refused connection is an error of its own."""
    found = load(free_port())
    assert found.errors == {"no connection: Connection refused": 2}


def test_queries_are_repeated(scripted: Start) -> None:
    """The queries are sent in turn, each with its own expected label."""
    port = scripted(answer(RIGHT))
    request = render(port, "/", {"inputs": "money back"})
    found = run_load(port, [Query(request, "refund"), Query(request, "other")], best_label, connections=1, seconds=0.2)
    assert abs(found.errors["wrong label"] - len(found.latencies) / 2) <= 1


@pytest.mark.parametrize(("connections", "requests"), [(8, 20), (8, 3)])
def test_number_of_requests(scripted: Start, connections: int, requests: int) -> None:
    """A round of N requests sends exactly N, on however many connections."""
    query = Query(render(port := scripted(answer(RIGHT)), "/predict", {"inputs": "money back"}), "refund")
    found = run_load(port, [query], best_label, connections=connections, requests=requests)
    assert (found.answered, found.errors.total()) == (requests, 0)


@pytest.mark.slow
def test_against_the_noop_server(tmp_path: Path) -> None:
    """The generator makes more load than any classifier can answer."""
    port = free_port()
    command = [sys.executable, "-m", "bench.noop_server", str(port)]
    with spawned("no-op", command, log=tmp_path / "log") as child:
        wait_ready(child, port, limit=20)
        query = Query(render(port, "/predict", {"inputs": "x"}), LABEL)
        found = run_load(port, [query], lambda content: content[0][0]["label"], connections=8, seconds=0.5)
    assert not found.errors
    assert found.answered > 500
