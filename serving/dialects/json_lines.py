"""Lines of JSON, each a request in Hugging Face's shape, answered line by line: one request to the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from serving.errors import InputError, InputTooLarge
from serving.request import Check, Reply, Request
from serving.request import parse as parse_one
from serving.tasks.base import Task

JSON_LINES = frozenset({"application/jsonlines", "application/x-jsonlines", "application/jsonl"})
"""Their content types; answers have the first."""

Lone = bool


def parse(body: bytes, task: Task, check: Check) -> tuple[Request, list[tuple[int, Lone]]]:
    """All lines as one request, and of each line how many inputs it holds and whether it is a lone one.

    Raises InputError, or what is under it, naming the line: what a request may not be, no line may; and all lines have
    the same parameters, and together no more inputs than a request may hold.
    """
    numbered = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    requests = [_line(number, line, task, check) for number, line in numbered]
    if not requests:
        raise InputError('the body has no lines; send lines such as {"inputs": "a text"}')
    parameters = requests[0].parameters
    for (number, _), request in zip(numbered, requests, strict=True):
        if request.parameters != parameters:
            raise InputError(f"line {number}: its parameters are not those of the first line; send them apart")
    items = [item for request in requests for item in request.items]
    if len(items) > task.limits.max_inputs:
        raise InputTooLarge(f"the lines hold {len(items):,} inputs; a request may hold {task.limits.max_inputs:,}")
    return Request(items, False, parameters), [(len(request.items), request.lone) for request in requests]


def render(task: Task, reply: Reply, lines: Sequence[tuple[int, Lone]]) -> bytes:
    """A line of answers for each line."""
    answers = iter(reply.answers)
    written = [_answered([next(answers) for _ in range(count)], lone, task) for count, lone in lines]
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in written).encode()


def _line(number: int, line: bytes, task: Task, check: Check) -> Request:
    try:
        return parse_one(line, task, check)
    except InputError as error:
        raise type(error)(f"line {number}: {error}", field=error.field) from error


def _answered(answers: list[Any], lone: Lone, task: Task) -> Any:
    return answers[0] if lone and not task.lone_answer_in_list else answers
