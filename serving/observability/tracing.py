"""OpenTelemetry traces: a span for each request, and within it tokenising, waiting and inference.

They are made when a request is over, of the times that were taken anyway. Where no endpoint is set nothing of
OpenTelemetry is imported. The SDK reads its own variables: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import importlib.util
import logging
import time
from typing import TYPE_CHECKING, Any

from serving.observability.request_record import RequestRecord

if TYPE_CHECKING:
    from opentelemetry.context import Context

EXPORTER = "opentelemetry.exporter.otlp.proto.http"

logger = logging.getLogger("tuneship")


def tracing(*, asked: bool) -> Tracing | None:
    """Traces, where they are asked for and the exporter is installed.

    Not an error where it is not: endpoints are set for all containers of a cluster, by people who know none of them.
    """
    if asked and not _installed():
        logger.warning("no traces: an OTLP endpoint is set, but the exporter is missing; pip install 'tuneship[otel]'")
        return None
    return Tracing() if asked else None


class Tracing:
    """Sends spans in batches, from a thread of the SDK's own."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create()
        if str(resource.attributes["service.name"]).startswith("unknown_service"):  # what the SDK says for none
            resource = resource.merge(Resource({"service.name": "tuneship"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tuneship")
        self._propagator = TraceContextTextMapPropagator()
        self._within = set_span_in_context
        self._server, self._failed = SpanKind.SERVER, Status(StatusCode.ERROR)

    def __call__(self, record: RequestRecord) -> None:
        """The spans of an exchange that is over; the caller's trace goes on in them."""
        clock = time.time_ns() - int(time.perf_counter() * 1e9)
        span = self._tracer.start_span(
            f"{record.method} {record.route}", self._parent(record), self._server, _attributes(record),
            start_time=clock + int(record.begun * 1e9),
        )  # fmt: skip
        if record.status >= 500:
            span.set_status(self._failed)
        if span.is_recording():
            self._stages(record, self._within(span), clock)
        span.end(clock + int(record.ended * 1e9))

    def flush(self) -> None:
        """Send what waits: for surroundings that stop the process between two requests."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what waits, and stop."""
        self._provider.shutdown()

    def _stages(self, record: RequestRecord, context: Context, clock: int) -> None:
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


def _attributes(record: RequestRecord) -> dict[str, Any]:
    """By OpenTelemetry's semantic conventions for HTTP servers, and what is ours; nothing that a user wrote."""
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


def _installed() -> bool:
    try:
        return importlib.util.find_spec(EXPORTER) is not None
    except ModuleNotFoundError:
        return False
