"""``POST /explain``: which words an answer rests on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from serving.explain.explainer import Explainer
from serving.explain.masking import MaskedWindow
from serving.explain.parameters import parse
from serving.http.endpoints.call_model import ask
from serving.http.endpoints.predict import encode, told
from serving.http.errors import JSONResponse
from serving.http.models.model import Model
from serving.http.state import ServerState
from serving.observability.request_record import RequestRecord, record_of

ROWS_AT_ONCE = 16
"""Rows of an explanation that wait for the engine together, so that what others ask comes in between."""


class ExplainEndpoints:
    """The endpoint over the surface's models."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    async def explain(self, http: HttpRequest) -> Response:
        """``POST /explain``."""

        async def answer(body: bytes, model: Model) -> Response:
            return await _explain(body, model, record_of(http.scope))

        return await ask(self._state, http, answer)


async def _explain(body: bytes, model: Model, record: RequestRecord) -> Response:
    """The input is read as any other is, and the engine sees rows like any others; what an explanation costs besides
    happens off the event loop, which others' requests need."""
    explainer = Explainer(model.predictor)
    request = parse(body, explainer.task, model.predictor.check)
    (encoded,) = await encode(request, model, record)
    results = await model.batcher.submit(encoded.windows, record.timing, record.deadline)
    plan = await asyncio.to_thread(explainer.plan, encoded, results, request.parameters)
    explanation = await asyncio.to_thread(plan.explanation, await _run(model, plan.rows, record))
    return JSONResponse(explanation, headers=told([encoded]))


async def _run(model: Model, rows: Sequence[MaskedWindow], record: RequestRecord) -> list[Any]:
    """The rows' logits, a few rows at a time; they count as tokens of the request, and their time as inference."""
    results: list[Any] = []
    for at in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[at : at + ROWS_AT_ONCE]
        results += await model.batcher.submit(some, deadline=record.deadline)
        record.tokens += sum(len(row.ids) for row in some)
        record.timing.answered = time.perf_counter()
    return results
