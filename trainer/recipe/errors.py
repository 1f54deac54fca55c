"""Messages about an invalid recipe: the key, its value, what is accepted, the nearest name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from serving.errors import did_you_mean

Schema = dict[str, Any]


def explain(error: ValidationError, schema: Schema) -> str:
    return list_problems(list(dict.fromkeys(_problem(item, schema) for item in error.errors())))


def list_problems(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} problems in the recipe\n" + "\n".join(f"  {problem}" for problem in problems)


def _problem(item: Any, schema: Schema) -> str:
    keys = [str(key) for key in item["loc"]]
    if item["type"] == "extra_forbidden":
        return _unknown(keys, schema)
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    path, field = _field(keys, schema)
    name = ".".join(path) or "the recipe"
    problem = "missing" if item["type"] == "missing" else f"{_format_value(item['input'])} is not accepted"
    meant = did_you_mean(str(item["input"]), _words(field)) if item["type"] == "literal_error" else ""
    return f"{name}: {problem}; give {accepted_values(field, schema)}{_description(field)}{meant}"


def _words(field: Schema) -> list[str]:
    """The texts that a field accepts."""
    branches = [field, *field.get("anyOf", [])]
    return [word for each in branches for word in (*each.get("enum", ()), each.get("const")) if isinstance(word, str)]


def _unknown(keys: list[str], schema: Schema) -> str:
    name, parents = keys[-1], keys[:-1]
    siblings = list(_properties(_field(parents, schema)[1], schema))
    found = _find_key(name, schema)
    hint = f"; did you mean {found[0]}?" if found else did_you_mean(name, siblings, 0.5)
    return f"{'.'.join(keys)}: unknown key{hint} (known here: {', '.join(siblings)})"


def _find_key(name: str, schema: Schema) -> list[str]:
    """Such as training.seed for a seed at the top."""
    sections = {section: _properties(field, schema) for section, field in schema["properties"].items()}
    inside = [f"{section}.{name}" for section, fields in sections.items() if name in fields]
    return [name] if name in schema["properties"] else inside


def _field(keys: list[str], schema: Schema) -> tuple[list[str], Schema]:
    """The longest part of ``keys`` that names a field; pydantic appends the branches of unions."""
    path: list[str] = []
    field = schema
    for key in keys:
        properties = _properties(field, schema)
        if key not in properties:
            break
        path, field = [*path, key], properties[key]
    return path, field


def _properties(field: Schema, schema: Schema) -> dict[str, Schema]:
    if "$ref" in field:
        field = schema["$defs"][field["$ref"].rsplit("/", 1)[1]]
    properties: dict[str, Schema] = field.get("properties", {})
    return properties


def accepted_values(field: Schema, schema: Schema) -> str:
    """What a field accepts, in words."""
    if "anyOf" in field:
        return " or ".join(accepted_values(branch, schema) for branch in field["anyOf"])
    if "enum" in field:
        return "one of " + ", ".join(field["enum"])
    if "const" in field:
        return str(field["const"])
    if _properties(field, schema):
        return "a mapping with " + ", ".join(_properties(field, schema))
    kind = str(field.get("type", ""))
    if kind == "array" and "enum" in field.get("items", {}):
        return "a list of them"
    if kind == "array" and field.get("items", {}).get("type") == "integer":
        return "a list of whole numbers"
    if isinstance(field.get("additionalProperties"), dict):
        return f"a mapping from names to {accepted_values(field['additionalProperties'], schema)}"
    words = {"string": "text", "boolean": "true or false", "null": "null", "array": "a list of text"}
    if kind in ("number", "integer"):
        return ("a whole number" if kind == "integer" else "a number") + _bounds(field)
    return words.get(kind, kind)


def _bounds(field: Schema) -> str:
    words = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    bounds = [f"{word} {_format_value(field[key])}" for key, word in words.items() if key in field]
    return " " + ", ".join(bounds) if bounds else ""


def _description(field: Schema) -> str:
    return f" ({field['description']})" if "description" in field else ""


def _format_value(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
