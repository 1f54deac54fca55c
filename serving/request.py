"""A request body to checked items and parameters, in the Hugging Face inference shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from serving.errors import InputError, InputTooLarge, MalformedInput
from serving.quoting import clipped, quoted
from serving.tasks.base import Encoded, Task, object_schema

ACCEPTED = {"inputs", "parameters"}

Check = Callable[[Any, str], Any]

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """What a caller asks: checked items, whether it is a lone one, and what to do with their answers.

    ``parameters`` are the task's own; ``wish`` is what else a dialect needs to render the answers; ``stream`` asks for
    them piece by piece.
    """

    items: list[Any]
    lone: bool
    parameters: Any
    wish: Any = None
    stream: bool = False

    @property
    def characters(self) -> int:
        """Characters of all its texts together."""
        return sum(len(item) if isinstance(item, str) else sum(map(len, item)) for item in self.items)


@dataclass(frozen=True)
class Reply:
    """What was found for a request: each item's windows, the engine's results for them, and the decoded answers."""

    encoded: list[Encoded]
    results: list[list[Any]]
    answers: list[Any]


def parse(body: bytes, task: Task, check: Check | None = None) -> Request:
    """Read ``{"inputs": … | [ … ], "parameters": {…}}``.

    Args:
        body: the request's body.
        task: what the inputs and parameters mean.
        check: an input and its field to an item; the task's own check if absent.

    Raises:
        MalformedInput: the body is not UTF-8 or not JSON.
        InputTooLarge: the body, the number of inputs or a text is past the bundle's limits.
        InputError: the shape is wrong, a key is unknown, or an input cannot be answered.
    """
    return parse_content(load_json(body, task), task, check or task.check)


def parse_content(content: Any, task: Task, check: Check) -> Request:
    """The same of a body's JSON value."""
    inputs = require_object(content)["inputs"]
    items = check_inputs(inputs, task, check)
    return Request(items, not isinstance(inputs, list), parameters_of(content.get("parameters"), task.parameters_type))


def request_schema(inputs: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of a body that holds such inputs and parameters; null parameters are none."""
    nullable = {"anyOf": [parameters, {"type": "null"}]}
    return object_schema({"inputs": inputs, "parameters": nullable}, ["inputs"])


def render(task: Task, request: Request, reply: Reply) -> Any:
    """The answers as Hugging Face's client of this task expects them."""
    return reply.answers[0] if request.lone and not task.lone_answer_in_list else reply.answers


def content_of(model: type[Any], path: str, purpose: str, body: bytes, task: Task, kind: type[Task]) -> Any:
    """The body as a model of a dialect that speaks of one kind of task; else InputError."""
    if not isinstance(task, kind):
        raise InputError(f"{path} {purpose}, and this bundle's task is {task.name}; send to /predict")
    return model_of(model, load_json(body, task))


def model_of(model: type[Body], content: Any) -> Body:
    """A body's JSON value as a model of it; raises InputError that names the field and what is known."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = _place(first["loc"]) or "the body"
        known = ", ".join(model.model_fields)
        raise InputError(f"{field}: {first['msg']}; accepted are: {known}", field=field) from error


def load_json(body: bytes, task: Task) -> Any:
    """The body's JSON value; raises MalformedInput, or InputTooLarge past the bundle's limit."""
    limit = task.limits.max_body_bytes
    if len(body) > limit:
        raise InputTooLarge(f"the body has {len(body):,} bytes; at most {limit:,} are accepted")
    try:
        return json.loads(body.decode())
    except UnicodeDecodeError as error:
        raise MalformedInput(f"the body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"the body is not valid JSON: {error}") from error


def check_inputs(inputs: Any, task: Task, check: Check, field: str = "inputs") -> list[Any]:
    """One input or a list of them as checked items; raises InputError, InputTooLarge."""
    if not isinstance(inputs, list):
        return [check(inputs, field)]
    limit = task.limits.max_inputs
    if not inputs:
        raise InputError(f"`{field}` is an empty list; send at least one text", field=field)
    if len(inputs) > limit:
        raise InputTooLarge(f"`{field}` holds {len(inputs):,} texts; a request may hold {limit}", field=field)
    return [check(each, f"{field}[{index}]") for index, each in enumerate(inputs)]


def parameters_of(parameters: Any, model: type[BaseModel]) -> Any:
    """The caller's parameters, checked; raises InputError that names the field and what is known."""
    try:
        return _defaults(model) if parameters is None else model.model_validate(parameters)
    except ValidationError as error:
        raise InputError(_explain(error, model), field="parameters") from error


@cache
def _defaults(model: type[BaseModel]) -> Any:
    return model()


def require_object(content: Any) -> dict[str, Any]:
    example = 'send {"inputs": "a text"} or {"inputs": ["a text", "another"]}'
    if not isinstance(content, dict) or "inputs" not in content:
        raise InputError(f"the body has no `inputs`; {example}", field="inputs")
    if (unknown := min(content.keys() - ACCEPTED, default=None)) is not None:
        raise InputError(f"unknown key {quoted(unknown)}; accepted are `inputs` and `parameters`", field=unknown)
    return content


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors()[0]
    field = _place(("parameters", *first["loc"]))
    known = ", ".join(model.model_fields) or "none"
    return f"{field}: {first['msg']}; accepted parameters: {known}"


def _place(loc: tuple[int | str, ...]) -> str:
    return clipped(".".join(map(str, loc)), 100)
