"""Exceptions to statuses and error bodies, in the shape of Hugging Face's text-embeddings-inference."""

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
from serving.protocols.openai_models import speaks_openai

STATUS: dict[type[Exception], tuple[int, str]] = {
    MalformedInput: (400, "malformed"),
    InputTooLarge: (413, "too_large"),
    InputError: (422, "validation"),
    Overloaded: (429, "overloaded"),
    Unavailable: (503, "unavailable"),
    Expired: (504, "timeout"),
}

RETRIED = {429, 503}
"""Statuses that say when to try again."""

REFUSED = (InputError, Unanswered, HTTPException, ClientDisconnect)
"""What a request may come to through no fault of the server."""


def refusal(
    status: int, kind: str, message: str, headers: dict[str, str] | None = None, *, openai: bool = False
) -> Response:
    """An error body: ``error`` and ``error_type``; or OpenAI's, without which its client shows no message."""
    if openai:
        return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status, headers)
    return JSONResponse({"error": message, "error_type": kind}, status, headers)


def refused(error: Exception, seconds_to_drain: float, *, openai: bool = False) -> Response:
    """The response to one of REFUSED; ``seconds_to_drain`` is when it is worth trying again."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it; the number is nginx's for a client that went away
    if isinstance(error, HTTPException):
        return refusal(error.status_code, "http", error.detail, dict(error.headers or {}), openai=openai)
    status, kind = next(STATUS[each] for each in type(error).__mro__ if each in STATUS)
    if status not in RETRIED:
        return refusal(status, kind, str(error), openai=openai)
    seconds = max(1, math.ceil(seconds_to_drain))
    return refusal(status, kind, f"{error}; try again in {seconds} s", {"Retry-After": str(seconds)}, openai=openai)


async def http_error(http: HttpRequest, error: Exception) -> Response:
    """Starlette's own refusals in the same shape; an unknown path or method is told what there is."""
    if isinstance(error, HTTPException) and error.detail == HTTPStatus(error.status_code).phrase:
        error = _told(http, error)
    return refused(error, 0.0, openai=speaks_openai(http.url.path))


def server_error() -> Response:
    """The log tells the traceback; the caller learns only that it was not the caller's fault."""
    return refusal(500, "backend", "the server failed on this request; its log tells why")


def _told(http: HttpRequest, error: HTTPException) -> HTTPException:
    """One without words of its own, which is the routing's, with the way out."""
    path = http.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return HTTPException(404, f"there is nothing at {path}; GET /openapi.json tells of every path", error.headers)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = _methods(http)
        message = f"{path} takes {' or '.join(methods)}, not {http.method}"
        return HTTPException(405, message, {"Allow": ", ".join(methods)})
    return error


def _methods(http: HttpRequest) -> list[str]:
    """What a path takes, by all of its routes: Starlette tells of the first."""
    routes = [each for each in http.app.routes if each.matches(http.scope)[0] is not Match.NONE]
    return sorted({method for each in routes for method in getattr(each, "methods", None) or ()})


class JSONResponse(Response):
    """What is JSON already but for being written. Every float is finite, see `Predictor.run_batch_finite`."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """UTF-8, without white space."""
        try:
            return orjson.dumps(content)
        except TypeError:  # a whole number past 64 bits, such as a schema's largest seed, which orjson does not write
            return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
