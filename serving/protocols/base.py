"""What all protocols share."""

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
"""Turns an input and the name of its field into a checked item; raises InputError."""

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """``options`` is what the protocol needs to write the answers; ``lone``: the one input came without a list."""

    items: list[Any]
    lone: bool
    parameters: Any
    options: Any = None
    stream: bool = False

    @property
    def characters(self) -> int:
        return sum(len(item) if isinstance(item, str) else sum(map(len, item)) for item in self.items)


@dataclass(frozen=True)
class Reply:
    """For each item its windows, the engine's results and the decoded answer."""

    encoded: list[Encoded]
    results: list[list[Any]]
    answers: list[Any]


def require_task(task: Task, kinds: type[Task] | tuple[type[Task], ...], purpose: str) -> None:
    """Raise InputError if the bundle's task is another."""
    if not isinstance(task, kinds):
        raise InputError(f"{purpose}, and this bundle's task is {task.name}; send to /predict")


def validate_body(model: type[Body], content: Any) -> Body:
    """Raises InputError that names the field and the accepted ones."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        field, message = _first_error(error)
        field = field or "the body"
        raise InputError(f"{field}: {message}; accepted are: {', '.join(model.model_fields)}", field=field) from error


def load_json(body: bytes, task: Task) -> Any:
    """Raises MalformedInput, or InputTooLarge past the bundle's limit."""
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
    """Check one input or a list; raises InputError, InputTooLarge."""
    if not isinstance(inputs, list):
        return [check(inputs, field)]
    limit = task.limits.max_inputs
    if not inputs:
        raise InputError(f"`{field}` is an empty list; send at least one text", field=field)
    if len(inputs) > limit:
        raise InputTooLarge(f"`{field}` holds {len(inputs):,} texts; a request may hold {limit}", field=field)
    return [check(each, f"{field}[{index}]") for index, each in enumerate(inputs)]


def parse_parameters(parameters: Any, model: type[BaseModel]) -> Any:
    """The task's parameters; raises InputError that names the field and the accepted ones."""
    try:
        return _defaults(model) if parameters is None else model.model_validate(parameters)
    except ValidationError as error:
        field, message = _first_error(error, "parameters")
        accepted = ", ".join(model.model_fields) or "none"
        raise InputError(f"{field}: {message}; accepted parameters: {accepted}", field="parameters") from error


@cache
def _defaults(model: type[BaseModel]) -> Any:
    return model()


def _first_error(error: ValidationError, *parents: str) -> tuple[str, str]:
    first = error.errors()[0]
    return shorten(".".join(map(str, (*parents, *first["loc"]))), 100), first["msg"]
