"""The operations of the OpenAPI document: what each kind of endpoint takes, answers and refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

JSON = "application/json"
PLAIN = "text/plain"

TRUNCATED = {
    "X-Truncated": {
        "description": "places of the inputs of which the end was not read, such as `0,3`; absent where there are none",
        "schema": {"type": "string"},
    }
}

TIMEOUT = {
    "name": "Request-Timeout",
    "in": "header",
    "description": "seconds that the caller waits for an answer, if that is less than the server's `wait_seconds`",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}


def get(summary: str, media_type: str, refused: Iterable[str] = (), error: str = "Error") -> Json:
    """An operation that tells of the server or a model."""
    answer = {"200": {"description": "OK", "content": {media_type: {}}}}
    return {"summary": summary, "responses": answer | refusals(refused, error)}


def ready(summary: str) -> Json:
    """One that an orchestrator asks whether requests should be sent here."""
    not_yet = {"description": "Not yet.", "content": {PLAIN: {}}}
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": {PLAIN: {}}}, "503": not_yet}}


def model_ready(summary: str) -> Json:
    """The same of a model by its name, of which nothing is known before it is loaded."""
    operation = ready(summary)
    not_yet = {"description": "Not yet.", "content": {PLAIN: {}, **content(reference("Error"))}}
    return operation | {"responses": operation["responses"] | refusals(["404"]) | {"503": not_yet}}


def probe(summary: str) -> Json:
    """The same without an answer's body, as text-embeddings-inference has it."""
    unhealthy = {"description": "Not yet.", "content": content(reference("Error"))}
    return {"summary": summary, "responses": {"200": {"description": "OK"}, "503": unhealthy}}


def post(summary: str, request: Json, answer: Json, description: str) -> Json:
    """An operation that takes inputs."""
    found = {"200": {"description": description, "headers": TRUNCATED, "content": content(answer)}}
    return _taking(summary, content(request), found | refusals(OF_INPUTS))


def any_post(
    summary: str,
    error: str = "Error",
    named: bool = False,
    asked: Iterable[str] = (JSON,),
    answered: Iterable[str] = (JSON,),
    headers: Json = TRUNCATED,
) -> Json:
    """One in a shape that others define, or that differs between models.

    Args:
        summary: what it is.
        error: the name of its refusals' schema.
        named: whether the caller names a model.
        asked: the content types of a request's body.
        answered: the content types of an answer.
        headers: of an answer.
    """
    found = {"200": {"description": "OK", "headers": headers, "content": {each: {} for each in answered}}}
    refused = [*OF_INPUTS, "404"] if named else OF_INPUTS
    return _taking(summary, {each: {} for each in asked}, found | refusals(refused, error))


def content(schema: Json) -> Json:
    """A body in JSON."""
    return {JSON: {"schema": schema}}


def reference(name: str) -> Json:
    """To a schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def _taking(summary: str, body: Json, responses: Json) -> Json:
    return {
        "summary": summary,
        "parameters": [TIMEOUT],
        "requestBody": {"required": True, "content": body},
        "responses": responses,
    }


MEANINGS = {
    "400": "The body is not UTF-8 or not JSON, or `Inference-Header-Content-Length` is no number.",
    "401": "No API key of this server came with the request.",
    "404": "No model has this name, or not this version.",
    "408": "The body took longer than `body_seconds` to arrive. The connection is closed.",
    "413": "The body, the number of texts or a text is past `max_body_bytes`, `max_inputs` or `max_characters`.",
    "415": "The content type is none of those of the request's body, or the body is coded: see `Accept-Encoding`.",
    "421": "The server does not answer under the host name of the request.",
    "422": "The shape is wrong, a key is unknown, a text is empty, or past `max_length` tokens and not to be cut; or"
    " `Request-Timeout` is no number of seconds above 0.",
    "429": "`max_queue` texts or requests, or `max_queue_tokens` tokens, wait, or more than can be done within the time"
    " given; come back after `Retry-After` seconds.",
    "503": "The server is starting or stopping; come back after `Retry-After` seconds, or ask another.",
    "504": "`wait_seconds`, or those in `Request-Timeout`, were over before the request's turn came, or all of"
    " its turns. What was late was not run.",
}
"""By status; the limits are those of the document's ``x-limits``."""

OF_INPUTS = ("400", "408", "413", "415", "422", "429", "503", "504")
"""What an endpoint that takes inputs may answer."""

_RETRY_AFTER = {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}
_CLOSE = {"description": "close", "required": True, "schema": {"type": "string", "const": "close"}}
_CHALLENGE = {"description": "the scheme to use (RFC 6750)", "required": True, "schema": {"type": "string"}}
_CODING = {"description": "where the body was coded", "schema": {"type": "string", "const": "identity"}}

HEADERS = {
    "401": {"WWW-Authenticate": _CHALLENGE},
    "408": {"Connection": _CLOSE},
    "415": {"Accept-Encoding": _CODING},
    "429": {"Retry-After": _RETRY_AFTER},
    "503": {"Retry-After": _RETRY_AFTER},
}


def refusals(statuses: Iterable[str], schema: str = "Error") -> dict[str, Any]:
    """The responses of these statuses; ``schema`` is the name of their bodies' schema."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {
        status: {"description": MEANINGS[status], "headers": HEADERS.get(status, {}), "content": content}
        for status in statuses
    }
