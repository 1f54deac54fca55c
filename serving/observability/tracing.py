"""OpenTelemetry traces: a span for each request, with child spans for tokenizing, queueing and inference.

Spans are made from the record of a finished request. Without an endpoint, OpenTelemetry is never imported. The SDK
reads its own variables: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import importlib.util
import logging
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from serving.observability.request_record import RequestRecord

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

EXPORTER = "opentelemetry.exporter.otlp.proto.http"

logger = logging.getLogger("tuneship")


def make_tracing() -> Tracing | None:
    """None and a warning where the exporter is missing: an endpoint is often set for a whole cluster."""
    try:
        installed = importlib.util.find_spec(EXPORTER) is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        logger.warning("no traces: an OTLP endpoint is set, but the exporter is missing; pip install 'tuneship[otel]'")
        return None
    return Tracing()


class Tracing:
    """In batches, from the SDK's thread."""

    def __init__(self) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = _make_provider()
        self._tracer = self._provider.get_tracer("tuneship")
        self._propagator = TraceContextTextMapPropagator()
        self._make_context = set_span_in_context
        self._kind, self._error = SpanKind.SERVER, Status(StatusCode.ERROR)

    def renew(self) -> None:
        """Send pending spans, and go on with another instance's id."""
        self._provider.shutdown()
        self._provider = _make_provider()
        self._tracer = self._provider.get_tracer("tuneship")

    def record(self, record: RequestRecord) -> None:
        """A finished request, as part of the caller's trace if it sent one."""
        clock = time.time_ns() - int(time.perf_counter() * 1e9)
        span = self._tracer.start_span(
            f"{record.method} {record.route}", self._parent(record), self._kind, _attributes(record),
            start_time=clock + int(record.started * 1e9),
        )  # fmt: skip
        if record.status >= 500:
            span.set_status(self._error)
        if span.is_recording():
            self._record_stages(record, self._make_context(span), clock)
        span.end(clock + int(record.ended * 1e9))

    def flush(self) -> None:
        """Send pending spans."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send pending spans and stop."""
        self._provider.shutdown()

    def _record_stages(self, record: RequestRecord, context: Context, clock: int) -> None:
        timing = record.timing
        stages = (
            ("tokenize", record.encoding, record.encoded),
            ("queue", timing.submitted, timing.begun),
            ("infer", timing.begun, timing.answered or record.ended),
        )
        for name, begun, ended in stages:
            if begun and ended:
                stage = self._tracer.start_span(name, context, start_time=clock + int(begun * 1e9))
                stage.end(clock + int(ended * 1e9))

    def _parent(self, record: RequestRecord) -> Context | None:
        if (traceparent := record.headers.get(b"traceparent")) is None:
            return None
        headers = record.scope["headers"]
        state = ",".join(value.decode("latin-1") for name, value in headers if name == b"tracestate")
        carrier = {"traceparent": traceparent.decode("latin-1"), "tracestate": state}
        return self._propagator.extract(carrier)


def _make_provider() -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    own = (
        {} if SERVICE_INSTANCE_ID in OTELResourceDetector().detect().attributes else {SERVICE_INSTANCE_ID: uuid4().hex}
    )
    resource = Resource.create(own)
    if str(resource.attributes["service.name"]).startswith("unknown_service"):  # the SDK's default
        resource = resource.merge(Resource({"service.name": "tuneship"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _attributes(record: RequestRecord) -> dict[str, Any]:
    """OpenTelemetry's semantic conventions, and our own; no user text."""
    return {
        "http.request.method": record.method,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "url.scheme": record.scope.get("scheme", "http"),
        "tuneship.request_id": record.request_id,
        "tuneship.model": record.model,
        "tuneship.inputs": len(record.items),
        "tuneship.tokens": record.tokens,
    }
