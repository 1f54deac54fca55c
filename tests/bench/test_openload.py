"""Open-loop load sends requests at their due times, and counts answers, refusals and errors."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket

import pytest

from bench.openload import ArrivalResult, run_arrivals
from deploy.measurement.load import Query, render
from deploy.measurement.process import free_port
from tests.bench.conftest import Start
from tests.deploy.measurement.test_load import RIGHT, answer, best_label

BUSY = "429 Too Many Requests"


def arrivals(port: int, seed: int = 0, rate: float = 400.0) -> ArrivalResult:
    """A short load of one query."""
    query = Query(render(port, "/predict", {"inputs": "money back"}), "refund")
    return run_arrivals(port, [query], best_label, rate=rate, seconds=0.3, seed=seed)


@pytest.mark.slow
def test_every_request_is_counted(scripted: Start) -> None:
    """The number of requests depends on the seed alone, and each is answered."""
    port = scripted(answer(RIGHT))
    found, again, other = arrivals(port), arrivals(port), arrivals(port, seed=1)
    assert found.sent == again.sent != other.sent
    assert 60 < found.sent < 180
    assert len(found.latencies) == found.sent
    assert 0 < found.in_time <= found.sent
    assert found.goodput == found.in_time / 0.3
    assert not found.errors


def test_a_refusal(scripted: Start) -> None:
    """429 with Retry-After in seconds is a refusal, not an error."""
    found = arrivals(scripted(answer(b"{}", "Content-Length: 2", "retry-AFTER: 3", status=BUSY)))
    assert found.refused == found.sent > 0
    assert not found.errors
    assert found.latencies == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(b"{}", status=BUSY), "status 429 without Retry-After"),
        (answer(b"{}", "Content-Length: 2", "Retry-After: soon", status=BUSY), "status 429 without Retry-After"),
        (answer(b"{}", "Content-Length: 2", "Retry-After: 3", status="503 Service Unavailable"), "status 503"),
        (answer(RIGHT.replace(b"refund", b"cancel")), "wrong label"),
        (answer(b"<html>"), "unreadable answer"),
        (b"not HTTP at all\r\n\r\n", "not an HTTP answer"),
        (b"", "connection lost"),
    ],
    ids=["bare 429", "vague 429", "503", "label", "no JSON", "no HTTP", "closed"],
)
def test_errors_are_named(scripted: Start, reply: bytes, error: str) -> None:
    """Each request that is neither answered nor refused is one error under its name."""
    found = arrivals(scripted(reply), rate=60)
    assert found.errors == {error: found.sent}


@pytest.mark.slow
@pytest.mark.parametrize("reads", [False, True], ids=["refused unasked", "closed after an answer"])
def test_a_server_that_ends_connections(reads: bool) -> None:
    """A request on a connection that the server closes is counted as an error."""
    with socket.create_server(("127.0.0.1", 0)) as listener, concurrent.futures.ThreadPoolExecutor(1) as pool:
        listener.settimeout(3)
        pool.submit(end_all, listener, reads)
        found = arrivals(listener.getsockname()[1], rate=1000)
    assert found.errors.total() == found.sent > 0
    assert set(found.errors) <= {"status 503", "connection lost"}


def end_all(listener: socket.socket, reads: bool) -> None:
    """Answer and close every connection until none comes."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                if reads:
                    connection.recv(65536)
                connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


def test_nobody_listens() -> None:
    """A refused connection is an error of its own."""
    found = arrivals(free_port(), rate=60)
    assert found.errors == {"no connection: Connection refused": found.sent}
