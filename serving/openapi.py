"""The OpenAPI 3.1 document of the HTTP surface, with this bundle's own labels and limits in it."""

from __future__ import annotations

from typing import Any

from serving.bundle import Bundle
from serving.dialects import DIALECTS
from serving.explaining.schema import schemas
from serving.explaining.targets import unexplained
from serving.tasks import task_of
from serving.tasks.base import Task, object_schema

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
    task = task_of(manifest)
    predict = _predict(task)
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
            **_dialects(task),
            **_explain(task),
            "/info": {"get": _get("Model, labels, limits, bundle hash and the parity verdict", "application/json")},
            "/card": {"get": _get("The model card", "text/markdown")},
            "/livez": {"get": _get("The process answers", "text/plain")},
            "/readyz": {
                "get": _get("The bundle is loaded and answers as it was proven", "text/plain", {"503": "Not yet."})
            },
            "/metrics": {"get": _get("Prometheus metrics", "text/plain")},
        },
        "components": {"schemas": _schemas(task)},
    }


def _dialects(task: Task) -> Json:
    """The further paths that speak of this task."""
    answers = {"200": {"description": "OK", "content": {"application/json": {}}}}
    return {
        path: {"post": {"summary": dialect.summary, "responses": answers}}
        for path, dialect in DIALECTS.items()
        if task.name in dialect.tasks and path != "/predict"
    }


def _explain(task: Task) -> Json:
    if unexplained(task):
        return {}
    return {
        "/explain": {"post": _post("Which words the answer to an input rests on", "Explain", "Explanation", "Scores")}
    }


def _predict(task: Task) -> Json:
    summary = f"{task.name.replace('-', ' ').capitalize()}: one input or several"
    return _post(summary, "Request", "Answers", "One answer an input, in order")


def _post(summary: str, request: str, answer: str, description: str) -> Json:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _content(_reference(request))},
        "responses": {
            "200": {"description": description, "content": _content(_reference(answer))},
            **{
                status: {"description": text, "content": _content(_reference("Error"))}
                for status, text in ERRORS.items()
            },
        },
    }


def _schemas(task: Task) -> Json:
    one, answer = task.input_schema(), task.answer_schema()
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": task.limits.max_inputs}
    answers = {"type": "array", "items": answer}
    parameters = task.parameters_type.model_json_schema()
    return {
        "Request": object_schema({"inputs": {"oneOf": [one, several]}, "parameters": parameters}, ["inputs"]),
        **schemas(task),
        "Answers": answers if task.lone_answer_in_list else {"anyOf": [answers, answer]},
        "Error": object_schema({"error": {"type": "string"}, "error_type": {"type": "string"}}),
    }


def _get(summary: str, media_type: str, errors: dict[str, str] | None = None) -> Json:
    refused = {status: {"description": text} for status, text in (errors or {}).items()}
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": {media_type: {}}}, **refused}}


def _content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
