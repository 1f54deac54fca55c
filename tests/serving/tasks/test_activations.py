"""From logits to scores: sums, orders, and no overflow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.tasks.activations import apply_function, rank_labels
from serving.tasks.base import Logits
from tests.serving.tasks.hand_made import row

FINITE = st.floats(-1e6, 1e6, width=32)
LOGITS = arrays.arrays(np.float32, st.integers(2, 40), elements=FINITE)


def test_sigmoid() -> None:
    """Sigmoid scores each label by itself, without overflow however large the logit."""
    with np.errstate(all="raise", under="ignore"):
        scores = apply_function(row(-1000, -1, 0, 1, 1000), "sigmoid")
    assert scores == pytest.approx([0, 1 / (1 + np.e), 0.5, 1 / (1 + 1 / np.e), 1])


def test_none() -> None:
    """The function `none` gives the logits as they are."""
    assert apply_function(row(-3, 0, 7.5), "none").tolist() == [-3, 0, 7.5]


def test_softmax_large() -> None:
    """Softmax does not overflow however large the logits."""
    with np.errstate(all="raise", under="ignore"):
        assert apply_function(row(1000, 0, -1000), "softmax").tolist() == [1, 0, 0]


def test_softmax_of_tokens() -> None:
    """Of several rows each sums to one by itself."""
    scores = apply_function(np.array([[0, 0], [0, np.log(3)]], dtype=np.float32), "softmax")
    assert scores == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


@given(LOGITS)
def test_softmax_property(logits: Logits) -> None:
    """Softmax scores lie in [0, 1], sum to one and keep the order of the logits."""
    scores = apply_function(logits, "softmax")
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.sum() == pytest.approx(1.0)
    assert (np.diff(scores[np.argsort(logits, kind="stable")]) >= 0).all()


@given(LOGITS)
def test_sigmoid_property(logits: Logits) -> None:
    """Sigmoid scores lie in [0, 1], keep the order of the logits, and of a logit and its negative sum to one."""
    scores = apply_function(logits, "sigmoid")
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.diff(scores[np.argsort(logits, kind="stable")]) >= 0).all()
    assert scores + apply_function(-logits, "sigmoid") == pytest.approx(np.ones(len(logits)))


def test_ranked() -> None:
    """Labels come in the order asked, with their own scores as Python floats."""
    answer = rank_labels(["a", "b", "c"], apply_function(row(1, 2, 3), "none"), [2, 0])
    assert answer == [{"label": "c", "score": 3.0}, {"label": "a", "score": 1.0}]
    assert {type(each["score"]) for each in answer} == {float}
