"""Golden answers: recorded as served; every machine must reproduce them before it serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.proof.hard_inputs import hard_inputs
from serving.errors import InputError
from serving.inference.predictor import Predictor
from trainer.data.rows import texts_of

EVALUATION_ROWS = 16
MAX_CHARACTERS = 2000


def select_golden_inputs(predictor: Predictor, evaluation: Sequence[Any]) -> list[Any]:
    """Short inputs that the server accepts: some from the whole evaluation set, and hard ones."""
    step = max(1, len(evaluation) // EVALUATION_ROWS)
    inputs = (*evaluation[::step][:EVALUATION_ROWS], *hard_inputs(predictor.task))
    return [each for each in inputs if _is_short(each) and _is_accepted(predictor, each)]


def write_golden(predictor: Predictor, inputs: Sequence[Any], path: Path) -> None:
    """Write one JSON line for each input: ``inputs``, ``input_ids``, ``logits`` and ``outputs``."""
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


def _is_short(inputs: Any) -> bool:
    return sum(map(len, texts_of(inputs))) <= MAX_CHARACTERS


def _is_accepted(predictor: Predictor, inputs: Any) -> bool:
    try:
        predictor.check(inputs)
    except InputError:
        return False
    return True
