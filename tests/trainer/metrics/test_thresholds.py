"""Thresholds: the best there are for the dev rows, rare labels together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from trainer.metrics.thresholds import MIN_POSITIVES, best_accuracy_threshold, best_threshold, best_thresholds

Search = Callable[[Any, Any], float]
Figure = Callable[[Any, Any], float]

# Few distinct values make ties; neighbours of 0.5 leave no number in between.
SCORE = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, float(np.nextafter(0.5, 1)), float(np.nextafter(1.0, 0)), 5e-324]),
    st.floats(0, 1),
    st.floats(0, 1, width=32),
)


def f1s(truth: Any, answered: Any) -> NDArray[Any]:
    """Each column's F1, 0 where nothing is true nor answered."""
    wanted, given = np.asarray(truth) == 1, np.asarray(answered) == 1
    total = wanted.sum(axis=0) + given.sum(axis=0)
    return np.asarray(2 * (wanted & given).sum(axis=0) / np.maximum(total, 1))


def f1(truth: Any, answered: Any) -> float:
    return float(f1s(truth, answered))


def macro_f1(truth: NDArray[Any], answered: NDArray[Any]) -> float:
    return float(f1s(truth, answered).mean())


def accuracy(truth: Any, answered: Any) -> float:
    return float(np.mean(np.asarray(truth) == answered))


def test_the_yardstick() -> None:
    """What these tests measure F1 by is F1 as scikit-learn has it."""
    truth, answered = np.random.default_rng(0).integers(0, 2, size=(2, 20, 5))
    answered[:, 0] = truth[:, 0] = 0
    assert f1s(truth, answered) == pytest.approx(f1_score(truth, answered, average=None, zero_division=0))


SEARCHES = pytest.mark.parametrize(("search", "figure"), [(best_threshold, f1), (best_accuracy_threshold, accuracy)])


@SEARCHES
@given(rows=st.lists(st.tuples(SCORE, st.booleans()), min_size=1, max_size=8))
@settings(deadline=None)
def test_best(search: Search, figure: Figure, rows: list[tuple[float, bool]]) -> None:
    """No threshold from 0 to 1 is better on the rows given, and so 0.5 is not."""
    scores, truth = np.array([score for score, _ in rows]), np.array([label for _, label in rows])
    threshold = search(scores, truth)
    assert 0.0 <= threshold <= 1.0
    tried = {0.0, 0.5, 1.0, *scores, *(np.nextafter(score, 1) for score in scores)}
    assert figure(truth, scores >= threshold) >= max(figure(truth, scores >= other) for other in tried) - 1e-12


@SEARCHES
def test_midpoint(search: Search, figure: Figure) -> None:
    """A threshold lies half-way between the scores that it parts, so that small differences change no answer."""
    assert search([0.1, 0.2, 0.6, 0.9], [0, 0, 1, 1]) == pytest.approx(0.4)
    assert search([0.9, 0.1, 0.6, 0.2], [True, False, True, False]) == pytest.approx(0.4)


@SEARCHES
def test_ends(search: Search, figure: Figure) -> None:
    """At the ends 0 and 1 stand for the neighbouring score."""
    assert search([0.4, 0.6], [1, 1]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("search", "figure", "scores", "truth", "equal"),
    [
        (best_threshold, f1, [0.95, 0.85, 0.8, 0.7, 0.1], [1, 0, 0, 1, 0], 2 / 3),
        (best_accuracy_threshold, accuracy, [0.95, 0.85, 0.7, 0.1], [1, 0, 1, 0], 3 / 4),
    ],
)
def test_ties(search: Search, figure: Figure, scores: list[float], truth: list[int], equal: float) -> None:
    """Of equally good thresholds, here 0.9 and 0.4, the one nearest to 0.5 is taken."""
    assert [figure(truth, np.array(scores) >= threshold) for threshold in (0.9, 0.4)] == pytest.approx([equal, equal])
    assert search(scores, truth) == pytest.approx(0.4)


def test_no_positive() -> None:
    """Without a positive row every threshold has an F1 of 0, and 0.5 stays."""
    assert best_threshold([0.1, 0.9], [0, 0]) == 0.5
    assert best_thresholds([[0.1, 0.2], [0.9, 0.3]], [[0, 0], [0, 0]]).tolist() == [0.5, 0.5]


def test_always_no() -> None:
    """Where no is always right, accuracy's threshold is above every score, if one up to 1 is."""
    assert best_accuracy_threshold([0.2, 0.6], [0, 0]) == pytest.approx(0.8)
    assert best_accuracy_threshold([0.2, 1.0], [0, 0]) == pytest.approx(0.6)


TABLE = st.integers(2, 3).flatmap(
    lambda labels: st.integers(1, 8).flatmap(
        lambda rows: st.tuples(
            arrays.arrays(np.float64, (rows, labels), elements=SCORE),
            arrays.arrays(np.bool_, (rows, labels)),
            st.integers(0, 6),
        )
    )
)


@pytest.mark.slow
@given(TABLE)
@settings(deadline=None)
def test_macro_f1_is_not_below_that_of_one_half(table: tuple[NDArray[Any], NDArray[Any], int]) -> None:
    """Whatever labels count as rare, macro-F1 on the rows given is at least that of any one threshold."""
    scores, truth, min_positives = table
    found = macro_f1(truth, scores >= best_thresholds(scores, truth, min_positives))
    tried = {0.5, *scores.ravel(), *(np.nextafter(score, 1) for score in scores.ravel())}
    assert found >= max(macro_f1(truth, scores >= other) for other in tried) - 1e-9


def test_rare_labels_share() -> None:
    """Labels with few positives have one threshold, each other label its own."""
    rng = np.random.default_rng(0)
    truth = np.zeros((400, 4), dtype=np.int64)
    for label, positives in enumerate((100, MIN_POSITIVES, MIN_POSITIVES - 1, 2)):
        truth[rng.permutation(400)[:positives], label] = 1
    scores = np.clip(0.25 + 0.3 * truth + 0.15 * rng.normal(size=truth.shape), 0, 1)
    found = best_thresholds(scores, truth)
    assert found[2] == found[3]
    for label in (0, 1):
        assert found[label] == best_threshold(scores[:, label], truth[:, label])
        assert found[label] != found[2]
    assert found[2] == best_thresholds(scores, truth, min_positives=1000)[0]


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([], [], "at least one row"),
        ([0.1, 0.2], [1], "same 1 dimensions"),
        ([[0.1], [0.2]], [[0], [1]], "same 1 dimensions"),
        ([0.1, 1.5], [0, 1], "probabilities, from 0 to 1"),
        ([0.1, float("nan")], [0, 1], "probabilities, from 0 to 1"),
        ([0.1, 0.2], [0, -1], "truth must be 0 or 1"),
    ],
)
@pytest.mark.parametrize("search", [best_threshold, best_accuracy_threshold])
def test_unusable(search: Search, scores: list[Any], truth: list[Any], expected: str) -> None:
    """Logits for probabilities, missing labels and unequal columns are refused."""
    with pytest.raises(ValueError, match=expected):
        search(scores, truth)
    if scores and not isinstance(scores[0], list):
        with pytest.raises(ValueError, match="same 2 dimensions"):
            best_thresholds(scores, truth)
