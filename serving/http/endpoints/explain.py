"""``POST /explain``: how much each word of an input contributes to its answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from serving.explain.parameters import parse
from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.predict import encode, truncation_header
from serving.http.errors import JSONResponse
from serving.http.off_loop import off_loop, parse_off_loop
from serving.http.state import state_of
from serving.observability.request_record import RequestRecord, record_of
from serving.protocols.lazy_module import LazyModule

if TYPE_CHECKING:
    from serving.explain.masking import MaskedWindow

explanations = LazyModule("serving.explain.explainer")

ROWS_AT_ONCE = 16
"""Rows submitted together: after them a caller that has gone is noticed."""

Submit = Callable[..., Awaitable[list[Any]]]


async def explain(http: HttpRequest) -> Response:
    """The whole cost is admitted first. The windows run in the background; planning and scoring on a thread."""
    if not state_of(http).server_limits.max_explanations:
        raise HTTPException(404, "explanations are switched off on this server (TUNESHIP_MAX_EXPLANATIONS is 0)")
    async with model_call(http, explains=True) as (model, body):
        record, explainer = record_of(http.scope), explanations.Explainer(model.predictor)
        request = await parse_off_loop(parse, body, explainer.task, explainer.task.check)
        (encoded,) = await encode(request, model, record)
        cost = await off_loop(explainer.cost, encoded, request.parameters)
        async with model.explanations.take(cost, record.deadline):
            submit = partial(model.batcher.submit, deadline=record.deadline, background=True)
            results = await submit(encoded.windows, record.timing)
            plan = await off_loop(explainer.plan, encoded, results, request.parameters)
            explanation = await off_loop(plan.explanation, await _run(submit, plan.rows, record))
        return JSONResponse(explanation, headers=truncation_header([encoded]))


async def _run(submit: Submit, rows: Sequence[MaskedWindow], record: RequestRecord) -> list[Any]:
    results: list[Any] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        results += await submit(chunk)
        record.tokens += sum(len(row.ids) for row in chunk)
        record.timing.answered = time.perf_counter()
    return results
