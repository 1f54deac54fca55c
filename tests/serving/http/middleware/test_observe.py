"""Each request has a name and each answer its times; neither can be used to break out of a header or a log line."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.bundle.bundle import Bundle
from serving.http.app import create_app
from serving.http.middleware.observe import ObservabilityMiddleware, RequestIds
from serving.http.state import ServerState
from serving.inference.predictor import Predictor
from serving.observability.metrics import Metrics
from serving.observability.observers import Observers
from serving.observability.request_record import RequestRecord
from serving.settings.log_settings import LogSettings
from tests.serving.http.test_app import Broken

TEXT = "where is my parcel?"
TIMING = re.compile(r"(?:tokenize;dur=(\S+), queue;dur=(\S+), infer;dur=(\S+), )?total;dur=(\d+\.\d+)")


@pytest.mark.parametrize("given_id", ["a", "7f3c-12", "0af7651916cd43dd8448eb211c80319c", "svc/a:b@c+d=_.", "x" * 128])
def test_honoured(client: TestClient, given_id: str) -> None:
    """A sane name of the caller's comes back."""
    response = client.post("/predict", json={"inputs": TEXT}, headers={"X-Request-ID": given_id})
    assert response.headers["x-request-id"] == given_id


@pytest.mark.parametrize(
    "given_id",
    [b"", b" ", b"a b", b"x" * 129, b"a\r\nSet-Cookie: b=c", b"a\nb", b"\x1b[31m", b"caf\xc3\xa9", b'a"b', b"{}"],
)
def test_refused(given_id: bytes) -> None:
    """What could end a header or a log line, or is too long, is not taken up: another name is made."""
    made = RequestIds().choose(given_id)
    assert re.fullmatch(r"[0-9a-f]{16}-1", made)


@given(st.binary(max_size=200))
def test_any_name(given_id: bytes) -> None:
    """Whatever a caller sends, the name is printable ASCII without white space, and short."""
    assert re.fullmatch(r"[!-~]{1,128}", RequestIds().choose(given_id))


def test_made(client: TestClient) -> None:
    """Without one, each request gets a name of its own, refused ones and unknown paths too."""
    paths = ["/info", "/nothing", "/predict", "/livez"] * 5
    assert len({client.get(path).headers["x-request-id"] for path in paths}) == len(paths)


def test_header_injection_over_the_wire(client: TestClient) -> None:
    """A name with a line end does not make a header."""
    response = client.get("/livez", headers={"X-Request-ID": "a%0d%0aSet-Cookie: b=c"})
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(("path", "inputs"), [("/predict", [TEXT] * 5), ("/explain", TEXT)])
def test_server_timing(client: TestClient, path: str, inputs: Any) -> None:
    """An answer tells what its time went into, in milliseconds; the parts are within the whole."""
    response = client.post(path, json={"inputs": inputs})
    match = TIMING.fullmatch(response.headers["server-timing"])
    assert match
    assert match[1] is not None
    *parts, total = map(float, match.groups())
    assert all(part >= 0 for part in parts)
    assert 0 < sum(parts) <= total + 0.03  # each is rounded


def test_server_timing_of_a_refusal(client: TestClient) -> None:
    """What never came to the engine has only a whole."""
    response = client.post("/predict", json={"inputs": ""})
    match = TIMING.fullmatch(response.headers["server-timing"])
    assert match
    assert match[1] is None


def test_failure(tiny_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A failure has name, times and security headers too; its log line has the trace, once, and the name."""
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
    return ObservabilityMiddleware(app, observers, cast(ServerState, SimpleNamespace(draining=draining)))


def test_failure_on_the_way(caplog: pytest.LogCaptureFixture) -> None:
    """What fails when its answer has begun gets no second answer, and is told and counted all the same."""
    sent, over = [], list[RequestRecord]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    async def send(message: Message) -> None:
        sent.append(message["type"])

    observed = observe(app, over)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(observed(scope, cast(Receive, None), send))
    assert sent == ["http.response.start"]
    assert [record.status for record in over] == [200]
    assert [record.getMessage() for record in caplog.records] == ["the server failed on a request"]


@pytest.mark.parametrize("draining", [True, False])
def test_given_up(draining: bool) -> None:
    """What the server gives up at its end is told to come again; only a caller's own cancellation goes on."""
    sent, over = [], list[RequestRecord]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> bool:
        observed = observe(app, over, draining=draining)
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(observed(scope, cast(Receive, None), send))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main()) is not draining
    start, body = sent
    assert start["status"] == over[0].status == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert b"the server is stopping; try again in 1 s" in body["body"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"x-request-id", b"traceparent", b"authorization", b"content-type", b"host"]),
            st.binary(max_size=40),
        )
    )
)
def test_any_headers(predictor: Predictor, headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever is in the headers, the server does not fail."""
    app = create_app(lambda: predictor)

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "headers": headers}, receive, send)

    with TestClient(app):
        assert TestClient(call).post("/predict", json={"inputs": TEXT}).status_code in {200, 415}
