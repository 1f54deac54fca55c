"""Pydantic models for requests, as fast to refuse as to accept."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Element = TypeVar("Element")

FailFastList = Annotated[list[Element], Field(fail_fast=True)]
"""A list whose validation stops at the first error. A million errors would take half a minute."""


class StrictModel(BaseModel):
    """Refuses unknown keys, wrong types, and numbers that are not finite, which Python reads from ``1e999``."""

    # Validators are built when they are first needed: a server needs a few of a hundred.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _as_json(cls, content: Any) -> Any:
        """2.0 is the integer 2, as in JSON schema. Of unknown keys keep one: each would become an error."""
        if not isinstance(content, dict):
            return content
        known = {name: _to_integer(value) for name, value in content.items() if name in cls.model_fields}
        unknown = next((name for name in content if name not in cls.model_fields), None)
        return known if unknown is None else {**known, unknown: content[unknown]}


def _to_integer(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
