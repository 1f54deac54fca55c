"""The best sequence of BIO tags: well formed, and no well-formed one is more probable."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.tasks.activations import Scores
from serving.tasks.viterbi import best_sequence

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
PROBABILITIES = arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.just(5)), elements=st.floats(1e-6, 1))


def well_formed(tags: list[str]) -> bool:
    """Whether every I- goes on with an entity of its type."""
    return all(tag[:2] != "I-" or before[2:] == tag[2:] for before, tag in pairwise(["O", *tags]))


def named(numbers: list[int]) -> list[str]:
    """The tags themselves."""
    return [LABELS[number] for number in numbers]


def log_probability(scores: Scores, numbers: tuple[int, ...] | list[int]) -> float:
    """How probable a sequence is."""
    return float(sum(np.log(row[number]) for row, number in zip(scores, numbers, strict=True)))


@pytest.mark.slow
@given(PROBABILITIES)
def test_best_sequence(scores: Scores) -> None:
    """Of all sequences that are well formed it is the most probable, as trying every one of them shows."""
    found = best_sequence(scores, LABELS)
    assert well_formed(named(found))
    every = (each for each in product(range(5), repeat=len(scores)) if well_formed(named(list(each))))
    assert log_probability(scores, found) == pytest.approx(max(log_probability(scores, each) for each in every))


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 60), st.just(5)), elements=st.floats(0, 1)))
def test_well_formed(scores: Scores) -> None:
    """However long and whatever the scores, even nothing but zeros, the tags are well formed."""
    found = best_sequence(scores, LABELS)
    assert len(found) == len(scores)
    assert well_formed(named(found))


@pytest.mark.parametrize(
    ("outside", "expected"), [(0.2, ["B-PER", "I-PER"]), (0.5, ["O", "O"]), (0.0, ["B-PER", "I-PER"])]
)
def test_a_lone_inside(outside: float, expected: list[str]) -> None:
    """Where a model says I- with nothing before it, what is decided is whether an entity begins at all."""
    scores = np.array([[outside, 0.3, 0.6, 0, 0], [outside, 0.1, 0.6, 0, 0]])
    assert named(best_sequence(scores, LABELS)) == expected


def test_any_order_of_labels() -> None:
    """Labels may come in any order, and a type may have no B- or no I- of its own."""
    scores = np.array([[0.1, 0.8, 0.1], [0.7, 0.1, 0.2]])
    assert best_sequence(scores, ["I-X", "B-X", "O"]) == [1, 0]
    assert best_sequence(scores, ["O", "B-X", "B-Y"]) == [1, 0]
    assert best_sequence(scores, ["B-X", "I-X", "O"]) in ([0, 1], [2, 0], [0, 0])
