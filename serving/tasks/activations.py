"""From logits to scores, and scores as Hugging Face's classification tasks answer them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from serving.tasks.base import Logits, object_schema

Scores = npt.NDArray[np.float64]
Function = Literal["softmax", "sigmoid", "none"]


class LabelScore(TypedDict):
    """One label of an answer and its score."""

    label: str
    score: float


def apply_function(logits: Logits, name: str) -> Scores:
    """Scores from logits [..., labels]: ``softmax`` sums to one, ``sigmoid`` takes each by itself, ``none`` nothing."""
    values = logits.astype(np.float64)
    if name == "softmax":
        exponentials: Scores = np.exp(values - values.max(axis=-1, keepdims=True))
        softmax: Scores = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return softmax
    if name == "sigmoid":
        # The two-sided form: exp never sees a large positive number, so it cannot overflow.
        decay = np.exp(-np.abs(values))
        return np.where(values >= 0, 1 / (1 + decay), decay / (1 + decay))
    return values


def ranked(labels: Sequence[str], scores: Scores, order: Iterable[int]) -> list[LabelScore]:
    """The labels in ``order`` with their scores."""
    numbers = scores.tolist()
    return [{"label": labels[index], "score": numbers[index]} for index in order]


def scores_schema(labels: Sequence[str]) -> dict[str, Any]:
    """JSON schema of a list of labels and scores."""
    score = object_schema({"label": {"type": "string", "enum": list(labels)}, "score": {"type": "number"}})
    return {"type": "array", "items": score}
