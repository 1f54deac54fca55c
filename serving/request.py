"""A request body to checked texts and parameters, in the Hugging Face inference shape; and errors back to a body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from serving.errors import InputError, InputTooLarge, MalformedInput
from serving.tasks.text_classification import Parameters, TextClassification

ACCEPTED = {"inputs", "parameters"}


@dataclass(frozen=True)
class Request:
    """What a caller asks: checked texts, and what to do with their logits."""

    texts: list[str]
    parameters: Parameters


def parse(body: bytes, task: TextClassification) -> Request:
    """Read ``{"inputs": "…" | ["…", …], "parameters": {…}}``.

    Raises:
        MalformedInput: the body is not UTF-8 or not JSON.
        InputTooLarge: the body, the number of texts or a text is past the bundle's limits.
        InputError: the shape is wrong, a key is unknown, or a text cannot be answered.
    """
    limit = task.manifest.limits.max_body_bytes
    if len(body) > limit:
        raise InputTooLarge(f"the body has {len(body):,} bytes; at most {limit:,} are accepted")
    content = _require_object(_load(body))
    return Request(_texts(content["inputs"], task), _parameters(content.get("parameters"), task))


def _load(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except UnicodeDecodeError as error:
        raise MalformedInput(f"the body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"the body is not valid JSON: {error}") from error


def _require_object(content: Any) -> dict[str, Any]:
    example = 'send {"inputs": "a text"} or {"inputs": ["a text", "another"]}'
    if not isinstance(content, dict) or "inputs" not in content:
        raise InputError(f"the body has no `inputs`; {example}", field="inputs")
    if unknown := sorted(content.keys() - ACCEPTED):
        raise InputError(f"unknown key {unknown[0]!r}; accepted are `inputs` and `parameters`", field=unknown[0])
    return content


def _texts(inputs: Any, task: TextClassification) -> list[str]:
    if not isinstance(inputs, list):
        return [task.check(inputs)]
    limit = task.manifest.limits.max_inputs
    if not inputs:
        raise InputError("`inputs` is an empty list; send at least one text", field="inputs")
    if len(inputs) > limit:
        raise InputTooLarge(f"`inputs` holds {len(inputs):,} texts; a request may hold {limit}", field="inputs")
    return [task.check(text, f"inputs[{index}]") for index, text in enumerate(inputs)]


def _parameters(parameters: Any, task: TextClassification) -> Parameters:
    try:
        return task.parameters.model_validate({} if parameters is None else parameters)
    except ValidationError as error:
        raise InputError(_explain(error, task), field="parameters") from error


def _explain(error: ValidationError, task: TextClassification) -> str:
    first = error.errors()[0]
    field = ".".join(["parameters", *(str(part) for part in first["loc"])])
    known = ", ".join(task.parameters.model_fields)
    return f"{field}: {first['msg']}; accepted parameters: {known}"
