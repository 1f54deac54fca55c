"""JSON Lines: each line is a body of ``/predict``; all lines run as one request."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from serving.errors import InputError, InputTooLarge
from serving.protocols import hugging_face
from serving.protocols.base import Check, Reply, Request
from serving.tasks.base import Task

JSON_LINES = frozenset({"application/jsonlines", "application/x-jsonlines", "application/jsonl"})
"""The content types; answers have the first."""


def parse(body: bytes, task: Task, check: Check) -> tuple[Request, list[Request]]:
    """All lines as one request, and the request of each; raises InputError naming the line.

    Together they must have one set of parameters, and fit into one request.
    """
    numbered = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    if not numbered:
        raise InputError('the body has no lines; send lines such as {"inputs": "a text"}')
    _require_room(len(numbered), task)  # before parsing: each line holds at least one input
    requests = [_parse_line(number, line, task, check) for number, line in numbered]
    parameters = requests[0].parameters
    for (number, _), request in zip(numbered, requests, strict=True):
        if request.parameters != parameters:
            message = "its parameters are not those of the first line; send it in another request"
            raise InputError(f"line {number}: {message}")
    items = [item for request in requests for item in request.items]
    _require_room(len(items), task)
    return Request(items, False, parameters), requests


def answers(task: Task, reply: Reply, requests: Iterable[Request]) -> list[Any]:
    """Each line's."""
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


def _parse_line(number: int, line: bytes, task: Task, check: Check) -> Request:
    try:
        return hugging_face.parse(line, task, check)
    except InputError as error:
        raise type(error)(f"line {number}: {error}", field=error.field) from error
