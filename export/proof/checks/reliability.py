"""How far the served scores are probabilities, before and after calibration."""

from __future__ import annotations

from typing import Any

from export.proof.answers.served_answers import ServedAnswers
from trainer.metrics.calibration import measure_both


def measure_reliability(served: ServedAnswers) -> dict[str, Any]:
    """``before`` and ``after``, on the test rows; empty for a task without probabilities."""
    task, training_task, rows = served.predictor.task, served.reference.training_task, served.reference.evaluation
    if not rows.labelled:
        return {}
    items = len(served.reference.row_items)
    pairs = served.encoded[:items], served.results[:items]
    found = {
        when: training_task.forecasts(each, *pairs, rows)
        for when, each in (("before", training_task.uncalibrated(task)), ("after", task))
    }
    return measure_both({when: forecasts for when, forecasts in found.items() if forecasts})
