"""What a bundle keeps of the served evaluation rows: golden answers, and counts to measure drift against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from export.proof.answers.hard_strings import hard_inputs, passes
from export.proof.answers.served_answers import ServedAnswers
from serving.bundle.manifest import Reference
from serving.inference.predictor import Predictor
from serving.observability.drift import reference_of
from trainer.data.rows import texts_of

GOLDEN_ROWS = 16
MAX_CHARACTERS = 2000


def select_golden_inputs(predictor: Predictor, evaluation: Sequence[Any]) -> list[Any]:
    """Short, accepted inputs from the whole evaluation set, and hard ones."""
    step = max(1, len(evaluation) // GOLDEN_ROWS)
    inputs = (*evaluation[::step][:GOLDEN_ROWS], *hard_inputs(predictor.task))
    short = [each for each in inputs if sum(map(len, texts_of(each))) <= MAX_CHARACTERS]
    selected = [each for each in short if passes(predictor.check, each)]
    return selected + _in_several_windows(predictor, selected, evaluation)


def _in_several_windows(predictor: Predictor, selected: Sequence[Any], evaluation: Sequence[Any]) -> list[Any]:
    """The shortest input that is, where there is one and none of the selected is."""
    if not predictor.task.uses_windows or any(map(partial(_takes_several, predictor), selected)):
        return []
    by_length = sorted(evaluation, key=lambda each: sum(map(len, texts_of(each))))
    return list(islice(filter(partial(_takes_several, predictor), by_length), 1))


def _takes_several(predictor: Predictor, inputs: Any) -> bool:
    return len(predictor.encode([predictor.check(inputs)])[0].windows) > 1


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
                "outputs": predictor.task.answer(each, results),
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def create_drift_reference(served: ServedAnswers) -> Reference:
    """How often each label is answered to the rows' items, and the items' lengths in tokens."""
    items = served.encoded[: sum(served.reference.counts)]
    return reference_of([each.tokens for each in items], served.answers.labels)
