"""A request's body as JSON, within bounds on what it costs to read."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from serving.bundle.manifest import Limits
from serving.errors import InputError, InputTooLarge, MalformedInput, quote
from serving.tasks.base import Task
from serving.tasks.inputs import encodable

MAX_VALUES = 16_384
"""JSON values of a body, besides some for each input. Millions would take a second and a hundred megabytes to build."""

VALUES_PER_INPUT = 16

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""As JSON writes half of a character past U+FFFF; alone, it is none."""


def load_json(body: bytes, task: Task, limits: Limits | None = None) -> Any:
    """Within the task's limits, or other ones.

    Raises MalformedInput, InputTooLarge past the limits of bytes and values, InputError for a lone surrogate.
    """
    limits = limits or task.limits
    limit = limits.max_body_bytes
    if len(body) > limit:
        raise InputTooLarge(f"the body has {len(body):,} bytes; at most {limit:,} are accepted")
    _require_few_values(body, MAX_VALUES + VALUES_PER_INPUT * limits.max_inputs)
    try:
        content = json.loads(body.decode("utf-8-sig"))
        _require_encodable(body, content)
    except UnicodeDecodeError as error:
        found = name_encoding(body)
        why = f"it is {found}" if found else f"byte {error.start} is 0x{body[error.start]:02x}"
        raise MalformedInput(f"the body is not UTF-8: {why}") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        found = name_encoding(body)
        hint = f"; it looks like {found}, and UTF-8 is accepted" if found else ""
        hint = hint or ("; it ends with a NUL byte" if body.endswith(b"\0") else "")
        raise MalformedInput(f"the body is not valid JSON: {error}{hint}") from error
    return content


def name_encoding(content: bytes) -> str:
    """UTF-16 or UTF-32, by the byte order mark or the NULs of an ASCII beginning; empty if it is neither."""
    marks = {"UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)}
    for name, both in marks.items():
        if content.startswith(both):
            return name
    zeros = "".join("0" if byte == 0 else "x" for byte in content[:4])
    return {"x000": "UTF-32", "000x": "UTF-32", "x0x0": "UTF-16", "0x0x": "UTF-16"}.get(zeros, "")


def count_values(body: bytes, most: int) -> int:
    """At least so many as the body's JSON has, if not more than ``most``: without building them."""
    if len(body) <= most:
        return len(body)
    outside = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if (quotes := outside.count(b'"')) > 2 * most:
        return quotes // 2
    parts = outside.split(b'"')[::2]
    return 1 + sum(part.count(sign) for part in parts for sign in (b",", b"[", b"{"))


def _require_few_values(body: bytes, most: int) -> None:
    if count_values(body, most) > most:
        raise InputTooLarge(f"the body holds more than {most:,} JSON values; send fewer inputs in a request")


def _require_encodable(body: bytes, content: Any) -> None:
    if SURROGATE.search(body) and (field := next(_lone_surrogates(content, ""), None)) is not None:
        field = field or "the body"
        raise InputError(f"{field} holds a lone surrogate and cannot be written as UTF-8", field=field)


def _lone_surrogates(content: Any, field: str) -> Iterator[str]:
    """Names of texts that are no Unicode."""
    if isinstance(content, str) and not encodable(content):
        yield field
    elif isinstance(content, list):
        for index, each in enumerate(content):
            yield from _lone_surrogates(each, f"{field}[{index}]")
    elif isinstance(content, dict):
        for key, each in content.items():
            if not encodable(key):
                yield f"the key {quote(key)} of {field or 'the body'}"
            yield from _lone_surrogates(each, f"{field}.{key}" if field else key)
