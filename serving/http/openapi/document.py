"""The OpenAPI 3.1 document: ``template.json`` with a bundle's schemas, labels and limits filled in.

In the template ``"$name"`` stands for a part or a value of that name, and an operation's ``refusals`` for responses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serving.bundle.bundle import Bundle
from serving.explain.schema import schemas as explain_schemas
from serving.explain.targets import unsupported_reason
from serving.protocols import HUGGING_FACE, PROTOCOLS, ApiProtocol, instances, similarity, tei
from serving.protocols.hugging_face import answers_schema, request_schema
from serving.protocols.openai_models import speaks_openai
from serving.protocols.pipeline_parameters import parameters_schema
from serving.settings.access import PROBES, AccessPolicy
from serving.tasks import task_of
from serving.tasks.base import Task, object_schema
from serving.tasks.feature_extraction import FeatureExtraction

Json = dict[str, Any]

TEMPLATE: Json = json.loads((Path(__file__).parent / "template.json").read_text(encoding="utf-8"))


def make_document(
    bundle: Bundle,
    models: Sequence[str],
    limits: Mapping[str, float],
    access_policy: AccessPolicy,
    *,
    own: bool,
    prefix: str = "",
) -> Json:
    """A server's document, or a model's ``own`` of the endpoints below its path; ``models`` begin with the bundle's.

    ``prefix``: what callers put before every path.
    """
    manifest, task = bundle.manifest, task_of(bundle.manifest)
    if own:
        paths, parent = _model_paths(task, limits), f"/models/{quote(models[0], safe='')}"
    else:
        own_paths = {path or "/": item for path, item in _model_paths(task, limits).items()}
        paths, parent = own_paths | _named_model_paths(limits) | TEMPLATE["server_paths"], ""
    values = _values(task) | {
        "models": list(models),
        "title": manifest.name,
        "bundle_version": manifest.digest[:12],
        "description": f"{manifest.task}, served by Tuneship. `GET /info` has the verdict of its proof.",
        "limits": dict(limits),
        "schemas": _schemas(task) | TEMPLATE["schemas"],
    }
    values["paths"] = {
        parent + path: _fill_item(template, path, parent + path, values, access_policy)
        for path, template in paths.items()
    }
    document: Json = _fill(TEMPLATE["document"], values)
    if prefix:
        document["servers"] = [{"url": prefix}]
    if access_policy.asks_for_keys:
        document["components"]["securitySchemes"] = TEMPLATE["security_schemes"]
        document["security"] = [{name: []} for name in TEMPLATE["security_schemes"]]
    return document


def _model_paths(task: Task, limits: Mapping[str, float]) -> Json:
    protocols = {
        path: _protocol_item(protocol, named=protocol.requested_model is not None)
        for path, protocol in PROTOCOLS.items()
        if task.name in protocol.tasks and path != "/predict"
    }
    items = TEMPLATE["model_paths"] | protocols
    explains = limits["max_explanations"] and not unsupported_reason(task)
    return {path: item for path, item in items.items() if path != "/explain" or explains}


def _named_model_paths(limits: Mapping[str, float]) -> Json:
    protocols = {"": HUGGING_FACE, **PROTOCOLS}
    items: Json = {
        f"/models/{{model}}{path}": {"parameters": ["$model"], **_protocol_item(protocol, named=True)}
        for path, protocol in protocols.items()
    }
    named = {**items, **TEMPLATE["named_model_paths"]}
    return {path: item for path, item in named.items() if not path.endswith("/explain") or limits["max_explanations"]}


def _protocol_item(protocol: ApiProtocol, *, named: bool) -> Json:
    """``named``: there may be no model of the requested name."""
    values = {
        "protocol_summary": protocol.summary,
        "protocol_answer": {"application/json": {}, **({"text/event-stream": {}} if protocol.events else {})},
        "protocol_refusals": "$named_input_refusals" if named else "$input_refusals",
    }
    operation: Json = _fill("$protocol", values)
    return {"post": operation}


def _values(task: Task) -> Json:
    request = {"anyOf": [_reference("Request"), _reference("InstancesRequest")]}
    answers = {"anyOf": [_reference("Answers"), _reference("Predictions")]}
    if isinstance(task, tei.PREDICT_TASKS):
        request["anyOf"].append(_reference("TeiRequest"))
    if isinstance(task, FeatureExtraction):
        request["anyOf"].append(_reference("SimilarityRequest"))
        answers["anyOf"].append({"type": "array", "items": {"type": "number"}})
    if isinstance(task, tei.SCORING_TASKS):
        answers["anyOf"].append(task.answer_schema())
    summary = f"{task.name.replace('-', ' ').capitalize()}: one input or several"
    return {"predict_summary": summary, "request": request, "answers": answers}


def _fill_item(template: Json, template_path: str, path: str, values: Json, access_policy: AccessPolicy) -> Json:
    item: Json = _fill(template, values)
    for method in item.keys() & {"get", "post"}:
        item[method] = _complete(item[method], template_path, path, access_policy)
    return item


def _complete(operation: Json, template_path: str, path: str, access_policy: AccessPolicy) -> Json:
    """Refusals become responses; the access policy adds its own."""
    keyless = path in access_policy.without_key
    refusals = list(operation.pop("refusals", []))
    if access_policy.allowed_hosts and path not in PROBES:
        refusals.append("421")
    if access_policy.asks_for_keys:
        if keyless:
            operation["security"] = []
        else:
            refusals.append("401")
    schema = _reference("OpenAIError" if speaks_openai(template_path) else "Error")
    for status in refusals:
        operation["responses"][status] = TEMPLATE["refusals"][status] | {
            "content": {"application/json": {"schema": schema}}
        }
    return operation


def _fill(content: Any, values: Mapping[str, Any]) -> Any:
    """A copy; values are inserted unchanged, parts are filled too."""
    if isinstance(content, str) and content.startswith("$"):
        name = content[1:]
        return values[name] if name in values else _fill(TEMPLATE["parts"][name], values)
    if isinstance(content, list):
        return [_fill(each, values) for each in content]
    if isinstance(content, dict):
        return {key: _fill(each, values) for key, each in content.items()}
    return content


def _reference(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def _schemas(task: Task) -> Json:
    one, parameters = task.input_schema(), parameters_schema(task)
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": task.limits.max_inputs}
    return {
        "Request": request_schema({"oneOf": [one, several]}, parameters),
        "InstancesRequest": instances.request_schema(one, parameters, task),
        **({"TeiRequest": tei.request_schema(task)} if isinstance(task, tei.PREDICT_TASKS) else {}),
        **({"SimilarityRequest": similarity.request_schema(task)} if isinstance(task, FeatureExtraction) else {}),
        **explain_schemas(task),
        "Answers": answers_schema(task),
        "Predictions": object_schema({"predictions": {"type": "array", "items": task.answer_schema()}}),
    }
