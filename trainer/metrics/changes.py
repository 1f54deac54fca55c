"""How far a served answer is from the checkpoint's, in units that users see. Each task measures one item at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.tasks.base import Encoded, Logits, Task

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """What a change is counted in.

    Attributes:
        largest, mean: the recipe's keys, under ``export``, that bound the largest and the mean change; empty: no bound.
        similarity: people read 1 - change, such as a cosine.
        absent: why there may be nothing to compare.
    """

    name: str
    largest: str
    mean: str
    similarity: bool = False
    absent: str = "there was nothing to compare"


PROBABILITY = Unit(
    "change of a probability", "max_probability_change", "max_mean_probability_change",
    absent="no answer has a probability on both sides",
)  # fmt: skip
VALUE = Unit("change of a number, in standard deviations", "max_value_change", "max_mean_value_change")
COSINE = Unit("cosine with the checkpoint's vector", "min_cosine", "min_mean_cosine", similarity=True)
LENGTH = Unit("relative change of a vector's length", "max_length_change", "max_mean_length_change")
TEXT = Unit("word F1 with the checkpoint's text", "", "min_mean_text_f1", similarity=True)

Changes = Mapping[Unit, Floats]
"""Of one item: each of its labels, entities, tokens or vectors; empty where there is nothing to compare."""


@dataclass(frozen=True)
class Side:
    """One side's results for an item, and the task that decodes them. ``logits`` are what `Predictor.logits` gives."""

    task: Task
    encoded: Encoded
    results: Sequence[Any]
    logits: Callable[[], Sequence[Logits]]

    def decode(self, parameters: Any = None) -> Any:
        return self.task.decode(self.encoded, self.results, parameters)


def score_changes(before: Mapping[Any, float], after: Mapping[Any, float], missing: float) -> Floats:
    """Of each score of ``before``; ``missing`` stands for what ``after`` lacks."""
    return np.array([abs(after.get(key, missing) - score) for key, score in before.items()], dtype=np.float64)


def vector_changes(before: Sequence[float], after: Sequence[float], sizes: Sequence[int] = ()) -> Changes:
    """1 - cosine, and |length / length before - 1|, of vectors that are not normalised.

    ``sizes``: cosines of the vectors' beginnings too, as of vectors that callers cut.
    """
    ours, theirs = np.asarray(after, dtype=np.float64), np.asarray(before, dtype=np.float64)
    lengths = [max(float(np.linalg.norm(side)), 1e-12) for side in (theirs, ours)]
    cosines = [_cosine(theirs[:size], ours[:size]) for size in (*sizes, max(len(ours), len(theirs)))]
    return {COSINE: 1 - np.array(cosines), LENGTH: np.array([abs(lengths[1] / lengths[0] - 1)])}


def _cosine(one: Floats, other: Floats) -> float:
    """-1 for vectors that cannot be compared."""
    if len(one) != len(other):
        return -1.0
    lengths = [max(float(np.linalg.norm(side)), 1e-12) for side in (one, other)]
    return float(one @ other) / (lengths[0] * lengths[1])


def token_probability_changes(before: Logits, after: Logits) -> Floats:
    """Total variation distance of the next token's distributions [tokens], for logits [tokens, vocabulary].

    It is the largest change of the probability of any set of tokens.
    """
    distance: Floats = np.abs(_softmax(after) - _softmax(before)).sum(axis=-1) / 2
    return distance


def _softmax(logits: Logits) -> Floats:
    values = logits.astype(np.float64)
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float64)
