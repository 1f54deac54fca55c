"""What the OpenAPI document says of refusals: what each means, which limit it is about, which headers it has."""

from __future__ import annotations

from typing import Any

MEANINGS = {
    "400": "The body is not UTF-8 or not JSON.",
    "408": "The body took longer than `body_seconds` to arrive. The connection is closed.",
    "413": "The body, the number of texts or a text is past `max_body_bytes`, `max_inputs` or `max_characters`.",
    "415": "The content type is not application/json.",
    "422": "The shape is wrong, a key is unknown, a text is empty, or past `max_length` tokens and not to be cut.",
    "429": "`max_queue` texts or requests, or `max_queue_tokens` tokens, wait; come back after `Retry-After` seconds.",
    "503": "The server is starting or stopping; come back after `Retry-After` seconds, or ask another.",
    "504": "`wait_seconds`, or those in `Request-Timeout`, were over before the request's turn came. It was not run.",
}
"""By status; the limits are those of the document's ``x-limits``."""

_RETRY_AFTER = {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}
_CLOSE = {"description": "close", "required": True, "schema": {"type": "string", "const": "close"}}

HEADERS = {"408": {"Connection": _CLOSE}, "429": {"Retry-After": _RETRY_AFTER}, "503": {"Retry-After": _RETRY_AFTER}}


def refusals(schema: str) -> dict[str, Any]:
    """The responses of an endpoint that takes inputs; ``schema`` is the name of their bodies' schema."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {
        status: {"description": meaning, "headers": HEADERS.get(status, {}), "content": content}
        for status, meaning in MEANINGS.items()
    }
