"""``POST /explain``: which words an answer rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from serving.app.asking import ask
from serving.app.exchange import exchange_of
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
            return JSONResponse(await self._explain(http, body, model))

        return await ask(self._surface, http, answer)

    async def _explain(self, http: HttpRequest, body: bytes, model: Model) -> dict[str, Any]:
        """The engine sees rows like any others; all else happens off the event loop, which others' requests need."""
        inputs, wish = parse(body, model.predictor.task)
        exchange_of(http.scope).items = [inputs]
        explainer = Explainer(model.predictor)
        encoded = await asyncio.to_thread(explainer.encode, inputs)
        results = await model.batcher.submit(encoded.windows)
        plan = await asyncio.to_thread(explainer.plan, encoded, results, wish)
        return await asyncio.to_thread(plan.explanation, await self._run(http, model, plan.rows))

    async def _run(self, http: HttpRequest, model: Model, rows: Sequence[Hidden]) -> list[Any]:
        """The rows' logits, a few rows at a time; given up when nobody waits for them any more."""
        results: list[Any] = []
        for at in range(0, len(rows), ROWS_AT_ONCE):
            if await http.is_disconnected():
                raise ClientDisconnect
            results += await model.batcher.submit(rows[at : at + ROWS_AT_ONCE])
        return results
