"""Google's own descriptions of its APIs, as google-api-python-client has them, and what of a body they do not know."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.paths import ROOT

FOLDER = "lib/python3.*/site-packages/googleapiclient/discovery_cache/documents"
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict,
}  # fmt: skip


def documents() -> list[Path]:
    """Empty where `make validators` was not run."""
    return list((ROOT / ".venv-validators").glob(FOLDER))


MISSING = "" if documents() else "there are no validators: make validators"


def problems(api: str, schema: str, content: Any, where: str = "") -> Iterator[str]:
    """Of a body of this schema: unknown fields, and values of another type."""
    yield from _problems(_schemas(api), {"$ref": schema}, content, where or schema)


def _problems(schemas: Mapping[str, Any], schema: Mapping[str, Any], content: Any, where: str) -> Iterator[str]:
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type", "any")
    if kind in TYPES and not isinstance(content, TYPES[kind]):
        yield f"{where}: {content!r} is no {kind}"
    elif kind == "array":
        for number, each in enumerate(content):
            yield from _problems(schemas, schema["items"], each, f"{where}[{number}]")
    elif kind == "object":
        for name, value in content.items():
            known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if known is None:
                yield f"{where}: has no field {name}"
            else:
                yield from _problems(schemas, known, value, f"{where}.{name}")
    if "enum" in schema and content not in schema["enum"]:
        yield f"{where}: {content!r} is none of {schema['enum']}"


@functools.cache
def _schemas(api: str) -> dict[str, Any]:
    schemas: dict[str, Any] = json.loads((documents()[0] / f"{api}.json").read_text())["schemas"]
    return schemas
