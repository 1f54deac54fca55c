"""The endpoints that answer inputs: one for each dialect, all through the same model."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from serving.http.endpoints.call_model import ask
from serving.http.endpoints.streaming import Stream
from serving.http.errors import JSONResponse
from serving.http.models.model import Model
from serving.http.state import ServerState
from serving.observability.request_record import RequestRecord, record_of
from serving.protocols import ApiProtocol, Events
from serving.protocols.base import Reply, Request
from serving.tasks.base import Encoded

Endpoint = Callable[[HttpRequest], Awaitable[Response]]


class PredictEndpoints:
    """Endpoints over the surface's models."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def speaking(self, protocol: ApiProtocol) -> Endpoint:
        """An endpoint that answers requests of a dialect."""

        async def endpoint(http: HttpRequest) -> Response:
            async def answer(body: bytes, model: Model) -> Response:
                return await self._answer(body, protocol, model, record_of(http.scope))

            return await ask(self._state, http, answer, protocol.requested_model)

        return endpoint

    async def _answer(self, body: bytes, protocol: ApiProtocol, model: Model, record: RequestRecord) -> Response:
        predictor = model.predictor
        request = protocol.parse(body, predictor.task, predictor.check)
        encoded = await encode(request, model, record)
        if request.stream and protocol.events:
            return await self._stream(request, encoded, protocol.events, model, record)
        found = await reply(request, encoded, model, record)
        return JSONResponse(protocol.render(predictor.task, request, found), headers=told(encoded))

    async def _stream(
        self, request: Request, encoded: list[Encoded], events: Events, model: Model, record: RequestRecord
    ) -> Response:
        stream = Stream(request, encoded, events)
        await stream.begin(model.batcher, record.timing, record.deadline)
        model.metrics.streamed(encoded)
        return StreamingResponse(stream.events(), media_type="text/event-stream", headers=told(encoded))


async def encode(request: Request, model: Model, record: RequestRecord) -> list[Encoded]:
    """The windows of a request's items, timed and counted; raises InputError."""
    record.items, record.encoding = request.items, time.perf_counter()
    encoded = await model.encode(request)
    record.encoded = time.perf_counter()
    record.tokens = model.metrics.tokenized(encoded, record.encoded - record.encoding)
    return encoded


async def reply(request: Request, encoded: list[Encoded], model: Model, record: RequestRecord) -> Reply:
    """What the model answers, counted; raises as `Model.reply` does."""
    found = await model.reply(request, encoded, record.timing, record.deadline)
    record.outcomes = model.metrics.answered(found, request.parameters)
    return found


def truncated(encoded: Sequence[Encoded]) -> str:
    """The places of the inputs of which the end was not read, such as ``0,3``; empty where there are none."""
    return ",".join(str(place) for place, each in enumerate(encoded) if each.truncated)


def told(encoded: Sequence[Encoded]) -> dict[str, str] | None:
    """The ``X-Truncated`` header of an answer to truncated inputs."""
    places = truncated(encoded)
    return {"X-Truncated": places} if places else None
