"""The golden answers: a few inputs recorded as served, which every machine must reproduce before it serves."""

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


def golden_inputs(predictor: Predictor, evaluation: Sequence[Any]) -> list[Any]:
    """Inputs spread over the whole evaluation set, and the hard ones a server would accept, short ones only."""
    step = max(1, len(evaluation) // EVALUATION_ROWS)
    spread = list(evaluation[::step])[:EVALUATION_ROWS]
    found = (*spread, *hard_inputs(predictor.task))
    return [inputs for inputs in found if _is_short(inputs) and _taken(predictor, inputs)]


def write_golden(predictor: Predictor, inputs: Sequence[Any], path: Path) -> int:
    """Record ``inputs``, ``input_ids``, ``logits`` and ``outputs`` a line; gives the number of rows."""
    encoded = predictor.encode([predictor.task.check(each) for each in inputs])
    with path.open("w", encoding="utf-8") as stream:
        for given, each in zip(inputs, encoded, strict=True):
            results = predictor.run(each.windows)
            logits = predictor.logits(each.windows, results)
            row = {
                "inputs": given,
                "input_ids": [window.ids for window in each.windows],
                "logits": [predictor.task.golden_logits(window).tolist() for window in logits],
                "outputs": predictor.task.decode(each, results),
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return len(inputs)


def _is_short(inputs: Any) -> bool:
    return sum(map(len, texts_of(inputs))) <= MAX_CHARACTERS


def _taken(predictor: Predictor, inputs: Any) -> bool:
    try:
        predictor.check(inputs)
    except InputError:
        return False
    return True
