"""``POST /explain``: which words an answer rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

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
            return JSONResponse(await self._explain(body, model, exchange_of(http.scope)))

        return await ask(self._surface, http, answer)

    async def _explain(self, body: bytes, model: Model, exchange: Exchange) -> dict[str, Any]:
        """The engine sees rows like any others; all else happens off the event loop, which others' requests need."""
        inputs, wish = parse(body, model.predictor.task)
        exchange.items = [inputs]
        explainer = Explainer(model.predictor)
        encoded = await asyncio.to_thread(explainer.encode, inputs)
        results = await model.batcher.submit(encoded.windows, deadline=exchange.deadline)
        plan = await asyncio.to_thread(explainer.plan, encoded, results, wish)
        return await asyncio.to_thread(plan.explanation, await _run(model, plan.rows, exchange.deadline))


async def _run(model: Model, rows: Sequence[Hidden], deadline: float) -> list[Any]:
    """The rows' logits, a few rows at a time."""
    results: list[Any] = []
    for at in range(0, len(rows), ROWS_AT_ONCE):
        results += await model.batcher.submit(rows[at : at + ROWS_AT_ONCE], deadline=deadline)
    return results
