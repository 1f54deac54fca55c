"""OpenTelemetry: a request's spans, in the caller's trace, at a real OTLP/HTTP receiver."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.measurement.process import free_port
from serving.observability.tracing import make_tracing
from serving.settings.settings import ServerSettings
from tests.paths import ROOT
from tests.serving.observability.receiver import Receiver
from tests.serving.processes import environment, python, running

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def received(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """What a receiver got from a real server that was asked three times, twice within a trace, and stopped."""
    receiver, port = Receiver(), free_port()
    threading.Thread(target=receiver.server.serve_forever, daemon=True).start()
    command = python("-m", "tuneship", "serve", tiny_bundle, "--port", port)
    log = tmp_path_factory.mktemp("traced") / "log"
    with running(command, port, log, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as server:
        body = {"inputs": ["where is my parcel?", "stop"]}
        traced = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "mine"}
        httpx.post(f"{server.url}/predict", json=body, headers=traced).raise_for_status()
        httpx.post(f"{server.url}/explain", json={"inputs": "where is my parcel?"}, headers=traced).raise_for_status()
        httpx.post(f"{server.url}/predict", json={"inputs": ""}, headers={"traceparent": b"00-zz-\xff-01"})
        assert server.stop() == 0
    receiver.server.shutdown()
    yield receiver
    receiver.server.server_close()


def attributes(span: object) -> dict[str, object]:
    """A span's attributes."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}  # type: ignore[attr-defined]


def test_the_callers_trace(received: Receiver) -> None:
    """A valid traceparent is the request span's parent; a malformed one is ignored."""
    posts = [span for span in received.spans if span.name == "POST /predict"]
    ours, other = sorted(posts, key=lambda span: span.trace_id.hex() != TRACE)
    assert (ours.trace_id.hex(), ours.parent_span_id.hex()) == (TRACE, PARENT)
    assert other.trace_id.hex() != TRACE
    assert not other.parent_span_id


def test_request_span(received: Receiver) -> None:
    """It has method, route, status, request id, inputs and tokens, and no user text."""
    (span,) = (span for span in received.spans if span.name == "POST /predict" and span.trace_id.hex() == TRACE)
    found = attributes(span)
    assert found["http.request.method"] == "POST"
    assert found["http.route"] == "/predict"
    assert found["http.response.status_code"] == 200
    assert found["tuneship.request_id"] == "mine"
    assert found["tuneship.inputs"] == 2
    assert found["tuneship.tokens"] > 2
    assert span.kind == span.SPAN_KIND_SERVER
    assert "parcel" not in str(received.spans)


@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_stages(received: Receiver, path: str) -> None:
    """Tokenizing, queueing and inference are child spans, one after the other."""
    request, *_ = (span for span in received.spans if span.name == f"POST {path}" and span.trace_id.hex() == TRACE)
    stages = [span for span in received.spans if span.parent_span_id == request.span_id]
    stages.sort(key=lambda span: (span.start_time_unix_nano, span.end_time_unix_nano))
    assert [span.name for span in stages] == ["tokenize", "queue", "infer"]
    times = [request.start_time_unix_nano]
    for stage in stages:
        times += [stage.start_time_unix_nano, stage.end_time_unix_nano]
    times.append(request.end_time_unix_nano)
    assert times == sorted(times)


def test_resource(received: Receiver) -> None:
    """The default service name is tuneship; spans come to the standard path."""
    assert {resource["service.name"] for resource in received.resources} == {"tuneship"}
    assert received.paths == {"/v1/traces"}


@pytest.mark.slow
def test_no_import_without_an_endpoint() -> None:
    """Without an endpoint OpenTelemetry is not imported."""
    script = (
        "import sys, serving.http.app, serving.entrypoints.serve\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    result = subprocess.run(
        python("-c", script), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "[]\n"


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_variables(variables: dict[str, str], asked: bool) -> None:
    """OpenTelemetry's own variables switch traces on and off."""
    assert ServerSettings.from_environment(variables).traces is asked


def test_exporter_missing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint without the extra is a warning, and the server starts."""
    monkeypatch.setattr("serving.observability.tracing.EXPORTER", "opentelemetry.exporter.absent.http")
    assert make_tracing() is None
    assert "pip install 'tuneship[otel]'" in caplog.text
