"""Inputs to answers: one endpoint for each protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.streaming import Stream, StreamResponse
from serving.http.errors import JSONResponse
from serving.http.models.model import Model
from serving.http.off_loop import off_loop, parse_off_loop
from serving.observability.request_record import RequestRecord, record_of
from serving.protocols import ApiProtocol, Events
from serving.protocols.base import Reply, Request
from serving.tasks.base import Encoded


class PredictEndpoint:
    """Speaks one protocol. An ASGI app: Starlette wraps functions twice, which costs more than routing a request."""

    def __init__(self, protocol: ApiProtocol) -> None:
        self._protocol = protocol

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.respond(HttpRequest(scope, receive, send))
        await response(scope, receive, send)

    async def respond(self, http: HttpRequest) -> Response:
        protocol = self._protocol
        async with model_call(http, requested_model=protocol.requested_model) as (model, body):
            task, record = model.predictor.task, record_of(http.scope)
            request = await parse_off_loop(protocol.parse, body, task, task.check)
            encoded = await encode(request, model, record)
            if request.stream and protocol.events:
                return await _stream(request, encoded, protocol.events, model, record)
            reply = await answer(request, encoded, model, record)
            return await render_answer(lambda: protocol.render(task, request, reply), request, encoded, model)


async def render_answer(
    render: Callable[[], Any], request: Request, encoded: Sequence[Encoded], model: Model
) -> Response:
    """As JSON; a large request's answers off the event loop."""

    def respond() -> Response:
        return JSONResponse(render(), headers=truncation_header(encoded))

    return await off_loop(respond) if model.is_large(request) else respond()


async def _stream(
    request: Request, encoded: list[Encoded], events: Events, model: Model, record: RequestRecord
) -> Response:
    stream = Stream(request, encoded, events)
    await stream.begin(model.batcher, record.timing, record.deadline, record.end)
    model.metrics.count_streamed(encoded)
    return StreamResponse(stream, model, truncation_header(encoded))


async def encode(request: Request, model: Model, record: RequestRecord) -> list[Encoded]:
    """Tokenize and record; raises InputError, Expired."""
    record.items, record.encoding = request.items, time.perf_counter()
    encoded = await model.encode(request, record.deadline)
    record.encoded = time.perf_counter()
    record.tokens = model.metrics.count_tokenized(encoded, record.encoded - record.encoding)
    return encoded


async def answer(request: Request, encoded: list[Encoded], model: Model, record: RequestRecord) -> Reply:
    """Run the model and record; raises as `Batcher.submit`."""
    reply = await model.answer(request, encoded, record.timing, record.deadline, record.end)
    record.labels = model.metrics.count_answers(reply)
    return reply


def truncated_inputs(encoded: Sequence[Encoded]) -> str:
    """Their indices, such as ``0,3``."""
    return ",".join(str(index) for index, each in enumerate(encoded) if each.truncated)


def truncation_header(encoded: Sequence[Encoded]) -> dict[str, str] | None:
    """None where nothing is truncated."""
    indices = truncated_inputs(encoded)
    return {"X-Truncated": indices} if indices else None
