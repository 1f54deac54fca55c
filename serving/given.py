"""What callers give, as models: strict, and no slower to refuse than to accept."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Element = TypeVar("Element")

Listed = Annotated[list[Element], Field(fail_fast=True)]
"""A list that is given up at its first bad element: an error for each of a million takes half a minute."""


class Given(BaseModel):
    """A part of a request that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _one_unknown_key(cls, content: Any) -> Any:
        """Without all unknown keys but the first: for each there would be an error, and only one is told."""
        known = cls.model_fields
        if not isinstance(content, dict) or len(content) <= len(known):
            return content
        unknown = islice((name for name in content if name not in known), 1)
        return {name: content[name] for name in (*(name for name in known if name in content), *unknown)}
