"""The OpenAPI 3.1 document of the HTTP surface, with this bundle's own labels and limits in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serving.bundle.bundle import Bundle
from serving.explain.schema import schemas
from serving.explain.targets import unsupported_reason
from serving.http.openapi.operations import JSON, PLAIN, Json, any_post, get, model_ready, post, probe, ready, reference
from serving.protocols import HUGGING_FACE, PROTOCOLS, ApiProtocol, tei
from serving.protocols.hugging_face import request_schema
from serving.protocols.json_lines import JSON_LINES
from serving.tasks import task_of
from serving.tasks.base import Task, object_schema

TEXT = {"type": "string"}

UNLOADED = ("503",)
"""What is refused of a model that is not loaded yet, or no more; and by a name, also that there is none of it."""

UNKNOWN = ("404", *UNLOADED)

HEADER_LENGTH = {
    "description": "bytes of JSON, behind which the binary tensors begin; absent where there are none",
    "schema": {"type": "integer", "minimum": 0},
}


def document(bundle: Bundle, models: Sequence[str], limits: Mapping[str, float]) -> Json:
    """The document of a whole server as plain JSON: the default model's bundle, and the names of all ``models``.

    ``limits`` are those of `serving.http.endpoints.info.limits_of`.
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
        "/info": {"get": get("Model, labels, limits, bundle hash and the parity verdict", JSON, UNLOADED)},
        "/tei/info": {"get": get("The same, as text-embeddings-inference asks", JSON, UNLOADED)},
        "/card": {"get": get("The model card", "text/markdown", UNLOADED)},
        "/openapi.json": {"get": get("This document", JSON, UNLOADED)},
    }


def _of_any_model(models: Sequence[str]) -> Json:
    """The same of each model by its name, in what they have in common."""
    posts = {path: _speaking(each, named=True) for path, each in {"": HUGGING_FACE, **PROTOCOLS}.items()}
    posts["/explain"] = any_post("Which words the answer to an input rests on", named=True)
    gets = {
        "/info": get("The model's information", JSON, UNKNOWN),
        "/tei/info": get("The same, as text-embeddings-inference asks", JSON, UNKNOWN),
        "/card": get("The model's card", "text/markdown", UNKNOWN),
        "/openapi.json": get("The model's own endpoints, in full", JSON, UNKNOWN),
    }
    items = {path: {"post": operation} for path, operation in posts.items()}
    items |= {path: {"get": operation} for path, operation in gets.items()}
    return {f"/models/{{model}}{path}": {"parameters": [_name(models)], **item} for path, item in items.items()}


def _name(models: Sequence[str]) -> Json:
    return {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": list(models)}}


def _of_all(models: Sequence[str]) -> Json:
    loaded = "The bundles are loaded and answer as they were proven"
    return {
        "/models": {"get": get("What is served, the default first", JSON, UNLOADED)},
        "/v1/models": {"get": get("The same, as OpenAI", JSON, UNLOADED, "OpenAIError")},
        "/v1/models/{model}": {
            "parameters": [_name(models)],
            "get": get("One of them, as OpenAI", JSON, UNKNOWN, "OpenAIError"),
        },
        "/livez": {"get": get("The process answers", PLAIN)},
        "/readyz": {"get": ready(loaded)},
        "/metrics": {"get": get("Prometheus metrics", PLAIN)},
        "/health": {"get": probe(loaded)},
        "/tei/health": {"get": probe(loaded)},
        "/tei/metrics": {"get": get("Prometheus metrics", PLAIN)},
        **_open_inference(models),
        "/ping": {"get": ready(loaded + ": SageMaker's question")},
        "/invocations": {"post": _invocations()},
    }


def _open_inference(models: Sequence[str]) -> Json:
    """The Open Inference Protocol; a model's paths also name its one version."""
    version = {"name": "version", "in": "path", "required": True, "schema": TEXT}
    length = {"name": "Inference-Header-Content-Length", "in": "header", **HEADER_LENGTH}
    found: Json = {
        "/v2": {"get": get("Open Inference Protocol: the server", JSON)},
        "/v2/health/live": {"get": get("The process answers", PLAIN)},
        "/v2/health/ready": {"get": ready("Requests should be sent here")},
    }
    for within, parameters in (("", [_name(models)]), ("/versions/{version}", [_name(models), version])):
        model = f"/v2/models/{{model}}{within}"
        found[model] = {"parameters": parameters, "get": get("The model's tensors", JSON, UNKNOWN)}
        found[f"{model}/ready"] = {"parameters": parameters, "get": model_ready("The model should be sent requests")}
        found[f"{model}/infer"] = {"parameters": [*parameters, length], "post": _infer()}
    return found


def _infer() -> Json:
    return any_post(
        "Texts as BYTES tensors in, answers as tensors out; JSON, or with binary tensors behind it",
        named=True,
        asked=(JSON, "application/octet-stream"),
        answered=(JSON, "application/octet-stream"),
        headers={"Inference-Header-Content-Length": HEADER_LENGTH},
    )


def _invocations() -> Json:
    summary = "The same as /predict, as SageMaker asks; also lines of it as JSON lines"
    return any_post(summary, asked=(JSON, *sorted(JSON_LINES)), answered=(JSON, "application/jsonlines"))


def _dialects(task: Task) -> Json:
    """The further paths that speak of this task; a body that names the model may name one that there is not."""
    return {
        path: {"post": _speaking(protocol, named=protocol.requested_model is not None)}
        for path, protocol in PROTOCOLS.items()
        if task.name in protocol.tasks and path != "/predict"
    }


def _speaking(protocol: ApiProtocol, *, named: bool) -> Json:
    error = "OpenAIError" if protocol.requested_model else "Error"
    return any_post(
        protocol.summary, error, named, answered=(JSON, "text/event-stream") if protocol.events else (JSON,)
    )


def _explain(task: Task) -> Json:
    if unsupported_reason(task):
        return {}
    summary = "Which words the answer to an input rests on"
    return {"/explain": {"post": post(summary, reference("Explain"), reference("Explanation"), "Scores")}}


def _predict(task: Task) -> Json:
    summary = f"{task.name.replace('-', ' ').capitalize()}: one input or several"
    request, answer = reference("Request"), reference("Answers")
    if isinstance(task, tei.SPOKEN):
        request = {"anyOf": [request, reference("TeiRequest")]}
    if isinstance(task, tei.SCORED):
        answer = {"anyOf": [answer, task.answer_schema()]}
    return post(summary, request, answer, "One answer an input, in order")


def _schemas(task: Task) -> Json:
    one, answer = task.input_schema(), task.answer_schema()
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": task.limits.max_inputs}
    answers = {"type": "array", "items": answer}
    return {
        "Request": request_schema({"oneOf": [one, several]}, task.parameters_type.model_json_schema()),
        **({"TeiRequest": tei.request_schema(task)} if isinstance(task, tei.SPOKEN) else {}),
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
