"""Feature extraction: vectors of length one unless asked otherwise, cut only where that may be."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from serving.errors import InputError
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionParameters, FeatureExtractionSettings
from tests.serving.tasks.hand_made import LIMITS, encode, row, tokenizer_of

TASK = FeatureExtraction([], FeatureExtractionSettings(dimensions=3), LIMITS)
TOKENIZER = tokenizer_of("BERT", TASK, max_length=8)
SHORT = encode(TOKENIZER, TASK, "the lamp")
CUT = encode(TOKENIZER, TASK, "the lamp is broken, I want my money back")


def vector(*logits: float, **parameters: Any) -> list[float]:
    """The answer to a short text with these logits."""
    return TASK.decode(SHORT, [row(*logits)], FeatureExtractionParameters(**parameters))


def test_normalized() -> None:
    """A vector has length one, as cosines are taken of it."""
    assert vector(3, 0, 4) == pytest.approx([0.6, 0.0, 0.8])
    assert vector(3, 0, 4, normalize=True) == vector(3, 0, 4)


def test_not_normalized() -> None:
    """normalize=false gives the model's own numbers."""
    assert vector(3, 0, 4, normalize=False) == [3.0, 0.0, 4.0]


def test_nothing_to_normalize() -> None:
    """A vector of zeros stays one: no nan, which JSON could not hold."""
    assert vector(0, 0, 0) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("dimensions", "expected"), [(1, [1.0]), (2, [1.0, 0.0]), (3, [0.6, 0.0, 0.8])])
def test_dimensions(dimensions: int, expected: list[float]) -> None:
    """The first so many numbers, which then have length one by themselves."""
    assert vector(3, 0, 4, dimensions=dimensions) == pytest.approx(expected)


def test_dimensions_not_normalized() -> None:
    """Without normalisation the numbers are only fewer."""
    assert vector(3, 0, 4, dimensions=2, normalize=False) == [3.0, 0.0]


def test_too_many_dimensions() -> None:
    """More numbers than there are cannot be had, and both are named."""
    with pytest.raises(InputError, match=r"^dimensions: 4 asked; vectors have 3$"):
        vector(3, 0, 4, dimensions=4)


def test_trained_dimensions() -> None:
    """A Matryoshka model gives the sizes that it was trained and proven for, and the whole vector."""
    task = FeatureExtraction([], FeatureExtractionSettings(dimensions=3, matryoshka_dims=(1,)), LIMITS)
    for size in (1, 3, None):
        answer = task.decode(SHORT, [row(3, 0, 4)], FeatureExtractionParameters(dimensions=size))
        assert len(answer) == (size or 3)
    with pytest.raises(InputError, match=r"^dimensions: 2 asked; this model was trained for 1, 3$"):
        task.decode(SHORT, [row(3, 0, 4)], FeatureExtractionParameters(dimensions=2))
    wrong = FeatureExtraction([], FeatureExtractionSettings(dimensions=3, matryoshka_dims=(1, 3)), LIMITS)
    assert wrong.validate_settings() == "matryoshka_dims: 3 is no size below 3 dimensions"


def test_cut_text() -> None:
    """A text past the window is cut: one window stands for it."""
    assert TASK.truncates(CUT.windows[0])
    assert len(CUT.windows) == 1
    assert TASK.decode(CUT, [row(3, 0, 4)]) == vector(3, 0, 4)


def test_plain_numbers() -> None:
    """Numbers are Python floats that hold exactly the float32 they stand for, so that JSON loses nothing."""
    numbers = vector(1, 2, 3)
    assert {type(number) for number in numbers} == {float}
    assert (np.array(json.loads(json.dumps(numbers)), dtype=np.float32) == np.array(numbers)).all()


def test_no_decision() -> None:
    """Vectors have no decision and no label."""
    assert TASK.decision(vector(1, 2, 3)) == TASK.decision(vector(3, 2, 1))
    assert list(TASK.predicted_labels(vector(1, 2, 3))) == []
    assert TASK.logits_per_window == 3


def test_whole_number() -> None:
    """2.0 is the integer 2, as in JSON schema; what is no number, or no finite one, is none for that."""
    assert type(FeatureExtractionParameters.model_validate({"dimensions": 2.0}).dimensions) is int
    for value in (math.inf, math.nan, True, "2"):
        with pytest.raises(ValidationError):
            FeatureExtractionParameters.model_validate({"dimensions": value})
    with pytest.raises(ValidationError):
        FeatureExtractionParameters.model_validate({"normalize": 1.0})


@pytest.mark.parametrize("values", [{"normalize": 1}, {"dimensions": 0}, {"dimensions": 2.5}, {"prompt_name": "query"}])
def test_parameters_refused(values: dict[str, Any]) -> None:
    """Parameters are typed, and an unknown one is refused rather than ignored."""
    with pytest.raises(ValidationError):
        FeatureExtractionParameters.model_validate(values)
