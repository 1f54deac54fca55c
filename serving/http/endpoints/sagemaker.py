"""Amazon SageMaker's endpoints, ``/ping``, ``/invocations`` and ``/execution-parameters``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html; batch transform sends JSON lines:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serving.errors import InputError, quote
from serving.http.body import JSON, content_type_of
from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.predict import answer, encode, truncated_inputs
from serving.http.errors import JSONResponse, status_of
from serving.http.models.model import Model
from serving.http.off_loop import off_loop, parse_off_loop
from serving.http.state import state_of
from serving.observability.request_record import RequestRecord, record_of
from serving.protocols import csv_rows, hugging_face, json_lines
from serving.protocols.base import Check, Request
from serving.protocols.csv_rows import CSV
from serving.protocols.json_lines import JSON_LINES, Line
from serving.settings.platforms import MOST_TRANSFORM_MB
from serving.tasks.base import Encoded, Task

LINES = "application/jsonlines"

MOST_TRANSFORMS = 32
"""Requests of a transform job at once: enough for full batches."""

ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
"""The only header that a caller of an endpoint can send and gets back."""

VALID_ATTRIBUTES, MOST_ATTRIBUTES = re.compile(rb"[\x20-\x7e]+"), 1024


async def ping(http: HttpRequest) -> Response:
    """Empty, within the two seconds that SageMaker waits."""
    return Response() if state_of(http).ready else PlainTextResponse("not ready\n", 503)


async def execution_parameters(http: HttpRequest) -> Response:
    """What a transform job takes for what it does not set: a record a request, which the queue batches."""
    state = state_of(http)
    megabytes = max(1, state.find(http).model.predictor.manifest.limits.max_body_bytes // 2**20)
    transforms = max(1, min(MOST_TRANSFORMS, MOST_TRANSFORM_MB // megabytes, state.server_limits.bounds.rows))
    content = {"MaxConcurrentTransforms": transforms, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": megabytes}
    return JSONResponse(content)


async def invocations(http: HttpRequest) -> Response:
    """A body of ``/predict``, lines of such bodies, or CSV; answered as JSON or by lines, as ``Accept`` says."""
    record = record_of(http.scope)
    kind = content_type_of(record.headers)
    answered = _answered_type(record.headers, LINES if kind in JSON_LINES else "application/json")
    async with model_call(http, accepted=JSON | JSON_LINES | {CSV}) as (model, body):
        task = model.predictor.task
        if kind in JSON_LINES:
            tolerant = state_of(http).platform.transforms
            lines = await parse_off_loop(json_lines.parse, body, task, task.check, tolerant)
            content, encoded = await _answer_lines(lines, model, record, tolerant)
        else:
            request = await parse_off_loop(_parse, body, kind, record.headers, task, task.check)
            encoded = await encode(request, model, record)
            reply = await answer(request, encoded, model, record)
            content = hugging_face.render(task, request, reply)
            if answered in JSON_LINES and (request.lone or not isinstance(content, list)):
                content = [content]
        headers = _answer_headers(record, truncated_inputs(encoded))

        def respond() -> Response:
            if answered in JSON_LINES:
                return Response(json_lines.render(content), media_type=answered, headers=headers)
            return JSONResponse(content, headers=headers)

        return await off_loop(respond) if len(encoded) > 1 else respond()


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


def _parse(body: bytes, kind: str, headers: Mapping[bytes, bytes], task: Task, check: Check) -> Request:
    if kind == CSV:
        return csv_rows.parse(body, b"header=present" in headers[b"content-type"].lower(), task, check)
    return hugging_face.parse(body, task, check)


async def _answer_lines(
    lines: Sequence[Line], model: Model, record: RequestRecord, tolerant: bool
) -> tuple[list[Any], list[Encoded]]:
    """One answer a line, if ``tolerant`` an error for one that has none; and the encoded inputs of all."""
    requests = [each for each in lines if isinstance(each, Request)]
    try:
        answers, encoded = await _answer_together(requests, model, record) if requests else ([], [])
    except InputError as error:  # such as a text that may not be truncated
        if not tolerant:
            raise
        if len(requests) == 1:
            answers, encoded = [_describe(error)], []
        else:
            each_alone = [await _answer_lines([each], model, record, tolerant) for each in requests]
            answers, encoded = [answers[0] for answers, _ in each_alone], []
    found = iter(answers)
    return [_describe(each) if isinstance(each, InputError) else next(found) for each in lines], encoded


async def _answer_together(
    requests: Sequence[Request], model: Model, record: RequestRecord
) -> tuple[list[Any], list[Encoded]]:
    task = model.predictor.task
    request = json_lines.join(requests, task)
    encoded = await encode(request, model, record)
    reply = await answer(request, encoded, model, record)
    return json_lines.answers(task, reply, requests), encoded


def _describe(error: InputError) -> dict[str, str]:
    return {"error": str(error), "error_type": status_of(error)[1]}


def _answer_headers(record: RequestRecord, truncated: str) -> dict[str, str]:
    """The caller's custom attributes, and in them what else would not reach a caller behind SageMaker."""
    headers = {"X-Truncated": truncated} if truncated else {}
    given = record.headers.get(ATTRIBUTES, b"")
    parts = [given.decode("ascii")] if VALID_ATTRIBUTES.fullmatch(given) else []
    attributes = ";".join(parts + [f"X-Truncated={truncated}"] * bool(truncated))
    return {**headers, ATTRIBUTES.decode(): attributes} if parts and len(attributes) <= MOST_ATTRIBUTES else headers


ROUTES = [
    Route("/ping", ping),
    Route("/invocations", invocations, methods=["POST"]),
    Route("/execution-parameters", execution_parameters),
]
