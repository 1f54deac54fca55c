"""The endpoints that answer inputs: one for each dialect, all through the same model."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from serving.app.asking import ask
from serving.app.exchange import Exchange, exchange_of
from serving.app.json_response import JSONResponse
from serving.app.model import Model
from serving.app.surface import Surface
from serving.dialects import Dialect, Events
from serving.request import Reply, Request
from serving.stream import Stream
from serving.tasks.base import Encoded

Endpoint = Callable[[HttpRequest], Awaitable[Response]]


class Answering:
    """Endpoints over the surface's models."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    def speaking(self, dialect: Dialect) -> Endpoint:
        """An endpoint that answers requests of a dialect."""

        async def endpoint(http: HttpRequest) -> Response:
            async def answer(body: bytes, model: Model) -> Response:
                return await self._answer(body, dialect, model, exchange_of(http.scope))

            return await ask(self._surface, http, answer, dialect.named)

        return endpoint

    async def _answer(self, body: bytes, dialect: Dialect, model: Model, exchange: Exchange) -> Response:
        predictor = model.predictor
        request = dialect.parse(body, predictor.task, predictor.check)
        encoded = await encode(request, model, exchange)
        if request.stream and dialect.events:
            return await self._stream(request, encoded, dialect.events, model, exchange)
        found = await reply(request, encoded, model, exchange)
        return JSONResponse(dialect.render(predictor.task, request, found), headers=told(encoded))

    async def _stream(
        self, request: Request, encoded: list[Encoded], events: Events, model: Model, exchange: Exchange
    ) -> Response:
        stream = Stream(request, encoded, events)
        await stream.begin(model.batcher, exchange.timing, exchange.deadline)
        model.metrics.streamed(encoded)
        return StreamingResponse(stream.events(), media_type="text/event-stream", headers=told(encoded))


async def encode(request: Request, model: Model, exchange: Exchange) -> list[Encoded]:
    """The windows of a request's items, timed and counted; raises InputError."""
    exchange.items, exchange.encoding = request.items, time.perf_counter()
    encoded = await model.encode(request)
    exchange.encoded = time.perf_counter()
    exchange.tokens = model.metrics.tokenized(encoded, exchange.encoded - exchange.encoding)
    return encoded


async def reply(request: Request, encoded: list[Encoded], model: Model, exchange: Exchange) -> Reply:
    """What the model answers, counted; raises as `Model.reply` does."""
    found = await model.reply(request, encoded, exchange.timing, exchange.deadline)
    exchange.outcomes = model.metrics.answered(found, request.parameters)
    return found


def truncated(encoded: Sequence[Encoded]) -> str:
    """The places of the inputs of which the end was not read, such as ``0,3``; empty where there are none."""
    return ",".join(str(place) for place, each in enumerate(encoded) if each.truncated)


def told(encoded: Sequence[Encoded]) -> dict[str, str] | None:
    """The ``X-Truncated`` header of an answer to truncated inputs."""
    places = truncated(encoded)
    return {"X-Truncated": places} if places else None
