"""Logits to scores, and scores in Hugging Face's classification shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from serving.tasks.base import Datatype, Logits, object_schema

Scores = npt.NDArray[np.float64]
Function = Literal["softmax", "sigmoid", "none"]
SCORE_TENSORS: Mapping[str, Datatype] = {"label": "BYTES", "score": "FP32"}


class LabelScore(TypedDict):
    label: str
    score: float


def apply_function(logits: Logits | Scores, name: str) -> Scores:
    """``softmax`` over the last axis, elementwise ``sigmoid``, or ``none``, of logits [..., labels]."""
    values = logits.astype(np.float64)
    if name == "softmax":
        exponentials: Scores = np.exp(values - values.max(axis=-1, keepdims=True))
        softmax: Scores = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return softmax
    if name == "sigmoid":
        decay = np.exp(-np.abs(values))  # cannot overflow
        return np.where(values >= 0, 1 / (1 + decay), decay / (1 + decay))
    return values


def log_odds(probabilities: Scores) -> Scores:
    """Finite: 0 and 1 count as the numbers next to them."""
    values = np.clip(probabilities, np.nextafter(0, 1), np.nextafter(1, 0))
    odds: Scores = np.log(values) - np.log1p(-values)
    return odds


def scale_odds(probabilities: Scores, scale: Scores | float, bias: Scores | float = 0.0) -> Scores:
    """The sigmoid of scale times the log odds plus bias (Platt 1999); increasing where the scale is positive."""
    if np.all(scale == np.float64(1)) and np.all(bias == np.float64(0)):
        return probabilities  # not a rounding away
    return apply_function(scale * log_odds(probabilities) + bias, "sigmoid")


def rank_labels(labels: Sequence[str], scores: Scores, order: Iterable[int]) -> list[LabelScore]:
    """The labels at the indices ``order``, with their scores."""
    numbers = scores.tolist()
    return [{"label": labels[index], "score": numbers[index]} for index in order]


def scores_schema(labels: Sequence[str]) -> dict[str, Any]:
    score = object_schema({"label": {"type": "string", "enum": list(labels)}, "score": {"type": "number"}})
    return {"type": "array", "items": score}
