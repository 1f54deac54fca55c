"""Exceptions to statuses and JSON error bodies, in the shape of text-embeddings-inference or of OpenAI."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Match

from serving.batching.errors import Expired, Overloaded, Unanswered, Unavailable
from serving.errors import InputError, InputTooLarge, MalformedInput
from serving.observability.request_record import record_of
from serving.protocols.openai_models import speaks_openai
from serving.settings.settings import ROOT_PATH

STATUS: dict[type[Exception], tuple[int, str]] = {
    MalformedInput: (400, "malformed"),
    InputTooLarge: (413, "too_large"),
    InputError: (422, "validation"),
    Overloaded: (429, "overloaded"),
    Unavailable: (503, "unavailable"),
    Expired: (504, "timeout"),
}

MAX_PREFIX = 8
"""Segments of a path prefix that is looked for."""

OWN = ("/v1", "/v2", "/tei", "/models")
"""What our own paths begin with: no balancer's prefix."""

HANDLED = (InputError, Unanswered, HTTPException, ClientDisconnect)
"""Exceptions that are not the server's fault."""


class JSONResponse(Response):
    """Every float must be finite, see `Predictor.together_finite`."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """UTF-8, without white space."""
        try:
            return orjson.dumps(content)
        except TypeError:  # an integer past 64 bits, such as a schema's largest seed
            return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def error_response(
    status: int, kind: str, message: str, headers: dict[str, str] | None = None, *, openai: bool = False
) -> Response:
    """OpenAI's client shows no message in another shape."""
    if openai:
        return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status, headers)
    return JSONResponse({"error": message, "error_type": kind}, status, headers)


def status_of(error: Exception) -> tuple[int, str]:
    """And kind, of an error that STATUS has."""
    return next(STATUS[each] for each in type(error).__mro__ if each in STATUS)


def respond(error: Exception, seconds_to_drain: float = 0.0, *, openai: bool = False) -> Response:
    """To one of HANDLED."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nginx's number; nobody reads it
    if isinstance(error, HTTPException):
        return error_response(error.status_code, "http", error.detail, dict(error.headers or {}), openai=openai)
    status, kind = status_of(error)
    if status not in (429, 503):
        return error_response(status, kind, str(error), openai=openai)
    seconds = max(1, math.ceil(max(seconds_to_drain, getattr(error, "seconds", 0.0))))
    message, headers = f"{error}; try again in {seconds} s", {"Retry-After": str(seconds)}
    return error_response(status, kind, message, headers, openai=openai)


async def handle_error(http: HttpRequest, error: Exception) -> Response:
    """Starlette's handler for HANDLED."""
    if isinstance(error, HTTPException) and error.detail == HTTPStatus(error.status_code).phrase:
        error = _explain_routing(http, error)
    path = getattr(http.scope.get("route"), "path", "") or http.url.path
    seconds = http.app.server_state.seconds_to_drain(record_of(http.scope).model)
    return respond(error, seconds, openai=speaks_openai(path))


def _explain_routing(http: HttpRequest, error: HTTPException) -> HTTPException:
    path = http.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"there is nothing at {path}; GET /openapi.json lists every path"
        if path.endswith("/") and _is_served(http, path.rstrip("/")):
            message = f"there is nothing at {path}; leave out the slash at its end"
        elif prefix := _find_prefix(http):
            message += f"; if {prefix} is a load balancer's prefix, start the server with --root-path {prefix}"
        return HTTPException(404, message, error.headers)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = _allowed_methods(http)
        message = f"{path} takes {' or '.join(methods)}, not {http.method}"
        return HTTPException(405, message, {"Allow": ", ".join(methods)})
    return error


def _find_prefix(http: HttpRequest) -> str:
    """Behind which a served path begins; empty if there is none."""
    parts = http.url.path.split("/", MAX_PREFIX + 2)
    for at in range(2, len(parts)):
        prefix = "/".join(parts[:at])
        if ROOT_PATH.fullmatch(prefix) and prefix not in OWN and _is_served(http, "/" + "/".join(parts[at:])):
            return prefix
    return ""


def _is_served(http: HttpRequest, path: str) -> bool:
    return any(each.matches({**http.scope, "path": path})[0] is not Match.NONE for each in http.app.routes)


def _allowed_methods(http: HttpRequest) -> list[str]:
    """Starlette's own Allow header covers only the first route."""
    routes = [each for each in http.app.routes if each.matches(http.scope)[0] is not Match.NONE]
    return sorted({method for each in routes for method in getattr(each, "methods", None) or ()})
