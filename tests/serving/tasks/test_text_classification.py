"""Text classification: how logits become an answer, and which label is answered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from serving.tasks.activations import LabelScore
from serving.tasks.base import Logits
from serving.tasks.text_classification import (
    TextClassification,
    TextClassificationParameters,
    TextClassificationSettings,
)
from tests.serving.tasks.hand_made import LIMITS, encode, one_row, tokenizer_of

FINITE = st.floats(-1e6, 1e6, width=32)
LOG_3 = float(np.log(3))


def classifier(*labels: str, **settings: Any) -> TextClassification:
    """A task object of its own."""
    return TextClassification(labels, TextClassificationSettings(**settings), LIMITS)


THREE = classifier("first", "second", "third")


def answer(task: TextClassification, *logits: float, **parameters: Any) -> list[LabelScore]:
    """What is answered to these logits."""
    return task.decode(*one_row(*logits), TextClassificationParameters(**parameters))


def labels(task: TextClassification, *logits: float, **parameters: Any) -> list[str]:
    """The labels answered to these logits."""
    return [each["label"] for each in answer(task, *logits, **parameters)]


def scores(task: TextClassification, *logits: float, **parameters: Any) -> dict[str, float]:
    """The score of each label."""
    return {each["label"]: each["score"] for each in answer(task, *logits, **parameters)}


def test_decode_order() -> None:
    """Labels come best first, each with its own score."""
    assert labels(THREE, 1, 3, 2) == ["second", "third", "first"]
    exponentials = np.exp([3.0, 2.0, 1.0])
    assert [each["score"] for each in answer(THREE, 1, 3, 2)] == pytest.approx(list(exponentials / exponentials.sum()))


def test_decode_ties() -> None:
    """Equal scores keep the order of the labels, so that an answer is the same every time."""
    assert labels(THREE, 1, 1, 1) == ["first", "second", "third"]


@pytest.mark.parametrize(("top_k", "expected"), [(1, 1), (2, 2), (3, 3), (4, 3), (10**30, 3), (None, 3)])
def test_decode_top_k(top_k: int | None, expected: int) -> None:
    """top_k gives that many labels, all where it is absent or larger."""
    assert len(answer(THREE, 1, 3, 2, top_k=top_k)) == expected


def test_decode_top_k_scores() -> None:
    """top_k cuts the answer and changes no score."""
    assert answer(THREE, 1, 3, 2, top_k=1) == answer(THREE, 1, 3, 2)[:1]


def test_decode_plain_types() -> None:
    """Scores are Python floats, so that JSON can hold them."""
    assert {type(each["score"]) for each in answer(THREE, 1, 3, 2)} == {float}


@given(arrays.arrays(np.float32, 3, elements=FINITE), st.sampled_from(["softmax", "sigmoid", "none"]))
def test_decode_property(row: Logits, function: str) -> None:
    """Whatever the function, an answer holds every label once and is sorted by score."""
    found = answer(classifier("a", "b", "c"), *row.tolist(), function_to_apply=function)
    assert sorted(each["label"] for each in found) == ["a", "b", "c"]
    values = [each["score"] for each in found]
    assert values == sorted(values, reverse=True)
    assert found[0]["label"] == "abc"[int(row.argmax())] or function != "none"


@pytest.mark.parametrize(
    ("logit", "threshold", "expected"),
    [
        (LOG_3, None, "yes"),  # the probability of yes is 0.75
        (LOG_3, 0.7, "yes"),
        (LOG_3, 0.8, "no"),
        (-LOG_3, None, "no"),  # 0.25
        (-LOG_3, 0.2, "yes"),
        (-LOG_3, 0.3, "no"),
        (0.0, 0.5, "yes"),  # on the threshold
    ],
)
@pytest.mark.parametrize("one_logit", [False, True])
def test_threshold(logit: float, threshold: float | None, expected: str, one_logit: bool) -> None:
    """The second of two labels is answered from its threshold on, told by one logit or by two."""
    task = classifier("no", "yes", threshold=threshold, one_logit=one_logit)
    logits = [logit] if one_logit else [0.0, logit]
    best, other = answer(task, *logits)
    assert best["label"] == task.decision([best, other]) == expected
    assert {best["label"], other["label"]} == {"no", "yes"}
    assert answer(task, *logits, top_k=1) == [best]
    assert scores(task, *logits)["yes"] == pytest.approx(1 / (1 + np.exp(-logit))), "the threshold changes no score"


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_threshold_holds_for_every_function(function: str) -> None:
    """The function changes scores, and never which label is answered."""
    task = classifier("no", "yes", threshold=0.8, one_logit=True)
    assert labels(task, LOG_3, function_to_apply=function) == ["no", "yes"]
    assert labels(task, 2 * LOG_3, function_to_apply=function) == ["yes", "no"]


@pytest.mark.parametrize(
    ("function", "no", "yes"), [("softmax", 0.25, 0.75), ("sigmoid", 0.25, 0.75), ("none", 0.0, LOG_3)]
)
def test_one_logit(function: str, no: float, yes: float) -> None:
    """One logit is the log odds of the second label: its sigmoid is that label's probability."""
    task = classifier("no", "yes", one_logit=True)
    assert task.logits_per_window == 1
    assert scores(task, LOG_3, function_to_apply=function) == pytest.approx({"no": no, "yes": yes}, abs=1e-6)


def test_outcomes() -> None:
    """An answer is counted under its first label alone."""
    assert THREE.predicted_labels(answer(THREE, 1, 3, 2)) == ("second",)


@pytest.mark.parametrize("kind", ["BERT", "RoBERTa", "XLM-R", "DeBERTa"])
def test_pair(kind: str) -> None:
    """A pair is tokenised as its backbone was pretrained: both texts, and the token types of each."""
    task = classifier("no", "yes", pair=True)
    tokenizer = tokenizer_of(kind, task, max_length=12)
    (window,) = encode(tokenizer, task, task.check({"text": "My parcel", "text_pair": "the blue lamp " * 9})).windows
    first, second = (window.sequence_ids.count(side) for side in (0, 1))
    assert 0 < first <= second
    assert len(window.ids) == 12
    types = {
        side: {t for t, s in zip(window.type_ids, window.sequence_ids, strict=True) if s == side} for side in (0, 1)
    }
    assert types == {0: {0}, 1: {0} if kind in ("RoBERTa", "XLM-R") else {1}}


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": 0},
        {"top_k": -1},
        {"top_k": 1.5},
        {"top_k": "3"},
        {"top_k": True},
        {"function_to_apply": "Softmax"},
        {"truncation": True},
    ],
)
def test_parameters_refused(values: dict[str, Any]) -> None:
    """Parameters are what the OpenAPI document says and nothing is guessed: no text for a number, no unknown name."""
    with pytest.raises(ValidationError):
        TextClassificationParameters.model_validate(values)


def test_null_parameters() -> None:
    """A parameter that is null is one that is absent, as clients send those that were not given."""
    assert (
        TextClassificationParameters.model_validate({"top_k": None, "function_to_apply": None})
        == TextClassificationParameters()
    )
