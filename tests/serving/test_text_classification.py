"""Text classification: which texts are accepted, and how logits become an answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from serving.errors import InputError, InputTooLarge
from serving.tasks.text_classification import Logits, Parameters, TextClassification, apply_function

FINITE = st.floats(-1e6, 1e6, width=32)
LOGITS = arrays.arrays(np.float32, st.integers(2, 40), elements=FINITE)


def logits(*values: float) -> Logits:
    """One row of logits."""
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    "text", ["a", "?", " padded ", "я", "我的卡", "👍🏽", "\x00", "x" * 100_000, "é" * 100_000, "\ufeff", "\u200b"]
)
def test_check_accepts(task: TextClassification, text: str) -> None:
    """Any text with something in it is given back as it is."""
    assert task.check(text) is text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "null"),
        (True, "a boolean"),
        (3, "a number"),
        (2.5, "a number"),
        ([], "a list"),
        (["a"], "a list"),
        ({}, "an object"),
        (b"bytes", "bytes"),
    ],
)
def test_check_not_a_text(task: TextClassification, value: Any, found: str) -> None:
    """Anything but a text is refused by its JSON name, and the field is named."""
    with pytest.raises(InputError, match=rf"^inputs\[2\] must be a text, found {found}$") as caught:
        task.check(value, "inputs[2]")
    assert caught.value.field == "inputs[2]"


@pytest.mark.parametrize("text", ["", " ", "\n\t\r ", "\u00a0\u2003\u3000", "\x1f\x85"])
def test_check_empty(task: TextClassification, text: str) -> None:
    """A text of nothing but white space is refused."""
    with pytest.raises(InputError, match=r"^inputs is empty; a text needs at least one visible character$"):
        task.check(text)


@pytest.mark.parametrize("text", ["\ud800", "before \udfff after", "é\udc00"])
def test_check_surrogate(task: TextClassification, text: str) -> None:
    """A lone surrogate, which JSON can escape and UTF-8 cannot hold, is refused."""
    with pytest.raises(InputError, match=r"^inputs holds a lone surrogate"):
        task.check(text)


def test_check_too_long(task: TextClassification) -> None:
    """A text past the limit is refused with both numbers, and is told from other mistakes."""
    with pytest.raises(InputTooLarge, match=r"^inputs has 100,001 characters; at most 100,000 are accepted$"):
        task.check("x" * 100_001)


def test_decode_order(task: TextClassification) -> None:
    """Labels come best first, each with its own score."""
    first, second, third = task.manifest.labels
    answer = task.decode(logits(1, 3, 2))
    assert [each["label"] for each in answer] == [second, third, first]
    exponentials = np.exp([3.0, 2.0, 1.0])
    assert [each["score"] for each in answer] == pytest.approx(list(exponentials / exponentials.sum()))


def test_decode_ties(task: TextClassification) -> None:
    """Equal scores keep the order of the labels, so that an answer is the same every time."""
    assert [each["label"] for each in task.decode(logits(1, 1, 1))] == task.manifest.labels


@pytest.mark.parametrize(("top_k", "expected"), [(1, 1), (2, 2), (3, 3), (4, 3), (10**30, 3), (None, 3)])
def test_decode_top_k(task: TextClassification, top_k: int | None, expected: int) -> None:
    """top_k gives that many labels, all where it is absent or larger."""
    assert len(task.decode(logits(1, 3, 2), Parameters(top_k=top_k))) == expected


def test_decode_top_k_scores(task: TextClassification) -> None:
    """top_k cuts the answer and changes no score."""
    whole = task.decode(logits(1, 3, 2))
    assert task.decode(logits(1, 3, 2), Parameters(top_k=1)) == whole[:1]


def test_decode_plain_types(task: TextClassification) -> None:
    """Scores are Python floats, so that JSON can hold them."""
    assert {type(each["score"]) for each in task.decode(logits(1, 3, 2))} == {float}


def test_sigmoid() -> None:
    """Sigmoid scores each label by itself, without overflow however large the logit."""
    with np.errstate(all="raise", under="ignore"):
        scores = apply_function(logits(-1000, -1, 0, 1, 1000), "sigmoid")
    assert scores == pytest.approx([0, 1 / (1 + np.e), 0.5, 1 / (1 + 1 / np.e), 1])


def test_none() -> None:
    """The function `none` gives the logits as they are."""
    assert apply_function(logits(-3, 0, 7.5), "none").tolist() == [-3, 0, 7.5]


def test_softmax_large() -> None:
    """Softmax does not overflow however large the logits."""
    with np.errstate(all="raise", under="ignore"):
        assert apply_function(logits(1000, 0, -1000), "softmax").tolist() == [1, 0, 0]


@given(LOGITS)
def test_softmax_property(row: Logits) -> None:
    """Softmax scores lie in [0, 1], sum to one and keep the order of the logits."""
    scores = apply_function(row, "softmax")
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.sum() == pytest.approx(1.0)
    assert (np.diff(scores[np.argsort(row, kind="stable")]) >= 0).all()


@given(LOGITS)
def test_sigmoid_property(row: Logits) -> None:
    """Sigmoid scores lie in [0, 1], keep the order of the logits, and of a logit and its negative sum to one."""
    scores = apply_function(row, "sigmoid")
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.diff(scores[np.argsort(row, kind="stable")]) >= 0).all()
    assert scores + apply_function(-row, "sigmoid") == pytest.approx(np.ones(len(row)))


@given(arrays.arrays(np.float32, 3, elements=FINITE), st.sampled_from(["softmax", "sigmoid", "none"]))
def test_decode_property(row: Logits, function: str) -> None:
    """Whatever the function, an answer holds every label once and is sorted by score."""
    manifest = type("Manifest", (), {"labels": ["a", "b", "c"]})
    answer = TextClassification(manifest).decode(row, Parameters.model_validate({"function_to_apply": function}))  # type: ignore[arg-type]
    assert sorted(each["label"] for each in answer) == ["a", "b", "c"]
    scores = [each["score"] for each in answer]
    assert scores == sorted(scores, reverse=True)
    assert answer[0]["label"] == "abc"[int(row.argmax())] or function != "none"


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": 0},
        {"top_k": -1},
        {"top_k": 1.5},
        {"top_k": "3"},
        {"top_k": True},
        {"function_to_apply": "Softmax"},
        {"function_to_apply": None},
        {"truncation": True},
    ],
)
def test_parameters_refused(values: dict[str, Any]) -> None:
    """Parameters are what the OpenAPI document says and nothing is guessed: no text for a number, no unknown name."""
    with pytest.raises(ValidationError):
        Parameters.model_validate(values)
