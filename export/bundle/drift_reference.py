"""Counts of the evaluation rows as served: a server measures drift against them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.proof.reference_answers import split_items
from export.proof.served_answers import run_items
from serving.inference.predictor import Predictor
from serving.observability.drift import reference_of
from serving.tasks.base import Encoded, Task


def write_drift_reference(predictor: Predictor, items: Sequence[Any], path: Path) -> None:
    """Write how often each label is answered, and the lengths in tokens."""
    lengths, labels = list[int](), list[Sequence[str]]()
    for batch in split_items(items):
        encoded = predictor.encode(batch)
        lengths += [each.tokens for each in encoded]
        labels += _predict_labels(predictor, encoded)
    path.write_text(reference_of(lengths, labels).model_dump_json(indent=2) + "\n", encoding="utf-8")


def _predict_labels(predictor: Predictor, encoded: Sequence[Encoded]) -> list[Sequence[str]]:
    task = predictor.task
    if type(task).predicted_labels is Task.predicted_labels:  # no labels to count, so nothing is run
        return [() for _ in encoded]
    results = run_items(predictor, encoded)
    return [task.predicted_labels(task.decode(*pair)) for pair in zip(encoded, results, strict=True)]
