"""What the evaluation rows look like as they are served: the reference that a server measures drift against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from serving.inference.predictor import Predictor
from serving.observability.drift import reference_of
from serving.tasks.base import Encoded, Task

ITEMS_AT_ONCE = 256


def write_reference(predictor: Predictor, items: Sequence[Any], path: Path) -> None:
    """Answer the items as the server will, and write the counts of their labels and lengths."""
    lengths, outcomes = [], []
    for encoded, labels in _answered(predictor, items):
        lengths.append(encoded.tokens)
        outcomes.append(labels)
    path.write_text(reference_of(lengths, outcomes).model_dump_json(indent=2) + "\n", encoding="utf-8")


def _answered(predictor: Predictor, items: Sequence[Any]) -> Iterator[tuple[Encoded, Sequence[str]]]:
    task = predictor.task
    tells_of_labels = type(task).predicted_labels is not Task.predicted_labels
    for start in range(0, len(items), ITEMS_AT_ONCE):
        encoded = predictor.encode(items[start : start + ITEMS_AT_ONCE])
        # Generated texts and numbers are not counted, so that they need not be made a second time.
        found = iter(predictor.run([window for each in encoded for window in each.windows]) if tells_of_labels else ())
        for each in encoded:
            answer = task.decode(each, [next(found) for _ in each.windows]) if tells_of_labels else None
            yield each, task.predicted_labels(answer) if tells_of_labels else ()
