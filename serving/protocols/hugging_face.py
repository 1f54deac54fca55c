"""``/predict`` and ``/``: the inference API's shape, and text-embeddings-inference's where a body can only be that."""

from __future__ import annotations

from typing import Any

from serving.errors import InputError, quote
from serving.protocols import tei
from serving.protocols.base import Check, Reply, Request, check_inputs, load_json, parameters_of
from serving.tasks.base import Task, object_schema


def parse(body: bytes, task: Task, check: Check | None = None) -> Request:
    """Read ``{"inputs": … | [ … ], "parameters": {…}}``, or a body in text-embeddings-inference's shape.

    Args:
        body: the request's body.
        task: what the inputs and parameters mean.
        check: an input and its field to an item; the task's own check if absent.

    Raises:
        MalformedInput: the body is not UTF-8 or not JSON.
        InputTooLarge: the body, the number of inputs or a text is past the bundle's limits.
        InputError: the shape is wrong, a key is unknown, or an input cannot be answered.
    """
    content = load_json(body, task)
    return (tei.parse if tei.meant(content, task) else parse_content)(content, task, check or task.check)


def render(task: Task, request: Request, reply: Reply) -> Any:
    """The answers in the shape that was asked in."""
    if isinstance(request.options, tei.Body):
        return tei.render(task, request, reply)
    return render_answers(task, request, reply)


ACCEPTED = {"inputs", "parameters"}


def parse_content(content: Any, task: Task, check: Check) -> Request:
    """The same of a body's JSON value."""
    inputs = require_object(content)["inputs"]
    items = check_inputs(inputs, task, check)
    return Request(items, not isinstance(inputs, list), parameters_of(content.get("parameters"), task.parameters_type))


def request_schema(inputs: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of a body that holds such inputs and parameters; null parameters are none."""
    nullable = {"anyOf": [parameters, {"type": "null"}]}
    return object_schema({"inputs": inputs, "parameters": nullable}, ["inputs"])


def render_answers(task: Task, request: Request, reply: Reply) -> Any:
    """The answers as Hugging Face's client of this task expects them."""
    return reply.answers[0] if request.lone and not task.lone_answer_in_list else reply.answers


def require_object(content: Any) -> dict[str, Any]:
    example = 'send {"inputs": "a text"} or {"inputs": ["a text", "another"]}'
    if not isinstance(content, dict) or "inputs" not in content:
        raise InputError(f"the body has no `inputs`; {example}", field="inputs")
    if (unknown := min(content.keys() - ACCEPTED, default=None)) is not None:
        raise InputError(f"unknown key {quote(unknown)}; accepted are `inputs` and `parameters`", field=unknown)
    return content
