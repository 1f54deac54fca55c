"""``/predict`` and ``/``: Hugging Face's inference API, and text-embeddings-inference where a body can only be that."""

from __future__ import annotations

from typing import Any

from serving.errors import InputError, quote
from serving.protocols import instances, pipeline_parameters, similarity, tei
from serving.protocols.base import Check, Reply, Request, check_inputs, parse_parameters
from serving.protocols.json_body import load_json
from serving.tasks.base import Task, object_schema
from serving.tasks.generation import Text2TextGeneration

ACCEPTED = ("inputs", "parameters", "options", "stream")
TEXT_NAMES = ("summary_text", "translation_text")
"""What clients for summaries and translations call a lone input's ``generated_text``."""


def parse(body: bytes, task: Task, check: Check | None = None) -> Request:
    """Parse ``{"inputs": … | [ … ], "parameters": {…}, "options": {…}}`` or a TEI body.

    Raises InputError or a subclass.
    """
    content, check = load_json(body, task), check or task.check
    if tei.is_tei_body(content, task):
        return tei.parse(content, task, check)
    if similarity.is_similarity_body(content):
        return similarity.parse_content(content, task, check)
    if instances.is_instances_body(content):
        return instances.parse_content(content, task, check)
    inputs = require_object(content)["inputs"]
    own = pipeline_parameters.translate(content.get("parameters"), task)
    parameters = parse_parameters(own, task.parameters_type)
    return Request(check_inputs(inputs, task, check), not isinstance(inputs, list), parameters)


def render(task: Task, request: Request, reply: Reply) -> Any:
    """The answers in the format of the request."""
    if isinstance(request.options, tei.Body):
        return tei.render(task, request, reply)
    if isinstance(request.options, similarity.Body):
        return similarity.render(task, request, reply)
    if isinstance(request.options, instances.Body):
        return instances.render(task, request, reply)
    if not request.lone or task.lone_answer_in_list:
        return reply.answers
    if not isinstance(task, Text2TextGeneration):
        return reply.answers[0]
    return [each | dict.fromkeys(TEXT_NAMES, each["generated_text"]) for each in reply.answers[0]]


def answers_schema(task: Task) -> dict[str, Any]:
    """JSON schema of all that `render` may give for `Request`."""
    answers, lone = {"type": "array", "items": task.answer_schema()}, task.answer_schema()
    if task.lone_answer_in_list:
        return answers
    if isinstance(task, Text2TextGeneration):
        text = {"type": "string"}
        lone = {"type": "array", "items": object_schema({"generated_text": text} | dict.fromkeys(TEXT_NAMES, text))}
    return {"anyOf": [answers, lone]}


def request_schema(inputs: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """JSON schema; null parameters are the defaults."""
    nullable = [{"anyOf": [each, {"type": "null"}]} for each in (parameters, pipeline_parameters.options_schema())]
    stream = {"enum": [False, None], "description": "/v1/completions streams"}
    return object_schema(dict(zip(ACCEPTED, (inputs, *nullable, stream), strict=True)), ["inputs"])


def require_object(content: Any) -> dict[str, Any]:
    """The body as an object with ``inputs`` and no unknown key; raises InputError."""
    example = 'send {"inputs": "a text"} or {"inputs": ["a text", "another"]}'
    if not isinstance(content, dict) or "inputs" not in content:
        found = f", but {quote(min(content))}" if isinstance(content, dict) and content else ""
        raise InputError(f"the body has no `inputs`{found}; {example}", field="inputs")
    if (unknown := min(content.keys() - set(ACCEPTED), default=None)) is not None:
        accepted = "`inputs`, `parameters` and `options`"
        raise InputError(f"unknown key {quote(unknown)}; accepted are {accepted}", field=unknown)
    if not (content.get("stream") is None or content["stream"] is False):
        raise InputError("stream is accepted as false only; /v1/completions streams", field="stream")
    pipeline_parameters.read_options(content.get("options"))
    return content
