"""Amazon SageMaker's endpoints, ``/ping`` and ``/invocations``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html; batch transform sends JSON lines:
https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import quote
from serving.http.body import JSON, content_type_of
from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.info import readyz
from serving.http.endpoints.predict import answer, encode, truncation_header
from serving.http.errors import JSONResponse
from serving.http.off_loop import off_loop, parse_off_loop
from serving.observability.request_record import record_of
from serving.protocols import csv_rows, hugging_face, json_lines
from serving.protocols.base import Check, Reply, Request
from serving.protocols.csv_rows import CSV
from serving.protocols.json_lines import JSON_LINES
from serving.tasks.base import Task

LINES = "application/jsonlines"


async def invocations(http: HttpRequest) -> Response:
    """A body of ``/predict``, lines of such bodies, or CSV; answered as JSON or by lines, as ``Accept`` says."""
    record = record_of(http.scope)
    kind = content_type_of(record.headers)
    answered = _answered_type(record.headers, LINES if kind in JSON_LINES else "application/json")
    async with model_call(http, accepted=JSON | JSON_LINES | {CSV}) as (model, body):
        task = model.predictor.task
        request, lines = await parse_off_loop(_parse, body, kind, record.headers, task, task.check)
        encoded = await encode(request, model, record)
        reply = await answer(request, encoded, model, record)

        def respond() -> Response:
            headers = truncation_header(encoded)
            if answered in JSON_LINES:
                content = json_lines.render(_answers(task, request, lines, reply))
                return Response(content, media_type=answered, headers=headers)
            whole = (
                hugging_face.render(task, request, reply) if lines is None else _answers(task, request, lines, reply)
            )
            return JSONResponse(whole, headers=headers)

        return await off_loop(respond) if model.is_large(request) else respond()


def _answered_type(headers: Mapping[bytes, bytes], default: str) -> str:
    """The first that ``Accept`` names; raises HTTPException 406."""
    accept = headers.get(b"accept", b"").decode("latin-1")
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in JSON or kind in JSON_LINES:
            return kind
        if kind in ("", "*/*", "application/*"):
            return default
    raise HTTPException(406, f"Accept is {quote(accept)}; answers are application/json or {LINES}")


def _parse(
    body: bytes, kind: str, headers: Mapping[bytes, bytes], task: Task, check: Check
) -> tuple[Request, list[Request] | None]:
    """And the lines, where there are any."""
    if kind in JSON_LINES:
        return json_lines.parse(body, task, check)
    if kind == CSV:
        return csv_rows.parse(body, b"header=present" in headers[b"content-type"].lower(), task, check), None
    return hugging_face.parse(body, task, check), None


def _answers(task: Task, request: Request, lines: list[Request] | None, reply: Reply) -> list[Any]:
    """One for each line, or for each input."""
    if lines is not None:
        return json_lines.answers(task, reply, lines)
    whole = hugging_face.render(task, request, reply)
    return whole if isinstance(whole, list) and not request.lone else [whole]


ROUTES = [Route("/ping", readyz), Route("/invocations", invocations, methods=["POST"])]
