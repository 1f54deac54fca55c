"""How high right answers rank: recall@k, MRR@10 and nDCG@10, of each query and on average.

A query may have several right answers. Recall is the share of them among the first k, as in trec_eval. A wrong answer
that scores like a right one ranks before it, so that a model that answers everything alike scores 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.bootstrap import percentile_interval, resampled_values
from trainer.metrics.intervals import wilson_interval
from trainer.metrics.resampling import Floats, WeightedMetric, Weights

SCORES_AT_ONCE = 2**24
"""Of queries beside documents: 64 MB, and a few copies."""

Ranks = Sequence[int]
"""Of a query's right answers, from 1, the best first."""

_CUT = 10
_DISCOUNTS = 1 / np.log2(np.arange(2, _CUT + 2))


@dataclass(frozen=True)
class QueryMean(WeightedMetric):
    """The mean of values [rows], from 0 to 1, over queries: of each one's rows the ``first`` stands for it."""

    values: Floats
    first: Floats

    @property
    def rows(self) -> int:
        return len(self.values)

    def __call__(self, weights: Weights) -> Floats:
        """NaN for weights of no first row."""
        total = weights @ self.first
        mean = np.full(len(weights), np.nan)
        np.divide(weights @ (self.first * self.values), total, out=mean, where=total > 0)
        return mean

    def interval(self) -> tuple[float, float]:
        """The 95 % one: of a share of the queries Wilson's, which resampling narrows to a point at 0 and 1."""
        values = self.values[self.first > 0]
        if np.isin(values, (0.0, 1.0)).all():
            return wilson_interval(float(values.mean()), len(values))
        return percentile_interval(resampled_values([self])[0])

    def with_lost_row(self, other: Self, counts: Floats) -> tuple[Self, Self]:
        return self._append(1.0), other._append(0.0)

    def _append(self, value: float) -> Self:
        return type(self)(np.append(self.values, value), np.append(self.first, 1.0))


def recall_at(k: int) -> Callable[[Ranks], float]:
    return lambda ranks: sum(rank <= k for rank in ranks) / len(ranks)


def reciprocal_rank(ranks: Ranks) -> float:
    """0 past the tenth (Voorhees 1999)."""
    return 1 / ranks[0] if ranks[0] <= _CUT else 0.0


def discounted_gain(ranks: Ranks) -> float:
    """Of the first ten, as a share of the best (Järvelin and Kekäläinen 2002); each right answer gains 1."""
    gain = sum(float(_DISCOUNTS[rank - 1]) for rank in ranks if rank <= _CUT)
    return gain / float(_DISCOUNTS[: len(ranks)].sum())


MEASURES: Mapping[str, Callable[[Ranks], float]] = {
    "recall_at_1": recall_at(1),
    "recall_at_5": recall_at(5),
    "recall_at_10": recall_at(10),
    "mrr_at_10": reciprocal_rank,
    "ndcg_at_10": discounted_gain,
}


def rank_answers(scores: NDArray[Any], right: Sequence[int]) -> list[int]:
    """The ranks of the ``right`` places of one query's scores; raises ValueError for scores that are not finite."""
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    wanted, wrong = np.sort(scores[list(right)])[::-1], np.delete(scores, right)
    return [at + 1 + int(np.count_nonzero(wrong >= score)) for at, score in enumerate(wanted)]


def rank_by_cosine(
    queries: NDArray[Any], documents: NDArray[Any], right: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], NDArray[Any]]]:
    """Each query's ranks and its cosines with the documents; vectors [texts, dimensions], some queries at a time."""
    queries, documents = _normalize(queries), _normalize(documents).T
    at_once = max(1, SCORES_AT_ONCE // max(documents.shape[1], 1))
    for start in range(0, len(queries), at_once):
        block = queries[start : start + at_once] @ documents
        for scores, places in zip(block, right[start : start + at_once], strict=True):
            yield rank_answers(scores, places), scores


def query_means(ranks: Sequence[Ranks], first: Sequence[bool]) -> dict[str, QueryMean]:
    """By measure; ``ranks`` and ``first`` are of each row."""
    weights = np.asarray(first, dtype=np.float64)
    return {
        name: QueryMean(np.array([measure(each) for each in ranks], dtype=np.float64), weights)
        for name, measure in MEASURES.items()
    }


def _normalize(vectors: NDArray[Any]) -> NDArray[np.float32]:
    values = np.asarray(vectors, dtype=np.float32)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12), dtype=np.float32)
