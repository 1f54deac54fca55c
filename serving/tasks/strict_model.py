"""What callers give, as models: strict, and no slower to refuse than to accept."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import chain, islice
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Element = TypeVar("Element")

FailFastList = Annotated[list[Element], Field(fail_fast=True)]
"""A list that is given up at its first bad element: an error for each of a million takes half a minute."""


class StrictModel(BaseModel):
    """A part of a request that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _as_json(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {name: _whole(content[name]) for name in _told(content, cls.model_fields)}


def _whole(value: Any) -> Any:
    """2.0 is the integer 2, as in JSON schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _told(content: dict[str, Any], known: Container[str]) -> Iterable[str]:
    """All known keys and one unknown: for each there would be an error, and only one is told."""
    unknown = islice((name for name in content if name not in known), 1)
    return chain((name for name in content if name in known), unknown)
