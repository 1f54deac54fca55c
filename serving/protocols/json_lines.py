"""JSON Lines: each line is a body of ``/predict``; all lines run as one request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from serving.errors import InputError, InputTooLarge
from serving.protocols import hugging_face
from serving.protocols.base import Check, Reply, Request
from serving.tasks.base import Task

JSON_LINES = frozenset({"application/jsonlines", "application/x-jsonlines", "application/jsonl"})
"""The content types; answers have the first."""

Line = Request | InputError
"""An error stands for a line that cannot be answered."""


def parse(body: bytes, task: Task, check: Check, tolerant: bool = False) -> list[Line]:
    """Each line's request. All must have one set of parameters, and fit into one request together.

    Raises InputError naming the line; if ``tolerant``, the error stands in the line's place.
    """
    numbered = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    if not numbered:
        error = InputError('the body has no lines; send lines such as {"inputs": "a text"}')
        return _refuse(error, tolerant)
    _require_room(len(numbered), task)  # before parsing: each line holds at least one input
    lines = [_parse_line(number, line, task, check, tolerant) for number, line in numbered]
    parameters = next((each.parameters for each in lines if isinstance(each, Request)), None)
    for at, (number, _) in enumerate(numbered):
        if isinstance(line := lines[at], Request) and line.parameters != parameters:
            message = "its parameters are not those of the first line; send it in another request"
            lines[at : at + 1] = _refuse(InputError(f"line {number}: {message}"), tolerant)
    return lines


def join(requests: Sequence[Request], task: Task) -> Request:
    """Several, at least one, as one; raises InputError."""
    items = [item for request in requests for item in request.items]
    _require_room(len(items), task)
    return Request(items, False, requests[0].parameters)


def answers(task: Task, reply: Reply, requests: Iterable[Request]) -> list[Any]:
    """Each request's of a reply to all."""
    found, start = [], 0
    for request in requests:
        stop = start + len(request.items)
        found.append(hugging_face.render(task, request, reply[start:stop]))
        start = stop
    return found


def render(rows: Iterable[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _require_room(inputs: int, task: Task) -> None:
    if inputs > task.limits.max_inputs:
        raise InputTooLarge(f"the lines hold {inputs:,} inputs; a request may hold {task.limits.max_inputs:,}")


def _parse_line(number: int, line: bytes, task: Task, check: Check, tolerant: bool) -> Line:
    try:
        return hugging_face.parse(line, task, check)
    except InputError as error:
        return _refuse(type(error)(f"line {number}: {error}", field=error.field), tolerant)[0]


def _refuse(error: InputError, tolerant: bool) -> list[Line]:
    if not tolerant:
        raise error
    return [error]
