"""Lines of JSON, each a body as ``/predict`` takes it, answered line by line: one request to the model."""

from __future__ import annotations

import json
from collections.abc import Iterable

from serving.errors import InputError, InputTooLarge
from serving.protocols import hugging_face as predict
from serving.protocols.base import Check, Reply, Request
from serving.tasks.base import Task

JSON_LINES = frozenset({"application/jsonlines", "application/x-jsonlines", "application/jsonl"})
"""Their content types; answers have the first."""


def parse(body: bytes, task: Task, check: Check) -> tuple[Request, list[Request]]:
    """All lines as one request, and the request of each.

    Raises InputError, or what is under it, naming the line: what a request may not be, no line may; and all lines have
    the same parameters, and together no more inputs than a request may hold.
    """
    numbered = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    if not numbered:
        raise InputError('the body has no lines; send lines such as {"inputs": "a text"}')
    _require_room(len(numbered), task)  # each holds one at least: no more than these are read
    requests = [_line(number, line, task, check) for number, line in numbered]
    parameters = requests[0].parameters
    for (number, _), request in zip(numbered, requests, strict=True):
        if request.parameters != parameters:
            raise InputError(f"line {number}: its parameters are not those of the first line; send them apart")
    items = [item for request in requests for item in request.items]
    _require_room(len(items), task)
    return Request(items, False, parameters), requests


def render(task: Task, reply: Reply, requests: Iterable[Request]) -> bytes:
    """A line of answers for each line, in the shape that it asks in."""
    written, start = [], 0
    for request in requests:
        stop = start + len(request.items)
        part = Reply(reply.encoded[start:stop], reply.results[start:stop], reply.answers[start:stop])
        written.append(json.dumps(predict.render(task, request, part), ensure_ascii=False) + "\n")
        start = stop
    return "".join(written).encode()


def _require_room(inputs: int, task: Task) -> None:
    if inputs > task.limits.max_inputs:
        raise InputTooLarge(f"the lines hold {inputs:,} inputs; a request may hold {task.limits.max_inputs:,}")


def _line(number: int, line: bytes, task: Task, check: Check) -> Request:
    try:
        return predict.parse(line, task, check)
    except InputError as error:
        raise type(error)(f"line {number}: {error}", field=error.field) from error
