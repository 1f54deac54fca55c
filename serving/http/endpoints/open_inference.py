"""The Open Inference Protocol's endpoints, under ``/v2``."""

from __future__ import annotations

import json

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import quote
from serving.http.body import parse_size
from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.info import livez, readyz
from serving.http.endpoints.predict import answer, encode, truncated_inputs
from serving.http.errors import JSONResponse
from serving.http.models.model import Model
from serving.http.off_loop import off_loop, parse_off_loop
from serving.http.state import state_of
from serving.observability.request_record import record_of
from serving.protocols.open_inference.infer import model_metadata, parse, render, server_metadata, version_of

ACCEPTED = frozenset({"application/json", "application/octet-stream", ""})
"""Triton's client sends no content type."""

HEADER_LENGTH = "Inference-Header-Content-Length"


async def server(_: HttpRequest) -> Response:
    """``GET /v2``."""
    return JSONResponse(server_metadata())


async def model(http: HttpRequest) -> Response:
    """``GET /v2/models/{model}``."""
    named = _find_version(http, state_of(http).find(http).model)
    return JSONResponse(model_metadata(named.predictor.task, named.predictor.manifest, named.name))


async def model_ready(http: HttpRequest) -> Response:
    """``GET /v2/models/{model}/ready``."""
    _find_version(http, state_of(http).find(http).model)
    return await readyz(http)


async def infer(http: HttpRequest) -> Response:
    """``POST /v2/models/{model}/infer``."""
    async with model_call(http, accepted=ACCEPTED) as (called, body):
        _find_version(http, called)
        predictor, record = called.predictor, record_of(http.scope)
        request = await parse_off_loop(parse, body, _header_length(http), predictor.task, predictor.task.check)
        last = record.started + request.options.seconds
        record.deadline, record.end = min(record.deadline, last), min(record.end, last)
        encoded = await encode(request, called, record)
        reply = await answer(request, encoded, called, record)

        def respond() -> Response:
            content, binary = render(predictor.task, request, reply, predictor.manifest, called.name)
            if indices := truncated_inputs(encoded):
                content["parameters"] = {"truncated": indices}
            return _response(content, binary)

        return await off_loop(respond) if called.is_large(request) else respond()


def _find_version(http: HttpRequest, served: Model) -> Model:
    """Raises HTTPException 404."""
    version, requested = version_of(served.predictor.manifest), http.path_params.get("version")
    if requested not in (None, version):
        raise HTTPException(404, f"{served.name} has no version {quote(requested)}; served is {version!r}")
    return served


def _header_length(http: HttpRequest) -> int | None:
    header = http.headers.get(HEADER_LENGTH)
    if header is None:
        return None
    if (size := parse_size(header.encode("latin-1"))) is None:
        raise HTTPException(400, f"{HEADER_LENGTH} is {quote(header)}; a number of bytes is accepted")
    return size


def _response(content: dict[str, object], binary: bytes) -> Response:
    if not binary:
        return JSONResponse(content)
    head = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(head + binary, media_type="application/octet-stream", headers={HEADER_LENGTH: str(len(head))})


ROUTES = [
    Route("/v2", server),
    Route("/v2/health/live", livez),
    Route("/v2/health/ready", readyz),
    *(
        route
        for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
        for route in (
            Route(path, model),
            Route(f"{path}/ready", model_ready),
            Route(f"{path}/infer", infer, methods=["POST"]),
        )
    ),
]
