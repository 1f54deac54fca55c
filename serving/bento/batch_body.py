"""A batch's body: an object as for /predict with many inputs, or JSON lines of inputs."""

from __future__ import annotations

import json
from typing import Any

from serving.bento.batch_limits import BatchLimits
from serving.errors import InputError, InputTooLarge, quote
from serving.protocols.base import parse_parameters
from serving.protocols.hugging_face import require_object
from serving.protocols.json_body import load_json
from serving.protocols.json_lines import JSON_LINES
from serving.protocols.pipeline_parameters import translate
from serving.tasks.base import Task


def to_json(body: bytes, content_type: str, task: Task, limits: BatchLimits) -> bytes:
    """The body as BentoML's method takes it, once every row is checked; raises InputError."""
    if content_type in JSON_LINES:
        content: Any = {"inputs": _lines(body, task, limits)}
    else:
        content = load_json(body, task, task.limits.model_copy(update=_json_limits(limits)))
    check_rows(content, task, limits.rows)
    own = {name: content[name] for name in ("inputs", "parameters") if name in content}
    return json.dumps(own, ensure_ascii=False).encode()


def check_rows(content: Any, task: Task, most: int) -> tuple[list[Any], Any]:
    """The checked rows and parameters; raises InputError that names the row."""
    inputs = require_object(content)["inputs"]
    if not isinstance(inputs, list) or not inputs:
        raise InputError("`inputs` of a batch is a list; a lone input goes to /predict", field="inputs")
    if len(inputs) > most:
        raise InputTooLarge(f"`inputs` holds {len(inputs):,} rows; a batch may hold {most:,}", field="inputs")
    parameters = parse_parameters(translate(content.get("parameters"), task), task.parameters_type)
    return [task.check(each, f"inputs[{index}]") for index, each in enumerate(inputs)], parameters


def _json_limits(limits: BatchLimits) -> dict[str, int]:
    return {"max_inputs": limits.rows, "max_body_bytes": limits.body_bytes}


def _lines(body: bytes, task: Task, limits: BatchLimits) -> list[Any]:
    """Each line's input: a JSON string, or an object with nothing but ``inputs``."""
    rows = []
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            rows.append(_read_line(number, line, task))
        if len(rows) > limits.rows:
            raise InputTooLarge(f"line {number}: a batch may hold {limits.rows:,} rows")
    return rows


def _read_line(number: int, line: bytes, task: Task) -> Any:
    try:
        content = load_json(line, task)
    except InputError as error:
        raise type(error)(f"line {number}: {error}", field=error.field) from error
    if isinstance(content, dict) and "inputs" in content:
        if others := sorted(content.keys() - {"inputs"}):
            hint = "a batch has one set of parameters; send an object with a list of inputs in place of lines"
            raise InputError(f"line {number}: unknown key {quote(others[0])}; {hint}")
        return content["inputs"]
    return content
