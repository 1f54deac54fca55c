"""What the OpenAPI document says of refusals: what each means, which limit it is about, which headers it has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
