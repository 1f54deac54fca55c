"""Generation parameters: values out of range or in contradiction are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from serving.errors import InputError
from serving.tasks.generation import GenerationParameters


@pytest.mark.parametrize(
    "settings",
    [
        {"max_new_tokens": 0},
        {"min_new_tokens": -1},
        {"num_beams": 0},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"repetition_penalty": 0.0},
        {"no_repeat_ngram_size": -1},
        {"early_stopping": "soon"},
        {"seed": -1},
        {"seed": 2**64},
        {"max_new_tokens": 65_537},
        {"min_new_tokens": 65_537},
        {"length_penalty": 5.1},
        {"length_penalty": -5.1},
        {"repetition_penalty": 0.009},
        {"repetition_penalty": 101.0},
        {"temperature": float("inf")},
        {"stop": ["a" * 1001]},
        {"stop": ["a"] * 17},
        {"stop": ["a", ""]},
    ],
    ids=str,
)
def test_out_of_range(settings: dict[str, Any]) -> None:
    """The model itself refuses a value outside its field's range."""
    with pytest.raises(ValidationError) as caught:
        GenerationParameters(**settings)
    assert {each["loc"][0] for each in caught.value.errors()} == settings.keys()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"num_beams": 2, "do_sample": True}, "num_beams"),
        ({"num_return_sequences": 2}, "num_return_sequences"),
        ({"num_return_sequences": 4, "num_beams": 3}, "num_return_sequences"),
        ({"max_new_tokens": 4097, "num_beams": 16}, "max_new_tokens"),
        ({"max_new_tokens": 4097, "num_return_sequences": 16, "do_sample": True}, "max_new_tokens"),
    ],
    ids=str,
)
def test_inconsistent(settings: dict[str, Any], field: str) -> None:
    """Contradictions: the message names the field, its value and what is accepted."""
    with pytest.raises(InputError, match=rf"^{field} is .*; accepted: ") as caught:
        GenerationParameters(**settings).require_consistent()
    assert caught.value.field == field


@pytest.mark.parametrize(
    "settings",
    [
        {"top_p": 1.0, "top_k": 0, "seed": 2**64 - 1, "temperature": 1e-9, "min_new_tokens": 0},
        {"num_beams": 3, "num_return_sequences": 3, "early_stopping": "never"},
        {"do_sample": True, "num_return_sequences": 9, "stop": ["\n"]},
        {"max_new_tokens": 4096, "num_beams": 16, "length_penalty": -5.0, "repetition_penalty": 100.0},
        {"max_new_tokens": 65_536, "length_penalty": 5.0, "stop": ["a" * 1000] * 16},
    ],
    ids=str,
)
def test_accepted(settings: dict[str, Any]) -> None:
    """The limits of each range, and consistent combinations."""
    GenerationParameters(**settings).require_consistent()
