"""JSON schemas of ``/explain``."""

from __future__ import annotations

from typing import Any

from serving.explain.parameters import ExplainParameters
from serving.explain.targets import unsupported_reason
from serving.protocols.hugging_face import request_schema
from serving.tasks.base import Task, object_schema

Json = dict[str, Any]


def schemas(task: Task) -> dict[str, Json]:
    if unsupported_reason(task):
        return {}
    parameters = ExplainParameters.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Json] = parameters.pop("$defs", {})
    asked = request_schema(task.input_schema(), parameters)
    return {**parts, "Explain": asked, "Explanation": _explanation()}


def _explanation() -> Json:
    number, count, text, flag = ({"type": kind} for kind in ("number", "integer", "string", "boolean"))
    place = {"start": count, "end": count}
    target = object_schema({"label": text, **place, "score": number}, ["label", "score"])
    token = {"field": text, **place, "word": text, "score": number}
    properties = {
        "method": text,
        "output": text,
        "granularity": text,
        "target": target,
        "base_value": {**number, "description": "the target's score with everything masked"},
        "additivity_gap": {**number, "description": "target's score - base value - the sum of the tokens' scores"},
        "exact": {**flag, "description": "whether these are Shapley values themselves, not estimates"},
        "replacement": object_schema({"kind": text, "token": text}),
        "rows": {**count, "description": "rows of the graph that this cost"},
        "units_hidden_together": {**count, "description": "above 1: a long text's units share their blocks' scores"},
        "truncated": {**flag, "description": "whether one end of the text was not read at all"},
        "tokens": {"type": "array", "items": object_schema({**token, "standard_error": number}, list(token))},
    }
    return object_schema(properties)
