"""What cannot be asked of a generating model is refused, by its field's name."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import InputError
from serving.tasks.generation import DecodingParameters


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"min_new_tokens": -1}, "min_new_tokens"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 2, "do_sample": True}, "num_beams"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size"),
        ({"early_stopping": "soon"}, "early_stopping"),
        ({"num_return_sequences": 2}, "num_return_sequences"),
        ({"num_return_sequences": 4, "num_beams": 3}, "num_return_sequences"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"stop": ("a", "")}, "stop"),
    ],
)
def test_refused(settings: dict[str, Any], field: str) -> None:
    """The message names the field, what was found and what is accepted."""
    with pytest.raises(InputError, match=rf"^{field} is .*; accepted: ") as caught:
        DecodingParameters(**settings)
    assert caught.value.field == field


def test_accepted() -> None:
    """The ends of each range, and what goes together."""
    DecodingParameters(top_p=1.0, top_k=0, seed=2**64 - 1, temperature=1e-9, min_new_tokens=0)
    DecodingParameters(num_beams=3, num_return_sequences=3, early_stopping="never")
    DecodingParameters(do_sample=True, num_return_sequences=9, stop=("\n",))
