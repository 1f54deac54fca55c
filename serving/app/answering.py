"""The endpoints that answer inputs: one for each dialect, all through the same model."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from serving.app.body import read_body
from serving.app.model import Model
from serving.app.refusals import REFUSED, refused
from serving.app.surface import Surface
from serving.batching.errors import Unavailable
from serving.dialects import Dialect, Events
from serving.request import Reply, Request
from serving.stream import Stream
from serving.tasks.base import Encoded

Endpoint = Callable[[HttpRequest], Awaitable[Response]]


class Answering:
    """Endpoints over the surface's models."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._metrics = surface.metrics

    def speaking(self, dialect: Dialect) -> Endpoint:
        """An endpoint that answers requests of a dialect, counted and timed."""

        async def endpoint(http: HttpRequest) -> Response:
            start, status = time.perf_counter(), 500
            try:
                response = await self._answer_or_refuse(http, dialect)
                status = response.status_code
                return response
            finally:
                self._metrics.requests.labels(status).inc()
                self._metrics.seconds.observe(time.perf_counter() - start)

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
        predictor = model.predictor
        body = await read_body(http, predictor.manifest.limits.max_body_bytes)
        request = dialect.parse(body, predictor.task, predictor.check)
        encoded = await model.encode(request)
        self._count_tokens(encoded)
        if request.stream and dialect.events:
            return await self._stream(request, encoded, dialect.events, model)
        reply = await model.reply(request, encoded)
        self._count_answers(model, reply)
        return JSONResponse(dialect.render(predictor.task, request, reply))

    async def _stream(self, request: Request, encoded: list[Encoded], events: Events, model: Model) -> Response:
        stream = Stream(request, encoded, events)
        await stream.begin(model.batcher)
        self._metrics.inputs.inc(len(encoded))
        return StreamingResponse(stream.events(), media_type="text/event-stream")

    def _count_tokens(self, encoded: list[Encoded]) -> None:
        for each in encoded:
            self._metrics.tokens.observe(sum(len(window.ids) for window in each.windows))

    def _count_answers(self, model: Model, reply: Reply) -> None:
        for answer in reply.answers:
            for outcome in model.predictor.task.outcomes(answer):
                self._metrics.outcomes.labels(outcome).inc()
        self._metrics.inputs.inc(len(reply.answers))
