"""``POST /explain``: how much each word of an input contributes to its answer."""

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
from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.predict import encode, truncation_header
from serving.http.errors import JSONResponse
from serving.http.models.model import Model
from serving.http.off_loop import parse_off_loop
from serving.observability.request_record import RequestRecord, record_of

ROWS_AT_ONCE = 16
"""Rows submitted together; other requests' rows run in between."""


async def explain(http: HttpRequest) -> Response:
    """Planning and scoring run on a thread, so that other requests do not wait."""
    async with model_call(http) as (model, body):
        record, explainer = record_of(http.scope), Explainer(model.predictor)
        request = await parse_off_loop(parse, body, explainer.task, explainer.task.check)
        (encoded,) = await encode(request, model, record)
        results = await model.batcher.submit(encoded.windows, record.timing, record.deadline)
        plan = await asyncio.to_thread(explainer.plan, encoded, results, request.parameters)
        explanation = await asyncio.to_thread(plan.explanation, await _run(model, plan.rows, record))
        return JSONResponse(explanation, headers=truncation_header([encoded]))


async def _run(model: Model, rows: Sequence[MaskedWindow], record: RequestRecord) -> list[Any]:
    results: list[Any] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        results += await model.batcher.submit(chunk, deadline=record.deadline)
        record.tokens += sum(len(row.ids) for row in chunk)
        record.timing.answered = time.perf_counter()
    return results
