"""What all protocols share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from serving.errors import InputError, InputTooLarge, shorten
from serving.tasks.base import Encoded, Task

Check = Callable[[Any, str], Any]
"""Turns an input and the name of its field into a checked item; raises InputError."""

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """``options`` is what the protocol needs to write the answers; ``lone``: the one input came without a list;
    ``field``: the name that the protocol gives the inputs, ``fields`` of each one, if that does not make them."""

    items: list[Any]
    lone: bool
    parameters: Any
    options: Any = None
    stream: bool = False
    field: str = "inputs"
    fields: Sequence[str] = ()

    @cached_property
    def sizes(self) -> list[int]:
        """Each item's characters."""
        return [len(item) if isinstance(item, str) else sum(map(len, item)) for item in self.items]


@dataclass(frozen=True)
class Reply:
    """For each item its windows, the engine's results and the decoded answer.

    ``own_answers``: the model's, whatever the caller's parameters.
    """

    encoded: list[Encoded]
    results: list[list[Any]]
    answers: list[Any]
    own_answers: list[Any]

    @classmethod
    def join(cls, replies: Sequence[Reply]) -> Reply:
        """Of all their items."""
        parts = ((each.encoded, each.results, each.answers, each.own_answers) for each in replies)
        return cls(*([one for part in column for one in part] for column in zip(*parts, strict=True)))

    def __getitem__(self, part: slice) -> Reply:
        """Of some items."""
        return Reply(self.encoded[part], self.results[part], self.answers[part], self.own_answers[part])


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


def refuse_token_ids(inputs: Any, field: str, hint: str = "") -> None:
    """Raise InputError for ids, of one text or of several: they are those of another tokenizer."""
    first = inputs[0] if isinstance(inputs, list) and inputs else inputs
    first = first[0] if isinstance(first, list) and first else first
    if isinstance(inputs, list) and type(first) is int:
        message = f"{field} holds token ids, and this model has a tokenizer of its own; send texts"
        raise InputError(message + hint, field=field)


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
    message = (
        "Input should be an object" if first["type"] == "model_type" else first["msg"]
    )  # a class is no caller's word
    if tag := first.get("ctx", {}).get("tag"):  # as long as the caller has made it
        message = message.replace(tag, shorten(tag, 60))
    return shorten(".".join(map(str, (*parents, *first["loc"]))), 100), message
