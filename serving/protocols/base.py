"""A request body to checked items and parameters, in the Hugging Face inference shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from serving.errors import InputError, InputTooLarge, MalformedInput, shorten
from serving.tasks.base import Encoded, Task

Check = Callable[[Any, str], Any]

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """What a caller asks: checked items, whether it is a lone one, and what to do with their answers.

    ``parameters`` are the task's own; ``options`` is what else a protocol needs to render the answers; ``stream`` asks
    for them piece by piece.
    """

    items: list[Any]
    lone: bool
    parameters: Any
    options: Any = None
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


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors()[0]
    field = _place(("parameters", *first["loc"]))
    known = ", ".join(model.model_fields) or "none"
    return f"{field}: {first['msg']}; accepted parameters: {known}"


def _place(loc: tuple[int | str, ...]) -> str:
    return shorten(".".join(map(str, loc)), 100)
