"""Recall, reciprocal rank and discounted gain of queries, as their definitions have them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainer.metrics import ranking
from trainer.metrics.bootstrap import value_of
from trainer.metrics.ranking import MEASURES, QueryMean, query_means, rank_answers, rank_by_cosine

RANDOM = np.random.default_rng(0)


def brute_force(scores: np.ndarray, right: set[int]) -> dict[str, float]:
    """From the sorted documents; no two scores are equal."""
    order = np.argsort(-scores).tolist()
    found = {f"recall_at_{k}": len(right & set(order[:k])) / len(right) for k in (1, 5, 10)}
    first = next(at for at, each in enumerate(order) if each in right)
    gain = sum(1 / math.log2(at + 2) for at, each in enumerate(order[:10]) if each in right)
    best = sum(1 / math.log2(at + 2) for at in range(min(len(right), 10)))
    return {**found, "mrr_at_10": 1 / (first + 1) if first < 10 else 0.0, "ndcg_at_10": gain / best}


@pytest.mark.parametrize("many", [1, 3, 14])
def test_measures_are_their_definitions(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One right answer, several, and more than ten; block by block as at once."""
    queries, documents = RANDOM.normal(size=(30, 8)), RANDOM.normal(size=(40, 8))
    right = [sorted(RANDOM.choice(40, many, replace=False).tolist()) for _ in queries]
    found = [ranks for ranks, _ in rank_by_cosine(queries, documents, right)]
    cosines = (queries @ documents.T) / np.outer(*(np.linalg.norm(each, axis=1) for each in (queries, documents)))
    for ranks, scores, places in zip(found, cosines, right, strict=True):
        for name, value in brute_force(scores, set(places)).items():
            assert MEASURES[name](ranks) == pytest.approx(value), name
    monkeypatch.setattr(ranking, "SCORES_AT_ONCE", 100)
    assert [ranks for ranks, _ in rank_by_cosine(queries, documents, right)] == found


def test_ties_count_against_the_model() -> None:
    """One that answers everything alike finds nothing."""
    assert rank_answers(np.zeros(5), [2]) == [5]
    assert rank_answers(np.array([0.5, 0.9, 0.5, 0.1]), [0, 1]) == [1, 3]
    (ranks, _), *_ = rank_by_cosine(np.ones((1, 3)), np.ones((20, 3)), [[0]])
    assert {name: measure(ranks) for name, measure in MEASURES.items()} == dict.fromkeys(MEASURES, 0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    """A comparison with NaN would rank the right answer first."""
    with pytest.raises(ValueError, match="not finite"):
        rank_answers(np.array([bad, 0.1]), [1])


def test_a_query_counts_once() -> None:
    """However many rows it has, in the mean and in a resample."""
    metric = query_means([[1], [1], [1], [4]], [True, False, False, True])["recall_at_1"]
    assert value_of(metric) == 0.5
    assert metric(np.array([[3.0, 9.0, 9.0, 1.0]])).tolist() == [0.75]
    assert np.isnan(metric(np.array([[0.0, 1.0, 1.0, 0.0]])))


def test_an_interval_of_ones_is_no_point() -> None:
    """Eight queries that all succeed do not show that all do."""
    low, high = QueryMean(np.ones(8), np.ones(8)).interval()
    assert (low < 0.7, high) == (True, 1.0)
    low, high = query_means([[1], [2], [3], [30]] * 10, [True] * 40)["mrr_at_10"].interval()
    assert 0.25 < low < 0.46 < high < 0.65
