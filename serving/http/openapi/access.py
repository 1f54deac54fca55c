"""What the OpenAPI document says of `serving.http.middleware.access`: the keys it asks for, what it refuses."""

from __future__ import annotations

from typing import Any

from serving.http.openapi.operations import refusals
from serving.protocols.openai_models import speaks_openai
from serving.settings.access import PROBES, AccessPolicy

Json = dict[str, Any]

SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""Either is enough."""


def gated(document: Json, access_policy: AccessPolicy) -> Json:
    """The document of a server that is so protected; the same where anybody may ask."""
    paths = {path: _item(path, item, access_policy) for path, item in document["paths"].items()}
    if not access_policy.asks_for_keys:
        return document | {"paths": paths}
    components = document["components"] | {"securitySchemes": SCHEMES}
    return document | {"paths": paths, "components": components, "security": [{name: []} for name in SCHEMES]}


def _item(path: str, item: Json, access_policy: AccessPolicy) -> Json:
    return item | {
        method: _operation(path, item[method], access_policy) for method in ("get", "post") if method in item
    }


def _operation(path: str, operation: Json, access_policy: AccessPolicy) -> Json:
    asks, keyless = access_policy.asks_for_keys, path in access_policy.without_key
    misdirected = ["421"] if access_policy.allowed_hosts and path not in PROBES else []
    unauthorized = ["401"] if asks and not keyless else []
    error = "OpenAIError" if speaks_openai(path) else "Error"
    responses = operation["responses"] | refusals([*misdirected, *unauthorized], error)
    return operation | {"responses": responses} | ({"security": []} if asks and keyless else {})
