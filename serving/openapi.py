"""The OpenAPI 3.1 document of the HTTP surface, with this bundle's own labels and limits in it."""

from __future__ import annotations

from typing import Any

from serving.bundle import Bundle, Manifest
from serving.tasks import task_of

ERRORS = {
    "400": "The body is not UTF-8 or not JSON.",
    "413": "The body, the number of texts or a text is past the limits.",
    "415": "The content type is not application/json.",
    "422": "The shape is wrong, a key is unknown, or a text is empty.",
    "429": "Too many texts are waiting; come back after `Retry-After` seconds.",
}

Json = dict[str, Any]


def document(bundle: Bundle) -> Json:
    """The document as plain JSON."""
    manifest = bundle.manifest
    predict = _predict()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.name,
            "version": manifest.digest[:12],
            "description": f"{manifest.task}, served by Tuneship. `GET /info` tells what was proven of it.",
        },
        "paths": {
            "/predict": {"post": predict},
            "/": {"post": predict | {"summary": "The same as /predict, where Hugging Face's client looks"}},
            "/info": {"get": _get("Model, labels, limits, bundle hash and the parity verdict", "application/json")},
            "/livez": {"get": _get("The process answers", "text/plain")},
            "/readyz": {
                "get": _get("The bundle is loaded and answers as it was proven", "text/plain", {"503": "Not yet."})
            },
            "/metrics": {"get": _get("Prometheus metrics", "text/plain")},
        },
        "components": {"schemas": _schemas(manifest)},
    }


def _predict() -> Json:
    return {
        "summary": "Classify one text or several",
        "requestBody": {"required": True, "content": _content(_reference("Request"))},
        "responses": {
            "200": {"description": "One answer a text, in order", "content": _content(_reference("Answers"))},
            **{
                status: {"description": text, "content": _content(_reference("Error"))}
                for status, text in ERRORS.items()
            },
        },
    }


def _schemas(manifest: Manifest) -> Json:
    limits = manifest.limits
    text = {"type": "string", "minLength": 1, "maxLength": limits.max_characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": limits.max_inputs}
    parameters = task_of(manifest).parameters.model_json_schema()
    score = {"label": {"type": "string", "enum": manifest.labels}, "score": {"type": "number"}}
    return {
        "Request": _object({"inputs": {"oneOf": [text, texts]}, "parameters": parameters}, ["inputs"]),
        "Answers": {"type": "array", "items": {"type": "array", "items": _object(score, ["label", "score"])}},
        "Error": _object({"error": {"type": "string"}, "error_type": {"type": "string"}}, ["error", "error_type"]),
    }


def _get(summary: str, media_type: str, errors: dict[str, str] | None = None) -> Json:
    refused = {status: {"description": text} for status, text in (errors or {}).items()}
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": {media_type: {}}}, **refused}}


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
