"""A metric of the user's own: a function of expected and given answers and their weights (docs/extensions.md)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from serving.extensions.extension import Extension
from serving.extensions.registry import find_extension
from trainer.metrics.resampling import Floats, WeightedMetric, Weights
from trainer.recipe.section import METRIC_NAMES

MetricFunction = Callable[[Sequence[Any], Sequence[Any], Floats], float]
"""Expected answers, given answers, weights [rows]; more is better."""

MOST_ROWS, MOST_ANSWERS = 32, 8
"""Different rows, and wrong answers to each, among which the costliest loss is looked for."""
MOST_CONSTANTS = 64


@dataclass(frozen=True)
class OwnMetric:
    extension: Extension
    function: MetricFunction

    @classmethod
    def open(cls, name: str) -> Self:
        """Raises InputError."""
        extension = find_extension("metrics", name, METRIC_NAMES)
        if not callable(extension.value):
            raise extension.failure("is no function; give one of (expected, answered, weights)")
        return cls(extension, extension.value)

    @property
    def name(self) -> str:
        return self.extension.name

    def of(self, expected: Sequence[Any], answered: Sequence[Any]) -> WeightedOwnMetric:
        return WeightedOwnMetric(self, list(expected), list(answered))

    def best_of(self, expected: Sequence[Any], candidates: Iterable[Sequence[Any]]) -> float:
        """The best score of some lists of answers."""
        return max(self(expected, answered, np.ones(len(expected))) for answered in candidates)

    def __call__(self, expected: Sequence[Any], answered: Sequence[Any], weights: Floats) -> float:
        """Raises InputError for what the function raises, and unless it gives a finite number."""
        try:
            value = float(self.function(expected, answered, weights))
        except Exception as error:  # code of the user's own may raise anything
            raise self.extension.failure(f"failed on {len(expected)} rows", error) from error
        if not math.isfinite(value):
            raise self.extension.failure(f"gave {value} for {len(expected)} rows; a finite number is needed")
        return value


@dataclass(frozen=True)
class WeightedOwnMetric(WeightedMetric):
    metric: OwnMetric
    expected: list[Any]
    given: list[Any]

    @property
    def rows(self) -> int:
        return len(self.expected)

    def __call__(self, weights: Weights) -> Floats:
        return np.array([self.metric(self.expected, self.given, each) for each in weights])

    def with_lost_row(self, other: Self, counts: Floats) -> tuple[Self, Self]:
        """A row as this side answers it; ``other`` gives an answer that another row has.

        Of some rows and answers, those between which the scores differ most: nothing is known of the function.
        """
        rows = _first_of_each([(self.expected[at], self.given[at]) for at in range(self.rows) if counts[at]], MOST_ROWS)
        wrong = distinct([*self.given, *other.given], MOST_ANSWERS + 1)
        weights = np.append(counts, 1.0)[None]
        pairs = [
            (self._with(expected, given), other._with(expected, answer))
            for expected, given in rows
            for answer in wrong
            if answer != given
        ]
        if not pairs:  # every row has the same answer on both sides
            expected, given = rows[0]
            return self._with(expected, given), other._with(expected, given)
        return max(pairs, key=lambda pair: float(pair[0](weights)[0] - pair[1](weights)[0]))

    def _with(self, expected: Any, given: Any) -> Self:
        return type(self)(self.metric, [*self.expected, expected], [*self.given, given])


def distinct(values: Sequence[Any], most: int = MOST_CONSTANTS) -> list[Any]:
    """The most frequent values; of numbers, those at equal distances of rank."""
    if all(isinstance(value, int | float) for value in values):
        ordered = sorted(set(values))
        return [ordered[at] for at in np.unique(np.linspace(0, len(ordered) - 1, most).round().astype(int))]
    return _first_of_each(values, most)


def _first_of_each(values: Sequence[Any], most: int) -> list[Any]:
    """The most frequent ones; lists have no hash."""
    keys = [json.dumps(value, sort_keys=True, default=str) for value in values]
    first = dict(zip(reversed(keys), reversed(values), strict=True))
    return [first[key] for key, _ in Counter(keys).most_common(most)]
