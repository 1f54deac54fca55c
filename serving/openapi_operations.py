"""The operations of the OpenAPI document: what each kind of endpoint takes, answers and refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serving.openapi_refusals import OF_INPUTS, refusals

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
