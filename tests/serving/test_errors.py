"""What messages quote: values, and the first error of a model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from serving.errors import first_problem, quote, shorten


@pytest.mark.parametrize("value", ["x" * 10**6, [1] * 10**6, 10**4000, {str(key): key for key in range(10**4)}])
def test_long_values(value: Any) -> None:
    """However long a value is, little of it is quoted."""
    assert len(quote(value)) < 100


@pytest.mark.parametrize("value", ["a text 🎉", [2, 1], -1, True, None])
def test_short_values(value: Any) -> None:
    """What is short is quoted whole."""
    assert quote(value) == repr(value)


@pytest.mark.parametrize(("text", "found"), [("abcd", "abcd"), ("abcde", "abc…")])
def test_clipped(text: str, found: str) -> None:
    """What is longer than it may be ends in an ellipsis."""
    assert shorten(text, 4) == found


@pytest.mark.parametrize(
    ("content", "expected"),
    [({"a": {"b": "x"}}, "settings.a.b: Input should be a valid integer"), ([], "settings: Input should be an object")],
)
def test_first_problem(content: Any, expected: str) -> None:
    """A validation error names the field under its prefix, where there is one."""

    class Inner(BaseModel):
        b: int

    class Outer(BaseModel):
        a: Inner

    with pytest.raises(ValidationError) as caught:
        Outer.model_validate_json(json.dumps(content))
    assert first_problem(caught.value, "settings").startswith(expected)
