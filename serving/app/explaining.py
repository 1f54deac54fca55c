"""``POST /explain``: which words an answer rests on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from serving.app.answering import encode, told
from serving.app.asking import ask
from serving.app.exchange import Exchange, exchange_of
from serving.app.json_response import JSONResponse
from serving.app.model import Model
from serving.app.surface import Surface
from serving.explaining.explainer import Explainer
from serving.explaining.hiding import Hidden
from serving.explaining.wish import parse

ROWS_AT_ONCE = 16
"""Rows of an explanation that wait for the engine together, so that what others ask comes in between."""


class Explaining:
    """The endpoint over the surface's models."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    async def explain(self, http: HttpRequest) -> Response:
        """``POST /explain``."""

        async def answer(body: bytes, model: Model) -> Response:
            return await _explain(body, model, exchange_of(http.scope))

        return await ask(self._surface, http, answer)


async def _explain(body: bytes, model: Model, exchange: Exchange) -> Response:
    """The input is read as any other is, and the engine sees rows like any others; what an explanation costs besides
    happens off the event loop, which others' requests need."""
    explainer = Explainer(model.predictor)
    request = parse(body, explainer.task, model.predictor.check)
    (encoded,) = await encode(request, model, exchange)
    results = await model.batcher.submit(encoded.windows, exchange.timing, exchange.deadline)
    plan = await asyncio.to_thread(explainer.plan, encoded, results, request.parameters)
    explanation = await asyncio.to_thread(plan.explanation, await _run(model, plan.rows, exchange))
    return JSONResponse(explanation, headers=told([encoded]))


async def _run(model: Model, rows: Sequence[Hidden], exchange: Exchange) -> list[Any]:
    """The rows' logits, a few rows at a time; they count as tokens of the request, and their time as inference."""
    results: list[Any] = []
    for at in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[at : at + ROWS_AT_ONCE]
        results += await model.batcher.submit(some, deadline=exchange.deadline)
        exchange.tokens += sum(len(row.ids) for row in some)
        exchange.timing.answered = time.perf_counter()
    return results
