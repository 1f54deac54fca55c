"""The OpenAPI 3.1 document of the HTTP surface, with this bundle's own labels and limits in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.bundle import Bundle
from serving.dialects import DIALECTS, HUGGING_FACE, tei
from serving.explaining.schema import schemas
from serving.explaining.targets import unexplained
from serving.openapi_refusals import refusals
from serving.tasks import task_of
from serving.tasks.base import Task, object_schema

MISSING = {"404": "No model has this name."}

Json = dict[str, Any]

TEXT = {"type": "string"}

TRUNCATED = {
    "X-Truncated": {
        "description": "places of the inputs of which the end was not read, such as `0,3`; absent where there are none",
        "schema": TEXT,
    }
}

TIMEOUT = {
    "name": "Request-Timeout",
    "in": "header",
    "description": "seconds that the caller waits for an answer, if that is less than the server's `wait_seconds`",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}


def document(bundle: Bundle, models: Sequence[str], limits: Mapping[str, float]) -> Json:
    """The document of a whole server as plain JSON: the default model's bundle, and the names of all ``models``.

    ``limits`` are those of `serving.info.limits_of`.
    """
    task = task_of(bundle.manifest)
    paths = {path or "/": item for path, item in _of_a_model(task).items()}
    return _document(bundle, task, paths | _of_any_model(models) | _of_all(models), limits)


def model_document(bundle: Bundle, within: str, limits: Mapping[str, float]) -> Json:
    """The document of one model's own endpoints, which lie ``within`` a path."""
    task = task_of(bundle.manifest)
    return _document(bundle, task, {within + path: item for path, item in _of_a_model(task).items()}, limits)


def _document(bundle: Bundle, task: Task, paths: Json, limits: Mapping[str, float]) -> Json:
    manifest = bundle.manifest
    about = f"{manifest.task}, served by Tuneship. `GET /info` tells what was proven of it."
    return {
        "openapi": "3.1.0",
        "info": {"title": manifest.name, "version": manifest.digest[:12], "description": about},
        "x-limits": dict(limits),
        "paths": paths,
        "components": {"schemas": _schemas(task)},
    }


def _of_a_model(task: Task) -> Json:
    """The paths of one model, relative to where it is."""
    predict = _predict(task)
    return {
        "/predict": {"post": predict},
        "": {"post": predict | {"summary": "The same as /predict, where Hugging Face's client looks"}},
        **_dialects(task),
        **_explain(task),
        "/info": {"get": _get("Model, labels, limits, bundle hash and the parity verdict", "application/json")},
        "/tei/info": {"get": _get("The same, as text-embeddings-inference asks", "application/json")},
        "/card": {"get": _get("The model card", "text/markdown")},
        "/openapi.json": {"get": _get("This document", "application/json")},
    }


def _of_any_model(models: Sequence[str]) -> Json:
    """The same of each model by its name, in what they have in common."""
    name = _name(models)
    dialects = {"": HUGGING_FACE, **DIALECTS}.items()
    posts = {path: _any_post(each.summary, "OpenAIError" if each.named else "Error") for path, each in dialects}
    posts["/explain"] = _any_post("Which words the answer to an input rests on")
    gets = {
        "/info": _get("The model's information", "application/json", MISSING),
        "/tei/info": _get("The same, as text-embeddings-inference asks", "application/json", MISSING),
        "/card": _get("The model's card", "text/markdown", MISSING),
        "/openapi.json": _get("The model's own endpoints, in full", "application/json", MISSING),
    }
    items = {path: {"post": post} for path, post in posts.items()}
    items |= {path: {"get": get} for path, get in gets.items()}
    return {f"/models/{{model}}{path}": {"parameters": [name], **item} for path, item in items.items()}


def _name(models: Sequence[str]) -> Json:
    return {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": list(models)}}


def _of_all(models: Sequence[str]) -> Json:
    ready = "The bundles are loaded and answer as they were proven"
    return {
        "/models": {"get": _get("What is served, the default first", "application/json")},
        "/v1/models": {"get": _get("The same, as OpenAI", "application/json")},
        "/v1/models/{model}": {
            "parameters": [_name(models)],
            "get": _get("One of them, as OpenAI", "application/json", MISSING),
        },
        "/livez": {"get": _get("The process answers", "text/plain")},
        "/readyz": {"get": _get(ready, "text/plain", {"503": "Not yet."})},
        "/metrics": {"get": _get("Prometheus metrics", "text/plain")},
        "/health": {"get": _probe(ready)},
        "/tei/health": {"get": _probe(ready)},
        "/tei/metrics": {"get": _get("Prometheus metrics", "text/plain")},
        **_open_inference(models),
        "/ping": {"get": _get(ready + ": SageMaker's question", "text/plain", {"503": "Not yet."})},
        "/invocations": {"post": _any_post("The same as /predict, as SageMaker asks; also lines of it as JSON lines")},
    }


def _open_inference(models: Sequence[str]) -> Json:
    """The Open Inference Protocol; a model's paths also name its one version."""
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    found: Json = {
        "/v2": {"get": _get("Open Inference Protocol: the server", "application/json")},
        "/v2/health/live": {"get": _get("The process answers", "text/plain")},
        "/v2/health/ready": {"get": _get("Requests should be sent here", "text/plain", {"503": "Not yet."})},
    }
    for within, parameters in (("", [_name(models)]), ("/versions/{version}", [_name(models), version])):
        model = f"/v2/models/{{model}}{within}"
        metadata = _get("The model's tensors", "application/json", MISSING)
        ready = _get("The model should be sent requests", "text/plain", MISSING)
        infer = _any_post("Texts as BYTES tensors in, answers as tensors out; JSON, or with binary tensors behind it")
        found[model] = {"parameters": parameters, "get": metadata}
        found[f"{model}/ready"] = {"parameters": parameters, "get": ready}
        found[f"{model}/infer"] = {"parameters": parameters, "post": infer}
    return found


def _dialects(task: Task) -> Json:
    """The further paths that speak of this task."""
    return {
        path: {"post": _any_post(dialect.summary, "OpenAIError" if dialect.named else "Error")}
        for path, dialect in DIALECTS.items()
        if task.name in dialect.tasks and path != "/predict"
    }


def _explain(task: Task) -> Json:
    if unexplained(task):
        return {}
    summary = "Which words the answer to an input rests on"
    return {"/explain": {"post": _post(summary, _reference("Explain"), _reference("Explanation"), "Scores")}}


def _predict(task: Task) -> Json:
    summary = f"{task.name.replace('-', ' ').capitalize()}: one input or several"
    request, answer = _reference("Request"), _reference("Answers")
    if isinstance(task, tei.SCORED):
        request = {"anyOf": [request, _reference("TeiRequest")]}
        answer = {"anyOf": [answer, task.answer_schema()]}
    return _post(summary, request, answer, "One answer an input, in order")


def _post(summary: str, request: Json, answer: Json, description: str) -> Json:
    return {
        "summary": summary,
        "parameters": [TIMEOUT],
        "requestBody": {"required": True, "content": _content(request)},
        "responses": {
            "200": {"description": description, "headers": TRUNCATED, "content": _content(answer)},
            **refusals("Error"),
        },
    }


def _any_post(summary: str, error: str = "Error") -> Json:
    """An operation in a shape that others define, or that differs between models."""
    answers = {"200": {"description": "OK", "headers": TRUNCATED, "content": {"application/json": {}}}}
    return {
        "summary": summary,
        "parameters": [TIMEOUT],
        "requestBody": {"content": {"application/json": {}}},
        "responses": answers | refusals(error),
    }


def _schemas(task: Task) -> Json:
    one, answer = task.input_schema(), task.answer_schema()
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": task.limits.max_inputs}
    answers = {"type": "array", "items": answer}
    parameters = task.parameters_type.model_json_schema()
    return {
        "Request": object_schema({"inputs": {"oneOf": [one, several]}, "parameters": parameters}, ["inputs"]),
        **({"TeiRequest": tei.request_schema(task)} if isinstance(task, tei.SCORED) else {}),
        **schemas(task),
        "Answers": answers if task.lone_answer_in_list else {"anyOf": [answers, answer]},
        "Error": object_schema({"error": TEXT, "error_type": TEXT}),
        "OpenAIError": object_schema(
            {
                "error": object_schema(
                    {"message": TEXT, "type": TEXT, "param": {"type": "null"}, "code": {"type": "null"}}
                )
            }
        ),
    }


def _get(summary: str, media_type: str, errors: dict[str, str] | None = None) -> Json:
    refused = {status: {"description": text} for status, text in (errors or {}).items()}
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": {media_type: {}}}, **refused}}


def _probe(summary: str) -> Json:
    """An operation without an answer's body, as text-embeddings-inference has it."""
    unhealthy = {"description": "Not yet.", "content": _content(_reference("Error"))}
    return {"summary": summary, "responses": {"200": {"description": "OK"}, "503": unhealthy}}


def _content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
