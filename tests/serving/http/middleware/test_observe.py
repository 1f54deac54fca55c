"""Request ids, Server-Timing and failures: no caller's header can break out of a header or a log line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.bundle.bundle import Bundle
from serving.http.app import create_app
from serving.http.middleware.observe import ObservabilityMiddleware
from serving.http.state import ServerState
from serving.inference.predictor import Predictor
from serving.observability.metrics import Metrics
from serving.observability.observers import Observers
from serving.observability.request_ids import RequestIds
from serving.observability.request_record import RequestRecord
from serving.settings.log_settings import LogSettings
from tests.serving.http.test_app import Broken

TEXT = "where is my parcel?"
TIMING = re.compile(r"(?:tokenize;dur=(\S+), queue;dur=(\S+), infer;dur=(\S+), )?total;dur=(\d+\.\d+)")


@pytest.mark.parametrize("given_id", ["a", "7f3c-12", "0af7651916cd43dd8448eb211c80319c", "svc/a:b@c+d=_.", "x" * 128])
def test_a_callers_id(client: TestClient, given_id: str) -> None:
    """A valid id of the caller's comes back."""
    response = client.post("/predict", json={"inputs": TEXT}, headers={"X-Request-ID": given_id})
    assert response.headers["x-request-id"] == given_id


@pytest.mark.parametrize(
    "given_id",
    [b"", b" ", b"a b", b"x" * 129, b"a\r\nSet-Cookie: b=c", b"a\nb", b"\x1b[31m", b"caf\xc3\xa9", b'a"b', b"{}"],
)
def test_an_invalid_id(given_id: bytes) -> None:
    """An invalid or long id is replaced by a new one."""
    request_id = RequestIds().choose(given_id)
    assert re.fullmatch(r"[0-9a-f]{16}-1", request_id)


@given(st.binary(max_size=200))
def test_any_id(given_id: bytes) -> None:
    """Whatever a caller sends, the id is short printable ASCII without white space."""
    assert re.fullmatch(r"[!-~]{1,128}", RequestIds().choose(given_id))


def test_new_ids(client: TestClient) -> None:
    """Without one, every request gets a unique id, errors and unknown paths too."""
    paths = ["/info", "/nothing", "/predict", "/livez"] * 5
    assert len({client.get(path).headers["x-request-id"] for path in paths}) == len(paths)


def test_header_injection_over_the_wire(client: TestClient) -> None:
    """An id with a line break creates no header."""
    response = client.get("/livez", headers={"X-Request-ID": "a%0d%0aSet-Cookie: b=c"})
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(("path", "inputs"), [("/predict", [TEXT] * 5), ("/explain", TEXT)])
def test_server_timing(client: TestClient, path: str, inputs: Any) -> None:
    """Server-Timing has tokenizing, queueing, inference and total in milliseconds; the parts fit into the total."""
    response = client.post(path, json={"inputs": inputs})
    match = TIMING.fullmatch(response.headers["server-timing"])
    assert match
    assert match[1] is not None
    *parts, total = map(float, match.groups())
    assert all(part >= 0 for part in parts)
    assert 0 < sum(parts) <= total + 0.03  # each is rounded


def test_server_timing_of_a_refusal(client: TestClient) -> None:
    """A request that never reached the engine has only a total."""
    response = client.post("/predict", json={"inputs": ""})
    match = TIMING.fullmatch(response.headers["server-timing"])
    assert match
    assert match[1] is None


def test_failure(tiny_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A 500 has id, timing and security headers; its log record has the id and the traceback."""
    with TestClient(create_app(lambda: Broken(Bundle.open(tiny_bundle)))) as client:
        response = client.post("/predict", json={"inputs": TEXT}, headers={"X-Request-ID": "mine"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "mine"
    assert response.headers["x-content-type-options"] == "nosniff"
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.exc_info
    assert record.fields["request_id"] == "mine"  # type: ignore[attr-defined]


def observe(app: ASGIApp, records: list[RequestRecord], *, draining: bool = False) -> ObservabilityMiddleware:
    """An app whose requests' records are appended to a list."""
    observers = Observers(Metrics(), LogSettings(), traces=False)
    observers.on_request = [records.append]
    return ObservabilityMiddleware(
        app, observers, cast(ServerState, SimpleNamespace(request_ids=RequestIds(), draining=draining))
    )


def test_failure_after_the_answer_started(caplog: pytest.LogCaptureFixture) -> None:
    """A failure after the answer has started sends no second answer, and is logged and counted."""
    sent, records = [], list[RequestRecord]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    async def send(message: Message) -> None:
        sent.append(message["type"])

    observed = observe(app, records)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(observed(scope, cast(Receive, None), send))
    assert sent == ["http.response.start"]
    assert [record.status for record in records] == [200]
    assert [record.getMessage() for record in caplog.records] == ["the server failed on a request"]


@pytest.mark.parametrize("draining", [True, False])
def test_cancelled_at_shutdown(draining: bool) -> None:
    """A request cancelled at shutdown gets 503; a caller's own cancellation is passed on."""
    sent, records = [], list[RequestRecord]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> bool:
        observed = observe(app, records, draining=draining)
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(observed(scope, cast(Receive, None), send))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main()) is not draining
    start, body = sent
    assert start["status"] == records[0].status == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert b"the server is stopping; try again in 1 s" in body["body"]


@pytest.fixture(scope="module")
def call_with(predictor: Predictor) -> Iterator[Callable[[list[tuple[bytes, bytes]]], int]]:
    """Posts a text with exactly these headers; returns the status."""
    app, replaced = create_app(lambda: predictor), list[tuple[bytes, bytes]]()

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "headers": replaced} if scope["type"] == "http" else scope, receive, send)

    with TestClient(call) as client:

        def post(headers: list[tuple[bytes, bytes]]) -> int:
            replaced[:] = headers
            return client.post("/predict", json={"inputs": TEXT}).status_code

        yield post


@settings(max_examples=50)
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"x-request-id", b"traceparent", b"authorization", b"content-type", b"host"]),
            st.binary(max_size=40),
        )
    )
)
def test_any_headers(call_with: Callable[[list[tuple[bytes, bytes]]], int], headers: list[tuple[bytes, bytes]]) -> None:
    """No header makes the server fail."""
    assert call_with(headers) in {200, 415}
