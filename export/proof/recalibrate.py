"""A variant has calibration of its own: settings fitted to the logits that it serves for the validation rows."""

from __future__ import annotations

from functools import partial
from typing import Any

from export.proof.answers.reference import run_in_batches
from export.proof.answers.served_answers import run_items
from serving.inference.predictor import Predictor
from serving.tasks.base import TaskSettings
from trainer.data.rows import Rows
from trainer.tasks.base import TrainingTask


def recalibrate(predictor: Predictor, training_task: TrainingTask, rows: Rows) -> tuple[TaskSettings, dict[str, Any]]:
    """The settings to serve with, and a record of the choice.

    The predictor's own, the checkpoint's, stay where they give rows a negative log-likelihood that is no higher than
    the cross-fitted one of settings fitted to these logits.
    """
    task = predictor.task
    items = [item for inputs in rows.inputs for item in training_task.items(task, inputs)]
    pairs = run_in_batches("scores", task, predictor.encode, partial(run_items, predictor), items)
    found = training_task.calibrate(training_task.uncalibrated(task), *pairs, rows)
    if found is None or found.fit is None:  # nothing to fit, or an interval, which is always the variant's own
        return found.settings if found else task.settings, {"fitted": found is not None, "rows": len(rows)}
    forecasts = training_task.forecasts(task, *pairs, rows)
    count = forecasts.count.sum() if forecasts else 0.0
    kept = float(forecasts.nll.sum() / count) if forecasts and count else None
    fitted = found.fit.after is not None and kept is not None and found.fit.after < kept
    record = {"fitted": fitted, "rows": len(rows), "nll_as_checkpoint": kept, "nll_as_fitted": found.fit.after}
    return found.settings if fitted else task.settings, record
