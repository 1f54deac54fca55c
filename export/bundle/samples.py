"""What a bundle keeps of the served evaluation rows: golden answers, and counts to measure drift against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from export.proof.hard_strings import hard_inputs, passes
from export.proof.reference import run_in_batches
from export.proof.served_answers import run_items
from serving.inference.predictor import Predictor
from serving.observability.drift import reference_of
from serving.tasks.base import Encoded, Task
from trainer.data.rows import texts_of

GOLDEN_ROWS = 16
MAX_CHARACTERS = 2000


def select_golden_inputs(predictor: Predictor, evaluation: Sequence[Any]) -> list[Any]:
    """Short, accepted inputs from the whole evaluation set, and hard ones."""
    step = max(1, len(evaluation) // GOLDEN_ROWS)
    inputs = (*evaluation[::step][:GOLDEN_ROWS], *hard_inputs(predictor.task))
    short = [each for each in inputs if sum(map(len, texts_of(each))) <= MAX_CHARACTERS]
    return [each for each in short if passes(predictor.check, each)]


def write_golden(predictor: Predictor, inputs: Sequence[Any], path: Path) -> None:
    """Write a line of JSON for each; every machine must reproduce them before it serves."""
    encoded = predictor.encode([predictor.task.check(each) for each in inputs])
    with path.open("w", encoding="utf-8") as stream:
        for raw, each in zip(inputs, encoded, strict=True):
            results = predictor.run(each.windows)  # one item at a time, as a server replays them
            logits = predictor.logits(each.windows, results)
            row = {
                "inputs": raw,
                "input_ids": [window.ids for window in each.windows],
                "logits": [predictor.task.golden_logits(window).tolist() for window in logits],
                "outputs": predictor.task.decode(each, results),
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_drift_reference(predictor: Predictor, items: Sequence[Any], path: Path) -> None:
    """Write how often each label is answered, and the items' lengths in tokens."""
    predict = partial(_predict_labels, predictor)
    encoded, labels = run_in_batches(predictor.task, predictor.encode, predict, items)
    reference = reference_of([each.tokens for each in encoded], labels)
    path.write_text(reference.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _predict_labels(predictor: Predictor, encoded: Sequence[Encoded]) -> list[Sequence[str]]:
    task = predictor.task
    if type(task).predicted_labels is Task.predicted_labels:  # no labels to count, so nothing is run
        return [() for _ in encoded]
    results = run_items(predictor, encoded)
    return [task.predicted_labels(task.decode(*pair)) for pair in zip(encoded, results, strict=True)]
