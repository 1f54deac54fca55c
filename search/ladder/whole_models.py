"""A whole model as a rung: what it answers to the validation rows, and what a text costs."""

from __future__ import annotations

import time
from typing import Any

from search.ladder.rung import Rung, milliseconds_a_text, parameters_a_token
from trainer.fit.evaluate import evaluate
from trainer.fit.score import score_answers
from trainer.model.checkpoint import Checkpoint, build_model
from trainer.model.heads import GENERATING
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode
from trainer.setup.training_setup import TrainingSetup

UNTRAINED_TASKS = ("feature-extraction", "text2text-generation", "text-generation")
"""Those that a base model can answer without a head of its own."""


def measure_untrained(setup: TrainingSetup) -> Rung:
    """The base model as it is."""
    start = time.monotonic()
    model = build_model(setup.base, setup.model_spec, setup.splits.labels).eval()
    checkpoint = Checkpoint(model, setup.tokenizer, setup.task, setup.model_spec, setup.tokenizer.model_max_length)
    return measure_model(setup, checkpoint, "untrained", "base model as it is", 0, start)


def measure_model(
    setup: TrainingSetup, checkpoint: Checkpoint, key: str, name: str, train_rows: int, start: float
) -> Rung:
    """``start``: when its learning began, by the monotonic clock; it has ended."""
    seconds = time.monotonic() - start
    rows, batch_size = setup.splits.validation, setup.recipe.training.per_device_eval_batch_size
    answers = list(evaluate(checkpoint, setup.training_task, rows, batch_size).answers)
    score = score_answers(setup.training_task, rows, answers)
    return Rung(
        key, name, [score], train_rows, seconds, _milliseconds(setup, checkpoint), parameters_a_token(checkpoint.model)
    )


def _milliseconds(setup: TrainingSetup, checkpoint: Checkpoint) -> float | None:
    """In torch on a CPU, of models that answer in one pass."""
    if checkpoint.model_spec.head in GENERATING:
        return None
    checkpoint.model.to("cpu")

    def answer(inputs: Any) -> object:
        encoded = encode(checkpoint.tokenizer, checkpoint.task, setup.training_task.items(checkpoint.task, inputs))
        return rows_logits(checkpoint.model, checkpoint.tokenizer, encoded, 1)

    return milliseconds_a_text(answer, setup.splits.validation)
