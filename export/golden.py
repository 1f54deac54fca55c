"""The golden answers: a few rows recorded as served, which every machine must reproduce before it serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.hard_inputs import HARD_INPUTS
from serving.predictor import Predictor

EVALUATION_ROWS = 16
MAX_CHARACTERS = 500


def golden_texts(evaluation: Sequence[dict[str, Any]]) -> list[str]:
    """Evaluation rows spread over the whole set, and the hard inputs a server would accept, short ones only."""
    step = max(1, len(evaluation) // EVALUATION_ROWS)
    spread = [row["inputs"] for row in evaluation[::step]][:EVALUATION_ROWS]
    return [text for text in (*spread, *HARD_INPUTS) if text.strip() and len(text) <= MAX_CHARACTERS]


def write_golden(predictor: Predictor, texts: Sequence[str], path: Path) -> int:
    """Record ``inputs``, ``input_ids``, ``logits`` and ``outputs`` a line; gives the number of rows."""
    encodings = predictor.encode(texts)
    with path.open("w", encoding="utf-8") as stream:
        for text, encoding, logits in zip(texts, encodings, predictor.logits(encodings), strict=True):
            row = {
                "inputs": text,
                "input_ids": encoding.ids,
                "logits": logits.tolist(),
                "outputs": predictor.task.decode(logits),
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return len(texts)
