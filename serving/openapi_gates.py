"""What the OpenAPI document says of the gates of `serving.app.gates`: the keys they ask for, what they refuse."""

from __future__ import annotations

from typing import Any

from serving.dialects.openai import speaks_openai
from serving.openapi_refusals import refusals
from serving.protection import PROBES, Protection

Json = dict[str, Any]

SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""Either is enough."""


def gated(document: Json, protection: Protection) -> Json:
    """The document of a server that is so protected; the same where anybody may ask."""
    paths = {path: _item(path, item, protection) for path, item in document["paths"].items()}
    if not protection.asks_for_keys:
        return document | {"paths": paths}
    components = document["components"] | {"securitySchemes": SCHEMES}
    return document | {"paths": paths, "components": components, "security": [{name: []} for name in SCHEMES]}


def _item(path: str, item: Json, protection: Protection) -> Json:
    return item | {method: _operation(path, item[method], protection) for method in ("get", "post") if method in item}


def _operation(path: str, operation: Json, protection: Protection) -> Json:
    asks, keyless = protection.asks_for_keys, path in protection.without_key
    misdirected = ["421"] if protection.allowed_hosts and path not in PROBES else []
    unauthorized = ["401"] if asks and not keyless else []
    error = "OpenAIError" if speaks_openai(path) else "Error"
    responses = operation["responses"] | refusals([*misdirected, *unauthorized], error)
    return operation | {"responses": responses} | ({"security": []} if asks and keyless else {})
