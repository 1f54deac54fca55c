"""Whether a value keeps to a JSON schema, of the words that the schemas of answers use."""

from __future__ import annotations

from typing import Any

from serving.errors import quote

_TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list, "object": dict, "string": str, "number": (int, float), "integer": int,
}  # fmt: skip


def find_mismatch(value: Any, schema: dict[str, Any], path: str = "the answer") -> str:
    """The first, with its place; empty if there is none."""
    if branches := schema.get("oneOf"):
        found = [find_mismatch(value, each, path) for each in branches]
        return "" if "" in found else found[0]
    if isinstance(value, bool) or not isinstance(value, _TYPES[schema["type"]]):
        return f"{path} is {quote(value)}, and no {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{path} is {quote(value)}, and none of {', '.join(map(str, schema['enum'][:20]))}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{path} is {value}, and below {schema['minimum']}"
    if isinstance(value, dict):
        return _find_in_object(value, schema, path)
    if isinstance(value, list):
        parts = (find_mismatch(each, schema["items"], f"{path}[{at}]") for at, each in enumerate(value))
        return next(filter(None, parts), "")
    return ""


def _find_in_object(value: dict[str, Any], schema: dict[str, Any], path: str) -> str:
    properties = schema["properties"]
    if lacking := [name for name in schema["required"] if name not in value]:
        return f"{path} has no {lacking[0]!r}"
    if unknown := [name for name in value if name not in properties]:
        return f"{path} has {unknown[0]!r}, which is none of {', '.join(properties)}"
    parts = (find_mismatch(value[name], properties[name], f"{path}.{name}") for name in value)
    return next(filter(None, parts), "")
