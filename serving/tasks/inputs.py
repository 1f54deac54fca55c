"""Inputs that are a text or a pair of texts: their checks and their JSON schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from serving.bundle.manifest import Limits
from serving.errors import InputError, InputTooLarge
from serving.tasks.base import Segments, object_schema

PAIR = ("text", "text_pair")

Clip = Annotated[
    int | None,
    Field(
        default=None,
        ge=1,
        description="characters of each text of a pair that are read: time and memory of cutting a pair grow with"
        " the product of both lengths",
    ),
]


def check_text(value: Any, field: str, limits: Limits) -> str:
    """The value as text that can be tokenised; raises InputError naming ``field``, InputTooLarge past a limit."""
    if not isinstance(value, str):
        raise InputError(f"{field} must be a text, found {json_type(value)}", field=field)
    if not value.strip():
        raise InputError(f"{field} is empty; a text needs at least one visible character", field=field)
    limit = limits.max_characters
    if len(value) > limit:
        raise InputTooLarge(f"{field} has {len(value):,} characters; at most {limit:,} are accepted", field=field)
    if not encodable(value):
        raise InputError(f"{field} holds a lone surrogate and cannot be written as UTF-8", field=field)
    return value


def check_object(value: Any, field: str, keys: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """The texts under ``keys`` of an object that has these keys and no others; else InputError."""
    example = ", ".join(f'"{key}": "…"' for key in keys)
    if not isinstance(value, dict):
        raise InputError(f"{field} must be an object {{{example}}}, found {json_type(value)}", field=field)
    if unknown := sorted(value.keys() - set(keys)):
        raise InputError(f"{field}: unknown key {unknown[0]!r}; give {{{example}}}", field=field)
    for key in keys:
        if key not in value:
            raise InputError(f"{field}.{key} is missing; give {{{example}}}", field=f"{field}.{key}")
    return tuple(check_text(value[key], f"{field}.{key}", limits) for key in keys)


def check_segments(value: Any, field: str, limits: Limits, *, pair: bool) -> Segments:
    """A text, or for a model of pairs ``{"text": …, "text_pair": …}``; else InputError."""
    if pair:
        text, text_pair = check_object(value, field, PAIR, limits)
        return text, text_pair
    if isinstance(value, dict) and value.keys() == {"text"}:
        return check_text(value["text"], f"{field}.text", limits)
    return check_text(value, field, limits)


def clip_text(segments: Segments, most: int | None) -> Segments:
    """The texts of a pair, each with at most so many characters; a lone text as it is."""
    return segments if isinstance(segments, str) or most is None else (segments[0][:most], segments[1][:most])


def text_schema(limits: Limits) -> dict[str, Any]:
    """JSON schema of a text within the limits, not all of it white space."""
    return {"type": "string", "minLength": 1, "maxLength": limits.max_characters, "pattern": r"\S"}


def segments_schema(limits: Limits, *, pair: bool) -> dict[str, Any]:
    """JSON schema of what `check_segments` takes."""
    text = text_schema(limits)
    if pair:
        return object_schema(dict.fromkeys(PAIR, text))
    return text


def json_type(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object", str: "a text"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def encodable(text: str) -> bool:
    """Whether UTF-8 can hold it: half of a surrogate pair, which JSON can write, is no character."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
