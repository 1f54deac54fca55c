"""``{"instances": [ … ]}``, as Vertex AI, TensorFlow Serving and KServe's first protocol send it.

https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements,
https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from serving.protocols import pipeline_parameters
from serving.protocols.base import Check, Reply, Request, check_inputs, parse_parameters, validate_body
from serving.protocols.json_body import load_json
from serving.tasks.base import Task, object_schema
from serving.tasks.strict_model import StrictModel

FIELD = "instances"
NAMES = ("inputs", "text", "content")
"""Of an instance's only key, where an input is a text."""


class Body(StrictModel):
    instances: Annotated[list[Any], Field(min_length=1)]
    parameters: Any = None
    signature_name: Literal["serving_default"] | None = None


def is_instances_body(content: Any) -> bool:
    return isinstance(content, dict) and FIELD in content


def parse(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    return parse_content(load_json(body, task), task, check)


def parse_content(content: Any, task: Task, check: Check) -> Request:
    """Raises InputError."""
    options = validate_body(Body, content)
    parameters = parse_parameters(pipeline_parameters.translate(options.parameters, task), task.parameters_type)
    items = check_inputs([_read(each, task) for each in options.instances], task, check, FIELD)
    return Request(items, False, parameters, options, field=FIELD)


def render(task: Task, request: Request, reply: Reply) -> dict[str, Any]:
    return {"predictions": reply.answers}


def request_schema(one: dict[str, Any], parameters: dict[str, Any], task: Task) -> dict[str, Any]:
    """``one``: the schema of an input."""
    named = [object_schema({name: one}) for name in NAMES] if _reads_text(task) else []
    several = {"type": "array", "items": {"anyOf": [one, *named]}, "minItems": 1, "maxItems": task.limits.max_inputs}
    signature = {"enum": ["serving_default", None]}
    content = {FIELD: several, "parameters": {"anyOf": [parameters, {"type": "null"}]}, "signature_name": signature}
    return object_schema(content, [FIELD])


def _read(instance: Any, task: Task) -> Any:
    if isinstance(instance, dict) and len(instance) == 1 and _reads_text(task):
        return next((instance[name] for name in NAMES if name in instance), instance)
    return instance


def _reads_text(task: Task) -> bool:
    return not task.input_keys
