"""The endpoints that answer inputs: one for each dialect, all through the same model."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from serving.app.body import read_body
from serving.app.exchange import Exchange, exchange_of
from serving.app.model import Model
from serving.app.refusals import REFUSED, refused
from serving.app.surface import Surface
from serving.batching.errors import Unavailable
from serving.batching.observing import Timing
from serving.dialects import Dialect, Events
from serving.request import Request
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
            return await self._answer_or_refuse(http, dialect)

        return endpoint

    async def _answer_or_refuse(self, http: HttpRequest, dialect: Dialect) -> Response:
        try:
            model = self._surface.model_of(http)
        except Unavailable as error:
            return refused(error, 0.0)
        try:
            return await self._answer(http, dialect, model)
        except REFUSED as error:
            return refused(error, model.batcher.seconds_to_drain)

    async def _answer(self, http: HttpRequest, dialect: Dialect, model: Model) -> Response:
        predictor, exchange = model.predictor, exchange_of(http.scope)
        exchange.model = model.name
        body = await read_body(http, predictor.manifest.limits.max_body_bytes)
        request = dialect.parse(body, predictor.task, predictor.check)
        encoded = await self._encode(request, model, exchange)
        if request.stream and dialect.events:
            return await self._stream(request, encoded, dialect.events, model, exchange.timing)
        reply = await model.reply(request, encoded, exchange.timing)
        exchange.outcomes = model.metrics.answered(encoded, reply.answers)
        return JSONResponse(dialect.render(predictor.task, request, reply))

    async def _encode(self, request: Request, model: Model, exchange: Exchange) -> list[Encoded]:
        exchange.items, exchange.encoding = request.items, time.perf_counter()
        encoded = await model.encode(request)
        exchange.encoded = time.perf_counter()
        exchange.tokens = model.metrics.tokenized(encoded, exchange.encoded - exchange.encoding)
        return encoded

    async def _stream(
        self, request: Request, encoded: list[Encoded], events: Events, model: Model, timing: Timing
    ) -> Response:
        stream = Stream(request, encoded, events)
        await stream.begin(model.batcher, timing)
        model.metrics.streamed(encoded)
        return StreamingResponse(stream.events(), media_type="text/event-stream")
